"""What `input=` may be: a table, sounds, pictures, scores or a text in files, a folder of them, or the thing itself."""

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from rnnlab.addresses import shown
from rnnlab.data.midi import notes_of
from rnnlab.data.tables.delimited import look_through
from rnnlab.data.tables.labelled import find_column
from rnnlab.data.tables.rows import ROWS, Rows
from rnnlab.data.tables.table import Table
from rnnlab.data.tables.values import Notation
from rnnlab.errors import UserError
from rnnlab.serving.predictor import ROW
from rnnlab.tasks.raw_input import Column, RowError, decoded
from rnnlab.tasks.task import Task

log = logging.getLogger("rnnlab")

UNREADABLE_JSON = (ValueError, RecursionError)
"""What json raises: of no JSON, no UTF-8, a number of thousands of digits; of lists nested too deep."""

TABLES = (".csv", ".tsv", ".parquet", ".json", ".jsonl", ".xlsx", ".xls", ".xlsb", ".ods")
"""Each may be packed, as .csv.gz."""
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
SOUNDS = (".wav",)
SCORES = (".mid", ".midi")
TEXTS = (".txt",)
KINDS = TABLES + PICTURES + SOUNDS + SCORES + TEXTS


@dataclass(frozen=True)
class RawInput:
    """tables: of raw input, one after the other. text: in the place of them, a long text in pieces, to be scored.

    files: the name of the file that each row is, where the input is a folder. sequences: what each row is called, of a
    file whose rows are no lines of it, such as "id 17". place: what errors call a row.
    """

    tables: Iterable[pd.DataFrame] = ()
    text: Iterable[str] | None = None
    files: list[str] | None = None
    sequences: list[str] | None = None
    place: Callable[[Any], str] = "input row {}".format


@runtime_checkable
class ReadsTable(Protocol):
    """A task whose raw input in a file is read as the table of its training was, dates and numbers included."""

    @property
    def notation(self) -> Notation:
        """How they were written there, where that was said."""

    def read_table(self, table: Table) -> pd.DataFrame:
        """Raw input, of such a file."""


@runtime_checkable
class ReadsText(Protocol):
    """A task that takes a whole text file for one long text, to be scored, and not each of its lines for a row."""

    def read_text(self, path: Path) -> Iterator[str]:
        """Piece by piece."""


@runtime_checkable
class ReadsFiles(Protocol):
    """A task that reads a file or folder of raw input in whatever form its training data may have."""

    def read_file(self, path: Path, notation: Notation) -> tuple[pd.DataFrame, list[str], list[str]]:
        """Raw input, what each of its rows is called in messages, and remarks on how the file was read."""


def read_input(given: Any, task: Task, notation: Notation | None = None) -> RawInput:
    """notation: of a series in a file, where it is another than that of the training's table.

    Raises: `UserError` for a file that is not there or of a kind that the task does not take; what is wrong inside a
    table is told when its rows are read."""
    if given == "":  # as a path it would be the folder at work
        raise UserError("input is empty: give a file, a folder or a text, as input=reviews.csv.")
    columns = task.raw_columns()
    if isinstance(given, list) and _text_column(columns):
        return RawInput([_items(given, str(_text_column(columns)))])
    if not isinstance(given, str):  # a number or a list, as the command line reads it
        return RawInput([_itself(json.dumps(given), columns)])
    path = Path(given)
    if _is_there(path):
        if isinstance(task, ReadsFiles):
            return _in_a_form_of_its_own(path, task, notation or Notation())
        if path.is_dir():
            return _folder(path, task, columns)
        return _file(path, task, columns, notation or Notation())
    if _names_a_file(given):
        raise UserError(f"input={shown(given)}: there is no such file.")
    return RawInput([_itself(given, columns)])


def _names_a_file(given: str) -> bool:
    return _kind_of(Path(given)) in KINDS and "\n" not in given


