"""Anyone's table of dates and numbers: encoding, separator, columns, dates and decimal mark are found, not asked for.

    table = Table.read(Path("my.csv"), shown="my.csv")
    frame, target = table.prices(date=None, target=None, volume=None)
    frame = table.series(date=None, target="sales", inputs=["visitors"])

What differs from Yahoo's own downloads is said in `table.notes`; what leaves a doubt is refused, with its place.
"""

import csv
import io
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from rnnlab.datasets.cells import (
    DATES,
    GROUP_MARKS,
    MISSING,
    are_dates,
    instants_of,
    likely_marks,
    not_a_number,
    number_of,
)
from rnnlab.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("Date", "Open", "High", "Low", "Close", "Adj Close", "Volume")  # the form Yahoo's own downloads have
SEPARATORS = {";": "semicolon", "\t": "tab", "|": "bar", ",": "comma"}  # a comma may mark decimals: it comes last
USUAL_NAMES = {
    "date": ("date", "datetime", "timestamp", "time", "day"),
    "target": ("adjclose", "adjustedclose", "close"),
    "volume": ("volume",),
}


def nearest(word: str, known: Sequence[str]) -> str:
    """ "; did you mean 'X'?" as the end of a message, or its full stop."""
    by_lower = {name.lower(): name for name in known}
    found = get_close_matches(word.lower(), by_lower, n=1)
    return f"; did you mean '{by_lower[found[0]]}'?" if found else "."


