"""The columns of a table, read piece by piece: what is kept of a cell is a number."""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray

from rnnlab.data.sequences.sequences import Reading
from rnnlab.data.tables.rows import Rows
from rnnlab.data.tables.table import Table
from rnnlab.data.tables.values import GROUP_MARKS, INFINITE, MISSING, Notation, number_of
from rnnlab.errors import UserError

LOOKED_AT = 20_000
"""Rows, at most, by which columns are judged: whether they hold numbers, and how these are written."""


@dataclass
class Sample:
    """A table that is open, its first rows read.

    columns: names; of a file without a header, "1", "2", ... (named is False). counted: what `lines`
    are, "line" or "row". first: lines and cells of the rows that
    were read to judge the columns by. rest: those behind them, piece by piece. notes: remarks, which grow.
    """

    shown: str
    columns: list[str]
    named: bool
    counted: str
    first: tuple[list[int], list[list[str]]]
    rest: Iterator[tuple[list[int], list[list[str]]]]
    notes: list[str]
    separator: str
    notation: Notation

    @classmethod
    def of(cls, path: Path, shown: str, how: Reading) -> "Sample":
        rows = Rows.open(path, shown, header=False)
        pieces = iter(rows)
        lines: list[int] = []
        cells: list[list[str]] = []
        for found_lines, found_cells in pieces:
            lines += found_lines
            cells += found_cells
            if len(cells) > LOOKED_AT:
                break
        columns = rows.columns
        has_names = columns != [str(number) for number in range(1, len(columns) + 1)]
        named = has_names or (bool(cells) and _is_header(cells[0]))
        if named and not has_names:
            columns, cells, lines = cells[0], cells[1:], lines[1:]
        if not cells:
            raise UserError(f"{shown} has no rows; give it sequences.")
        doubled = sorted({name for name in columns if columns.count(name) > 1})
        if doubled:
            raise UserError(f"{shown} has several columns named '{doubled[0]}'; rename them.")
        notation = how.notation
        if rows.typed and notation.decimal is None:
            notation = replace(notation, decimal="point")
        return cls(shown, columns, named, rows.counted, (lines, cells), pieces, rows.notes, rows.separator, notation)

    def like(self, columns: list[str], cells: list[list[str]], lines: list[int]) -> Table:
        """A table of other cells, written as these are."""
        return Table(self.shown, columns, cells, lines, self.notes, self.separator, self.notation)

    def pieces(self) -> Iterator[tuple[list[int], list[list[str]]]]:
        """The lines and cells of all rows."""
        yield self.first
        yield from self.rest

    def cells(self, column: int) -> list[str]:
        return [row[column] for row in self.first[1]]

    def is_numeric(self, column: int) -> bool:
        """Whether the most of its cells are numbers, empty ones aside."""
        cells = self.cells(column)
        if _as_python_writes(cells) is not None:
            return True
        known = [cell for cell in cells if cell.lower() not in MISSING]
        if not known:
            return True
        mark = max(GROUP_MARKS, key=lambda mark: sum(number_of(cell, mark) is not None for cell in known))
        read = sum(number_of(cell, mark) is not None or cell.lower().lstrip("+-") in INFINITE for cell in known)
        return 2 * read > len(known)

    def at(self, line: int, column: int | None = None) -> str:
        """The place in messages."""
        of_column = "" if column is None else f", column {column + 1} ({self.columns[column]})"
        return f"{self.shown}, {self.counted} {line}{of_column}"

    def holds_lists(self, column: int) -> bool:
        """Whether its first cell that is not empty is a list."""
        return next((cell for cell in self.cells(column) if cell), "").startswith("[")

    def is_index(self, column: int) -> bool:
        """Whether it only counts the rows, as pandas saves them: the first column, without a name, a number in each."""
        if column or not self.named or not re.fullmatch(r"(unnamed: 0)?", self.columns[column].lower()):
            return False
        cells = self.cells(column)
        return all(cell.isdecimal() for cell in cells) and len(set(cells)) == len(cells)

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def _is_header(row: list[str]) -> bool:
    """Whether a first line names columns.

    It does not where all but one of its cells are numbers, or one is a fraction or below zero; unless its numbers are
    those of timesteps: of equal steps, or whole and growing.
    """
    numbers = [number_of(cell, ".") for cell in row]
    found = [number for number in numbers if number is not None]
    if len(row) == 1:
        return found in ([], [0.0])  # pandas calls a series without a name 0
    if len(found) < 2:
        return True
    whole = all(number >= 0 and number % 1 == 0 for number in found)
    missing = sum(cell.lower() in MISSING for cell in row)
    if len(found) + missing < len(row) - 1:
        return whole
    steps = np.diff(found)
    if len(steps) == 1:
        return found in ([0, 1], [1, 2])
    return bool((steps > 0).all() and (np.allclose(steps, steps[0]) or (whole and len(found) < len(row))))


