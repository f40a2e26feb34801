"""Dates that come more than once in a table: which column distinguishes their rows, and so what to do about them."""

import re
from itertools import combinations
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_TIME_OF_DAY = re.compile(r"\d\d?:\d\d(?::\d\d(?:[.,]\d+)?)?\s*(?:[AaPp]\.?[Mm]\.?)?")
_HOUR = re.compile(r"1?\d|2[0-4]|0\d")
MOST_COLUMNS = 12
"""Among which those that distinguish series are looked for."""


def advice_on_repeats(cells: "pd.DataFrame", dates: "pd.Series[Any]", target: int) -> str:
    """What to do about rows of the same date, without the full stop.

    cells: every column of the table, (rows, columns), by name. dates: (rows,), by the same index, some more than once.
    target: the place of the column that is forecast, which distinguishes no rows.
    """
    cells = cells.astype(str)
    whole = cells.duplicated()
    cells, dates = cells[~whole], dates[~whole]
    if not dates.duplicated().any():
        return "Rows of the same date are the same in every column: keep one of each"
    names = [str(name) for name in cells.columns]
    others = [column for column in range(len(names)) if column != target]
    times = [column for column in others if _tell_the_time(names[column], list(cells.iloc[:, column]))]
    of_one_date = int(dates.value_counts().max())
    variety = {column: cells.iloc[:, column].nunique() for column in others}
    # a column that distinguishes series has about as many values as there are rows of one date
    labels = sorted((column for column in others if variety[column] <= 2 * of_one_date), key=variety.__getitem__)
    ways: list[tuple[int, ...]] = [(column,) for column in times]
    if dates.duplicated(keep=False).mean() > 0.5:  # else some rows are wrong, and a column differs by chance
        known = list(dict.fromkeys([*times, *labels[:MOST_COLUMNS]]))
        ways += [columns for count in (1, 2) for columns in combinations(known, count)]
    for columns in ways:
        part = cells.iloc[:, list(columns)]
        of_series = [column for column in columns if column not in times]
        too_many = of_series and len(cells.iloc[:, of_series].drop_duplicates()) > 2 * of_one_date
        if not too_many and not part.set_axis(range(part.shape[1]), axis=1).assign(date=dates).duplicated().any():
            return "; ".join(
                [_of_time(names[column], str(cells.iloc[0, column])) for column in columns if column in times]
                + ([_of_series(names, of_series, cells)] if of_series else [])
            )
    local = "; a local hour comes twice when clocks are set back: give its time zone, as 2024-10-27T02:00+01:00"
    has_time = bool((dates != dates.dt.normalize()).any())
    return f"The rows differ, and no other column distinguishes them: correct the dates{local if has_time else ''}"


def _tell_the_time(name: str, cells: list[str]) -> bool:
    if all(_TIME_OF_DAY.fullmatch(cell) for cell in cells):
        return True
    return name.strip().lower() in ("hour", "hr") and all(_HOUR.fullmatch(cell) for cell in cells)


def _of_time(name: str, cell: str) -> str:
    time = cell if ":" in cell else f"{int(cell):02}:00"
    return f"The time of day stands in column '{name}': join date and time in one column, as 2024-01-31 {time}"


def _of_series(names: list[str], columns: list[int], cells: "pd.DataFrame") -> str:
    named = " and ".join(f"'{names[column]}'" for column in columns)
    one = " and ".join(f"{names[column]} {cells.iloc[0, column]!s}" for column in columns)
    several = f"Column {named} distinguishes" if len(columns) == 1 else f"Columns {named} distinguish"
    advice = f"{several} several series: keep the rows of one of them, such as {one}"
    if all(re.fullmatch(r"[\d.:]+", cell) for column in columns for cell in cells.iloc[:, column]):
        return f"{advice}; or, where {named} says the time of day, join it with the date, as 2024-01-31 08:00"
    return advice
