"""Utterances, each of which is one of a few: vowels by nine speakers, spoken digits, or the user's own recordings.

| source | from                                       | utterances                  | licence                         |
|--------|--------------------------------------------|-----------------------------|---------------------------------|
| sample | package aeon, see `rnnlab.datasets.vowels` | 270 to train on, 370 test   | CC BY 4.0, package BSD-3-Clause |
| full   | see `rnnlab.datasets.spoken_digits`        | 2,700 to train on, 300 test | CC BY-SA 4.0                    |
| files  | your folder, see `class_folders`           | yours                       | yours                           |
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from rnnlab.data.audio import Samples, read_sound
from rnnlab.data.class_folders import ClassFile, files_by_class
from rnnlab.data.user_folder import OwnFolder
from rnnlab.datasets import spoken_digits, vowels
from rnnlab.datasets.dataset import Dataset, File
from rnnlab.errors import UserError
from rnnlab.output import progress
from rnnlab.results.paths import own_file

ENDINGS = (".wav",)

FILES = "files"
"""The folder that the user's own are copied to."""


@dataclass(frozen=True)
class Speech(Dataset):
    """See the module's table."""

    worded: ClassVar[tuple[str, ...]] = ("source", "path")

    source: Literal["sample", "full", "files"]
    path: str | None = None

    def __post_init__(self) -> None:
        if self.path is not None:
            object.__setattr__(self, "source", "files")
            object.__setattr__(self, "path", str(self.path))

    def check(self) -> None:
        super().check()
        if self.source == "files":
            if self.path is None:
                raise UserError("task.path is missing: name a folder with a folder of wav files for each class.")
            OwnFolder(self.path).check()
            files_by_class(own_file(self.path), OwnFolder(self.path).name, ENDINGS)

    def in_words(self, facts: Mapping[str, Any]) -> Sequence[str]:
        if self.path is not None:
            return [OwnFolder(self.path).name]
        return ["Japanese vowels" if self.source == "sample" else "spoken digits"]

    def files(self) -> list[File]:
        if self.source == "files":
            return []
        return [vowels.PACKAGE if self.source == "sample" else spoken_digits.ARCHIVE]

    def fingerprint(self) -> dict[str, Any]:
        own = {"sha256": OwnFolder(self.path).sha256()} if self.path is not None else {}
        return {**super().fingerprint(), **own}

    def fetch(self, folder: Path, mirror: str | None = None) -> None:
        super().fetch(folder, mirror)
        if self.path is not None:
            OwnFolder(self.path).fetch(folder / FILES)

    def read_files(self, folder: Path) -> list[tuple[ClassFile, Samples, int]]:
        """Of source=files each recording, with how many of its samples are a second.

        Raises: `UserError` that names the file, as `read_sound` does.
        """
        self.fetched(folder)
        called = OwnFolder(str(self.path)).name
        found = progress(files_by_class(folder / FILES, called, ENDINGS), f"reading {called}")
        return [(file, *read_sound(file.path.read_bytes(), file.shown)) for file in found]

    def read_vowels(self, folder: Path) -> tuple[vowels.Series, vowels.Series]:
        """The training and the test split of source=sample."""
        self.fetched(folder)
        return vowels.read_vowels(folder)

    def read_digits(self, folder: Path) -> list[spoken_digits.Recording]:
        """The recordings of source=full."""
        self.fetched(folder)
        return spoken_digits.read_recordings(folder / spoken_digits.ARCHIVE.name)
