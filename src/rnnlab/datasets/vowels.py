"""Japanese vowels: the /ae/ of nine men, twelve numbers for each timestep (Kudo, Toyama and Shimbo 1999).

270 utterances to train on, 30 of each speaker, and 370 to test on, 24 to 88 of each; 7 to 29 timesteps of the cepstrum
of linear prediction. From the UCI archive (CC BY 4.0), in the format .ts, in the package aeon (BSD-3-Clause).
"""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

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
    train, test = (parse_ts(read_member(folder / PACKAGE.name, member), member) for member in MEMBERS)
    if train.classes != test.classes or train.series[0].shape[1] != test.series[0].shape[1]:
        raise UserError(f"{MEMBERS[0]} and {MEMBERS[1]} have other classes or dimensions: fetch them again.")
    return train, test


def parse_ts(content: bytes, name: str) -> Series:
    """Read time series in the format .ts: `@` lines that describe them, `@data`, and then a line for each of them:

        0.1,0.2,0.3:5,6,7:b     two dimensions at three timesteps, and the class

    Raises: `UserError` that names file and line, unless all have the dimensions and one of the classes that the
    description says, as many values in each dimension, none missing.
    """
    try:
        lines = content.decode().splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"{name} is not UTF-8 at byte {error.start}: fetch it again.") from None
    described, first = _description(lines, name)
    classes = described.get("classlabel", "").split()[1:]
    if not classes:
        raise UserError(f"{name} names no classes: a line `@classLabel true <class> ...` is expected before @data.")
    numbers = {label: number for number, label in enumerate(classes)}
    dimensions = described.get("dimensions", "1")
    series, labels = [], []
    for number, line in enumerate(lines[first:], first + 1):
        if not line.strip():
            continue
        *parts, label = line.strip().split(":")
        where = f"{name}, line {number}"
        if label not in numbers:
            raise UserError(f"{where}: the class {label[:20]!r} is none of {', '.join(classes)}.")
        if str(len(parts)) != dimensions:
            raise UserError(f"{where}: {len(parts)} dimensions; @dimensions says {dimensions}.")
        series.append(_values(parts, where))
        labels.append(numbers[label])
    if not series:
        raise UserError(f"{name} has no series after @data.")
    return Series(series, np.array(labels, np.int64), classes)


def _description(lines: list[str], name: str) -> tuple[dict[str, str], int]:
    """What the lines before @data say, by their names in small letters, and the index of the line after it."""
    described: dict[str, str] = {}
    for index, line in enumerate(lines):
        if re.fullmatch(r"@data\s*", line, re.IGNORECASE):
            return described, index + 1
        if line.startswith("@"):
            key, _, value = line[1:].partition(" ")
            described[key.lower()] = value.strip()
        elif line.strip() and not line.startswith("#"):
            break
    raise UserError(f"{name} is no .ts file: a line @data is expected before the series.")


def _values(parts: list[str], where: str) -> NDArray[np.float64]:
    try:
        rows = [[float(value) for value in part.split(",")] for part in parts]
    except ValueError as error:
        raise UserError(f"{where}: {error}; numbers apart by commas are expected.") from None
    if len({len(row) for row in rows}) != 1:
        raise UserError(f"{where}: the dimensions have {sorted({len(row) for row in rows})} values, not all as many.")
    values = np.array(rows).T
    if not np.isfinite(values).all():
        raise UserError(f"{where}: a value is missing or infinite.")
    return values
