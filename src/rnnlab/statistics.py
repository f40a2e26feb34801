"""How sure are we: verdicts over a table of methods, intervals and tests, each with the assumption it rests on.

Losses are arrays (..., seeds, items), lower being better; what stands before the seeds is any number of tables, which
`make bench ARGS=calibration` draws by the thousand. Items are the same for all methods of a table. `overlap`: None
where items are independent of each other; else they are in order of time and depend on each other, and `overlap`
consecutive ones share what they are judged on, 1 being none.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats
from scipy.fft import dct
from scipy.optimize.elementwise import find_root

Array = NDArray[np.float64]

SIGNIFICANCE = 0.05

CONFIDENCE = 0.95

ENOUGH_SEEDS = 3
"""For evidence: two seeds that happen to agree say next to nothing of how others would spread."""

ENOUGH_SEEDS_ALONE = 5
"""For seeing two groups in the seeds of the only cell with several: of three normal ones a third look like it."""

WIDER, FAR_WIDER = 0.3, 0.002
"""p-values below which a cell's seeds spread further than those of the others, and so far that they say nothing of
them: chosen by calibration, the first for the error rate, the second for the power of the others."""

LEAST = float(np.log(1e-100))
"""The logarithm of the smallest tail that is looked for: of smaller ones Student's quantiles are no longer finite."""


class Comparison(NamedTuple):
    """`statistic` is negative where the first loss is the smaller one; `p_value` is two-sided. Floats or arrays."""

    statistic: Any
    p_value: Any


class Verdicts(NamedTuple):
    """What a table of losses says; methods are the cells and then the baselines, each in the order given.

    reference: each method against the reference, (..., methods), corrected by Holm for all others; of the reference
    itself 0 and 1. trivial: each cell against the trivial baseline, (..., cells), corrected for the cells. among: each
    cell against each other, (..., cells, cells), corrected for all pairs. low, high: the ends of the interval of each
    method's mean loss over other seeds and other items, (..., methods); NaN for a cell of one seed, which says nothing
    of others.
    uneven: cells of which some seeds solve the task and some do not, or whose seeds fall into two groups
    (`two_groups`), so that their mean stands for neither and no verdict should be given of it, (..., cells).
    """

    reference: Comparison
    trivial: Comparison
    among: Comparison
    low: Array
    high: Array
    uneven: NDArray[np.bool_]


def least_items(overlap: int | None = None) -> int:
    """How few items a test can be made of: two; in time twelve that share nothing, for a long-run variance of three
    waves, see `_waves`."""
    return 2 if overlap is None else 12 * overlap


def can_tell(items: int, overlap: int | None = None) -> bool:
    """Whether so many items are enough to test a mean."""
    return items >= least_items(overlap)


def verdicts(
    cells: Sequence[Array],
    baselines: Sequence[Array],
    reference: int = 0,
    trivial: int = 0,
    overlap: int | None = None,
    best: float | None = None,
    solved: float | None = None,
) -> Verdicts:
    """Who is better, over seeds and items at once, with the error rate stated.

    cells, baselines: losses of each; a baseline has one row for it knows no chance. reference, trivial: of the
    baselines, by number. best: the best value of a metric of which higher is better, if losses are how far it is from
    that (1 - accuracy); None: losses of any other kind, which cannot be negative. solved: the mean loss up to which a
    seed has solved the task; None where nothing says so.

    The variance of the difference of two means has up to three parts: that of the items (`_variance_of_mean`), and for
    each method with several seeds that of its seeds (`_methods`), estimated from all cells of the table. Their sum is
    tested by Student's t, its critical value the mean of those of the parts' own degrees of freedom, each weighed by
    its part of the variance (Cochran and Cox 1950): where Satterthwaite's freedom lets a seeds' variance that happens
    to be small count as sure, which Holm's correction then reads the far tail of, this does not. A family of
    comparisons is corrected by Holm (1979): a share of `SIGNIFICANCE` of tables without any difference holds an error.

    docs/calibration.md says how often this errs, and how often it sees a difference that is there, in simulations.

    Raises: `ValueError` for fewer items than `least_items`, and for losses that are not finite.
    """
    simple = _method(baselines[trivial], overlap)
    spread = [_spread(losses, overlap) for losses in cells]
    uneven = _uneven(cells, spread, simple.mean, solved)
    methods = [*_methods(cells, spread, uneven), *(_method(losses, overlap) for losses in baselines)]
    count, total = len(cells), len(methods)
    against = count + reference
    others = [index for index in range(total) if index != against]
    rows = _compare([(methods[index], methods[against]) for index in others], overlap)
    of_rows = [np.insert(part, against, value, axis=-1) for part, value in zip(rows, (0.0, 1.0), strict=True)]
    pairs = [(first, second) for first in range(count) for second in range(first + 1, count)]
    order = _compare([(methods[first], methods[second]) for first, second in pairs], overlap)
    shape = (*simple.mean.shape, count, count)
    statistic, p_value = np.zeros(shape), np.ones(shape)
    for number, (first, second) in enumerate(pairs):
        statistic[..., first, second] = order.statistic[..., number]
        statistic[..., second, first] = -order.statistic[..., number]
        p_value[..., first, second] = p_value[..., second, first] = order.p_value[..., number]
    ends = [_interval(method, overlap, best) for method in methods]
    unknown = [index < count and cells[index].shape[-2] < 2 for index in range(total)]
    low, high = (np.where(unknown, np.nan, np.stack(end, axis=-1)) for end in zip(*ends, strict=True))
    return Verdicts(
        Comparison(*of_rows),
        _compare([(method, simple) for method in methods[:count]], overlap),
        Comparison(statistic, p_value),
        low,
        high,
        uneven,
    )


