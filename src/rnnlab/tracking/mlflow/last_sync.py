"""Whether the store still has all that is on disk, found out without MLflow, which takes seconds to import."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import rnnlab
from rnnlab.config.fingerprint import fingerprint
from rnnlab.errors import UserError
from rnnlab.results.files import read_json, write_json
from rnnlab.results.folders import all_seeds
from rnnlab.results.origin import is_current
from rnnlab.results.paths import Results, root

SQLITE = "sqlite:///"


class LastSync:
    """A file beside the store's database: how database and results were when a sync had left nothing to do.

    They are compared by the sizes of files and the times of their last change. A server's state cannot be seen so: of
    one, nothing is kept.
    """

    def __init__(self, uri: str, roots: Iterable[str] = ()) -> None:
        """uri: of the store. roots: further workspaces whose results a sync takes. All are looked at now, before it.

        seeds: how many of them a sync puts into the store: those of an earlier version it skips, and one that several
        folders have it takes once. Where another process deletes a file meanwhile, there is no state of them.
        """
        self._database = Path(uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else None
        self.seeds = 0
        self._results: str | None = None
        with suppress(FileNotFoundError):
            folders = all_seeds(roots)
            finished = [path for folder in folders if is_current(path := folder / "run.json")]
            self.seeds = len({read_json(path)["key"] for path in finished})
            workspace = root()
            self._results = fingerprint([rnnlab.__version__, [_state(folder, workspace) for folder in folders]])

    def state(self) -> dict[str, Any] | None:
        """Of the database as it is now, and of the results; None without a database in a file or a state of these."""
        if self._database is None or self._results is None or not self._database.is_file():
            return None
        try:
            return {"database": _numbers(self._database.stat()), "results": self._results}
        except FileNotFoundError:  # deleted meanwhile
            return None

    def is_valid(self) -> bool:
        """Whether nothing has changed since."""
        state = self.state()
        if state is None:
            return False
        try:
            return bool(read_json(self._file) == state)
        except (UserError, FileNotFoundError):  # damaged, or not there: it will be written again
            return False

    def keep(self, state: dict[str, Any]) -> None:
        write_json(self._file, state)

    @property
    def _file(self) -> Path:
        assert self._database is not None
        return self._database.with_name(f"{self._database.name}.synced")


def _state(train: Path, workspace: Path) -> list[Any]:
    """Every file of a seed's training, evaluation and diagnosis."""
    results, seed = Results(train.parents[1]), int(train.name.partition("=")[2])
    folders = (train, results.evaluate(seed), results.diagnosis(seed))
    files = sorted((file for folder in folders if folder.is_dir() for file in _files(str(folder))), key=_path)
    return [[file.path.removeprefix(f"{workspace}/"), *_numbers(file.stat())] for file in files]


def _path(file: os.DirEntry[str]) -> str:
    return file.path


def _files(folder: str) -> Iterator[os.DirEntry[str]]:
    """At any depth. Not by `Path.rglob`, which takes three times as long: 10,000 runs have 150,000 of them."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path)
            elif entry.is_file():
                yield entry


def _numbers(found: os.stat_result) -> list[int]:
    return [found.st_ino, found.st_size, found.st_mtime_ns]
