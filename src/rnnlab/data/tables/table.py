"""Anyone's table of dates and numbers: encoding, separator, columns, dates and decimal mark are found, not asked for.

    table = Table.read(Path("my.csv"), shown="my.csv")
    table = Table.read(Path("my.csv"), "my.csv", Notation(decimal="comma", date_order="dmy"))
    frame, target = table.prices(date=None, target=None, volume=None)
    frame = table.series(date=None, target="sales", inputs=["visitors"])

What differs from Yahoo's own downloads is said in `table.notes`; what leaves a doubt is refused, with its place.
"""

import csv
import io
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from rnnlab.data.tables.repeats import advice_on_repeats
from rnnlab.data.tables.values import (
    DATES,
    DECIMAL_MARKS,
    GROUP_MARKS,
    INFINITE,
    MISSING,
    ORDER_OF,
    Notation,
    are_dates,
    instants_of,
    likely_marks,
    number_of,
    written_in,
)
from rnnlab.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("Date", "Open", "High", "Low", "Close", "Adj Close", "Volume")  # the form Yahoo's own downloads have
SEPARATORS = {";": "semicolon", "\t": "tab", "|": "bar", ",": "comma"}  # a comma may mark decimals: it comes last
GROUPING = {"points": ".", "commas": ",", "spaces": " \u00a0\u202f", "apostrophes": "'\u2019"}
USUAL_NAMES = {
    "date": ("date", "datetime", "timestamp", "time", "day"),
    "target": ("adjclose", "adjustedclose", "close"),
    "volume": ("volume",),
}
PARTS_OF_DATES = ("year", "month", "day", "hour", "minute")
ENOUGH_ROWS = 10
"""So many are in order of time for a reason, and not by chance."""


def nearest(word: str, known: Sequence[str]) -> str:
    """ "; did you mean 'X'?" as the end of a message, or its full stop."""
    by_lower = {name.lower(): name for name in known}
    found = get_close_matches(word.lower(), by_lower, n=1)
    return f"; did you mean '{by_lower[found[0]]}'?" if found else "."