def _as_python_writes(cells: Sequence[str]) -> NDArray[np.float64] | None:
    """The numbers of a column whose cells are all written as 0.5 or 1e-3; None where one is not. Fast, for a wide table
    has a million of them."""
    if any("_" in cell for cell in cells):  # Python would group digits by it
        return None
    try:
        return np.array(cells, np.float64)
    except ValueError:
        return None


def mark_of_timesteps(table: Sample, columns: Sequence[int]) -> str | None:
    """The decimal mark of columns that hold one quantity, at one timestep each, where a column shows that it is a
    point; None where none does."""
    return "." if any(_has_decimal_points(table, column) for column in columns) else None


def _has_decimal_points(table: Sample, column: int) -> bool:
    """Whether a column is numbers beyond doubt, written with a point."""
    cells = table.cells(column)
    known = [cell for cell in cells[:50] if cell.lower() not in MISSING]
    return (
        table.notation.decimal is None
        and any(number_of(cell, ",") is None for cell in known)
        and _as_python_writes(cells) is not None
    )


def _decimal_mark(table: Sample, column: int) -> str:
    """As `Table.decimal_mark`, which looks at every cell, unless one cell shows that it is a point."""
    if _has_decimal_points(table, column):
        return "."
    return table.like(table.columns, table.first[1], table.first[0]).decimal_mark(column)


class Reader(Protocol):
    """What takes the cells of a column, piece by piece."""

    def add(self, lines: list[int], cells: Sequence[str]) -> None: ...


class Numbers:
    """A column's numbers, piece by piece: NaN where a cell is empty."""

    def __init__(self, table: Sample, column: int, mark: str | None = None) -> None:
        """mark: of decimals, where other columns show it."""
        self.table, self.column = table, column
        self.mark = mark or _decimal_mark(table, column)
        self.pieces: list[NDArray[np.float64]] = []

    def add(self, lines: list[int], cells: Sequence[str]) -> None:
        found = _as_python_writes(cells) if self.mark == "." else None
        if found is None or np.isinf(found).any():
            found = np.array([self._number(line, cell) for line, cell in zip(lines, cells, strict=True)])
        self.pieces.append(found)

    def _number(self, line: int, cell: str) -> float:
        number = number_of(cell, self.mark)
        if number is not None and math.isfinite(number):
            return number
        if number is None and cell.lower() in MISSING:
            return math.nan
        place = self.table.at(line, self.column)
        if number is not None or cell.lower().lstrip("+-") in INFINITE:
            raise UserError(f"{place}: found '{cell}', an infinite value; correct it.")
        raise UserError(f"{place}: found '{cell}' where a number belongs, such as 1234{self.mark}5.")

    def all(self) -> NDArray[np.float64]:
        return np.concatenate(self.pieces)


