"""Any table as rows of text, whatever file holds it: what it is, its content says first and its ending second.

    rows = Rows.open(Path("my.csv.gz"), shown="my.csv.gz")
    for lines, cells in rows:      # at most ROWS rows at a time
        ...

| form         | encoding and separator                 | in memory at a time                       |
|--------------|----------------------------------------|-------------------------------------------|
| text, CSV    | found; fields in quotes where needed   | `ROWS` rows                               |
| JSON lines   | found; an object in each line          | `ROWS` rows                               |
| Parquet      |                                        | `ROWS` rows; as many as pyarrow unpacks   |
| JSON         | found; a list of objects               | the file                                  |
| spreadsheet  | .xlsx, .xls, .xlsb, .ods; first sheet  | the file                                  |

Each may be packed by gzip. What differs from a plain CSV in UTF-8 is said in `Rows.notes`.
"""

import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, cast

from rnnlab.data.tables.delimited import (
    SEPARATORS,
    Source,
    are_numbers,
    cells_of,
    look_through,
    separator_of,
)
from rnnlab.data.tables.typed import cells_of_records, is_spreadsheet, json_records, packed, parquet, spreadsheet
from rnnlab.data.tables.values import DATES, are_dates, instants_of
from rnnlab.errors import UserError

ROWS = 1000
"""Of a table, in memory at a time."""

TEXT_ENDINGS = (".csv", ".tsv", ".txt", ".tab", ".dat")
JSON_LINES = (".jsonl", ".ndjson")
ENDINGS = (*TEXT_ENDINGS, ".json", *JSON_LINES, ".parquet", ".pq", ".xlsx", ".xls", ".xlsb", ".ods")
"""Of files that hold a table; each may be followed by .gz."""

Part = tuple[list[int], list[list[str]]]


@dataclass(frozen=True)
class Rows:
    """The rows of a table, each as long as `columns`, as text.

    Iterating gives (lines, cells), each time from the first row on: where up to `ROWS` rows stand in the file, and
    their cells.

    shown: the file's name in messages. notes: one-line remarks on how it had to be read. separator: of the fields of a
    text, "," for others. typed: whether numbers are written by `rnnlab.data.tables.typed`, with a decimal point.
    counted: what `lines` are, "line" or "row". stripped: whether cells come without outer spaces.
    """

    shown: str
    columns: list[str]
    notes: list[str]
    separator: str
    typed: bool
    counted: str
    _cells: Callable[[], Iterator[tuple[int, list[str]]]]
    stripped: bool = True

    def __iter__(self) -> Iterator[Part]:
        cells = self._cells()
        while some := list(islice(cells, ROWS)):
            rows = [[cell.strip() for cell in row] for _, row in some] if self.stripped else [row for _, row in some]
            yield [line for line, _ in some], rows

    @classmethod
    def open(cls, path: Path, shown: str, header: bool = True) -> "Rows":
        """Look through the file once; of a text, also for its encoding.

        header: whether the first line names the columns; where it does not, they are called 1, 2, and so on.

        Raises:
            UserError: no table, none that can be read here, no rows, or no header; and while the rows are read, one
                of another length than the first, or a quotation mark that is not closed.
        """
        return cls.of(lambda: path.open("rb"), shown, header)

    @classmethod
    def of(cls, source: Source, shown: str, header: bool = True) -> "Rows":
        """The same of a content. source: opens it, each time from its beginning."""
        notes: list[str] = []
        source = _unpacked(source, shown, notes)
        with source() as file:
            start = file.read(8)
        if start.startswith(b"PAR1"):
            columns, _ = parquet(source, shown, notes)
            return cls._typed(shown, columns, notes, lambda: parquet(source, shown, [])[1])
        archive = start.startswith(b"PK\x03\x04")
        if start.startswith(b"\xd0\xcf\x11\xe0") or (archive and is_spreadsheet(source, shown)):
            kept = list(spreadsheet(source, shown, notes))
            return cls._with_header(shown, notes, ",", header, lambda: iter(kept), typed=True)
        if archive:
            raise packed(shown, "an archive that holds no spreadsheet")
        encoded = look_through(source, shown, notes)
        lines = _has_json_lines(encoded.head, shown)
        if lines is not None:
            encoding = encoded.encoding
            found = dict.fromkeys(key for _, each in json_records(source, encoding, shown, lines) for key in each)
            columns = list(found)

            def records() -> Iterator[tuple[int, list[str]]]:
                return cells_of_records(json_records(source, encoding, shown, lines), columns, shown)

            return cls._typed(shown, columns, notes, records, "line" if lines else "row")
        separator = separator_of(encoded.head, notes, numbers_only=not header)
        return cls._with_header(
            shown, notes, separator, header, lambda: cells_of(source, encoded, separator, shown, notes)
        )

    @classmethod
    def _typed(
        cls,
        shown: str,
        columns: list[str],
        notes: list[str],
        cells: Callable[[], Iterator[tuple[int, list[str]]]],
        counted: str = "row",
    ) -> "Rows":
        if not columns or next(cells(), None) is None:
            raise UserError(f"{shown} has no rows; give it some.")
        return cls(shown, [column.strip() for column in columns], notes, ",", True, counted, cells)

    @classmethod
    def _with_header(
        cls,
        shown: str,
        notes: list[str],
        separator: str,
        header: bool,
        cells: Callable[[], Iterator[tuple[int, list[str]]]],
        typed: bool = False,
    ) -> "Rows":
        first = list(islice(cells(), 4))
        if len(first) < 1 + header:
            raise UserError(f"{shown} has {'a header and ' if header else ''}no rows; give it some.")
        width = len(first[0][1])
        columns, begin = [str(number) for number in range(1, width + 1)], 0
        if header:
            rows = [[cell.strip() for cell in row] for _, row in first]
            date = _date_for_name(*rows[:2])
            if date is not None:
                raise UserError(
                    f"{shown}, line {first[0][0]}: found the date '{date}' where the name of its column belongs; the "
                    "table has no header: put a line with the names of the columns before it, as date,value."
                )
            columns, begin = rows[0], 1
            if (known := _header_of_yfinance(rows, shown, notes)) is not None:
                columns, begin = known, 3

        def checked() -> Iterator[tuple[int, list[str]]]:
            for number, (line, row) in enumerate(cells()):
                if len(row) != width:
                    others = "the header has" if header else "the first line has"
                    raise UserError(
                        f"{shown}, line {line}: found {len(row)} fields where {others} {width}; a cell with a "
                        f"{SEPARATORS.get(separator, 'space')} in it must stand in quotes."
                    )
                if number >= begin:
                    yield line, row

        return cls(shown, columns, notes, separator, typed, "line", checked)


