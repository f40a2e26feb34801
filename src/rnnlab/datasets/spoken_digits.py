"""Spoken digits: the Free Spoken Digit Dataset, 3,000 recordings in wav files (Jackson et al. 2018, CC BY-SA 4.0).

Six speakers say each English digit fifty times, 8,000 samples a second. The files are called
`<digit>_<speaker>_<number>.wav`; numbers 0 to 4 are the official test split.
"""

import re
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from rnnlab.data.audio import Samples, read_wav
from rnnlab.datasets.dataset import File, members
from rnnlab.errors import UserError

RATE = 8000
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
OFFICIAL_TEST = 5

# the recordings alone, and as published with all that lies beside them
ARCHIVE = File(
    "fsdd_recordings.tar.gz",
    (
        "a0142b1c83ca0985e2e100bc2d6c3485fccc2a1b157e7dc0ce2cc86a29534b11",
        "feb479fad3a37883c3d21ed7f982281c2dd1c18d5aefd7e8a5d50f58023392aa",
    ),
    address="https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.tar.gz",
    folder="fsdd",
)


class Recording(NamedTuple):
    """samples: (time,), from -1 to 1, `RATE` a second. number: which of the speaker's recordings of the digit it is."""

    name: str
    digit: int
    speaker: str
    number: int
    samples: Samples

    @property
    def is_test(self) -> bool:
        """Whether it belongs to the official test split."""
        return self.number < OFFICIAL_TEST


def read_recordings(archive: Path) -> list[Recording]:
    """All wav files of the archive, whatever folder they lie in, in the order of digits, speakers and numbers.

    Raises: `UserError` that names the file: of another form, or of a name that says no digit, speaker and number.
    """
    found = []
    for path, content in members(archive, lambda path: path.endswith(".wav")):
        name = PurePosixPath(path).name
        parts = re.fullmatch(r"(\d)_([^_]+)_(\d+)\.wav", name)
        if parts is None:
            raise UserError(f"{archive} has a recording {path}; <digit>_<speaker>_<number>.wav is expected.")
        digit, speaker, number = parts.groups()
        samples = read_wav(content, f"{archive}, {path}", RATE)
        found.append(Recording(name, int(digit), speaker, int(number), samples))
    if not found:
        raise UserError(f"{archive} holds no wav file: it is another archive. Delete it and fetch again.")
    return sorted(found, key=lambda recording: (recording.digit, recording.speaker, recording.number))