class Texts:
    """A column's texts as numbers, piece by piece, in the order in which they come; -1 where a cell is empty."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.pieces: list[NDArray[np.int64]] = []

    def add(self, lines: list[int], cells: Sequence[str]) -> None:
        numbers = self.numbers
        found = [-1 if cell.lower() in MISSING else numbers.setdefault(cell, len(numbers)) for cell in cells]
        self.pieces.append(np.array(found, np.int64))

    def codes(self) -> NDArray[np.int64]:
        return np.concatenate(self.pieces)

    def all(self) -> NDArray[np.float64]:
        """NaN where a cell is empty."""
        codes = self.codes()
        return np.where(codes < 0, np.nan, codes)

    @property
    def texts(self) -> list[str]:
        return list(self.numbers)


def readers_of_channels(table: Sample, places: list[int], keep: bool) -> dict[int, Numbers | Texts]:
    """A reader for each column that is a channel. keep: whether the columns were named, so that none is left out."""
    readers: dict[int, Numbers | Texts] = {}
    left_out = []
    for place in places:
        if table.is_numeric(place):
            readers[place] = Numbers(table, place)
            continue
        different = len(set(table.cells(place)))
        if not keep and different > max(20, len(table.first[1]) // 2):
            left_out.append(table.columns[place])
        else:
            readers[place] = Texts()
    if left_out:
        table.note(f"columns left out, with another text in nearly every row: {', '.join(left_out)}")
    if not readers:
        raise UserError(
            f"{table.shown} has no channel beside its label, id and time; name some, as task.channels=[x,y]."
        )
    for place, reader in readers.items():
        if isinstance(reader, Texts):
            table.note(f"column '{table.columns[place]}' read as a categorical channel")
    return readers


def refuse_empty(table: Sample, codes: NDArray[np.int64], lines: NDArray[np.int32], column: int, role: str) -> None:
    empty = np.flatnonzero(codes < 0)
    if len(empty):
        place = table.at(int(lines[empty[0]]), column)
        raise UserError(f"{place}: the {role} is missing; give it, or delete the row.")


def read_columns(table: Sample, readers: Mapping[int, Reader]) -> NDArray[np.int32]:
    """Let each reader read its column to the end. Returns: where each row stands in the file."""
    found: list[NDArray[np.int32]] = []
    for lines, cells in table.pieces():
        columns = list(zip(*cells, strict=True))
        found.append(np.array(lines, np.int32))
        for place, reader in readers.items():
            reader.add(lines, columns[place])
    return np.concatenate(found)


Spans = Sequence[tuple[int, int]]
"""The first row of each sequence, and the one behind its last."""


def text_of_each(
    column: Texts, order: NDArray[np.int64], spans: Spans, places: list[str], lines: NDArray[np.int32], name: str,
    hint: str = "",
) -> list[str]:  # fmt: skip
    """The text that all rows of a sequence have; order: of the rows, which `spans` and `lines` are of."""
    texts, codes = column.texts, column.codes()[order]
    return [
        texts[int(code)] for code in _one_of_each(codes, codes < 0, texts.__getitem__, spans, places, lines, name, hint)
    ]


def number_of_each(
    column: Numbers, order: NDArray[np.int64], spans: Spans, places: list[str], lines: NDArray[np.int32], name: str
) -> list[float]:
    """As `text_of_each`, a number."""
    numbers = column.all()[order]
    return _one_of_each(numbers, np.isnan(numbers), "{:g}".format, spans, places, lines, name, "")


def _one_of_each(
    cells: NDArray[Any], empty: NDArray[np.bool_], written: Callable[[Any], str], spans: Spans, places: list[str],
    lines: NDArray[np.int32], name: str, hint: str,
) -> list[Any]:  # fmt: skip
    found = []
    for (first, end), place in zip(spans, places, strict=True):
        own = cells[first:end]
        if empty[first:end].any():
            row = first + int(np.argmax(empty[first:end]))
            raise UserError(
                f"{place}, line {lines[row]}: column '{name}' is empty, or says NA, none or alike, which stands for "
                "nothing; give it, delete the row, or call such a class otherwise."
            )
        other = first + int(np.argmax(own != own[0]))
        if other != first:
            raise UserError(
                f"{place}: column '{name}' says '{written(own[0])}' in line {lines[first]} and "
                f"'{written(cells[other])}' in line {lines[other]}, where a sequence can have one only{hint}."
            )
        found.append(own[0])
    return found


class Lists:
    """A column whose cells are lists, as JSON: the values of a channel, or the labels of all timesteps.

    As everywhere, numbers are kept, and texts as the numbers of `texts`; NaN where a value is null.
    """

    def __init__(self, table: Sample, column: int) -> None:
        self.table, self.column = table, column
        self.numbers: dict[str, int] = {}
        self.rows: list[NDArray[np.float64]] = []
        self.has_numbers = False

    @property
    def texts(self) -> list[str]:
        return list(self.numbers)

    def add(self, lines: list[int], cells: Sequence[str]) -> None:
        self.rows += [self._row(line, cell) for line, cell in zip(lines, cells, strict=True)]

    def _row(self, line: int, cell: str) -> NDArray[np.float64]:
        values = self._list(line, cell)
        if any(isinstance(value, str) for value in values):
            if self.has_numbers:
                self._refuse(line, cell, "a text in a column whose other values are numbers")
            numbers = self.numbers
            return np.array(
                [math.nan if value is None else numbers.setdefault(str(value), len(numbers)) for value in values]
            )
        try:
            found = np.array([math.nan if value is None else value for value in values], np.float64)
        except OverflowError:
            self._refuse(line, cell, "a number that is too large")
        self.has_numbers |= not np.isnan(found).all()
        if self.has_numbers and self.numbers:
            self._refuse(line, cell, "a number in a column whose other values are texts")
        return found

    def _list(self, line: int, cell: str) -> list[Any]:
        try:
            found = json.loads(cell)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, list) or not found:
            self._refuse(line, cell, "where a list with a value for each timestep belongs, such as [0.1, null, 0.2]")
        if not all(value is None or isinstance(value, str | int | float) for value in found):
            self._refuse(line, cell, "a list within a list; give a column for each channel")
        return found

    def _refuse(self, line: int, cell: str, what: str) -> NoReturn:
        place = self.table.at(line, self.column)
        raise UserError(f"{place}: found '{cell[:40]}', {what}.")
