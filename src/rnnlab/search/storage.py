"""Where a study is kept, and how the processes that share it take turns and know which of them have died."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import optuna
from optuna import Study
from optuna.storages import BaseStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from rnnlab.results.locks import is_locked, locked

T = TypeVar("T")

JOURNAL = "journal.log"
"""Of a study in the workspace: everything that Optuna knows of it, a line for each event."""

DRAW = "draw"
"""Of a trial: the number that seeds the sampler for it."""


class Storage(Protocol):
    """A place of studies.

    backend: what Optuna reads and writes.
    waits: whether a process whose study is not done yet waits for the trials of others, to write what was found into a
    workspace of its own.
    """

    waits: bool

    @property
    def backend(self) -> BaseStorage: ...

    def name(self, pair: str, setting: str) -> str:
        """Of the study of a task and cell, and of the digest of all that decides its trials."""

    def turn(self, name: str) -> AbstractContextManager[None]:
        """What one process at a time does with a study: counting its trials, and asking for another."""

    def alive(self, name: str, number: int) -> AbstractContextManager[None]:
        """Begun within a turn, this shows until it ends that the process of a trial lives."""

    def fail_dead(self, study: Study) -> list[int]:
        """Within a turn, mark the trials as failed whose processes live no more. Returns: their numbers."""

    def patiently(self, call: Callable[[], T]) -> T:
        """What `call` returns: it may be called again where the place does not answer."""


def running(study: Study) -> list[Any]:
    return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))


class Journal:
    """A file in the workspace, shared by the processes of all hosts that have the workspace.

    A trial's process holds a lock in the trial's folder.
    """

    waits = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        # Optuna's own lock outlives a killed process, and then holds up the next for half a minute
        lock = cast(Any, _JournalLock(folder / ".journal.lock"))
        self.backend: BaseStorage = optuna.storages.JournalStorage(JournalFileBackend(str(folder / JOURNAL), lock))

    def name(self, pair: str, setting: str) -> str:
        return pair

    @contextmanager
    def turn(self, name: str) -> Iterator[None]:
        with locked(self._folder / ".lock") as lock:
            yield
            lock.check()

    @contextmanager
    def alive(self, name: str, number: int) -> Iterator[None]:
        yield  # the lock of its folder, which every trial holds, says it

    def fail_dead(self, study: Study) -> list[int]:
        dead = [each.number for each in running(study) if not is_locked(lock_of(self._folder, each.number))]
        for number in dead:
            study.tell(number, state=TrialState.FAIL)
        return dead

    def patiently(self, call: Callable[[], T]) -> T:
        return call()


class _JournalLock:
    """Ours, as Optuna's journal calls it: for one append at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held = ExitStack()

    def acquire(self) -> bool:
        self._held.enter_context(locked(self._path))
        return True

    def release(self) -> None:
        self._held.close()


def folder_of(folder: Path, number: int) -> Path:
    """Of one trial of the study in `folder`, for as long as it runs."""
    return folder / "trials" / str(number)


def lock_of(folder: Path, number: int) -> Path:
    return folder_of(folder, number) / ".lock"
