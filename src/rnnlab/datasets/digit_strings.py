"""Spoken strings of digits, and what they are made of.

| source | made of                                                       | licence                              |
|--------|---------------------------------------------------------------|--------------------------------------|
| espeak | speech by eSpeak NG, see `rnnlab.datasets.synthetic_speech`   | an optional package, GPL-3.0-or-later |
| full   | recordings of people, see `rnnlab.datasets.spoken_digits`     | CC BY-SA 4.0                         |
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from rnnlab.datasets import spoken_digits, synthetic_speech
from rnnlab.datasets.dataset import Dataset, File


@dataclass(frozen=True)
class DigitStrings(Dataset):
    """See the module's table. Nothing is fetched for source=espeak: it is made when it is prepared."""

    worded: ClassVar[tuple[str, ...]] = ("source",)

    source: Literal["espeak", "full"]

    def in_words(self, facts: Mapping[str, Any]) -> Sequence[str]:
        return ["digits by eSpeak NG" if self.source == "espeak" else "digits of recordings"]

    def files(self) -> list[File]:
        return [spoken_digits.ARCHIVE] if self.source == "full" else []

    def check(self) -> None:
        """Raises: `MissingExtra` for source=espeak without its package, beside what each data set raises."""
        super().check()
        if self.source == "espeak":
            synthetic_speech.installed_version()

    def fingerprint(self) -> dict[str, Any]:
        if self.source == "espeak":
            return {**super().fingerprint(), synthetic_speech.DISTRIBUTION: synthetic_speech.installed_version()}
        return super().fingerprint()

    def read(self, folder: Path) -> list[spoken_digits.Recording]:
        """The recordings of source=full."""
        self.fetched(folder)
        return spoken_digits.read_recordings(folder / spoken_digits.ARCHIVE.name)
