"""The jobs of a sweep as a job array of Slurm, by submitit."""

import logging
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnlab.arguments import Natural, Positive, PositiveNumber
from rnnlab.cluster.engine import Engine
from rnnlab.cluster.job import Ended, Job
from rnnlab.cluster.worker import work
from rnnlab.errors import UserError
from rnnlab.extras import require
from rnnlab.output import in_words
from rnnlab.results.paths import root

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission

log = logging.getLogger("rnnlab")

BETWEEN_LOOKS, LONGEST_BETWEEN = 2.0, 30.0
"""Seconds between questions to Slurm, which every user of a cluster asks: each pause is longer than the one before."""

UNTIL_GONE = 60.0
"""Seconds that a state lasts which may be that of a job on its way back into the queue, or of one that Slurm forgets,
until the job counts as ended."""

WAITING = ("PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT", "SUSPENDED")
UNDER_WAY = ("RUNNING", "CONFIGURING", "COMPLETING", "STAGE_OUT", "SIGNALING", "STOPPED", "RESIZING")
PASSING = ("PREEMPTED", "NODE_FAIL", "COMPLETED", "")
"""States that do not last where Slurm puts the job back into the queue; "": unknown to it."""

FULL = (
    "temporarily unavailable",
    "temporarily unable",
    "MaxSubmitJob",
    "submit limit",
    "job array specification",
    "Unable to contact",
    "timed out",
)
"""What of sbatch's errors says that it may take the jobs later, or fewer at once."""

BARREN = 3
"""Times in a row that a job may end without an epoch: Slurm may warn a minute early, which is much of a short limit."""

TIMEOUTS = 10_000
"""Times that a job may be resumed after its limit: as often as it comes further."""


class Work:
    """What submitit runs on a node, and gives back to Slurm when the limit comes near.

    minutes: of the limit. barren: how often in a row it had to end without an epoch.
    """

    def __init__(self, folder: str, minutes: float, barren: int = 0) -> None:
        self.folder, self.minutes, self.barren = folder, minutes, barren

    def __call__(self) -> None:
        self.found = self._progress()
        work(self.folder)

    def checkpoint(self) -> "DelayedSubmission":
        """Resume later, from the last epoch; not where the limit is too short for one, as that would never end."""
        from submitit.helpers import DelayedSubmission

        job = Job(Path(self.folder))
        barren = self.barren + 1 if self._progress() == self.found else 0
        if barren >= BARREN:
            outcome = job.outcome
            message = (
                f"{BARREN} times in a row no {'run' if self._is_forced else 'epoch'} ended within "
                f"cluster.minutes={self.minutes:g}, after which it begins again: raise that"
            )
            missing = (str(number) for number in range(len(job.parts)) if str(number) not in outcome["parts"])
            outcome["parts"] |= {number: asdict(Ended("failed", message)) for number in missing}
            job.write_outcome({**outcome, "finished": True})
            sys.exit(2)
        return DelayedSubmission(Work(self.folder, self.minutes, barren))

    @property
    def _is_forced(self) -> bool:
        return any("force=true" in part.words for part in Job(Path(self.folder)).parts)

    def _progress(self) -> list[Any]:
        """What there is of the job's runs that a later attempt goes on from: under force=true only what is done."""
        job = Job(Path(self.folder))
        checkpoints = [part.checkpoint for part in job.parts if part.folder and not self._is_forced]
        return [sorted(job.ended()), [path.stat().st_mtime_ns if path.exists() else 0 for path in checkpoints]]