def compare(losses: Array, reference_losses: Array, overlap: int | None = None) -> Comparison:
    """Is the mean loss of two methods different, beyond what other seeds and other items would have changed?

    As in `verdicts`, of these two alone. Equal losses give statistic 0 and p_value 1; a difference that is the same in
    all items, as of right and wrong, has no variance over them, and no p_value below the sign test's, 2^(1 - n) of n
    items; where it is the same in all seeds, too, it gets that one.
    Between methods of one row each and independent items this is the paired t test.

    Raises: `ValueError` for fewer items than `least_items`, and for losses that are not finite.
    """
    found = _compare([_pair(losses, reference_losses, overlap)], overlap)
    return Comparison(float(found.statistic[..., 0]), float(found.p_value[..., 0]))


def skill_interval(losses: Array, reference_losses: Array, overlap: int | None = None) -> tuple[float, float]:
    """Of 1 - L/R, the share of the reference's mean loss R that the mean loss L spares; losses as in `compare`.

    By the delta method: near its mean, L/R varies as the mean of lossₜ - (L/R) reference_lossₜ does, divided by R, and
    other seeds move it as they move L. Where nothing varies, the interval is a point; without a reference loss, NaN.

    Raises: `ValueError` for fewer items than `least_items`, and for losses that are not finite.
    """
    mean, reference_mean = losses.mean(), reference_losses.mean()
    if reference_mean <= 0:
        return float("nan"), float("nan")
    ratio = mean / reference_mean
    one, other = _pair(losses, ratio * reference_losses, overlap)
    parts = (_variance_of_mean(one.items - other.items, overlap), one.seeds, other.seeds)
    half = float(_half_width(parts) / reference_mean)
    return float(1 - ratio - half), float(1 - ratio + half)


def proportion_interval(hits: Array, overlap: int | None = None) -> tuple[float, float]:
    """Wilson's interval (1927) for a share of hits, which hits that depend on each other in time make wider.

    hits: (n,) of 0 and 1, or of shares, such as that of the right answers of each speaker. n is divided by the ratio of
    their variance, in time of the long-run variance, to that of independent hits, with as many degrees of freedom as
    that has; where they do not differ, or are too few for that variance (`can_tell`), by `overlap`, as if all those
    that overlap were one. No hits at all: the whole of [0, 1].
    """
    size = len(hits)
    if size == 0:
        return 0.0, 1.0
    share = float(hits.mean())
    independent = share * (1 - share)
    effective, quantile = size / (overlap or 1), float(special.ndtri((1 + CONFIDENCE) / 2))
    shares = overlap is not None or not np.isin(hits, (0, 1)).all()
    if shares and independent > 0 and can_tell(size, overlap):
        variance, freedom = _variance_of_mean(hits, overlap)
        if variance > 0:
            most = np.inf if overlap is None else size
            effective = min(most, independent / float(variance))
            quantile = float(special.stdtrit(freedom, (1 + CONFIDENCE) / 2))
    low, high = _wilson(np.array(share), np.array(effective), np.array(quantile))
    return float(low), float(high)


