"""How sure are we: intervals and tests, each with the assumption it rests on."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]


class Comparison(NamedTuple):
    """`statistic` is negative where the first loss is the smaller one; `p_value` is two-sided."""

    statistic: float
    p_value: float


def long_run_variance(series: Array, lags: int) -> float:
    """Variance of √n times the mean of a series whose values depend on each other over `lags` steps.

    γ₀ + 2 Σ γₖ over k = 1..lags; with Bartlett's falling weights (Newey and West 1987) where that sum is not positive.
    """
    centred = series - series.mean()
    covariances = np.array([centred[lag:] @ centred[: len(centred) - lag] for lag in range(lags + 1)]) / len(series)
    flat = covariances[0] + 2 * covariances[1:].sum()
    if flat > 0:
        return float(flat)
    weights = 1 - np.arange(1, lags + 1) / (lags + 1)
    return float(covariances[0] + 2 * weights @ covariances[1:])


def diebold_mariano(loss: Array, reference_loss: Array, horizon: int) -> Comparison:
    """Is the mean loss of two methods on the same items different, each item sharing something with horizon - 1 others?

    With horizon 1, of items that are independent, this is the paired t test.

    d̄ / √(V/n), V the long-run variance of dₜ = lossₜ - reference_lossₜ over horizon - 1 lags, with the small-sample
    correction and the t distribution of Harvey, Leybourne and Newbold (1997). Diebold and Mariano (1995).
    Losses: (n,), of forecasts in order of time. Equal losses give statistic 0 and p_value 1.
    """
    difference = loss - reference_loss
    size = len(difference)
    variance = long_run_variance(difference, min(horizon - 1, size - 1)) / size
    if size < 2 or variance <= 0:
        return Comparison(0.0, 1.0)
    correction = (size + 1 - 2 * horizon + horizon * (horizon - 1) / size) / size
    statistic = float(difference.mean() / np.sqrt(variance) * np.sqrt(max(correction, 1 / size)))
    return Comparison(statistic, float(2 * stats.t.sf(abs(statistic), size - 1)))


def proportion_interval(hits: Array, horizon: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's interval (1927) for a share of hits, which overlapping forecasts make wider.

    hits: (n,) of 0 and 1 in order of time; forecasts `horizon` steps ahead share horizon - 1 of them, so n is divided
    by the ratio of the long-run variance to that of independent hits. No hits at all: the whole of [0, 1].
    """
    size = len(hits)
    if size == 0:
        return 0.0, 1.0
    share = float(hits.mean())
    independent = share * (1 - share)
    if independent > 0:
        size_ratio = long_run_variance(hits, min(horizon - 1, size - 1)) / independent
        effective = size / max(size_ratio, 1.0)
    else:
        effective = size / horizon
    z = float(stats.norm.ppf((1 + confidence) / 2))
    centre = (share + z**2 / (2 * effective)) / (1 + z**2 / effective)
    half = z / (1 + z**2 / effective) * np.sqrt(independent / effective + z**2 / (4 * effective**2))
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def mean_interval(values: Array, confidence: float = 0.95) -> tuple[float, float]:
    """Student's interval for the mean of independent values, here one for each seed. One value: no interval, NaN."""
    if len(values) < 2:
        return float("nan"), float("nan")
    half = float(stats.t.ppf((1 + confidence) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return float(values.mean() - half), float(values.mean() + half)


def holm(p_values: list[float]) -> list[float]:
    """p-values corrected for how many are looked at (Holm 1979), in the order given."""
    order = np.argsort(p_values)
    adjusted = np.empty(len(p_values))
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return [float(p) for p in adjusted]
