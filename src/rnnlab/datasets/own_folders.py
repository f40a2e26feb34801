"""A data set one of whose sources is a folder of the user's own."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from rnnlab.data.user_folder import OwnFolder
from rnnlab.datasets.dataset import Dataset, File
from rnnlab.errors import UserError
from rnnlab.results.paths import own_file

FILES = "files"
"""The source that such a folder is, and the folder below the fetched data that it is copied to."""


@dataclass(frozen=True)
class OwnFolders(Dataset):
    """path: of the user's folder; where it is given, it is the source."""

    worded: ClassVar[tuple[str, ...]] = ("source", "path")

    holds: ClassVar[str]
    """What such a folder has in it, for messages."""

    path: str | None = None

    def __post_init__(self) -> None:
        if self.path is not None:
            object.__setattr__(self, "source", FILES)
            object.__setattr__(self, "path", str(self.path))

    @abstractmethod
    def titled(self) -> str:
        """What the data of another source is called in titles."""

    @abstractmethod
    def packed(self) -> File:
        """What is fetched of another source."""

    @abstractmethod
    def check_folder(self, folder: Path) -> None:
        """Raises: `UserError` where the user's folder holds nothing to be read."""

    def check(self) -> None:
        super().check()
        if self.source != FILES:
            return
        if self.path is None:
            raise UserError(f"task.path is missing: name {self.holds}.")
        OwnFolder(self.path).check()
        self.check_folder(own_file(self.path))

    @property
    def called(self) -> str:
        """The user's folder, in titles and messages."""
        return OwnFolder(str(self.path)).name

    def in_words(self, facts: Mapping[str, Any]) -> Sequence[str]:
        return [self.titled() if self.path is None else self.called]

    def files(self) -> list[File]:
        return [] if self.source == FILES else [self.packed()]

    def fingerprint(self) -> dict[str, Any]:
        own = {"sha256": OwnFolder(self.path).sha256()} if self.path is not None else {}
        return {**super().fingerprint(), **own}

    def fetch(self, folder: Path, mirror: str | None = None) -> None:
        super().fetch(folder, mirror)
        if self.path is not None:
            OwnFolder(self.path).fetch(folder / FILES)
