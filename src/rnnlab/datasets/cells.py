"""What the text of a cell means: the number, or the instant, that it tells."""

import re
from datetime import datetime, timedelta
from typing import Any

MISSING = ("", "nan", "na", "n/a", "null", "none", "nil", "-", "--", "?")
INFINITE = ("inf", "infinity", "∞")

_SPACES = "' \u2019\u00a0\u202f"  # group thousands whatever marks the decimals
GROUP_MARKS = {".": f",{_SPACES}", ",": f".{_SPACES}"}  # by decimal mark
_NUMBERS = {
    mark: re.compile(
        rf"[+-]?(?=\d|[{mark}]\d)(?:\d+|[1-9]\d{{0,2}}(?:[{group}]\d{{3}})+)?(?:[{mark}]\d*)?(?:[eE][+-]?\d+)?"
    )
    for mark, group in GROUP_MARKS.items()
}
_TO_PLAIN = {mark: str.maketrans(mark, ".", group) for mark, group in GROUP_MARKS.items()}


def number_of(cell: str, mark: str) -> float | None:
    """The number that `cell` holds when `mark` marks decimals; None where it holds none."""
    return float(cell.translate(_TO_PLAIN[mark])) if _NUMBERS[mark].fullmatch(cell) else None


def likely_marks(cells: list[str]) -> list[str]:
    """The decimal marks that make numbers of the most cells; the point where both make the same numbers of all."""
    by_mark = {mark: [number_of(cell, mark) for cell in cells] for mark in GROUP_MARKS}
    if by_mark["."] == by_mark[","]:
        return ["."]
    unread = {mark: numbers.count(None) for mark, numbers in by_mark.items()}
    return [mark for mark in unread if unread[mark] == min(unread.values())]


def not_a_number(cell: str) -> str:
    """What to say of a cell that holds no number, and what to do."""
    if cell.lower() in MISSING:
        return "a missing value; fill in the number or delete that line"
    if cell.lower().lstrip("+-") in INFINITE:
        return "an infinite value; mend or delete that line"
    return "where a number belongs; mend or delete that line"


_YEAR = r"(?P<year>\d{4}|\d\d)"
_WEEKDAY = r"(?:[A-Za-z]{3,9},? )?"
_MONTH_NAME = r"(?P<month>[A-Za-z]{3,9})\.?"
_TIME = (
    r"(?:[T ,]\s*(?P<hour>\d\d?)(?P<minute>:\d\d(?::\d\d(?:[.,]\d{1,9})?)?)\s*(?P<half>[AaPp][Mm])?)?"
    r"\s*(?P<zone>Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?"
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

# how a date can be written; the first way is the one asked for, which needs no remark
DATES = {
    "": r"(?P<year>\d{4})(?P<mark>[-/.])(?P<month>\d\d?)(?P=mark)(?P<day>\d\d?)" + _TIME,
    "day, month, year": r"(?P<day>\d\d?)(?P<mark>[-/.])(?P<month>\d\d?)(?P=mark)" + _YEAR + _TIME,
    "month, day, year": r"(?P<month>\d\d?)(?P<mark>[-/.])(?P<day>\d\d?)(?P=mark)" + _YEAR + _TIME,
    "year, month, day without separators": r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)" + _TIME,
    "day, name of month, year": _WEEKDAY + r"(?P<day>\d\d?)[ -]" + _MONTH_NAME + r",?[ -]" + _YEAR + _TIME,
    "name of month, day, year": _WEEKDAY + _MONTH_NAME + r"[ -](?P<day>\d\d?),?[ -]" + _YEAR + _TIME,
    "year, month": r"(?P<year>\d{4})[-/](?P<month>0[1-9]|1[0-2])",
    "time since 1970, UTC": r"(?P<count>\d{9,10}|\d{12,13}|\d{15,16}|\d{18,19})(?:\.\d+)?",
}


def are_dates(cells: list[str]) -> bool:
    """Whether all cells are dates beyond doubt; plain numbers are not."""
    if any(number_of(cell, ".") is not None for cell in cells):
        return False
    return any(all(re.fullmatch(form, cell) for cell in cells) for form in DATES.values())


def instants_of(cells: list[str], way: str) -> list[datetime | None]:
    """The instants that the cells tell, with time zones where they have one; None where a cell tells none."""
    form = re.compile(DATES[way])
    instants: list[datetime | None] = []
    for cell in cells:
        match = form.fullmatch(cell)
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