def holm(p_values: ArrayLike) -> Array:
    """p-values corrected for how many are looked at (Holm 1979), in the order given; along the last axis."""
    values = np.asarray(p_values, np.float64)
    count = values.shape[-1]
    order = np.argsort(values, axis=-1, kind="stable")
    stepped = np.take_along_axis(values, order, axis=-1) * np.arange(count, 0, -1)
    adjusted = np.empty_like(values)
    np.put_along_axis(adjusted, order, np.minimum(np.maximum.accumulate(stepped, axis=-1), 1.0), axis=-1)
    return adjusted


def two_groups(values: Array, noise: ArrayLike = 0.0, least: ArrayLike = 0.0) -> NDArray[np.bool_]:
    """Whether a cell's seeds fall into two groups, so that their mean stands for neither; values: (..., seeds).

    Of three seeds or more: the widest gap between neighbours is over 4 times as wide as either side of it, over 5
    times `noise`, a standard deviation of seeds, and over `least`. Of three cells or more that spread alike and
    normally, it is said of fewer than one in a hundred.
    """
    seeds = values.shape[-1]
    shape = values.shape[:-1]
    if seeds < ENOUGH_SEEDS:
        return np.zeros(shape, np.bool_)
    ordered = np.sort(values, axis=-1)
    gaps = np.diff(ordered, axis=-1)
    widest = gaps.argmax(axis=-1)[..., None]
    gap = np.take_along_axis(gaps, widest, axis=-1)[..., 0]
    below = np.take_along_axis(ordered, widest, axis=-1)[..., 0] - ordered[..., 0]
    above = ordered[..., -1] - np.take_along_axis(ordered, widest + 1, axis=-1)[..., 0]
    found: NDArray[np.bool_] = gap > np.maximum.reduce(
        [4 * below, 4 * above, np.broadcast_to(5 * np.asarray(noise), shape), np.broadcast_to(least, shape)]
    )
    return found


class _Part(NamedTuple):
    """One part of the variance of a mean, and its degrees of freedom."""

    variance: Array
    freedom: Array


class _Method(NamedTuple):
    """items: the losses averaged over seeds, (..., items). seeds: what other seeds would change of their mean, nothing
    where there is one row."""

    items: Array
    seeds: _Part

    @property
    def mean(self) -> Array:
        result: Array = self.items.mean(axis=-1)
        return result


class _Spread(NamedTuple):
    """Of the means of a method's seeds: their variance, and the part of it that comes of their luck with single items;
    both 0 for one row. seeds: how many."""

    variance: Array
    luck: Array
    seeds: int


def _method(losses: Array, overlap: int | None) -> _Method:
    """One that knows no other."""
    spread = _spread(losses, overlap)
    (found,) = _methods([losses], [spread], np.zeros((*losses.shape[:-2], 1), np.bool_))
    return found


def _pair(losses: Array, reference_losses: Array, overlap: int | None) -> tuple[_Method, ...]:
    both = [losses, reference_losses]
    spread = [_spread(each, overlap) for each in both]
    return tuple(_methods(both, spread, np.zeros((*losses.shape[:-2], 2), np.bool_)))


def _spread(losses: Array, overlap: int | None) -> _Spread:
    seeds, items = losses.shape[-2:]
    if not can_tell(items, overlap):
        raise ValueError(f"{items} items are too few: at least {least_items(overlap)} are needed")
    if not np.isfinite(losses).all():
        raise ValueError("some losses are not finite")
    if seeds == 1:
        nothing = np.zeros(losses.shape[:-2])
        return _Spread(nothing, nothing, seeds)
    return _Spread(losses.mean(axis=-1).var(axis=-1, ddof=1), _luck(losses, overlap), seeds)


def _methods(losses: Sequence[Array], spread: Sequence[_Spread], uneven: NDArray[np.bool_]) -> list[_Method]:
    """What other seeds would change of each method's mean is learnt from the spread of all of them.

    Three seeds alone say little of how others would spread: two degrees of freedom. So the variance s² of a
    method's seeds is taken together with those of the others, see `_shrunken`. What they owe to their luck with single
    items is in the variance over items already: it is taken off, as in the analysis of variance of two crossed random
    factors.
    """
    parts = [_Part(each.variance, np.ones(each.variance.shape)) for each in spread]
    several = [index for index, each in enumerate(spread) if each.seeds > 1]
    if several:
        variance, luck = (
            np.stack([getattr(spread[index], name) for index in several], axis=-1) for name in ("variance", "luck")
        )
        seeds = np.array([spread[index].seeds for index in several])
        shared = _shrunken(variance, seeds - 1.0, ~uneven[..., several])
        added = np.maximum(shared.variance - luck, 0.0) / seeds
        for number, index in enumerate(several):
            parts[index] = _Part(added[..., number], shared.freedom[..., number])
    return [_Method(each.mean(axis=-2), part) for each, part in zip(losses, parts, strict=True)]


