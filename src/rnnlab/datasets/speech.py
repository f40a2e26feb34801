"""Utterances, each of which is one of a few: vowels by nine speakers, spoken digits, or the user's own recordings.

| source | from                                       | utterances                  | licence                         |
|--------|--------------------------------------------|-----------------------------|---------------------------------|
| sample | package aeon, see `rnnlab.datasets.vowels` | 270 to train on, 370 test   | CC BY 4.0, package BSD-3-Clause |
| full   | see `rnnlab.datasets.spoken_digits`        | 2,700 to train on, 300 test | CC BY-SA 4.0                    |
| files  | your folder, see `class_folders`           | yours                       | yours                           |
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from rnnlab.data.audio import Samples, read_sound
from rnnlab.data.class_folders import ClassFile, files_by_class
from rnnlab.datasets import spoken_digits, vowels
from rnnlab.datasets.dataset import File
from rnnlab.datasets.own_folders import FILES, OwnFolders
from rnnlab.output import progress

ENDINGS = (".wav",)


@dataclass(frozen=True)
class Speech(OwnFolders):
    """See the module's table."""

    holds: ClassVar[str] = "a folder with a folder of wav files for each class"

    source: Literal["sample", "full", "files"]

    def titled(self) -> str:
        return "Japanese vowels" if self.source == "sample" else "spoken digits"

    def packed(self) -> File:
        return vowels.PACKAGE if self.source == "sample" else spoken_digits.ARCHIVE

    def check_folder(self, folder: Path) -> None:
        files_by_class(folder, self.called, ENDINGS)

    def read_files(self, folder: Path) -> list[tuple[ClassFile, Samples, int]]:
        """Of source=files each recording, with how many of its samples are a second.

        Raises: `UserError` that names the file, as `read_sound` does.
        """
        self.fetched(folder)
        found = progress(files_by_class(folder / FILES, self.called, ENDINGS), f"reading {self.called}")
        return [(file, *read_sound(file.path.read_bytes(), file.shown)) for file in found]

    def read_vowels(self, folder: Path) -> tuple[vowels.Series, vowels.Series]:
        """The training and the test split of source=sample."""
        self.fetched(folder)
        return vowels.read_vowels(folder)

    def read_digits(self, folder: Path) -> list[spoken_digits.Recording]:
        """The recordings of source=full."""
        self.fetched(folder)
        return spoken_digits.read_recordings(folder / spoken_digits.ARCHIVE.name)
