"""What the text of a cell means: the number, or the instant, that it tells."""

import re
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from rnnlab.arguments import OneOf, check_arguments

DECIMAL_MARKS = {"comma": ",", "point": "."}
DATE_ORDERS = ("ymd", "dmy", "mdy")

Decimal = Annotated[str, OneOf(DECIMAL_MARKS)]
DateOrder = Annotated[str, OneOf(DATE_ORDERS)]


@dataclass(frozen=True)
class Notation:
    """How the numbers and dates of a table are written; None: found, and refused where it could be two things.

    decimal: the name of a decimal mark, see `DECIMAL_MARKS`. date_order: of year, month and day, see `DATE_ORDERS`.
    """

    decimal: Decimal | None = None
    date_order: DateOrder | None = None

    def check(self) -> None:
        """Raises: `UserError` for a value that is not known."""
        check_arguments(Notation, vars(self), "task.")

    def given(self) -> dict[str, str]:
        """The fields that are set."""
        return {key: value for key, value in asdict(self).items() if value is not None}


MISSING = ("", "nan", "na", "n/a", "null", "none", "nil", "-", "--", "?")
INFINITE = ("inf", "infinity", "∞")

_SPACES = "' \u2019\u00a0\u202f"  # group thousands whatever marks the decimals
GROUP_MARKS = {".": f",{_SPACES}", ",": f".{_SPACES}"}  # by decimal mark
_NUMBERS = {
    mark: re.compile(
        rf"[+-]?(?=\d|[{mark}]\d)(?:(?:\d+)?(?:[{mark}]\d*)?(?:[eE][+-]?\d+)?"
        # one mark between all groups of a number, and no exponent behind them
        rf"|[1-9]\d{{0,2}}(?P<group>[{group}])\d{{3}}(?:(?P=group)\d{{3}})*(?:[{mark}]\d*)?)"
    )
    for mark, group in GROUP_MARKS.items()
}
_TO_PLAIN = {mark: str.maketrans(mark, ".", group) for mark, group in GROUP_MARKS.items()}


def number_of(cell: str, mark: str) -> float | None:
    """The number that `cell` holds when `mark` marks decimals; None where it holds none."""
    return float(cell.translate(_TO_PLAIN[mark])) if _NUMBERS[mark].fullmatch(cell) else None


def likely_marks(cells: list[str]) -> list[str]:
    """The decimal marks under which the most cells are numbers: one, or both where neither makes more of them."""
    unread = {mark: sum(number_of(cell, mark) is None for cell in cells) for mark in GROUP_MARKS}
    return [mark for mark in unread if unread[mark] == min(unread.values())]


_YEAR = r"(?P<year>\d{4}|\d\d)"
_MONTH = r"(?P<month>0?[1-9]|1[0-2])"
_DAY = r"(?P<day>0?[1-9]|[12]\d|3[01])"
_MARK, _SAME = r"(?P<mark>[-/.])", r"(?P=mark)"
_WEEKDAY = r"(?:[A-Za-z]{3,9},? )?"
_MONTH_NAME = r"(?P<month>[A-Za-z]{3,9})\.?"
_TIME = (
    r"(?:[T ,]\s*(?P<hour>\d\d?)(?P<minute>:\d\d(?::\d\d(?:[.,]\d{1,9})?)?)\s*(?P<half>[AaPp][Mm])?)?"
    r"\s*(?P<zone>Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?"
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

_FORMS: dict[str, tuple[str | None, str]] = {
    "": ("ymd", rf"(?P<year>\d{{4}}){_MARK}{_MONTH}{_SAME}{_DAY}{_TIME}"),
    "day, month, year": ("dmy", rf"{_DAY}{_MARK}{_MONTH}{_SAME}{_YEAR}{_TIME}"),
    "month, day, year": ("mdy", rf"{_MONTH}{_MARK}{_DAY}{_SAME}{_YEAR}{_TIME}"),
    "year of two digits, month, day": ("ymd", rf"(?P<year>\d\d){_MARK}{_MONTH}{_SAME}{_DAY}{_TIME}"),
    "year, month, day without separators": (
        "ymd",
        rf"(?P<year>\d{{4}})(?P<month>0[1-9]|1[0-2])(?P<day>0[1-9]|[12]\d|3[01]){_TIME}",
    ),
    "day, name of month, year": ("dmy", rf"{_WEEKDAY}{_DAY}[ -]{_MONTH_NAME},?[ -]{_YEAR}{_TIME}"),
    "name of month, day, year": ("mdy", rf"{_WEEKDAY}{_MONTH_NAME}[ -]{_DAY},?[ -]{_YEAR}{_TIME}"),
    "year, name of month, day": ("ymd", rf"{_WEEKDAY}{_YEAR}[ -]{_MONTH_NAME},?[ -]{_DAY}{_TIME}"),
    "year, month": ("ymd", r"(?P<year>\d{4})[-/](?P<month>0[1-9]|1[0-2])"),
    "time since 1970, UTC": (None, r"(?P<count>\d{9,10}|\d{12,13}|\d{15,16}|\d{18,19})(?:\.\d+)?"),
}
DATES = {way: re.compile(form) for way, (_, form) in _FORMS.items()}
"""How a date can be written; the first way is the one asked for, which needs no remark."""
ORDER_OF = {way: order for way, (order, _) in _FORMS.items()}
"""In which order a way names year, month and day."""


def are_dates(cells: list[str]) -> bool:
    """Whether all cells are dates beyond doubt; plain numbers are not."""
    if any(number_of(cell, ".") is not None for cell in cells):
        return False
    return any(all(form.fullmatch(cell) for cell in cells) for form in DATES.values())


def written_in(cells: list[str], way: str) -> int:
    """How many cells are written in that way, whether there is such a day (February 30) or not."""
    return sum(DATES[way].fullmatch(cell) is not None for cell in cells)


def instants_of(cells: list[str], way: str) -> list[datetime | None]:
    """The instants written in the cells, with time zones where they have one; None where a cell has none.

    Two digits of a year are those of 1969 to 2068.
    """
    instants: list[datetime | None] = []
    for cell in cells:
        match = DATES[way].fullmatch(cell)
        try:
            instants.append(_instant(match) if match else None)
        except ValueError:  # February 30
            instants.append(None)
    return instants


def _instant(match: re.Match[str]) -> datetime:
    part: dict[str, Any] = dict.fromkeys(("hour", "minute", "half", "zone")) | match.groupdict()
    if "count" in part:
        unit = 1000 ** ((len(part["count"]) - 9) // 3)  # ten digits count seconds until the year 2286
        return datetime(1970, 1, 1) + timedelta(seconds=float(match.group()) / unit)
    year, month, hour = part["year"], part["month"], part["hour"] or "0"
    if len(year) == 2:
        year = datetime.strptime(year, "%y").year
    if month.isalpha():
        month = _MONTHS.index(month[:3].lower()) + 1
    if part["half"]:
        hour = datetime.strptime(hour + part["half"], "%I%p").hour
    zone = re.sub("UTC|GMT", "Z", part["zone"] or "")
    day = f"{int(year):04}-{int(month):02}-{int(part.get('day', '1')):02}"
    return datetime.fromisoformat(f"{day}T{int(hour):02}{part['minute'] or ':00'}{zone}")