def _luck(losses: Array, overlap: int | None) -> Array:
    """The variance of a seed's mean that comes of its luck with single items."""
    own, _ = _variance_of_mean(losses - losses.mean(axis=-2, keepdims=True), overlap)
    result: Array = own.sum(axis=-1) / (losses.shape[-2] - 1)
    return result


def _shrunken(variance: Array, freedom: Array, even: NDArray[np.bool_]) -> _Part:
    """Variances of several methods, (..., methods), each learnt from all that are `even`, and their degrees of freedom.

    Shrunken towards each other as far as they agree: with s² distributed as σ² χ²_d / d and 1/σ² as χ²_d₀ / (d₀ s₀²)
    over the methods, the posterior mean of 1/σ² is 1 / ((d₀ s₀² + d s²) / (d₀ + d)), on d₀ + d degrees of freedom
    (Smyth 2004, as in limma). d₀ and s₀² are found from the mean and the variance of ln s²: what sampling does not
    explain of that is the trigamma function of d₀/2. No smaller than the mean of all; and a method that spreads further
    than the others do (`WIDER`) keeps its own, and has no part in that of the others where it is far off (`FAR_WIDER`).
    """
    even = even & (_wider(variance, even * freedom, freedom) >= FAR_WIDER)
    weight = even * freedom
    total, count = weight.sum(axis=-1, keepdims=True), even.sum(axis=-1, keepdims=True)
    freedom = np.broadcast_to(freedom, variance.shape)
    pooled = (variance * weight).sum(axis=-1, keepdims=True) / np.maximum(total, 1)
    logs = np.log(np.maximum(np.maximum(variance, 1e-5 * pooled), 1e-300))  # seeds may agree to the last digit
    centred = logs - special.digamma(freedom / 2) + np.log(freedom / 2)
    centre = (centred * even).sum(axis=-1, keepdims=True) / np.maximum(count, 1)
    excess = ((centred - centre) ** 2 * even).sum(axis=-1, keepdims=True) / np.maximum(count - 1, 1)
    excess -= (special.polygamma(1, freedom / 2) * even).sum(axis=-1, keepdims=True) / np.maximum(count, 1)
    differ = (excess > 0) & (count > 1)
    prior = 2 * _inverse_trigamma(np.where(differ, excess, 1.0))
    usual = np.exp(centre + special.digamma(prior / 2) - np.log(prior / 2))
    shrunken = (prior * usual + freedom * variance) / (prior + freedom)
    result = np.where(differ, np.maximum(shrunken, pooled), pooled)
    degrees = np.where(differ, np.minimum(prior + freedom, total), total)
    own = ~even | (_wider(variance, weight, freedom) < WIDER)
    return _Part(np.where(own, variance, result), np.where(own, freedom, degrees))


def _wider(variance: Array, weight: Array, freedom: Array) -> Array:
    """p-value of the F test that a method's variance is no larger than that of the others, pooled by weight; 1 where
    there are none."""
    others = weight.sum(axis=-1, keepdims=True) - weight
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = ((variance * weight).sum(axis=-1, keepdims=True) - variance * weight) / others
        p_value = stats.f.sf(variance / pooled, freedom, others)
    return np.where(np.isnan(p_value), 1.0, p_value)


def _inverse_trigamma(values: Array) -> Array:
    """x of ψ'(x) = values > 0, by Newton's method on 1/ψ', which comes from below and never overshoots (Smyth 2004)."""
    x = 0.5 + 1 / values
    for _ in range(12):
        trigamma = special.polygamma(1, x)
        x = x + trigamma * (1 - trigamma / values) / special.polygamma(2, x)
    return x


