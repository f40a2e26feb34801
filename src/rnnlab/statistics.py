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


def can_tell(items: int, overlap: int = 1) -> bool:
    """Whether so many items, of which `overlap` in a row share what they are judged on, are enough to test a mean.

    At least two of them must not overlap: items >= 2 · overlap. With items <= overlap the long-run variance
    is that of all autocovariances, whose sum is zero by identity: its rounding error made p < 0.05 in 27 to 44 of 100
    simulated comparisons of equal methods, with 5 to 24 steps. With a few more, nearly all of it cancels, and
    items / overlap - 1 degrees of freedom are less than one. From twice the overlap on at most one in thirteen of
    them had p < 0.05, with 2 to 24 steps.
    """
    return items >= 2 * overlap


def compare(losses: Array, reference_losses: Array, overlap: int = 1) -> Comparison:
    """Is the mean loss of two methods different, beyond what other seeds and other test items would have changed?

    losses: (seeds, items), the seeds drawn by chance for each method, the items the same for both and, where they
    overlap, in order of time; a method without chance has one row. Equal losses give statistic 0 and p_value 1; a
    difference that is the same in all items and seeds, as of right and wrong, has no variance, and gets the sign test's
    p_value, 2^(1 - n) of n items.

    The variance of the difference of the means has three parts, each with its degrees of freedom: the items', of the
    differences averaged over seeds, as Diebold and Mariano (1995) take it with the small-sample correction of Harvey,
    Leybourne and Newbold (1997); and for each method with several seeds that of the mean of its seeds' means. Their sum
    is tested by Student's t with the degrees of freedom of Satterthwaite (1946). Between methods of one row each this
    is the test of Diebold and Mariano, and without overlap the paired t test. Items that overlap are worth as many
    degrees of freedom as there are beside each other: with all of them the test, asked for one error in twenty, made
    one in nine with 200 forecasts of 24 steps, so at most one in fourteen in simulations.

    Where three seeds disagree more than items do, this needs |t| > 4.3, as it should. Resampling three seeds takes
    their variance a third too small, and its tails for nearly a normal distribution's: by that it would see a
    difference in one of four comparisons where there is none, P(|t₂| > 1.96 √(2/3)). Satterthwaite's t, asked for one
    error in twenty, made at most one in thirteen in simulations: seeds that lie far apart seem close now and then. Two
    seeds are too few for it: it then made up to one in seven. One seed tells nothing of other seeds: for that method
    only the items are accounted for.

    Raises: `ValueError` for fewer items than `can_tell` asks.
    """
    difference = losses.mean(axis=0) - reference_losses.mean(axis=0)
    variance, freedom = _variance(difference, [losses, reference_losses], overlap)
    if variance <= 0:
        mean = float(difference.mean())
        if mean == 0:
            return Comparison(0.0, 1.0)
        return Comparison(float(np.copysign(np.inf, mean)), min(1.0, 2.0 ** (1 - len(difference) / overlap)))
    statistic = float(difference.mean() / np.sqrt(variance))
    return Comparison(statistic, float(2 * stats.t.sf(abs(statistic), freedom)))


def skill_interval(
    losses: Array, reference_losses: Array, overlap: int = 1, confidence: float = 0.95
) -> tuple[float, float]:
    """Of 1 - L/R, the share of the reference's mean loss R that the mean loss L spares; losses as in `compare`.

    By the delta method: near its mean, L/R varies as the mean of lossₜ - (L/R) reference_lossₜ does, divided by R, and
    other seeds move it as they move L. Where nothing varies, the interval is a point; without a reference loss, NaN.

    Raises: `ValueError` for fewer items than `can_tell` asks.
    """
    mean, reference_mean = losses.mean(), reference_losses.mean()
    if reference_mean <= 0:
        return float("nan"), float("nan")
    ratio = mean / reference_mean
    difference = losses.mean(axis=0) - ratio * reference_losses.mean(axis=0)
    variance, freedom = _variance(difference, [losses, ratio * reference_losses], overlap)
    half = float(stats.t.ppf((1 + confidence) / 2, freedom) * np.sqrt(variance) / reference_mean) if variance > 0 else 0
    return float(1 - ratio - half), float(1 - ratio + half)


def _variance(difference: Array, methods: list[Array], overlap: int) -> tuple[float, float]:
    """Of the mean of `difference` over items, with what other seeds of the methods add, and its degrees of freedom."""
    if not can_tell(len(difference), overlap):
        raise ValueError(f"{len(difference)} items are too few: at least {2 * overlap} are needed")
    parts = [(_variance_of_mean(difference, overlap), len(difference) / overlap - 1)]
    parts += [
        (float(method.mean(axis=1).var(ddof=1)) / len(method), len(method) - 1) for method in methods if len(method) > 1
    ]
    variance = sum(part for part, _ in parts)
    if variance <= 0:
        return 0.0, 1.0
    return variance, variance**2 / sum(part**2 / degrees for part, degrees in parts)


def long_run_variance(series: Array, lags: int) -> float:
    """Variance of √n times the mean of a series whose values depend on each other over `lags` steps.

    γ₀ + 2 Σ γₖ over k = 1..lags; with Bartlett's falling weights (Newey and West 1987) where that sum is not positive.
    It takes a series that is long beside `lags`, see `can_tell`: over all n - 1 lags the sum is zero by identity.
    """
    centred = series - series.mean()
    covariances = np.array([centred[lag:] @ centred[: len(centred) - lag] for lag in range(lags + 1)]) / len(series)
    flat = covariances[0] + 2 * covariances[1:].sum()
    if flat > 0:
        return float(flat)
    weights = 1 - np.arange(1, lags + 1) / (lags + 1)
    return float(covariances[0] + 2 * weights @ covariances[1:])


def _variance_of_mean(difference: Array, horizon: int) -> float:
    """V/n, V the long-run variance over horizon - 1 lags, over the correction of Harvey, Leybourne and Newbold."""
    size = len(difference)
    variance = long_run_variance(difference, horizon - 1) / size
    correction = (size + 1 - 2 * horizon + horizon * (horizon - 1) / size) / size
    return variance / correction


def proportion_interval(hits: Array, horizon: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's interval (1927) for a share of hits, which overlapping forecasts make wider.

    hits: (n,) of 0 and 1 in order of time; forecasts `horizon` steps ahead share horizon - 1 of them, so n is divided
    by the ratio of the long-run variance to that of independent hits; by horizon, as if all those that overlap were
    one, where the hits do not differ, or are too few for that variance (`can_tell`). No hits at all: the whole of
    [0, 1].
    """
    size = len(hits)
    if size == 0:
        return 0.0, 1.0
    share = float(hits.mean())
    independent = share * (1 - share)
    if independent > 0 and can_tell(size, horizon):
        size_ratio = long_run_variance(hits, horizon - 1) / independent
        effective = size / max(size_ratio, 1.0)
    else:
        effective = size / horizon
    z = float(stats.norm.ppf((1 + confidence) / 2))
    centre = (share + z**2 / (2 * effective)) / (1 + z**2 / effective)
    half = z / (1 + z**2 / effective) * np.sqrt(independent / effective + z**2 / (4 * effective**2))
    # rounding alone would leave a share of 0 or 1 out
    return max(0.0, min(share, float(centre - half))), min(1.0, max(share, float(centre + half)))


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
