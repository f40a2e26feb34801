"""The jobs of a sweep on this machine, each a process of its own: one that is killed takes no other with it."""

import signal
import subprocess
import sys
import time
from collections.abc import Sequence

from rnnlab.arguments import Positive
from rnnlab.cluster.engine import Engine
from rnnlab.cluster.job import Job

PATIENCE = 20.0
"""Seconds that a process which is to end has for it."""


class Local(Engine):
    """Processes of this machine, `workers` at once."""

    name = "local"
    is_one_host = True

    def __init__(
        self, workers: Positive = 1, runs_per_job: Positive | None = None, evaluate: bool = False, detach: bool = False
    ) -> None:
        super().__init__(workers, runs_per_job, evaluate, detach)
        self._waiting: list[Job] = []
        self._running: dict[Job, subprocess.Popen[bytes]] = {}
        self._gone: dict[Job, str] = {}

    def open(self) -> int | None:
        return self.workers

    def submit(self, jobs: Sequence[Job]) -> None:
        self._waiting += jobs

    def poll(self) -> None:
        for job, process in list(self._running.items()):
            if (code := process.poll()) is not None:
                del self._running[job]
                self._gone[job] = _in_words(code)
        while self._waiting and len(self._running) < (self.workers or 1):
            job = self._waiting.pop(0)
            command = [sys.executable, "-m", "rnnlab.cluster.worker", str(job.folder)]
            # a session of its own: Ctrl-C reaches this process alone, which ends the others in order
            self._running[job] = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603

    def gone(self, job: Job) -> str | None:
        return self._gone.get(job)

    def cancel(self) -> None:
        self._waiting.clear()
        for process in self._running.values():
            process.send_signal(signal.SIGTERM)
        until = time.monotonic() + PATIENCE
        for process in self._running.values():
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()


def _in_words(code: int) -> str:
    return f"its process was killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