@dataclass(frozen=True)
class Table:
    """The cells of a delimited text file, and remarks on how it had to be read.

    shown: the file's name in messages. rows: each as long as `columns`, without outer spaces. lines: where each row
    stands in the file, counted from 1. notes: one-line remarks, which grow as columns are read.
    """

    shown: str
    columns: list[str]
    rows: list[list[str]]
    lines: list[int]
    notes: list[str]

    @classmethod
    def read(cls, path: Path, shown: str) -> "Table":
        """As `parse`, of a file."""
        return cls.parse(path.read_bytes(), shown)

    @classmethod
    def parse(cls, content: bytes, shown: str) -> "Table":
        """Cut the text into cells; blank lines are left out.

        Raises:
            UserError: no text, no rows, one column only, no header, or rows of another length than it.
        """
        notes: list[str] = []
        text = _decode(content, shown, notes)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text, shown, notes))
        rows, lines = [], []
        try:
            for row in reader:
                if any(cell.strip() for cell in row):
                    rows.append([cell.strip() for cell in row])
                    lines.append(reader.line_num)
        except csv.Error as error:
            raise UserError(f"{shown}, line {reader.line_num}: {error}; the file may be damaged.") from None
        if len(rows) < 2:
            raise UserError(f"{shown} has a header and no rows; give it numbers.")
        date = _date_for_name(rows[0], rows[1])
        if date is not None:
            raise UserError(
                f"{shown}, line {lines[0]}: found the date '{date}' where the name of its column belongs; the table "
                "has no header: put a line with the names of the columns before it, as date,value."
            )
        for row, line in zip(rows, lines, strict=True):
            if len(row) != len(rows[0]):
                raise UserError(
                    f"{shown}, line {line}: found {len(row)} fields where the header has {len(rows[0])}; "
                    "mend that line."
                )
        return cls(shown, rows[0], rows[1:], lines[1:], notes)

    def prices(self, date: str | None, target: str | None, volume: str | None) -> tuple["pd.DataFrame", str]:
        """The frame of a `PriceTable`, and the name of the target column.

        Args:
            date, target, volume: names of columns, in any case and spacing; None: found, as in `Prices`.

        Raises:
            UserError: no such column, a cell that is no date or price, or a date that comes twice.
        """
        import pandas as pd

        date_column = self._date_column(date)
        columns: dict[str, Any] = {"date": self._dates(date_column)}
        target_column = self._target_column(target, date_column, "price")
        columns["close"] = self._numbers(target_column, lambda price: price > 0, "but a price is above zero")
        volumes = self._volumes(volume)
        if volumes is not None:
            columns["volume"] = volumes
        frame = pd.DataFrame(columns)
        self._note_order(frame["date"])
        return frame.sort_values("date", ignore_index=True), self.columns[target_column]

    def series(
        self, date: str | None, target: str | None, inputs: Sequence[str], empty_cells: bool = True
    ) -> "pd.DataFrame":
        """The target and then the inputs by ascending date, as numbers; NaN where a cell is empty.

        Args:
            date, target: names of columns, in any case and spacing; None: found.
            inputs: names of columns, or ["all"]: all that hold numbers.
            empty_cells: whether there may be any.

        Raises:
            UserError: no such column, a cell that is no date or number, or a date that comes twice.
        """
        import pandas as pd

        date_column = self._date_column(date)
        target_column = self._target_column(target, date_column, "target")
        dates = self._dates(date_column)
        numbers = {self.columns[target_column]: self._numbers(target_column, empty_cells=empty_cells)}
        if list(inputs) == ["all"]:
            numbers |= self._all_numbers({date_column, target_column}, empty_cells)
        else:
            for name in inputs:
                column = self._column(name, "inputs")
                assert column is not None
                if column in (date_column, target_column):
                    raise UserError(f"task.inputs names '{name}', which is the date or the target; name other columns.")
                numbers[self.columns[column]] = self._numbers(column, empty_cells=empty_cells)
        self._note_order(dates)
        return pd.DataFrame(numbers).set_index(pd.DatetimeIndex(dates)).sort_index()

    def _all_numbers(self, used: set[int], empty_cells: bool) -> dict[str, list[float]]:
        """The numbers of all columns but those already used; a column that holds none is left out, and said to be."""
        numbers, others = {}, []
        for column, name in enumerate(self.columns):
            if column in used:
                continue
            mark = likely_marks(self._cells(column))[0]
            if all(number_of(cell, mark) is None for cell in self._cells(column)):
                others.append(name)
            else:
                numbers[name] = self._numbers(column, empty_cells=empty_cells)
        if others:
            self._note(f"columns without numbers left out: {', '.join(others)}")
        return numbers

    def _cells(self, column: int) -> list[str]:
        return [row[column] for row in self.rows]

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def _refuse(self, row: int, column: int, what: str) -> NoReturn:
        place = f"{self.shown}, line {self.lines[row]}, column {column + 1} ({self.columns[column]})"
        raise UserError(f"{place}: found '{self.rows[row][column]}', {what}.")

    def _column(self, name: str | None, key: str) -> int | None:
        """The column of that name, else of the first usual name that there is."""
        for wanted in USUAL_NAMES.get(key, ()) if name is None else (name,):
            for same in (str.strip, _plain_name):
                found = [column for column, known in enumerate(self.columns) if same(known) == same(wanted)]
                if not found:
                    continue
                column = self.columns[found[0]]
                if len(found) > 1:
                    raise UserError(f"{self.shown} has {len(found)} columns named '{column}'; rename them.")
                if column != wanted and column not in COLUMNS:
                    self._note(f"column '{column}' taken for '{wanted}'")
                return found[0]
        if name is None:
            return None
        raise UserError(
            f"{self.shown} has no column '{name}' (task.{key}); it has {self._listed()}{nearest(name, self.columns)}"
        )

    def _listed(self) -> str:
        return ", ".join(f"'{column}'" for column in self.columns)

    def _date_column(self, name: str | None) -> int:
        column = self._column(name, "date")
        if column is not None:
            return column
        found = [column for column in range(len(self.columns)) if are_dates(self._cells(column))]
        if len(found) == 1:
            self._note(f"column '{self.columns[found[0]]}' taken for the date: it alone holds dates")
            return found[0]
        raise UserError(
            f"{self.shown} has {'several columns of dates' if found else 'no date column'}: its columns are "
            f"{self._listed()}. Name the one that holds the date, as task.date=NAME."
        )

    def _target_column(self, name: str | None, date_column: int, role: str) -> int:
        column = self._column(name, "target")
        if column is not None:
            return column
        others = [column for column in range(len(self.columns)) if column != date_column]
        if len(others) == 1:
            self._note(f"column '{self.columns[others[0]]}' taken for the {role}: there is no other")
            return others[0]
        what = "no column 'close'" if role == "price" else "several columns beside the date"
        raise UserError(
            f"{self.shown} has {what}: its columns are {self._listed()}. Name the one to forecast, as task.target=NAME."
        )

    def _volumes(self, name: str | None) -> list[float] | None:
        """The volumes; a column that nobody asked for is left out where it cannot be used."""
        column = self._column(name, "volume")
        if column is None:
            return None
        try:
            return self._numbers(column, lambda volume: volume >= 0, "a negative volume")
        except UserError as error:
            if name is not None:
                raise
            self._note(f"volumes left out: {error}")
            return None

    def _dates(self, column: int) -> "pd.Series[Any]":
        import pandas as pd

        return pd.Series(self._instants(column), dtype="datetime64[us]")

    def _instants(self, column: int) -> list[datetime]:
        """The dates, in UTC, without a time zone; read in the one way that suits the most cells."""
        cells = self._cells(column)
        by_way = {way: instants_of(cells, way) for way in DATES}
        read = {way: len(cells) - instants.count(None) for way, instants in by_way.items()}
        best, *others = [way for way in DATES if read[way] == max(read.values())]
        if read[best] == 0:
            self._refuse(0, column, "which is not a date; write it as 2024-01-31")
        differ = any(by_way[way] != by_way[best] for way in others)
        dotted = all("." in cell[:3] for cell in cells)  # 31.01.2024: the day comes first wherever points are used
        if read[best] == len(cells) and differ and not dotted:
            self._refuse(0, column, "which may be day/month or month/day, and no row settles it; write 2024-01-31")
        if best:
            self._note(f"dates read as {best}")

        instants = []
        for row, instant in enumerate(by_way[best]):
            if instant is None:
                self._refuse(row, column, "which is not a date like the others; mend or delete that line")
            instants.append(instant)
        with_zone = [instant.tzinfo is not None for instant in instants]
        if any(with_zone) and not all(with_zone):
            self._refuse(with_zone.index(False), column, "without a time zone while others have one; write all alike")
        if any(instant.utcoffset() for instant in instants):
            self._note("time zones converted to UTC")
        return [instant.astimezone(UTC).replace(tzinfo=None) if instant.tzinfo else instant for instant in instants]

    def _numbers(
        self,
        column: int,
        fits: Callable[[float], bool] = lambda _: True,
        otherwise: str = "",
        empty_cells: bool = False,
    ) -> list[float]:
        """The numbers of a column, all finite and such that each `fits`; NaN for `empty_cells` where they may be."""
        cells = self._cells(column)
        mark = self._decimal_mark(column)
        numbers = []
        for row, cell in enumerate(cells):
            if empty_cells and cell.lower() in MISSING:
                numbers.append(math.nan)
                continue
            number = number_of(cell, mark)
            if number is None:
                self._refuse(row, column, not_a_number(cell))
            if math.isinf(number):
                self._refuse(row, column, "which is too large for a number; mend or delete that line")
            if not fits(number):
                self._refuse(row, column, f"{otherwise}; mend or delete that line")
            numbers.append(number)
        used = set().union(*cells)
        if mark == "," and mark in used:
            self._note("decimal comma read as a decimal point")
        if used.intersection(GROUP_MARKS[mark]):
            self._note("thousands separators left out")
        return numbers

    def _decimal_mark(self, column: int) -> str:
        """The mark under which the cells are numbers; where the column leaves it open, the whole table tells."""
        cells = self._cells(column)
        likely = likely_marks(cells)
        if len(likely) > 1:
            likely = likely_marks([cell for row in self.rows for cell in row])
        with_comma = next((row for row, cell in enumerate(cells) if "," in cell), None)
        if len(likely) > 1 and with_comma is not None:
            self._refuse(
                with_comma, column, "whose comma may group thousands or mark decimals; write decimals with a point"
            )
        return likely[0]

    def _note_order(self, dates: "pd.Series[Any]") -> None:
        """A remark where the rows are not in order of time; a date that comes twice is refused."""
        self._refuse_duplicates(dates)
        if not dates.is_monotonic_increasing:
            newest_first = dates.is_monotonic_decreasing
            self._note(f"rows sorted by date; they came {'newest first' if newest_first else 'unsorted'}")

    def _refuse_duplicates(self, dates: "pd.Series[Any]") -> None:
        doubled = dates[dates.duplicated(keep=False)]
        if doubled.empty:
            return
        named = []
        for instant in doubled.drop_duplicates().head(3):
            lines = [str(self.lines[row]) for row in doubled.index[doubled == instant]]
            more = f" and {len(lines) - 5} more" if len(lines) > 5 else ""
            named.append(f"{iso(instant)} (lines {', '.join(lines[:5])}{more})")
        more = f" and {doubled.nunique() - 3} more" if doubled.nunique() > 3 else ""
        raise UserError(f"{self.shown} has dates more than once: {'; '.join(named)}{more}. Keep one row of each.")


