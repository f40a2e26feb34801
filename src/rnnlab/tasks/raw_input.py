"""Raw input: a table with the columns that a task names, a row for each thing to be answered."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnlab.data.audio import Samples, read_sound, wav_file
from rnnlab.data.batches import Batch
from rnnlab.data.ragged import Ragged
from rnnlab.errors import UserError

ROWS = 64
"""Of raw input, read by the net at a time."""


@dataclass(frozen=True)
class Column:
    """One column of raw input.

    kind: of its values, "bytes" being the content of a wav file, "note" a MIDI number. holds: what they are, for
    people. depth: 0 for a value in each row, 1 for a list of values, 2 for a list of lists. shape: of an image as one
    flat list, (height, width). names: what else it may be called in a file, the likeliest first.
    """

    kind: Literal["text", "number", "integer", "date", "bytes", "note"]
    holds: str
    depth: int = 0
    shape: tuple[int, int] | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Timestep:
    """One timestep of raw input, for a net that answers while it reads.

    table: as raw input, a sequence of this timestep alone. batch: encoded, (1, 1) or (1, 1, input_size). known: what a
    task needs to encode the next one.
    """

    table: pd.DataFrame
    batch: Batch
    known: Any = None


@dataclass(frozen=True)
class FileRead:
    """A file as a task has read it by itself.

    table: raw input. unit: what a row is, a column of the answers; names: what it says of each row. places: what each
    row is called in messages. notes: one-line remarks on how the file was read.
    """

    table: pd.DataFrame
    unit: str
    names: list[str]
    places: list[str]
    notes: list[str]


def check_columns(table: pd.DataFrame, columns: dict[str, Column]) -> None:
    """Raises: `UserError` where a column is missing."""
    for name, column in columns.items():
        if name not in table.columns:
            known = ", ".join(map(str, table.columns)) or "none"
            raise UserError(f"the input has no column '{name}' ({column.holds}); its columns are: {known}.")


class RowError(UserError):
    """Of a row that cannot be read. row: as in the answers, or its date. what: is wrong with it, the column first.

    Whoever knows which file the row is of catches this and names it.
    """

    def __init__(self, row: Any, what: str) -> None:
        super().__init__(row, what)
        self.row = row
        self.what = what

    def __str__(self) -> str:
        return f"input row {self.row}, {self.what}"


def refuse(row: Any, column: str, what: str) -> NoReturn:
    """Raises: `RowError` that names the place."""
    raise RowError(row, f"column '{column}': {what}.")


def pieces(table: pd.DataFrame, size: int = ROWS) -> Iterator[pd.DataFrame]:
    for first in range(0, len(table), size):
        yield table.iloc[first : first + size]


def texts(table: pd.DataFrame, column: str) -> list[str]:
    """Raises: `UserError` for a cell that is no text, or holds nothing but spaces."""
    found = []
    for row, value in table[column].items():
        if not isinstance(value, str):
            refuse(row, column, f"found {value!r}, a text is needed")
        if not value.strip():
            refuse(row, column, "the text is empty")
        found.append(value)
    return found


def tokens(table: pd.DataFrame, column: str) -> list[list[str]]:
    """Lists of texts; none may be empty."""
    found = []
    for row, value in table[column].items():
        listed = _listed(value)
        if not listed:
            refuse(row, column, f"found {_shortly(value)}, a list of at least one text is needed")
        found.append([str(each) for each in listed])
    return found


def arrays(table: pd.DataFrame, column: str, shape: tuple[int | None, ...]) -> list[NDArray[np.float64]]:
    """Lists of finite numbers, as arrays of this shape; None: of any length but 0. How they are nested is free.

    Raises: `UserError` for anything else.
    """
    size = int(np.prod([side for side in shape if side is not None]))
    wanted = " x ".join("any number" if side is None else str(side) for side in shape)
    found = []
    for row, value in table[column].items():
        try:
            numbers = np.asarray(_plain_lists(value), np.float64)
        except (TypeError, ValueError, OverflowError, RecursionError):  # whole numbers beyond 10³⁰⁸; nested too deep
            refuse(row, column, f"found {_shortly(value)}, a list of numbers is needed ({wanted})")
        count_fits = numbers.size == size if None not in shape else numbers.size % size == 0
        if not numbers.size or not count_fits:
            refuse(row, column, f"found {numbers.size} numbers, {wanted} are needed")
        if not np.isfinite(numbers).all():
            refuse(row, column, "not all of its numbers are finite")
        found.append(numbers.reshape([-1 if side is None else side for side in shape]))
    return found


def images(table: pd.DataFrame, column: str, height: int, width: int) -> NDArray[np.float32]:
    """Pixels from 0, paper, to 255, ink -> from 0 to 1, (rows, height, width)."""
    found = arrays(table, column, (height, width))
    for row, pixels in zip(table.index, found, strict=True):
        if pixels.min() < 0 or pixels.max() > 255:
            refuse(row, column, "its pixels must lie between 0, paper, and 255, ink")
    return np.stack(found).astype(np.float32) / np.float32(255)


def sounds(table: pd.DataFrame, column: str) -> list[tuple[Samples, int]]:
    """The content of wav files -> samples, and how many are a second.

    Raises: `UserError` for what is no such content.
    """
    found = []
    for row, content in table[column].items():
        if not isinstance(content, bytes | bytearray):
            refuse(row, column, f"found {_shortly(content)}, the bytes of a wav file are needed")
        try:
            found.append(read_sound(bytes(content), f"column '{column}'"))
        except UserError as error:
            raise RowError(row, str(error)) from None
    return found


def tone() -> bytes:
    """Half a second of sound, as a wav file: an example of what is listened to."""
    rate = 8000
    time = np.arange(rate // 2) / rate
    return wav_file((0.3 * np.sin(2 * np.pi * 220 * time)).astype(np.float32), rate)


def sequences(values: list[NDArray[Any]], padding: int = 0) -> Batch:
    """Sequences of unlike lengths as one batch without targets; each (time,) or (time, size)."""
    inputs, lengths = Ragged.of(values).take(torch.arange(len(values)), padding=padding)
    return unlabelled(inputs, lengths if len(set(map(len, values))) > 1 else None)


def real_timesteps(batch: Batch) -> NDArray[np.bool_]:
    """Which timesteps of a batch are no padding, (rows, time)."""
    rows, time = batch.inputs.shape[:2]
    lengths = np.full(rows, time) if batch.lengths is None else batch.lengths.cpu().numpy()
    real: NDArray[np.bool_] = np.arange(time) < lengths[:, None]
    return real


def unlabelled(inputs: Tensor, lengths: Tensor | None = None) -> Batch:
    """A batch of which nothing but the inputs is known."""
    return Batch(inputs, torch.zeros(len(inputs), 0, dtype=torch.long), lengths)


def decoded(text: str, column: Column) -> Any:
    """What a cell of a CSV file, or an argument of a command, says: lists are written as JSON.

    A list of texts may also be given with spaces between them, or, where there are none, letter by letter.
    """
    if column.depth == 0:
        return text
    if text.lstrip().startswith("["):
        try:
            return json.loads(text)
        except RecursionError:
            raise ValueError("its lists are nested too deep") from None
    if column.depth == 1 and column.kind == "text":
        return text.split() if " " in text.strip() else list(text.strip())
    raise ValueError("a list as JSON is needed, such as [0, 1]")


def decoded_timestep(text: str, column: Column) -> Any:
    """What a line says of one timestep: JSON, or cells of CSV; where it is a text, a JSON string or the line itself.

    An empty cell of numbers is a missing one, NaN.

    Raises: `ValueError` for a line that is neither.
    """
    if column.kind == "text" and column.depth == 0:
        return _string(text) if text.startswith('"') else text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        cells = next(csv.reader([text]))
        return cells if column.kind == "text" else [_number(cell) for cell in cells]
    return value if isinstance(value, list | dict) else [value]


def _string(text: str) -> str:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, str) else text


def _number(cell: str) -> float:
    try:
        return float(cell) if cell.strip() else float("nan")
    except ValueError:
        raise ValueError(f"{cell[:40]!r} is no number") from None


def _listed(value: Any) -> list[Any] | None:
    return list(value) if isinstance(value, list | tuple | np.ndarray) else None


def _plain_lists(value: Any) -> Any:
    """Nested arrays of objects, as Parquet gives them, as lists."""
    if isinstance(value, str | bytes):
        raise TypeError("a text is no list")
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain_lists(each) for each in value]
    return value


def _shortly(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 40 else f"{shown[:40]}..."
