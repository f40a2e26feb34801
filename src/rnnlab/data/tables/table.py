"""Anyone's table of dates and numbers: form, encoding, columns, dates and decimal mark are found, not asked for.

    table = Table.read(Path("my.csv"), shown="my.csv")
    table = Table.read(Path("my.csv"), "my.csv", Notation(decimal="comma", date_order="dmy"))
    frame, target = table.prices(date=None, target=None, volume=None)
    frame = table.series(date=None, target="sales", inputs=["visitors"])

What differs from Yahoo's own downloads is said in `table.notes`; what leaves a doubt is refused, with its place.
"""

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
from rnnlab.data.tables.rows import Rows, plain_name
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
    """All cells of a file, and remarks on how it had to be read.

    shown: the file's name in messages. rows: each as long as `columns`, without outer spaces. lines: where each row
    stands in the file, counted from 1. notes: one-line remarks, which grow as columns are read. separator: of fields.
    notation: how numbers and dates are written, where that is said and not to be found. counted: what `lines` are.
    """

    shown: str
    columns: list[str]
    rows: list[list[str]]
    lines: list[int]
    notes: list[str]
    separator: str = ","
    notation: Notation = field(default_factory=Notation)
    counted: str = "line"

    @classmethod
    def read(cls, path: Path, shown: str, notation: Notation | None = None) -> "Table":
        """All rows of a file.

        Raises: `UserError` for what `Rows` refuses, and for one column only.
        """
        return cls._of(Rows.open(path, shown), notation or Notation())

    @classmethod
    def parse(cls, content: bytes, shown: str, notation: Notation | None = None) -> "Table":
        """As `read`, of the content of a file."""
        return cls._of(Rows.of(lambda: io.BytesIO(content), shown), notation or Notation())

    @classmethod
    def _of(cls, found: Rows, notation: Notation) -> "Table":
        if len(found.columns) == 1:
            raise UserError(
                f"{found.shown}, line 1: found one column, '{found.columns[0][:60]}'; a date and a number are needed."
            )
        if found.typed and notation.decimal is None:
            notation = replace(notation, decimal="point")
        rows, lines = [], []
        for places, cells in found:
            lines += places
            rows += cells
        return cls(found.shown, found.columns, rows, lines, found.notes, found.separator, notation, found.counted)

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
        dates, known = self._date_column(None), {*read}
        return [name for column, name in enumerate(self.columns) if column != dates and name not in known]

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
        place = f"{self.shown}, {self.counted} {self.lines[row]}, column {column + 1} ({self.columns[column]})"
        raise UserError(f"{place}: found '{self.rows[row][column]}', {what}.")

    def _column(self, name: str | None, key: str) -> int | None:
        """The column of that name, else of the first usual name that there is."""
        for wanted in USUAL_NAMES.get(key, ()) if name is None else (name,):
            for same in (str.strip, plain_name):
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
        plain = {plain_name(known): known for known in reversed(self.columns)}
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

        return pd.Series(self.instants(column), dtype="datetime64[us]")

    def instants(self, column: int) -> list[datetime]:
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
        mark = self.decimal_mark(column)
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

    def decimal_mark(self, column: int) -> str:
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
            named.append(f"{iso(instant)} ({self.counted}s {', '.join(lines[:5])}{more})")
        more = f" and {doubled.nunique() - 3} more" if doubled.nunique() > 3 else ""
        advice = advice_on_repeats(pd.DataFrame(self.rows, columns=self.columns), dates, target_column)
        raise UserError(f"{self.shown} has dates more than once: {'; '.join(named)}{more}. {advice}.")


def iso(instant: "pd.Timestamp") -> str:
    """The date; with the time of day where there is one."""
    return instant.isoformat().removesuffix("T00:00:00")


def _differs(cell: str) -> bool:
    """Whether the cell is another number under another decimal mark."""
    numbers = {number_of(cell, mark) for mark in GROUP_MARKS}
    return len(numbers) > 1 and None not in numbers


def _are_in_order(instants: list[datetime | None]) -> bool:
    """Whether they are in ascending or descending order."""
    found = [instant.replace(tzinfo=None) for instant in instants if instant is not None]
    return found == sorted(found) or found == sorted(found, reverse=True)