def _variance_of_mean(series: Array, overlap: int | None) -> _Part:
    """Of the mean over items, the last axis: of independent ones s²/n, with n - 1 degrees of freedom; in time V/n.

    V, the long-run variance, is the mean of the squares of the first B coefficients of the cosine transform, the part
    of the variance that the slowest waves have; a mean over it is tested with B degrees of freedom (Lazarus, Lewis,
    Stock and Watson 2018, whose fixed-bandwidth limit is exactly Student's).
    """
    size = series.shape[-1]
    if overlap is None:
        return _Part(series.var(axis=-1, ddof=1) / size, np.full(series.shape[:-1], size - 1.0))
    waves = _waves(series, overlap)
    power = dct(series, axis=-1, norm="ortho")[..., 1 : waves.max() + 1] ** 2
    summed = np.take_along_axis(np.cumsum(power, axis=-1), waves[..., None] - 1, axis=-1)[..., 0]
    return _Part(summed / waves / size, waves.astype(np.float64))


def _waves(series: Array, overlap: int) -> NDArray[np.int64]:
    """How many of the slowest waves the long-run variance is a mean of: B.

    At most 0.4 n^(2/3), the rule of Lazarus et al., and n / (4 overlap), for faster waves do not see what overlaps;
    fewer where what does not overlap depends on each other as well: 0.08 n/overlap (1 - r)/√r, with r the correlation
    of neighbouring blocks of `overlap` items, so that an autoregression of that r is as good as flat over the waves.
    Never fewer than two. A dependence that is as long as the series cannot be seen in it.
    """
    size = series.shape[-1]
    blocks = size // overlap
    means = series[..., size - blocks * overlap :].reshape(*series.shape[:-1], blocks, overlap).mean(axis=-1)
    centred = means - means.mean(axis=-1, keepdims=True)
    squares = (centred**2).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        r = (centred[..., 1:] * centred[..., :-1]).sum(axis=-1) / squares + 1 / blocks  # which is too low by as much
    r = np.clip(np.nan_to_num(r), 1e-6, 0.999)
    most = min(0.4 * size ** (2 / 3), size / (4 * overlap))
    found: NDArray[np.int64] = np.maximum(np.minimum(0.08 * blocks * (1 - r) / np.sqrt(r), most), 2).astype(np.int64)
    return found


def _compare(pairs: Sequence[tuple[_Method, ...]], overlap: int | None) -> Comparison:
    """A family of comparisons, (..., pairs), corrected by Holm."""
    if not pairs:
        return Comparison(np.zeros(0), np.ones(0))
    differences = (one.items - other.items for one, other in pairs)
    found = [(difference.mean(axis=-1), *_variance_of_mean(difference, overlap)) for difference in differences]
    mean, *items = (np.stack(each, axis=-1) for each in zip(*found, strict=True))
    seeds = [zip(*(method.seeds for method in side), strict=True) for side in zip(*pairs, strict=True)]
    parts = [_Part(*items), *(_Part(*(np.stack(each, axis=-1) for each in side)) for side in seeds)]
    total = _total(parts)
    rounding = (1e-12 * mean) ** 2
    certain, alike = total <= rounding, parts[0].variance <= rounding  # seeds may still differ where items do not
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where(mean == 0, 0.0, np.where(certain, np.copysign(np.inf, mean), mean / np.sqrt(total)))
    by_sign = min(1.0, 2.0 ** (1 - pairs[0][0].items.shape[-1] / (overlap or 1)))
    p_value = np.where(certain, 0.0, _p_value(np.where(certain, 0.0, np.abs(statistic)), parts))
    p_value = np.where(alike, np.maximum(p_value, by_sign), p_value)
    return Comparison(statistic, holm(np.where(mean == 0, 1.0, p_value)))


def _total(parts: Sequence[_Part]) -> Array:
    result: Array = np.sum([part.variance for part in parts], axis=0)
    return result


def _quantile(log_tail: Array, parts: Sequence[_Part]) -> Array:
    """Student's t exceeded by a share of exp(log_tail): its mean over the freedoms of parts, weighed by variance."""
    tail = np.exp(log_tail)
    weighed = np.sum([part.variance * special.stdtrit(part.freedom, tail) for part in parts], axis=0)
    result: Array = -weighed / np.maximum(_total(parts), 1e-300)
    return result


def _p_value(statistic: Array, parts: Sequence[_Part]) -> Array:
    """The two-sided p-value at which `_quantile` is the statistic, at least twice what `LEAST` is of."""
    found = find_root(
        lambda log_tail, asked, *flat: (
            _quantile(log_tail, [_Part(*each) for each in zip(flat[::2], flat[1::2], strict=True)]) - asked
        ),
        (np.full(statistic.shape, LEAST), np.full(statistic.shape, np.log(0.5))),
        args=(statistic, *(value for part in parts for value in part)),
        tolerances={"xrtol": 1e-9, "xatol": 1e-9},
    )
    below = _quantile(np.full(statistic.shape, LEAST), parts) <= statistic
    result: Array = np.where(below, 2 * np.exp(LEAST), np.minimum(2 * np.exp(found.x), 1.0))
    return np.where(statistic == 0, 1.0, result)


