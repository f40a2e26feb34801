"""What a series was that a net was trained on, and how another differs, in words."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd

SAME_STEP = 1.25
"""Steps of dates that differ by no more than this factor are the same: months have 28 to 31 days."""

UNITS = {"day": 86400.0, "hour": 3600.0, "minute": 60.0, "second": 1.0}
MONTHS = {1: (28, 31), 3: (89, 92), 6: (181, 184), 12: (365, 366)}
"""Days in so many months."""


def in_words(seen: Mapping[str, Any]) -> str:
    """Of the training part: "96 rows, steps of 1 month, 1949-01-01 to 1956-12-01"."""
    return f"{seen['rows']:,} rows, steps of {step_in_words(seen['step'])}, {seen['first']} to {seen['last']}"


def step_in_words(seconds: float) -> str:
    """2,678,400 -> 1 month; 1,800 -> 30 minutes."""
    days = seconds / UNITS["day"]
    for months, (least, most) in MONTHS.items():
        if least <= days <= most:
            return _counted(months, "month") if months < 12 else "1 year"
    if days >= 7 and days % 7 == 0:
        return _counted(days / 7, "week")
    unit, size = next(((unit, size) for unit, size in UNITS.items() if seconds >= size), ("second", 1.0))
    return _counted(seconds / size, unit)


def misfits(seen: Mapping[str, Any], read: Collection[str], table: pd.DataFrame) -> list[str]:
    """In what a table of raw input is not like the training part, a line each; nothing of what cannot be read.

    seen: as `ForecastingData.prepare` found it. read: the columns that the net reads, the dates among them.
    """
    if not set(read) <= {*table.columns}:
        return []
    found = []
    unread = [str(name) for name in table.columns if name not in read]
    if unread:
        found.append(f"columns that the net does not read: {', '.join(unread)}")
    dates = pd.to_datetime(table["date"], errors="coerce", format="ISO8601", utc=True).dropna().sort_values()
    steps = np.diff(dates.to_numpy("datetime64[us]")) / np.timedelta64(1, "s")
    step = float(np.median(steps)) if len(steps) else seen["step"]
    if max(step, seen["step"]) > SAME_STEP * min(step, seen["step"]):
        ours, theirs = step_in_words(seen["step"]), step_in_words(step)
        found.append(f"the net was trained on steps of {ours}, the input has steps of {theirs}")
    for name in read:
        if name in seen["ranges"]:
            found += _far(name, seen["ranges"][name], pd.to_numeric(table[name], errors="coerce"))
    return found


def _far(name: str, trained: list[float], values: "pd.Series[float]") -> list[str]:
    """One line where any is farther from the range of training than that is wide."""
    low, high = trained
    width = high - low
    if not (values.min() < low - width or values.max() > high + width):
        return []
    return [
        f"column '{name}': the net was trained on {low:.6g} to {high:.6g}, the input has {values.min():.6g} to "
        f"{values.max():.6g}"
    ]


def _counted(number: float, unit: str) -> str:
    return f"{number:.3g} {unit}{'' if number == 1 else 's'}"
