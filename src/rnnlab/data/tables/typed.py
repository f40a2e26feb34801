"""Tables whose cells have types: Parquet, spreadsheets and JSON, as text.

A number becomes the shortest text that reads back equal, a date ISO 8601, a list or an object JSON; a cell without a
value is empty.
"""

import io
import json
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from rnnlab.data.tables.delimited import Source
from rnnlab.errors import UserError
from rnnlab.extras import require

BATCH = 1000  # rows of a Parquet file in memory at a time
LARGEST_SPREADSHEET = 1 << 31  # bytes unpacked
SHEETS = ("xl/workbook.xml", "xl/workbook.bin", "content.xml")
"""In the archive that a spreadsheet is: .xlsx, .xlsb, .ods."""

UNREADABLE_JSON = (ValueError, RecursionError)
"""What json raises: of no JSON, no UTF-8, a number of thousands of digits; of lists nested too deep."""

Cells = Iterator[tuple[int, list[str]]]
"""The number of each row, from 1, and its cells."""


def text_of(value: Any) -> str:
    """A cell as text, see the module."""
    if value is None or value != value:  # NaN and NaT
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return repr(float(value)).removesuffix(".0")
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.isoformat().removesuffix("T00:00:00")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return text_of(value.total_seconds())
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False, default=text_of)
    return str(value)


def parquet(source: Source, shown: str, notes: list[str]) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """The columns and cells of a Parquet file; a nameless index that pandas has kept in it is left out.

    Raises: `UserError` for a file that is cut off or none.
    """
    import pyarrow
    from pyarrow.parquet import ParquetFile

    unreadable = (pyarrow.ArrowException, OSError, ValueError, TypeError)
    try:
        with source() as content, ParquetFile(content) as file:
            fields = list(file.schema_arrow)
    except unreadable as error:
        raise _not_parquet(shown, error) from None
    kept, binary = [], []
    for field in fields:
        if pyarrow.types.is_binary(field.type) or pyarrow.types.is_large_binary(field.type):
            binary.append(field.name)
        elif not field.name.startswith("__index_level_") or pyarrow.types.is_temporal(field.type):
            kept.append(field.name)
    if binary:
        notes.append(f"columns of binary data left out: {', '.join(binary)}")

    def cells() -> Cells:
        row = 0
        try:
            with source() as content, ParquetFile(content) as file:
                for batch in file.iter_batches(BATCH, columns=kept):
                    found = dict(zip(batch.schema.names, (column.to_pylist() for column in batch.columns), strict=True))
                    for values in zip(*(found[name] for name in kept), strict=True):
                        row += 1
                        yield row, [text_of(value) for value in values]
        except unreadable as error:
            raise _not_parquet(shown, error) from None

    return ["index" if name.startswith("__index_level_") else name for name in kept], cells()


def _not_parquet(shown: str, error: BaseException) -> UserError:
    return UserError(f"{shown} is cut off or no Parquet file ({' '.join(str(error).split())}).")


def is_spreadsheet(source: Source, shown: str) -> bool:
    """Whether a content that begins as an archive is one of a spreadsheet.

    Raises: `UserError` for one that is cut off, or unpacks to more than `LARGEST_SPREADSHEET`.
    """
    try:
        with source() as content, zipfile.ZipFile(content) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise packed(shown, error) from None
    if sum(member.file_size for member in members) > LARGEST_SPREADSHEET:
        raise packed(shown, f"it unpacks to more than {LARGEST_SPREADSHEET >> 30} GiB")
    return any(member.filename in SHEETS for member in members)


def packed(shown: str, reason: object) -> UserError:
    """Of an archive or a spreadsheet that cannot be read."""
    return UserError(
        f"{shown} is a packed file or a spreadsheet that cannot be read ({reason}); unpack it, or save it as CSV."
    )


def spreadsheet(source: Source, shown: str, notes: list[str]) -> Cells:
    """The rows of the first sheet that holds something, without empty rows and empty columns at the right.

    Raises: `UserError` for a file that is damaged, or where the package that reads it is not installed.
    """
    require("excel", shown, "python-calamine", instead="; or save it as CSV")
    from python_calamine import CalamineError, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

    try:
        with source() as content:
            book = CalamineWorkbook.from_filelike(io.BytesIO(content.read()))
        names = [
            sheet.name
            for sheet in book.sheets_metadata
            if sheet.typ == SheetTypeEnum.WorkSheet and sheet.visible == SheetVisibleEnum.Visible
        ]
        sheets = ((name, book.get_sheet_by_name(name)) for name in names)
        found = next(((name, sheet) for name, sheet in sheets if sheet.height), None)
    except (CalamineError, OSError, ValueError) as error:
        raise packed(shown, " ".join(str(error).split())) from None
    if found is None:
        raise UserError(f"{shown} is empty; give a table with a header and rows.")
    name, sheet = found
    if len(names) > 1:
        notes.append(f"read: sheet '{name}', of {len(names)}")
    rows = sheet.to_python(skip_empty_area=False)
    used = [column for row in rows for column, value in enumerate(row) if value != ""]
    first, last = min(used, default=0), max(used, default=0)
    for number, row in enumerate(rows, 1):
        cells = [text_of(value) for value in row[first : last + 1]]
        if any(cell.strip() for cell in cells):
            yield number, cells


def json_records(source: Source, encoding: str, shown: str, lines: bool) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a list, which is read whole, or of a file with one in each line; and the number of each.

    An object of columns, each a list or an object with the same keys, as pandas writes it, is a table as well.

    Raises: `UserError` for what is no JSON, or other JSON.
    """
    with source() as file, io.TextIOWrapper(file, encoding=encoding) as text:
        if lines:
            for number, line in enumerate(text, 1):
                if not line.strip():
                    continue
                try:
                    record = json.loads(line)
                except UNREADABLE_JSON as error:
                    raise UserError(f"{shown}, line {number} is not JSON ({error}).") from None
                if not isinstance(record, dict):
                    raise UserError(f"{shown}, line {number}: an object is needed, with the columns as keys.")
                yield number, record
            return
        try:
            content = json.loads(text.read())
        except UNREADABLE_JSON as error:
            raise UserError(f"{shown} is not JSON ({error}).") from None
    if isinstance(content, dict):
        content = _records_of_columns(content)
    if not isinstance(content, list) or not all(isinstance(record, dict) for record in content):
        raise UserError(f"{shown}: a list of objects is needed, one for each row, with the columns as keys.")
    yield from enumerate(content, 1)


def _records_of_columns(content: dict[str, Any]) -> list[dict[str, Any]] | None:
    columns = [dict(enumerate(column)) if isinstance(column, list) else column for column in content.values()]
    if not columns or not all(isinstance(column, dict) and column.keys() == columns[0].keys() for column in columns):
        return None
    return [{name: column[key] for name, column in zip(content, columns, strict=True)} for key in columns[0]]


def cells_of_records(
    records: Iterator[tuple[int, dict[str, Any]]], columns: list[str], shown: str
) -> Iterator[tuple[int, list[str]]]:
    for number, record in records:
        try:
            yield number, [text_of(record.get(column)) for column in columns]
        except UNREADABLE_JSON as error:
            raise UserError(f"{shown}: the lists of object {number} are nested too deep ({error}).") from None