def iso(instant: "pd.Timestamp") -> str:
    """The date; with the time of day where there is one."""
    return instant.isoformat().removesuffix("T00:00:00")


def _date_for_name(header: list[str], first: list[str]) -> str | None:
    """The cell of a header that is a date, as the one below it is; None where there is none.

    Plain digits may be a name: they are a date only where the whole header is numbers.
    """
    pairs = list(zip(header, first, strict=False))
    found = [above for above, below in pairs if are_dates([above, below])]
    if all(number_of(above, likely_marks([above])[0]) is not None for above in header):
        found += [above for above, below in pairs if any(None not in instants_of([above, below], way) for way in DATES)]
    return next(iter(found), None)


def _plain_name(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def _decode(content: bytes, shown: str, notes: list[str]) -> str:
    if content.startswith((b"\x1f\x8b", b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise UserError(f"{shown} is a packed file or a spreadsheet, not text; unpack it, or save it as CSV.")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = {"utf-16": "UTF-16"}
    elif content.startswith(b"\xef\xbb\xbf"):
        encodings = {"utf-8-sig": "UTF-8 with a byte-order mark"}
    else:
        encodings = {"utf-8": "", "cp1252": "Windows-1252 (it is not UTF-8)"}
    for encoding, remark in encodings.items():
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if re.search("[\x00-\x08\x0e-\x1f\x7f]", text):
            break
        if not text.strip():
            raise UserError(f"{shown} is empty; give a table with a header, dates and numbers.")
        if remark:
            notes.append(f"encoding: {remark}")
        return text
    raise UserError(f"{shown} is not text (binary data); save the table as CSV in UTF-8.")


def _separator(text: str, shown: str, notes: list[str]) -> str:
    """The separator that cuts header and first rows into the same number of fields, two or more."""
    head = [line for line in text.splitlines() if line.strip()][:50]
    for separator in SEPARATORS:
        try:
            widths = {len(row) for row in csv.reader(head, delimiter=separator)}
        except csv.Error:  # a field beyond all measure
            continue
        if len(widths) == 1 and widths.pop() > 1:
            break
    else:
        separator = max(reversed(SEPARATORS), key=head[0].count)
        if separator not in head[0]:
            raise UserError(
                f"{shown}, line 1: found one column, '{head[0].strip()[:60]}'; a date and a number are needed."
            )
    if separator != ",":
        notes.append(f"fields separated by {SEPARATORS[separator]}s")
    return separator