def _half_width(parts: Sequence[_Part]) -> Array:
    total = _total(parts)
    tail = np.full(total.shape, np.log((1 - CONFIDENCE) / 2))
    result: Array = _quantile(tail, parts) * np.sqrt(total)
    return result


def _interval(method: _Method, overlap: int | None, best: float | None) -> tuple[Array, Array]:
    """What a method's mean loss would be with other seeds and other items: 95 %.

    Of a share, which has a best and a worst value: Wilson's interval, for as many items as would have given the same
    variance if all were independent hits. Of other losses, which are skewed and cannot be negative: that of their
    logarithm, Student's by the delta method, wider by the order in which coverage falls short of skewed items, their
    squared skewness over n (Hall 1988). A loss of zero is a point.
    """
    mean, parts = method.mean, (_variance_of_mean(method.items, overlap), method.seeds)
    total, half = _total(parts), _half_width(parts)
    if best is None:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            centred = method.items - mean[..., None]
            skewness = np.nan_to_num((centred**3).mean(axis=-1) / (centred**2).mean(axis=-1) ** 1.5)
            half = half * (1 + skewness**2 * (overlap or 1) / method.items.shape[-1])
            factor = np.exp(np.where(mean > 0, half / mean, 0.0))
        return np.where(mean > 0, mean / factor, mean - half), np.where(mean > 0, mean * factor, mean + half)
    share = np.clip(mean / best, 0.0, 1.0)
    alone = method.items.shape[-1] / (overlap or 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        effective = np.where(total > 0, share * (1 - share) * best**2 / total, alone)
        quantile = np.where(total > 0, half / np.sqrt(total), special.ndtri((1 + CONFIDENCE) / 2))
    low, high = _wilson(share, np.where(effective > 0, effective, alone), quantile)
    return low * best, high * best


def _wilson(share: Array, size: Array, quantile: Array) -> tuple[Array, Array]:
    """Wilson's interval (1927) of a share of `size` hits and misses."""
    squared = quantile**2 / size
    centre = (share + squared / 2) / (1 + squared)
    half = np.sqrt(quantile**2 * share * (1 - share) / size + squared**2 / 4) / (1 + squared)
    # rounding alone would leave a share of 0 or 1 out
    return np.maximum(0.0, np.minimum(share, centre - half)), np.minimum(1.0, np.maximum(share, centre + half))


def _uneven(
    cells: Sequence[Array], spread: Sequence[_Spread], trivial: Array, solved: float | None
) -> NDArray[np.bool_]:
    """See `Verdicts`. Two groups are a quarter or more of what the best seed gains over the trivial baseline apart, and
    far apart for what the seeds of the other cells spread: of them the median, as others may be uneven, too. Where no
    other cell has several seeds, nothing is said of fewer than `ENOUGH_SEEDS_ALONE`.
    """
    if not cells:
        return np.zeros((*trivial.shape, 0), np.bool_)
    variance = np.stack([each.variance for each in spread], axis=-1)
    found = []
    for index, (losses, own) in enumerate(zip(cells, spread, strict=True)):
        means = losses.mean(axis=-1)
        if solved is not None:
            share = (means <= solved + 1e-9).mean(axis=-1)
            found.append((share > 0) & (share < 1))
            continue
        others = [number for number, each in enumerate(spread) if number != index and each.seeds > 1]
        if not others and own.seeds < ENOUGH_SEEDS_ALONE:
            found.append(np.zeros(trivial.shape, np.bool_))
            continue
        noise = np.median(variance[..., others], axis=-1) if others else np.zeros(trivial.shape)
        # the median of s² is below its mean, most so of few seeds
        freedom = float(np.mean([spread[number].seeds - 1 for number in others])) if others else 1.0
        noise = noise * freedom / stats.chi2.median(freedom)
        least = 0.25 * np.abs(trivial - means.min(axis=-1))
        found.append(two_groups(means, np.sqrt(np.maximum(noise, own.luck)), least))
    return np.stack(found, axis=-1)
