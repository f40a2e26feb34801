"""The format .ts of the archives: `@` lines that describe the sequences, `@data`, and then a line for each of them.

0.1,0.2,0.3:5,6,7:b     two channels at three timesteps, and the class
"""

import gzip
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from rnnlab.data.sequences.sequences import Reading, Sequences, unnamed_channels
from rnnlab.data.tables.values import MISSING
from rnnlab.errors import UserError

DAMAGED = (gzip.BadGzipFile, EOFError, zlib.error)
YES = ("true", "yes", "1")


def read_ts(path: Path, shown: str, how: Reading) -> Sequences:
    """Read a file as a stream of its lines. Raises: see `parse_ts`."""
    try:
        with open_text(path) as lines:
            return parse_ts(lines, shown, how)
    except UnicodeDecodeError as error:
        raise UserError(f"{shown} is not UTF-8 ({error.reason}); save it in UTF-8.") from None
    except DAMAGED as error:
        raise UserError(f"{shown} is a packed file that cannot be read ({error}); unpack it.") from None


def open_text(path: Path) -> TextIO:
    """A text in UTF-8, packed by gzip or not."""
    packed = path.suffix.lower() == ".gz"
    return gzip.open(path, "rt", encoding="utf-8-sig") if packed else path.open(encoding="utf-8-sig")


def parse_ts(lines: Iterator[str], shown: str, how: Reading) -> Sequences:
    """Lines of a file, from its first one. A class label or a number, as the file says, stands at the end of a line.

    Raises: `UserError` that names the line, for a file without `@data`, with times of observation, or with no label
    where one is needed; for a line with another number of channels than the others, channels of unlike length, or what
    is no number.
    """
    if how.kind == "tagging" and how.labelled:
        raise UserError(f"{shown}: a .ts file has no label at each timestep (task.kind=tagging); give a long table.")
    described, first = _description(lines, shown)
    if described.get("timestamps", "").lower() in YES:
        raise UserError(f"{shown} has a time at each value (@timeStamps true), which is not read; give a long table.")
    has_label = _says_yes(described.get("classlabel")) or _says_yes(described.get("targetlabel"))
    classes = described.get("classlabel", "").split()[1:]
    values, labels, places, channels = [], [], [], _dimensions(described)
    for number, line in enumerate(lines, first + 1):
        if not line.strip() or line.startswith("#"):
            continue
        place = f"{shown}, line {number}"
        parts = line.strip().split(":")
        label = parts.pop().strip() if has_label else ""
        channels = channels or len(parts)
        if len(parts) != channels:
            raise UserError(f"{place}: found {len(parts)} channels where others have {channels}.")
        if classes and label not in classes:
            raise UserError(f"{place}: the class '{label[:20]}' is none of {', '.join(classes)}.")
        values.append(_values(parts, place))
        labels.append(label)
        places.append(place)
    if not values:
        raise UserError(f"{shown} has no sequence after @data.")
    return Sequences(
        values=values,
        channels=unnamed_channels(channels),
        labels=labels_of(labels, places, how) if has_label and how.labelled else None,
        places=places,
    )


def labels_of(labels: list[str], places: list[str], how: Reading) -> list[str] | list[float]:
    """Classes, or the numbers that they are where numbers are asked for.

    Raises: `UserError` for one that is missing, or is no number.
    """
    for label, place in zip(labels, places, strict=True):
        if label.lower() in MISSING:
            raise UserError(f"{place}: the label is missing.")
    if how.kind != "regression":
        return labels
    numbers = []
    for label, place in zip(labels, places, strict=True):
        try:
            number = float(label)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise UserError(f"{place}: found '{label[:40]}' where a number is asked for (task.kind=regression).")
        numbers.append(number)
    return numbers


def _dimensions(described: dict[str, str]) -> int:
    """How many channels each sequence has, 0 where the file does not say so."""
    text = described.get("dimensions", "")
    return int(text) if text.isdecimal() else 0


def _says_yes(text: str | None) -> bool:
    return text is not None and text.split()[:1] != [] and text.split()[0].lower() in YES


def _description(lines: Iterator[str], shown: str) -> tuple[dict[str, str], int]:
    """What the lines before @data say, by their names in small letters, and how many there are with it."""
    described: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text.lower() == "@data":
            return described, number
        if text.startswith("@"):
            key, *value = text[1:].split(None, 1) or [""]
            described[key.lower()] = "".join(value)
        elif text and not text.startswith("#"):
            break
    raise UserError(f"{shown} is no .ts file: a line @data is expected before the sequences.")


def _values(parts: list[str], place: str) -> NDArray[np.float64]:
    """(time, channels); NaN where a value is missing."""
    rows = []
    for part in parts:
        try:
            rows.append([math.nan if value.strip().lower() in MISSING else float(value) for value in part.split(",")])
        except ValueError as error:
            raise UserError(f"{place}: {error}; numbers separated by commas are expected.") from None
    if len({len(row) for row in rows}) != 1:
        raise UserError(
            f"{place}: its channels have unlike numbers of timesteps: {', '.join(str(len(r)) for r in rows)}."
        )
    return np.array(rows).T
