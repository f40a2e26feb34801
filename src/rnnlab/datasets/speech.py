"""Utterances, each of which is one of a few: vowels by nine speakers, or spoken digits.

| source | from                                       | utterances                  | licence                         |
|--------|--------------------------------------------|-----------------------------|---------------------------------|
| sample | package aeon, see `rnnlab.datasets.vowels` | 270 to train on, 370 test   | CC BY 4.0, package BSD-3-Clause |
| full   | see `rnnlab.datasets.spoken_digits`        | 2,700 to train on, 300 test | CC BY-SA 4.0                    |
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from rnnlab.datasets import spoken_digits, vowels
from rnnlab.datasets.dataset import Dataset, File


@dataclass(frozen=True)
class Speech(Dataset):
    """See the module's table."""

    worded: ClassVar[tuple[str, ...]] = ("source",)

    source: Literal["sample", "full"]

    def in_words(self, facts: Mapping[str, Any]) -> Sequence[str]:
        return ["Japanese vowels" if self.source == "sample" else "spoken digits"]

    def files(self) -> list[File]:
        return [vowels.PACKAGE if self.source == "sample" else spoken_digits.ARCHIVE]

    def read_vowels(self, folder: Path) -> tuple[vowels.Series, vowels.Series]:
        """The training and the test split of source=sample."""
        self.fetched(folder)
        return vowels.read_vowels(folder)

    def read_digits(self, folder: Path) -> list[spoken_digits.Recording]:
        """The recordings of source=full."""
        self.fetched(folder)
        return spoken_digits.read_recordings(folder / spoken_digits.ARCHIVE.name)
