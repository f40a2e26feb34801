"""Japanese vowels: the /ae/ of nine men, twelve numbers for each timestep (Kudo, Toyama and Shimbo 1999).

270 utterances to train on, 30 of each speaker, and 370 to test on, 24 to 88 of each; 7 to 29 timesteps of the cepstrum
of linear prediction. From the UCI archive (CC BY 4.0), in the format .ts, in the package aeon (BSD-3-Clause).
"""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlab.data.sequences.sequences import Reading
from rnnlab.data.sequences.ts import parse_ts
from rnnlab.datasets.dataset import File, read_member
from rnnlab.errors import UserError

PACKAGE = File(
    "aeon-1.6.0-py3-none-any.whl",
    ("d05227086706f80111ac5fee8de4d5d3115bb3bcfd1c786c8629393055816409",),
    distribution="aeon==1.6.0",
)
MEMBERS = tuple(f"aeon/datasets/data/JapaneseVowels/JapaneseVowels_{split}.ts" for split in ("TRAIN", "TEST"))


class Series(NamedTuple):
    """series: each (time, dimensions); labels: (series,), numbers of `classes`."""

    series: list[NDArray[np.float64]]
    labels: NDArray[np.int64]
    classes: list[str]


def read_vowels(folder: Path) -> tuple[Series, Series]:
    """The official training and test split. Raises: see `parse_ts`."""
    train, test = (_read(folder / PACKAGE.name, member) for member in MEMBERS)
    if train.classes != test.classes or train.series[0].shape[1] != test.series[0].shape[1]:
        raise UserError(f"{MEMBERS[0]} and {MEMBERS[1]} have other classes or dimensions: fetch them again.")
    return train, test


def _read(archive: Path, member: str) -> Series:
    lines = io.StringIO(read_member(archive, member).decode("utf-8", errors="replace"))
    found = parse_ts(lines, member, Reading())
    if found.labels is None or any(np.isnan(values).any() for values in found.values):
        raise UserError(f"{member} has utterances without a speaker, or with a value missing: fetch it again.")
    classes = sorted(set(found.labels), key=int)
    return Series(found.values, np.array([classes.index(label) for label in found.labels], np.int64), classes)
