"""Following the jobs of a sweep until they end: how far they are, what failed and where its log is."""

import logging
import sys
import time
from collections.abc import Sequence

from rnnlab.cluster.engine import Engine
from rnnlab.cluster.job import Ended, Job, Part
from rnnlab.errors import UserError
from rnnlab.output import Meter
from rnnlab.results.paths import from_root, root

log = logging.getLogger("rnnlab")

BETWEEN_LOOKS = 0.5
"""Seconds from one look at the jobs to the next; longer where there are many."""

UNTIL_LOST = 20.0
"""Seconds that the outcome of a job has to be seen here once its engine says that it ended: a file system over hosts
shows a new file late."""


class Followed:
    """Jobs under way, and how their runs ended."""

    def __init__(self, engine: Engine, jobs: Sequence[Job]) -> None:
        self.engine, self.jobs = engine, list(jobs)
        self.ended: dict[str, Ended] = {}
        self._open = list(jobs)
        self._lost: dict[Job, float] = {}
        self._has_begun = False
        self._patience = 0.0 if engine.is_one_host else UNTIL_LOST

    @property
    def runs(self) -> int:
        return sum(len(job.parts) for job in self.jobs)

    def counts(self) -> dict[str, int]:
        """Runs by where they are: running one of each job that has begun."""
        under_way = sum(job.has_begun and len(job.ended()) < len(job.parts) for job in self._open)
        states = [one.state for one in self.ended.values()]
        waiting = self.runs - under_way - len(states)
        return {
            "done": states.count("done"),
            "running": under_way,
            "waiting": waiting,
            "failed": states.count("failed"),
        }

    def until_all_end(self) -> None:
        """Raises: `UserError` where the first jobs to end show that none can run: another version of rnnlab on the
        hosts, or a workspace that they do not see."""
        meter = Meter("1 run" if self.runs == 1 else f"{self.runs} runs", "about")
        meter.restart(0.0)
        try:
            while self._open:
                self.engine.poll()
                for job in list(self._open):
                    self._look_after(job)
                if time.monotonic() >= meter.due:
                    counts = self.counts()
                    fraction = len(self.ended) / self.runs
                    why = self.engine.why_waiting()
                    facts = [f"{n} {state}" for state, n in counts.items() if n]
                    facts = [f"{fact} ({why})" if why and fact.endswith("waiting") else fact for fact in facts]
                    meter.show(fraction, *facts, meter.left(fraction))
                if self._open:
                    time.sleep(max(BETWEEN_LOOKS, len(self._open) / 500))
        finally:
            meter.close()

    def _look_after(self, job: Job) -> None:
        finished = job.has_finished  # before its runs are read, which are all there then
        ended = job.ended()
        for number, part in enumerate(job.parts):
            if number in ended and part.identity not in self.ended:
                self._end(job, part, ended[number])
        self._has_begun |= job.has_begun and not job.outcome.get("other_code")
        if finished:
            self._open.remove(job)
            if job.outcome.get("other_code") and not self._has_begun:
                raise UserError(next(iter(ended.values())).message)
            return
        how = self.engine.gone(job)
        if how is None:
            self._lost.pop(job, None)
        elif time.monotonic() - self._lost.setdefault(job, time.monotonic()) >= self._patience:
            self._open.remove(job)
            if not job.has_begun and not self._has_begun and not self.engine.is_one_host:
                raise UserError(
                    f"{job.name}: {how}, and it has written nothing into {root()}: is the workspace to be seen there "
                    f"at the same path? {self._log_of(job)}"
                )
            for part in job.parts:
                if part.identity not in self.ended:
                    self._end(job, part, Ended("failed", f"{how} before it was done"))

    def _end(self, job: Job, part: Part, ended: Ended) -> None:
        self.ended[part.identity] = ended
        if ended.state == "failed":
            print(f"error: {part.label}: {ended.message} {self._log_of(job)}", file=sys.stderr, flush=True)
        else:
            loss = "" if ended.value is None else f"validation loss {ended.value:.4f}, "
            where = "" if self.engine.is_one_host else f", on {job.outcome.get('host')}"
            log.info("%s: %s%.0f s%s", part.label, loss, ended.seconds, where)

    @staticmethod
    def _log_of(job: Job) -> str:
        return f"({from_root(job.log)})" if job.log.exists() else ""

    def failed(self) -> list[tuple[Part, Job, Ended]]:
        return [
            (part, job, self.ended[part.identity])
            for job in self.jobs
            for part in job.parts
            if part.identity in self.ended and self.ended[part.identity].state == "failed"
        ]

    def delete_successful(self) -> None:
        """The folders of jobs of which nothing has to be looked up."""
        failed = {job.folder for _, job, _ in self.failed()}
        for job in self.jobs:
            if job.folder not in failed and all(part.identity in self.ended for part in job.parts):
                self.engine.forget(job)
                job.delete()