def starts_with_numbers(path: Path, shown: str) -> bool:
    """Whether the first line is all numbers, so that it names no columns.

    Raises: `UserError` as `Rows.open`.
    """
    rows = Rows.open(path, shown, header=False)
    return all(are_numbers(cells[0]) for _, cells in islice(rows, 1)) and rows.columns[0] == "1"


def plain_name(name: str) -> str:
    """Of a column, by which it is found: without case, spaces and punctuation."""
    return re.sub(r"[\W_]+", "", name.casefold())


def _unpacked(source: Source, shown: str, notes: list[str]) -> Source:
    """What is packed by gzip, as a stream of what is in it."""
    with source() as file:
        if file.read(2) != b"\x1f\x8b":
            return source
    notes.append("unpacked: gzip")
    return lambda: cast("BinaryIO", io.BufferedReader(_Unpacked(source(), shown)))


class _Unpacked(gzip.GzipFile):
    """Whose errors name the file."""

    def __init__(self, packed_file: BinaryIO, shown: str) -> None:
        super().__init__(fileobj=packed_file)
        self.packed_file = packed_file
        self.shown = shown

    def read(self, size: int | None = -1) -> bytes:
        try:
            return super().read(size)
        except (OSError, EOFError, zlib.error) as error:
            raise packed(self.shown, error) from None

    def close(self) -> None:
        super().close()
        self.packed_file.close()


def _has_json_lines(head: list[str], shown: str) -> bool | None:
    """Whether a text is JSON in lines (True) or as a whole (False); None where it is none."""
    first, ending = head[0].lstrip("\ufeff \t"), Path(shown.lower().removesuffix(".gz")).suffix
    if ending in JSON_LINES:
        return True
    if first.startswith("{"):
        complete = re.search(r"}\s*$", first) is not None
        alone = len(head) == 1 and ending == ".json"
        if re.match(r'{\s*(["}]|$)', first):
            return complete and not alone
    if ending == ".json" or re.match(r"\[\s*([{\]]|$)", first):
        return False
    return None


def _date_for_name(header: list[str], first: list[str]) -> str | None:
    """The cell of a header that is a date, as the one below it is; None where there is none.

    Plain digits may be a name: they are a date only where the whole header is numbers.
    """
    pairs = list(zip(header, first, strict=False))
    found = [above for above, below in pairs if are_dates([above, below])]
    if are_numbers(header):
        found += [above for above, below in pairs if any(None not in instants_of([above, below], way) for way in DATES)]
    return next(iter(found), None)


def _header_of_yfinance(rows: list[list[str]], shown: str, notes: list[str]) -> list[str] | None:
    """The names of the columns under the three lines that yfinance's table has when it is saved; None for another one.

    Price,Close,Volume / Ticker,AAPL,AAPL / Date,,

    Raises: `UserError` where there are several tickers.
    """
    by_name = {row[0]: row[1:] for row in rows[:2]}
    if len(rows) < 4 or by_name.keys() != {"Price", "Ticker"} or any(rows[2][1:]):
        return None
    tickers = list(dict.fromkeys(by_name["Ticker"]))
    if len(tickers) > 1:
        raise UserError(f"{shown} has the prices of several tickers, {', '.join(tickers)}: save those of one.")
    notes.append(f"three lines of header, as of yfinance, read as one; prices of {tickers[0]}")
    return [rows[2][0], *by_name["Price"]]
