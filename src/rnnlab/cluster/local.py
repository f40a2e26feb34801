"""The jobs of a sweep on this machine, each a process of its own: one that is killed takes no other with it."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from rnnlab.arguments import Positive
from rnnlab.cluster.engine import Engine
from rnnlab.cluster.job import Job

WORKER = "rnnlab.cluster.worker"

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
        self._running: dict[Job, subprocess.Popen[bytes]] = {}
        self._adopted: dict[Job, int] = {}

    def open(self) -> int | None:
        return self.workers

    def poll(self) -> None:
        for job, process in list(self._running.items()):
            if (code := process.poll()) is not None:
                del self._running[job]
                self._gone[job] = _in_words(code)
        for job, pid in list(self._adopted.items()):
            if not _works_on(job, pid):
                del self._adopted[job]
                self._gone[job] = "its process has ended"
        while self._waiting and len(self._running) + len(self._adopted) < (self.workers or 1):
            job = self._waiting.pop(0)
            command = [sys.executable, "-m", WORKER, str(job.folder)]
            # a session of its own: Ctrl-C reaches this process alone, which ends the others in order
            self._running[job] = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603
            job.keep_handle({"engine": self.name, "host": os.uname().nodename, "id": str(self._running[job].pid)})

    def adopt(self, job: Job) -> bool:
        """Take over the process of a command that was killed itself."""
        handle = job.handle
        if (handle.get("engine"), handle.get("host")) != (self.name, os.uname().nodename):
            return False
        pid = int(handle["id"])
        if _works_on(job, pid):
            self._adopted[job] = pid
        return job in self._adopted

    def cancel(self) -> None:
        self._waiting.clear()
        for process in self._running.values():
            process.send_signal(signal.SIGTERM)
        self._end_adopted(signal.SIGTERM)
        until = time.monotonic() + PATIENCE
        for process in self._running.values():
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
        while self._adopted and time.monotonic() < until:
            self.poll()
            time.sleep(0.1)
        self._end_adopted(signal.SIGKILL)

    def close(self) -> None:
        """Their last words are said once all runs have ended."""
        until = time.monotonic() + PATIENCE
        for process in self._running.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, until - time.monotonic()))

    def _end_adopted(self, number: signal.Signals) -> None:
        for pid in self._adopted.values():
            with suppress(ProcessLookupError):
                os.kill(pid, number)


def _works_on(job: Job, pid: int) -> bool:
    """Whether the process of this number is one that works on the job, and not a later one of the same number."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return WORKER.encode() in words and str(job.folder).encode() in words


def _in_words(code: int) -> str:
    return f"its process was killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