class Slurm(Engine):
    """Slurm, from a host that has its commands. The options are those of conf/cluster/slurm.yaml."""

    name = "slurm"
    keeps_jobs = True

    def __init__(
        self,
        workers: Positive | None = 100,
        cores: Positive = 1,
        memory_gb: PositiveNumber | None = 4,
        gpus: Natural = 0,
        minutes: Positive = 240,
        partition: str | None = None,
        account: str | None = None,
        qos: str | None = None,
        constraint: str | None = None,
        setup: Sequence[str] = (),
        options: dict[str, Any] | None = None,
        runs_per_job: Positive | None = None,
        evaluate: bool = False,
        detach: bool = False,
    ) -> None:
        super().__init__(workers, runs_per_job, evaluate, detach)
        self.minutes, self.partition = minutes, partition
        self._parameters = {
            "name": "rnnlab",
            "timeout_min": minutes,
            "cpus_per_task": cores,
            "mem_gb": memory_gb,
            "gpus_per_node": gpus or None,
            "stderr_to_stdout": True,
            "slurm_partition": partition,
            "slurm_account": account,
            "slurm_qos": qos,
            "slurm_constraint": constraint,
            "slurm_setup": list(setup) or None,
            "slurm_additional_parameters": dict(options or {}) or None,
            # before the limit: enough for the end of a step and for a checkpoint to be left as it is
            "slurm_signal_delay_s": min(90, 15 * minutes),
        }
        self._ids: dict[Job, str] = {}
        self._before: dict[str, str] | None = None
        self._states: dict[str, str] = {}
        self._since: dict[str, float] = {}
        self._due, self._pause = 0.0, BETWEEN_LOOKS
        self._largest = 1000
        self._reasons: Counter[str] = Counter()
        self._is_away = self._is_full = False
        self._again = 0.0

    def open(self) -> int | None:
        require("slurm", "cluster=slurm", "submitit")
        for command in ("sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo"):
            if shutil.which(command) is None:
                raise UserError(
                    f"cluster=slurm: there is no {command} on this host's PATH; start the sweep where there is one."
                )
        config = _asked("scontrol", "show", "config")
        if found := re.search(r"MaxArraySize\s*=\s*(\d+)", config):
            self._largest = max(1, int(found[1]) - 1)
        there = sorted(set(_asked("sinfo", "--noheader", "--format=%R").split()))
        if self.partition is not None and not set(self.partition.split(",")) <= set(there):
            raise UserError(f"cluster.partition={self.partition}: Slurm has {', '.join(there)}.")
        return None  # it depends on the other users

    def submit(self, jobs: Sequence[Job]) -> None:
        super().submit(jobs)
        self._submit_waiting()
        while self.detach and self._waiting:  # later, there is nobody who could
            time.sleep(LONGEST_BETWEEN)
            self._submit_waiting()

    def _submit_waiting(self) -> None:
        import submitit

        # submitit's own lines: it asks for accounting, which many clusters have not
        logging.getLogger("submitit").setLevel(logging.ERROR)
        executor = submitit.AutoExecutor(_folder() / "%j", cluster="slurm", slurm_max_num_timeout=TIMEOUTS)
        size = self._largest
        while self._waiting and size:
            some = self._waiting[:size]
            at_once = len(some)
            if self.workers is not None:  # what falls to this array, of several
                at_once = max(1, self.workers * len(some) // (len(self._ids) + len(self._waiting)))
            try:
                executor.update_parameters(
                    **{key: value for key, value in self._parameters.items() if value is not None},
                    slurm_array_parallelism=at_once,
                )
                submitted = executor.submit_array([Work(str(job.folder), self.minutes) for job in some])
            except (submitit.core.utils.FailedJobError, ValueError) as error:
                reason = _reason(error)
                if not any(text in reason for text in FULL):
                    raise UserError(f"cluster=slurm: no job was taken: {reason}.") from None
                size //= 2
                if not size and not self._is_full:
                    log.info("Slurm takes no more jobs for now (%s): %d wait here", reason, len(self._waiting))
                    self._is_full = True
                continue
            for job, one in zip(some, submitted, strict=True):
                self._ids[job] = one.job_id
                job.keep_handle({"engine": self.name, "id": one.job_id})
            del self._waiting[: len(some)]
            self._is_full = False
        self._again = time.monotonic() + LONGEST_BETWEEN

    def poll(self) -> None:
        now = time.monotonic()
        if now < self._due:
            return
        try:
            lines = _queue()
        except UserError as error:
            if not self._is_away:
                log.info("%s Waiting for it; jobs go on meanwhile.", error)
            self._is_away, self._due = True, now + LONGEST_BETWEEN
            return
        self._is_away = False
        states = {number: f"{state} on {node}" if node else state for number, state, node, _ in lines}
        ours = set(self._ids.values())
        self._reasons = Counter(reason for number, state, _, reason in lines if state == "PENDING" and number in ours)
        for number in self._ids.values():
            state = states.get(number, "")
            if self._states.get(number) != state:
                self._states[number], self._since[number] = state, now
                self._pause = BETWEEN_LOOKS
        self._pause = min(1.3 * self._pause, LONGEST_BETWEEN)
        self._due = now + self._pause
        if self._waiting and now >= self._again:
            self._submit_waiting()

    def why_waiting(self) -> str:
        return f"Slurm: {self._reasons.most_common(1)[0][0]}" if self._reasons else ""

    def gone(self, job: Job) -> str | None:
        number = self._ids.get(job)
        if number is None or number not in self._states:
            return None
        state = self._states[number]
        word = state.partition(" ")[0]
        if word in (*WAITING, *UNDER_WAY):
            return None
        if word in PASSING and time.monotonic() - self._since[number] < UNTIL_GONE:
            return None
        return f"Slurm says {state} of its job {number}" if state else f"Slurm no longer knows its job {number}"

    def adopt(self, job: Job) -> bool:
        number = job.handle.get("id", "")
        if job.handle.get("engine") != self.name:
            return False
        if self._before is None:  # once for all of them, and not in vain: what is not seen would be submitted again
            self._before = {number: state for number, state, *_ in _queue()}
        if self._before.get(number) not in (*WAITING, *UNDER_WAY):
            return False
        self._ids[job] = number
        return True

    def forget(self, job: Job) -> None:
        if job.handle.get("engine") != self.name:
            return
        number = job.handle["id"]
        for name in (number, number.partition("_")[0]):
            shutil.rmtree(_folder() / name, ignore_errors=True)

    def cancel(self) -> None:
        self._waiting.clear()
        if numbers := sorted(
            {number for job, number in self._ids.items() if self.gone(job) is None and not job.has_finished}
        ):
            for first in range(0, len(numbers), 500):
                subprocess.run(["scancel", *numbers[first : first + 500]], check=False, capture_output=True)  # noqa: S603, S607


def _folder() -> Path:
    """Of what submitit keeps: a folder for each job, by its number, and its log until our own begins."""
    return root() / "runs/.sweep/slurm"


def _queue() -> list[list[str]]:
    """Of each job of this user's that Slurm still knows: number, state, node, and why it waits.

    Raises: `UserError` where Slurm does not answer.
    """
    found = _asked("squeue", "--noheader", "--array", "--states=all", "--me", "--format=%i|%T|%N|%r")
    return [line.split("|") for line in found.splitlines()]


def _asked(*command: str) -> str:
    """What one of Slurm's commands answers. Raises: `UserError` where it does not."""
    try:
        answered = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)  # noqa: S603
    except subprocess.CalledProcessError as error:
        raise UserError(f"cluster=slurm: {command[0]} fails ({_last_line(error.stderr)}).") from None
    except subprocess.TimeoutExpired:
        raise UserError(f"cluster=slurm: {command[0]} does not answer within {in_words(60)}.") from None
    return answered.stdout


def _reason(error: Exception) -> str:
    """What sbatch has said, of submitit's long text."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line.removeprefix("sbatch: error: ") for line in lines if line.startswith("sbatch: error: ")]
    return said[-1].removeprefix("Batch job submission failed: ").rstrip(".") if said else lines[0]


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason given"])[-1]
