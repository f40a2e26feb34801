"""What is worth knowing about a series before anything is learned from it."""

from typing import TYPE_CHECKING, Any

from rnnlab.data.tables.table import iso

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

SPLIT_RATIOS = (1 / 2, 1 / 3, 2 / 3, 1 / 4, 1 / 5, 1 / 7, 1 / 10, 1 / 20)
SHOWN_SPLITS = 5


def inspect(frame: "pd.DataFrame") -> tuple[dict[str, Any], list[str]]:
    """The report of a `PriceTable`, plain JSON, and remarks on its gaps and suspected splits.

    frame: `date`, ascending, and `close`. Of the suspected splits the report lists the largest, and counts all.
    """
    gap_count, longest = gaps(frame["date"])
    splits = _splits(frame)
    largest = sorted(splits, key=lambda split: -abs(split["log_return"]))[:SHOWN_SPLITS]
    notes = []
    if longest:
        notes.append(
            f"gaps in the dates: {gap_count}, the longest from {longest['after']} to {longest['before']} "
            f"({longest['days']:g} days)"
        )
    if splits:
        named = ", ".join(f"{split['date']} (log return {split['log_return']:+.2f})" for split in largest)
        more = f" and {len(splits) - len(largest)} smaller" if len(splits) > len(largest) else ""
        notes.append(f"possible split, not adjusted (or a true jump): {named}{more}")
    report = {
        "rows": len(frame),
        "first": iso(frame["date"].iloc[0]),
        "last": iso(frame["date"].iloc[-1]),
        "duplicates": 0,  # a table that has them is refused
        "gaps": gap_count,
        "longest_gap": longest,
        "suspected_splits": largest,
        "suspected_splits_count": len(splits),
    }
    return report, notes


def of_business_days(dates: "NDArray[np.datetime64]") -> bool:
    """Whether the series leaves the weekends out."""
    import numpy as np

    is_daily = np.median(np.diff(dates) / np.timedelta64(1, "D")) == 1
    return bool(is_daily and np.is_busday(dates.astype("datetime64[D]")).mean() > 0.98)


def left_out(dates: "NDArray[np.datetime64]") -> "NDArray[np.int64]":
    """After each date but the last, how many rows are left out until the next.

    A gap is a step longer than 1.5 times the median step; in a series of business days, two or more weekdays left out:
    one is a holiday.
    """
    import numpy as np

    if len(dates) < 2:
        return np.zeros(0, np.int64)
    if of_business_days(dates):
        days = dates.astype("datetime64[D]")
        missed = np.busday_count(days[:-1], days[1:]) - 1
        return np.where(missed > 1, missed, 0)
    steps = np.diff(dates) / np.timedelta64(1, "D")
    return np.where(steps > 1.5 * np.median(steps), np.rint(steps / np.median(steps)).astype(np.int64) - 1, 0)


def gaps(dates: "pd.Series[Any]") -> tuple[int, dict[str, Any] | None]:
    """How many there are, and the longest."""
    import numpy as np

    instants = dates.to_numpy("datetime64[us]")
    is_gap = left_out(instants) > 0
    if not is_gap.any():
        return 0, None
    steps = np.diff(instants) / np.timedelta64(1, "D")
    at = int(np.argmax(np.where(is_gap, steps, 0)))
    longest = {"after": iso(dates.iloc[at]), "before": iso(dates.iloc[at + 1]), "days": float(steps[at])}
    return int(is_gap.sum()), longest


def _splits(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    """Dates at which the close jumps as in a split: |r| > 0.5, or |r| > 0.4 close to a ratio that splits have."""
    import numpy as np

    returns = np.diff(np.log(frame["close"].to_numpy(np.float64)))
    size = np.abs(returns)
    nearest = np.abs(size[:, None] + np.log(SPLIT_RATIOS)).min(axis=1)
    found = np.flatnonzero((size > 0.5) | ((size > 0.4) & (nearest < 0.03)))
    return [{"date": iso(frame["date"].iloc[at + 1]), "log_return": round(float(returns[at]), 4)} for at in found]