def _kind_of(path: Path) -> str:
    """The ending, without that of gzip."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a text too long for a name
        return False


def _in_a_form_of_its_own(path: Path, task: ReadsFiles, notation: Notation) -> RawInput:
    table, called, notes = task.read_file(path, notation)
    for note in notes:
        log.info("%s: %s", path, note)
    names = [name.removeprefix(str(path)).lstrip(", /") for name in called]
    return RawInput([table], sequences=names, place=lambda row: called[row])


def _file(path: Path, task: Task, columns: dict[str, Column], notation: Notation) -> RawInput:
    kind = _kind_of(path)
    if kind in TABLES:
        return RawInput(_read_table(path, task, columns, notation), place=lambda row: f"{path}, row {row}")
    if kind in TEXTS and isinstance(task, ReadsText):
        return RawInput(text=task.read_text(path))
    if kind in TEXTS and _text_column(columns):
        return RawInput(_lines(path, str(_text_column(columns))), place=lambda row: f"{path}, row {row}")
    if kind in _kinds_of_files(columns):
        return RawInput([_one_file(path, columns)], place=lambda _: str(path))
    takes = (*TABLES, *_kinds_of_files(columns), *(TEXTS if _text_column(columns) else ()))
    raise UserError(f"input={path}: {task.spec.task} takes files of these kinds: {', '.join(takes)}.")


def _folder(folder: Path, task: Task, columns: dict[str, Column]) -> RawInput:
    kinds = _kinds_of_files(columns)
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in kinds and path.is_file())
    if not files:
        wanted = f"none of {', '.join(kinds)} lies in it" if kinds else f"{task.spec.task} takes no folder of files"
        raise UserError(f"input={folder} is a folder: {wanted}.")
    return RawInput(
        (_one_file(path, columns) for path in files),
        files=[path.name for path in files],
        place=lambda row: str(files[row]),
    )


def _kinds_of_files(columns: dict[str, Column]) -> tuple[str, ...]:
    """Files of which each is a row."""
    if any(column.kind == "bytes" for column in columns.values()):
        return SOUNDS
    if any(column.shape for column in columns.values()):
        return PICTURES
    return SCORES if any(column.kind == "note" for column in columns.values()) else ()


def _text_column(columns: dict[str, Column]) -> str | None:
    """The one column, if it is all that is needed, and holds a text."""
    (name, column), *others = columns.items()
    return name if not others and column.kind == "text" and column.depth == 0 else None


def _itself(given: str, columns: dict[str, Column]) -> pd.DataFrame:
    (name, column), *others = columns.items()
    if others or column.kind == "bytes":
        needed = ", ".join(f"{name} ({column.holds})" for name, column in columns.items())
        raise UserError(f"input={shown(given):.60}: there is no such file, and a file is needed, of {needed}.")
    try:
        return pd.DataFrame({name: [decoded(given, column)]})
    except ValueError as error:
        raise UserError(f"input={shown(given):.60}: not {column.holds} ({error}); and there is no such file.") from None


def _items(given: list[Any], column: str) -> pd.DataFrame:
    """A row for each item of a list of texts; a number is a text as well."""
    names = [item for item in given if isinstance(item, str) and _names_a_file(item)]
    if names:
        raise UserError(f"input names {names[0]} in a list: give one file, or a folder, and not a list of them.")
    return pd.DataFrame({column: [json.dumps(item) if isinstance(item, int | float) else item for item in given]})


def _one_file(path: Path, columns: dict[str, Column]) -> pd.DataFrame:
    (name, column), *_ = columns.items()
    content = path.read_bytes()
    if column.kind == "bytes":
        return pd.DataFrame({name: [content]})
    if column.shape:
        return pd.DataFrame({name: [_picture(path, column.shape).ravel().tolist()]})
    return pd.DataFrame({name: [notes_of(content, str(path))]})


def _picture(path: Path, shape: tuple[int, int]) -> Any:
    """Grey values, 0 paper to 255 ink; a picture that is more light than dark is taken for dark ink on light paper."""
    from PIL import Image

    height, width = shape
    try:
        with Image.open(path) as image:
            if image.size != (width, height):
                found = " x ".join(map(str, image.size))
                raise UserError(
                    f"{path} has {found} pixels; {width} x {height} are needed, its content as large and as centred as "
                    "in the training data: crop and scale it."
                )
            grey = np.asarray(image.convert("L"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{path} is cut off or no picture ({error}).") from None
    return 255 - grey if grey.mean() > 127 else grey


def _lines(path: Path, column: str) -> Iterator[pd.DataFrame]:
    """A row for each line that is not empty, numbered as the line is, from 0."""
    notes: list[str] = []
    encoding = look_through(lambda: path.open("rb"), str(path), notes).encoding
    for note in notes:
        log.info("%s: %s", path, note)
    with path.open(encoding=encoding) as file:
        lines = ((number, line.strip()) for number, line in enumerate(file) if line.strip())
        while some := list(islice(lines, ROWS)):
            yield pd.DataFrame(some, columns=[ROW, column]).set_index(ROW)


def _read_table(path: Path, task: Task, columns: dict[str, Column], notation: Notation) -> Iterator[pd.DataFrame]:
    if isinstance(task, ReadsTable):
        table = Table.read(path, str(path), replace(task.notation, **notation.given()))
        frame = task.read_table(table)
        for note in table.notes:
            log.info("%s: %s", path, note)
        yield frame
        return
    kind = path.suffix.lower()
    if kind == ".parquet":
        tables = _read_parquet(path)
    elif kind in (".json", ".jsonl"):
        records = _read_json(path) if kind == ".json" else _read_lines_of_json(path)
        tables = _frames(records)
    else:
        tables = _read_rows(path, columns)
    yield from _named(tables, columns, path)


def _named(tables: Iterable[pd.DataFrame], columns: dict[str, Column], path: Path) -> Iterator[pd.DataFrame]:
    """The same, with the columns that are needed under the names that they are read by."""
    for number, table in enumerate(tables):
        known = [str(name) for name in table.columns]
        for name, column in columns.items():
            found = None if name in known else find_column(known, column.names)
            if found is not None:
                table = table.rename(columns={table.columns[found]: name})
                if number == 0:
                    log.info("%s: column '%s' taken for '%s'", path, known[found], name)
        yield table


def _read_rows(path: Path, columns: dict[str, Column]) -> Iterator[pd.DataFrame]:
    """As text, but for lists, which are JSON within a cell."""
    rows = replace(Rows.open(path, str(path)), stripped=False)
    for note in rows.notes:
        log.info("%s: %s", path, note)
    said, first = len(rows.notes), 0
    for _, cells in rows:
        table = pd.DataFrame(cells, columns=rows.columns, dtype=object)
        for name, column in columns.items():
            if column.depth and name in rows.columns:
                found = [_cell(text, column, name, row) for row, text in enumerate(table[name], first)]
                table[name] = pd.Series(found, index=table.index, dtype=object)
        first += len(table)
        yield table
    for note in rows.notes[said:]:
        log.info("%s: %s", path, note)


def _cell(text: str, column: Column, name: str, row: int) -> Any:
    try:
        return decoded(text, column)
    except ValueError as error:
        raise RowError(row, f"column '{name}': not {column.holds} ({error}).") from None


def _frames(records: Iterator[Any]) -> Iterator[pd.DataFrame]:
    while some := list(islice(records, ROWS)):
        yield pd.DataFrame(some)


def _read_parquet(path: Path) -> Iterator[pd.DataFrame]:
    import pyarrow
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            for batch in file.iter_batches(ROWS):
                yield batch.to_pandas().reset_index(drop=True)  # an index kept in the file is none of ours
    except (pyarrow.ArrowException, OSError, ValueError, TypeError) as error:  # the last two of pandas' part of it
        raise UserError(f"{path} is cut off or no Parquet file ({' '.join(str(error).split())}).") from None


def _read_json(path: Path) -> Iterator[Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except UNREADABLE_JSON as error:
        raise UserError(f"{path} is not JSON ({error}).") from None
    if not isinstance(content, list) or not all(isinstance(record, dict) for record in content):
        raise UserError(f"{path}: a list of objects is needed, one for each row, with the columns as keys.")
    yield from content


def _read_lines_of_json(path: Path) -> Iterator[Any]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    record = json.loads(line)
                except UNREADABLE_JSON as error:
                    raise UserError(f"{path}, line {number} is not JSON in UTF-8 ({error}).") from None
                if not isinstance(record, dict):
                    raise UserError(f"{path}, line {number}: an object is needed, with the columns as keys.")
                yield record