@dataclass(frozen=True)
class Table:
    """The cells of a delimited text file, and remarks on how it had to be read.

    shown: the file's name in messages. rows: each as long as `columns`, without outer spaces. lines: where each row
    stands in the file, counted from 1. notes: one-line remarks, which grow as columns are read. separator: of fields.
    notation: how numbers and dates are written, where that is said and not to be found.
    """

    shown: str
    columns: list[str]
    rows: list[list[str]]
    lines: list[int]
    notes: list[str]
    separator: str = ","
    notation: Notation = field(default_factory=Notation)

    @classmethod
    def read(cls, path: Path, shown: str, notation: Notation | None = None) -> "Table":
        """As `parse`, of a file."""
        return cls.parse(path.read_bytes(), shown, notation)

    @classmethod
    def parse(cls, content: bytes, shown: str, notation: Notation | None = None) -> "Table":
        """Cut the text into cells; blank lines are left out.

        Raises:
            UserError: no text, no rows, one column only, no header, or rows of another length than it.
        """
        notes: list[str] = []
        text = _decode(content, shown, notes)
        separator = _separator(text, shown, notes)
        # a quotation mark that is never closed would swallow all rows behind it; others may stand within a cell
        unpaired = text.count('"') % 2 == 1
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=unpaired)
        rows, lines = [], []
        try:
            for row in reader:
                if any(cell.strip() for cell in row):
                    rows.append([cell.strip() for cell in row])
                    lines.append(reader.line_num)
        except csv.Error as error:
            reason = "a quotation mark is not closed" if unpaired else error
            raise UserError(f"{shown}, line {reader.line_num}: {reason}; the file may be damaged.") from None
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
                    f"a cell with a {SEPARATORS[separator]} in it must stand in quotes."
                )
        header = _header_of_yfinance(rows, shown, notes)
        first = 1 if header is None else 3
        return cls(shown, header or rows[0], rows[first:], lines[first:], notes, separator, notation or Notation())

    def prices(self, date: str | None, target: str | None, volume: str | None) -> tuple["pd.DataFrame", str]:
        """The frame of a `PriceTable`, and the name of the target column.

        Args:
            date, target, volume: names of columns, in any case and spacing; None: found, as in `Prices`.

        Raises:
            UserError: no such column, a cell that is no date or price, or a date that comes twice.
        """
        import pandas as pd

        date_column = self._date_column(date)
        table = self._without_empty_rows(date_column)
        columns: dict[str, Any] = {"date": table._dates(date_column)}
        target_column = table._target_column(target, date_column, "price")
        no_price = "but a price is above zero; correct it, or forecast what may be zero or less by task=series"
        empty = "a missing value; give it, or forecast a series with empty cells by task=series"
        columns["close"] = table._numbers(target_column, empty, lambda price: price > 0, no_price)
        volumes = table._volumes(volume, empty)
        if volumes is not None:
            columns["volume"] = volumes
        frame = pd.DataFrame(columns)
        table._note_order(frame["date"], target_column)
        return frame.sort_values("date", ignore_index=True), self.columns[target_column]

    def _without_empty_rows(self, date_column: int) -> "Table":
        """Without the rows that hold a date and nothing else, as Yahoo writes them for days without prices.

        One empty cell beside the date is no such row: that column was meant to hold a number.
        """
        if len(self.columns) == 2:
            return self
        full = [
            row
            for row, cells in enumerate(self.rows)
            if any(cell.lower() not in MISSING for column, cell in enumerate(cells) if column != date_column)
        ]
        if len(full) in (0, len(self.rows)):
            return self
        self._note(f"rows with a date and nothing else left out: {len(self.rows) - len(full)}")
        return replace(self, rows=[self.rows[row] for row in full], lines=[self.lines[row] for row in full])

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
        empty = None if empty_cells else "a missing value; give it, or read it with task.missing=previous or skip"
        numbers = {self.columns[target_column]: self._numbers(target_column, empty)}
        if list(inputs) == ["all"]:
            numbers |= self._all_numbers({date_column, target_column}, empty)
        else:
            for name in inputs:
                column = self._column(name, "inputs")
                assert column is not None
                if column in (date_column, target_column):
                    raise UserError(f"task.inputs names '{name}', which is the date or the target; name other columns.")
                numbers[self.columns[column]] = self._numbers(column, empty)
        self._note_order(dates, target_column)
        return pd.DataFrame(numbers).set_index(pd.DatetimeIndex(dates)).sort_index()

    def unread(self, read: Iterable[str]) -> list[str]:
        """The columns beside the dates and those that are read."""
        dates, read = self._date_column(None), {*read}
        return [name for column, name in enumerate(self.columns) if column != dates and name not in read]

    def _all_numbers(self, used: set[int], empty: str | None) -> dict[str, list[float]]:
        """The numbers of all columns but those already used; a column that holds none is left out, and said to be."""
        numbers, others = {}, []
        for column, name in enumerate(self.columns):
            if column in used:
                continue
            mark = likely_marks(self._cells(column))[0]
            if all(number_of(cell, mark) is None for cell in self._cells(column)):
                others.append(name)
            else:
                numbers[name] = self._numbers(column, empty)
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
        if column is not None and any(written_in(self._cells(column), way) for way in DATES):
            return column
        plain = {_plain_name(known): known for known in reversed(self.columns)}
        if {"year", "month"} <= plain.keys():
            parts = ", ".join(f"'{plain[part]}'" for part in PARTS_OF_DATES if part in plain)
            raise UserError(
                f"{self.shown} spreads the date over the columns {parts}: join them into one, as 2024-01-31 or "
                "2024-01-31 08:00."
            )
        if column is not None and name is not None:
            return column  # its first cell is refused
        found = [column for column in range(len(self.columns)) if are_dates(self._cells(column))]
        if len(found) == 1:
            self._note(f"column '{self.columns[found[0]]}' taken for the date: it alone holds dates")
            return found[0]
        if column is not None:
            return column
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

    def _volumes(self, name: str | None, empty: str) -> list[float] | None:
        """The volumes; a column that nobody asked for is left out where it cannot be used."""
        column = self._column(name, "volume")
        if column is None:
            return None
        try:
            return self._numbers(column, empty, lambda volume: volume >= 0, "a negative volume; correct it")
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
        way, read = self._way_of_dates(column)
        if way:
            self._note(f"dates read as {way}")
        instants = []
        for row, instant in enumerate(read):
            if instant is None:
                how = self._asked("date_order") or f" ({way or 'year, month, day'})"
                self._refuse(row, column, f"which is not a date like the others{how}; correct it")
            instants.append(instant)
        with_zone = [instant.tzinfo is not None for instant in instants]
        if any(with_zone) and not all(with_zone):
            self._refuse(with_zone.index(False), column, "without a time zone while others have one; write all alike")
        if any(instant.utcoffset() for instant in instants):
            self._note("time zones converted to UTC")
        return [instant.astimezone(UTC).replace(tzinfo=None) if instant.tzinfo else instant for instant in instants]

    def _way_of_dates(self, column: int) -> tuple[str, list[datetime | None]]:
        """The one of `DATES` in which the most cells are written, and the dates read so.

        Several ways may suit all cells, and tell different dates. Then only two rules decide:

        - where points separate (31.01.2024), the month never comes first;
        - the year, if of two digits, comes last where that leaves at least `ENOUGH_ROWS` rows in order of time, and
          coming first it does not; unless the rows are sorted as text, by whatever comes first in their dates. That
          coming first it leaves them in order decides nothing, for the same reason.

        Raises: `UserError` where no cell is a date, or several ways are left; it names `Notation.date_order`.
        """
        cells = self._cells(column)
        asked = self.notation.date_order
        written = {way: written_in(cells, way) for way in DATES if asked is None or ORDER_OF[way] in (asked, None)}
        most = max(written.values())
        if most == 0:
            self._refuse(0, column, f"which is not a date{self._asked('date_order') or '; write it as 2024-01-31'}")
        read = {way: instants_of(cells, way) for way in written if written[way] == most}
        if most == len(cells) and len(read) > 1:
            if all("." in cell[:3] for cell in cells) and any(ORDER_OF[way] != "mdy" for way in read):
                read = {way: instants for way, instants in read.items() if ORDER_OF[way] != "mdy"}
            in_order = {way for way, instants in read.items() if _are_in_order(instants)}
            as_text = cells in (sorted(cells), sorted(cells, reverse=True))
            if len(cells) >= ENOUGH_ROWS and not as_text and any(ORDER_OF[way] != "ymd" for way in in_order):
                read = {way: read[way] for way in read if ORDER_OF[way] != "ymd" or way in in_order}
            for row, meant in enumerate(zip(*read.values(), strict=True)):
                if len(set(meant)) > 1:
                    days = [f"{instant:%Y-%m-%d}" if instant else "no date" for instant in meant]
                    ways = [f"{day} (task.date_order={ORDER_OF[way]})" for way, day in zip(read, days, strict=True)]
                    self._refuse(row, column, f"which may be {' or '.join(ways)}; set one of these keys")
        way = next(iter(read))
        return way, read[way]

    def _asked(self, key: str) -> str:
        """ " (task.decimal=comma)" as a part of a message, where the notation was given."""
        value = self.notation.given().get(key)
        return f" (task.{key}={value})" if value else ""

    def _numbers(
        self,
        column: int,
        empty: str | None,
        fits: Callable[[float], bool] = lambda _: True,
        otherwise: str = "",
    ) -> list[float]:
        """The numbers of a column, all finite and such that each `fits`, else `otherwise` is what to say.

        empty: what to say of an empty cell; None: it is read as NaN.
        """
        cells = self._cells(column)
        mark = self._decimal_mark(column)
        numbers = []
        for row, cell in enumerate(cells):
            number = number_of(cell, mark)
            if number is None:
                if cell.lower() in MISSING:
                    if empty is not None:
                        self._refuse(row, column, empty)
                    number = math.nan
                elif cell.lower().lstrip("+-") in INFINITE:
                    self._refuse(row, column, "an infinite value; correct it")
                else:
                    such = f"such as 1234{mark}5{self._asked('decimal')}"
                    self._refuse(row, column, f"where a number belongs, {such}")
            elif math.isinf(number):
                self._refuse(row, column, "which is too large for a number; correct it")
            elif not fits(number):
                self._refuse(row, column, otherwise)
            numbers.append(number)
        used = set().union(*cells)
        if mark == "," and mark in used:
            self._note("decimal comma read as a decimal point")
        grouping = [name for name, signs in GROUPING.items() if used & set(GROUP_MARKS[mark]) & set(signs)]
        if grouping:
            self._note(f"thousands separators left out: {', '.join(grouping)}")
        return numbers

    def _decimal_mark(self, column: int) -> str:
        """The mark under which the cells are numbers.

        Cells such as 0.5, 12,34 or 1.234.567 are numbers under one mark only, and decide. A column is ambiguous where
        each cell with a point or a comma has one to three digits before it and three behind: 1.003 is a bit more than
        one, or a thousand and three. Then:

        - other columns of the table decide, where all that are certain agree. But whole numbers between the ambiguous
          ones (999, 1.003) look like grouping, and no other column makes decimals of them;
        - else it is a decimal point if all numbers of the column have three decimals, as programs write them (%.3f), no
          semicolons separate the fields, and no dates have points (31.01.2024): where thousands are grouped by points,
          commas mark decimals, so that fields are hardly separated by commas. A note says so.

        Raises: `UserError` for any other ambiguous column; it names `Notation.decimal`.
        """
        if self.notation.decimal is not None:
            return DECIMAL_MARKS[self.notation.decimal]
        cells = self._cells(column)
        likely = likely_marks(cells)
        ambiguous = [row for row, cell in enumerate(cells) if _differs(cell)]
        if len(likely) == 1 or not ambiguous:
            return likely[0]
        has_whole = any(re.fullmatch(r"[+-]?\d+", cell) for cell in cells)
        first = cells[ambiguous[0]]
        signs = {sign for row in ambiguous for sign in ".," if sign in cells[row]}
        elsewhere = {mark for other in range(len(self.columns)) if (mark := self._certain_mark(other))}
        if len(elsewhere) == 1 and not (has_whole and elsewhere == signs):
            return elsewhere.pop()
        dotted = any(re.match(r"\d\d?\.\d\d?\.\d\d", cell) for cell in self.rows[0])
        if signs != {"."} or elsewhere or has_whole or dotted or self.separator == ";":
            meant = [f"{number_of(first, mark):.15g} (task.decimal={name})" for name, mark in DECIMAL_MARKS.items()]
            self._refuse(ambiguous[0], column, f"which may be {' or '.join(meant)}; set one of these keys")
        self._note(f"numbers such as {first} read with a decimal point; where it groups thousands: task.decimal=comma")
        return "."

    def _certain_mark(self, column: int) -> str | None:
        """The decimal mark of a column of numbers that can have no other."""
        cells = [cell for cell in self._cells(column) if cell.lower() not in MISSING]
        likely = likely_marks(cells)
        return likely[0] if len(likely) == 1 and all(number_of(cell, likely[0]) is not None for cell in cells) else None

    def _note_order(self, dates: "pd.Series[Any]", target_column: int) -> None:
        """A remark where the rows are not in order of time; a date that comes twice is refused."""
        self._refuse_duplicates(dates, target_column)
        if not dates.is_monotonic_increasing:
            newest_first = dates.is_monotonic_decreasing
            self._note(f"rows sorted by date; they came {'newest first' if newest_first else 'unsorted'}")

    def _refuse_duplicates(self, dates: "pd.Series[Any]", target_column: int) -> None:
        import pandas as pd

        doubled = dates[dates.duplicated(keep=False)]
        if doubled.empty:
            return
        named = []
        for instant in doubled.drop_duplicates().head(3):
            lines = [str(self.lines[row]) for row in doubled.index[doubled == instant]]
            more = f" and {len(lines) - 5} more" if len(lines) > 5 else ""
            named.append(f"{iso(instant)} (lines {', '.join(lines[:5])}{more})")
        more = f" and {doubled.nunique() - 3} more" if doubled.nunique() > 3 else ""
        advice = advice_on_repeats(pd.DataFrame(self.rows, columns=self.columns), dates, target_column)
        raise UserError(f"{self.shown} has dates more than once: {'; '.join(named)}{more}. {advice}.")


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


def _differs(cell: str) -> bool:
    """Whether the cell is another number under another decimal mark."""
    numbers = {number_of(cell, mark) for mark in GROUP_MARKS}
    return len(numbers) > 1 and None not in numbers


def _are_in_order(instants: list[datetime | None]) -> bool:
    """Whether they are in ascending or descending order."""
    found = [instant.replace(tzinfo=None) for instant in instants if instant is not None]
    return found == sorted(found) or found == sorted(found, reverse=True)


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
