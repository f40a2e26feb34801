"""What runs the jobs of a sweep: the interface of an engine."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from rnnlab.arguments import Positive
from rnnlab.cluster.job import Job


class Engine(ABC):
    """Runs jobs, and says which of them are under way.

    A class that conf/cluster names by `_target_` is made with the further keys of that file. Made is not opened: a
    constructor connects to nothing.

    workers: jobs at once at most; None: as many as there is room for.
    runs_per_job: at most; None: all of a task and a cell, and fewer where there is room for more jobs.
    evaluate: whether a job judges its nets on the test split once they are trained.
    detach: whether the command ends as soon as the jobs are handed over.
    """

    name = ""
    """What the engine is called in the file that names a job's engine."""

    is_one_host = False
    """Whether its jobs run on this host alone, and so may use a store in a file beside them."""

    keeps_jobs = False
    """Whether its jobs continue when the process that submitted them ends."""

    def __init__(
        self,
        workers: Positive | None = None,
        runs_per_job: Positive | None = None,
        evaluate: bool = False,
        detach: bool = False,
    ) -> None:
        self.workers, self.runs_per_job, self.evaluate, self.detach = workers, runs_per_job, evaluate, detach
        self._waiting: list[Job] = []
        self._gone: dict[Job, str] = {}

    @abstractmethod
    def open(self) -> int | None:
        """Be ready for jobs, before any other work. Returns: how many can run at once; None where nobody knows.

        Raises: `UserError` where the engine cannot be reached, or has no such place for a job.
        """

    def submit(self, jobs: Sequence[Job]) -> None:
        """Hand over jobs, each of which is `rnnlab.cluster.worker.work` of its folder; `poll` begins them.

        Raises: `UserError` where none is taken.
        """
        self._waiting += jobs

    @abstractmethod
    def poll(self) -> None:
        """Look after the jobs; called every second or so."""

    def gone(self, job: Job) -> str | None:
        """How a job that was submitted ended, in a few words, as far as the engine knows; None while it is waiting or
        under way."""
        return self._gone.get(job)

    def adopt(self, job: Job) -> bool:
        """Take over a job that an earlier command has submitted. Returns: False where it is no longer there.

        Raises: `UserError` where that cannot be found out.
        """
        return False

    @abstractmethod
    def cancel(self) -> None:
        """End what is under way, and drop what waits."""

    def why_waiting(self) -> str:
        """What the jobs that have not begun wait for, as far as the engine says it."""
        return ""

    def forget(self, job: Job) -> None:  # noqa: B027  # most leave nothing but the job's folder
        """Delete what the engine keeps of a job that has ended well."""

    def close(self) -> None:  # noqa: B027  # most have nothing to let go of
        """Let go of the engine once all jobs have ended."""
