"""Verdicts, intervals and tests: by hand, against other packages, and by what they promise in repeated sampling."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special, stats
from scipy.signal import lfilter
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from rnnlab.statistics import (
    Array,
    Comparison,
    _luck,
    _shrunken,
    _variance_of_mean,
    can_tell,
    compare,
    holm,
    least_items,
    proportion_interval,
    skill_interval,
    two_groups,
    verdicts,
)


def moving_sums(rng: np.random.Generator, *shape: int, horizon: int) -> Array:
    """Of independent values, (..., items): what is shared with the next horizon - 1 is what forecasts share."""
    drawn = rng.normal(size=(*shape[:-1], shape[-1] + horizon)).cumsum(axis=-1)
    result: Array = (drawn[..., horizon:] - drawn[..., :-horizon]) / np.sqrt(horizon)
    return result


def autoregression(rng: np.random.Generator, *shape: int, factor: float) -> Array:
    drawn = rng.normal(size=(*shape[:-1], shape[-1] + 200)) * np.sqrt(1 - factor**2)
    result: Array = lfilter([1.0], [1.0, -factor], drawn, axis=-1)[..., 200:]
    return result


def wrong(cells: list[Array], baseline: Array, overlap: int | None = None) -> float:
    """The share of tables that hold a false verdict."""
    found = verdicts(cells, [baseline], overlap=overlap)
    return float((found.reference.p_value.min(axis=-1) < 0.05).mean())


def test_without_seeds_and_time_it_is_the_paired_t_test() -> None:
    loss, reference = np.random.default_rng(0).normal(size=(2, 1, 80))
    expected = stats.ttest_rel(loss[0], reference[0])
    assert compare(loss, reference) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-7)


def test_seeds_that_agree_leave_the_test_over_items() -> None:
    loss, reference = np.random.default_rng(7).normal(size=(2, 1, 80))
    assert compare(np.tile(loss, (3, 1)), reference) == pytest.approx(compare(loss, reference), rel=1e-7)


def test_items_that_agree_leave_the_test_over_seeds() -> None:
    values = np.array([0.2, 0.5, 0.9])
    found = compare(np.tile(values[:, None], (1, 400)), np.zeros((1, 400)))
    expected = stats.ttest_1samp(values, 0)
    assert found == pytest.approx((expected.statistic, expected.pvalue), rel=1e-6)


def test_a_true_difference_is_seen_with_its_sign() -> None:
    loss = np.random.default_rng(2).normal(size=(1, 500)) ** 2
    better = compare(0.5 * loss, loss)
    assert better.statistic < 0
    assert better.p_value < 1e-6
    assert compare(loss, 0.5 * loss).statistic > 0
    assert 0 < compare(loss * 1e-9, loss + 1e6).p_value < 1e-90


def test_equal_losses_are_no_evidence() -> None:
    assert compare(np.ones((1, 36)), np.ones((1, 36)), 3) == (0.0, 1.0)


def test_right_everywhere_against_wrong_everywhere_is_judged_by_the_number_of_items() -> None:
    """As by the sign test, for there is no variance."""
    for items in (4, 500):
        found = compare(np.zeros((3, items)), np.ones((1, items)))
        assert found.statistic == -np.inf
        assert found.p_value == pytest.approx(stats.binomtest(0, items).pvalue)


def test_two_items_that_agree_are_no_evidence_however_many_the_seeds() -> None:
    """As of two speakers: that both were right says next to nothing of a third, whatever the seeds differ by."""
    seeds = np.array([[0.0], [0.01], [0.02]]) + np.zeros((3, 2))
    assert compare(seeds, np.ones((1, 2))).p_value == 0.5
    assert compare(np.zeros((3, 2)), np.ones((1, 2))).p_value == 0.5
    found = verdicts([np.zeros((3, 2)), np.array([[0.0, 1.0], [0.0, 0.0], [0.0, 0.0]])], [np.ones((1, 2))])
    assert found.reference.p_value[0] >= 0.5


def test_more_noise_makes_no_difference_more_significant() -> None:
    """Over three seeds alone p = 0.066; with the variance of items added, Satterthwaite's freedom made it 0.031."""
    rng = np.random.default_rng(1)
    seeds = 0.9297 + np.array([-0.0153, -0.0014, 0.0167])
    alone = compare(np.tile(1 - seeds[:, None], (1, 1000)), np.full((1, 1000), 0.105)).p_value
    for noise in (0.15, 0.3, 0.4):
        losses = 1 - seeds[:, None] + noise * stats.zscore(rng.normal(size=1000))
        assert compare(losses, np.full((1, 1000), 0.105)).p_value >= alone - 1e-6


@pytest.mark.parametrize("spread", [0.0, 1.0, 3.0, 10.0])
@pytest.mark.parametrize(("seeds", "count"), [(3, 6), (3, 12), (5, 6)])
def test_a_table_without_any_difference_holds_a_verdict_in_one_of_twenty(seeds: int, count: int, spread: float) -> None:
    """With the variance and the freedom of each cell's own seeds one of six did, of twelve cells one of four."""
    rng = np.random.default_rng(5)
    shared = rng.normal(size=(600, 1, 100))
    cells = [
        shared
        + rng.normal(size=(600, 1, 100))
        + rng.normal(size=(600, seeds, 100))
        + rng.normal(size=(600, seeds, 1)) * spread * 0.14
        for _ in range(count)
    ]
    assert wrong(cells, shared + rng.normal(size=(600, 1, 100))) < 0.075


@pytest.mark.parametrize("horizon", [1, 5, 12])
def test_forecasts_that_overlap_hold_a_verdict_in_one_of_twenty(horizon: int) -> None:
    rng = np.random.default_rng(1)
    loss, reference = (moving_sums(rng, 2000, 1, 300, horizon=horizon) for _ in range(2))
    assert 0.03 < wrong([loss], reference, horizon) < 0.075


@pytest.mark.parametrize(("items", "horizon", "factor"), [(359, 7, 0.95), (1000, 1, 0.9), (2877, 12, 0.95)])
def test_forecasts_that_depend_on_each_other_for_longer_than_they_overlap(
    items: int, horizon: int, factor: float
) -> None:
    """As those of the weather did: with a variance over what overlaps alone one of six tables held a false verdict."""
    rng = np.random.default_rng(3)

    def losses() -> Array:
        long = autoregression(rng, 1000, 1, items, factor=factor)
        return np.sqrt(0.6) * moving_sums(rng, 1000, 1, items, horizon=horizon) + np.sqrt(0.4) * long

    assert wrong([losses()], losses(), horizon) < 0.095


def test_the_long_run_variance_of_moving_sums_and_of_an_autoregression() -> None:
    rng = np.random.default_rng(3)
    sums = moving_sums(rng, 200_000, horizon=3)
    assert _variance_of_mean(sums, 3).variance * sums.size == pytest.approx(3, rel=0.1)
    long = autoregression(rng, 200_000, factor=0.8)
    assert _variance_of_mean(long, 1).variance * long.size == pytest.approx(1.8 / 0.2, rel=0.1)


def test_the_standard_error_in_time_is_near_newey_and_wests() -> None:
    """statsmodels', with Bartlett's weights over many lags: another estimate of the same number."""
    series = autoregression(np.random.default_rng(4), 5000, factor=0.7)
    whole = OLS(series, np.ones(len(series))).fit(cov_type="HAC", cov_kwds={"maxlags": 90})
    assert np.sqrt(_variance_of_mean(series, 1).variance) == pytest.approx(whole.bse[0], rel=0.15)


@settings(max_examples=60, deadline=None)
@given(items=st.integers(1, 150), horizon=st.integers(1, 24), seeds=st.integers(1, 3), seed=st.integers(0, 99))
def test_too_few_forecasts_are_refused_and_all_others_tested(items: int, horizon: int, seeds: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    losses, reference = (np.abs(moving_sums(rng, count, items, horizon=horizon)) for count in (seeds, 1))
    assert can_tell(items, horizon) == (items >= 12 * horizon)
    if can_tell(items, horizon):
        assert 0 < compare(losses, reference, horizon).p_value <= 1
        assert np.isfinite(skill_interval(losses, reference, horizon)).all()
    else:
        for ask in (compare, skill_interval):
            with pytest.raises(ValueError, match=f"{items} items are too few: at least {12 * horizon} are needed"):
                ask(losses, reference, horizon)


def test_losses_that_are_not_finite_are_refused() -> None:
    losses = np.ones((3, 4))
    losses[1, 2] = np.nan
    with pytest.raises(ValueError, match="some losses are not finite"):
        verdicts([losses, np.ones((3, 4))], [np.ones((1, 4))])


def test_one_unit_is_too_few() -> None:
    """As of a single speaker who was held out."""
    assert least_items() == 2
    with pytest.raises(ValueError, match="1 items are too few"):
        compare(np.ones((3, 1)), np.zeros((1, 1)))


@settings(max_examples=40, deadline=None)
@given(
    counts=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    baselines=st.integers(1, 3),
    binary=st.booleans(),
    seed=st.integers(0, 99),
)
def test_a_table_is_judged_alike_however_it_is_ordered(
    counts: list[int], baselines: int, binary: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)

    def losses(count: int) -> Array:
        drawn = rng.random((count, 12))
        return (drawn < 0.3).astype(np.float64) if binary else drawn

    cells, others = [losses(count) for count in counts], [losses(1) for _ in range(baselines)]
    best = 1.0 if binary else None
    found = verdicts(cells, others, best=best)
    turned = verdicts(cells[::-1], others, best=best)
    size = len(cells)
    assert turned.reference.p_value[:size][::-1] == pytest.approx(found.reference.p_value[:size])
    assert turned.among.p_value[::-1, ::-1] == pytest.approx(found.among.p_value)
    assert found.among.statistic == pytest.approx(-found.among.statistic.T)
    assert found.reference.p_value[size] == 1
    assert ((found.reference.p_value > 0) & (found.reference.p_value <= 1)).all()
    assert (np.isnan(found.low[:size]) == (np.array(counts) == 1)).all()
    known = ~np.isnan(found.low)
    mean = np.array([table.mean() for table in (*cells, *others)])
    assert (found.low[known] <= mean[known] + 1e-12).all()
    assert (found.high[known] >= mean[known] - 1e-12).all()
    if binary:
        assert (found.low[known] >= 0).all()
        assert (found.high[known] <= 1).all()
    alone = [table[None] for table in cells], [table[None] for table in others]
    assert verdicts(*alone, best=best).reference.p_value[0] == pytest.approx(found.reference.p_value)


def test_a_single_baselines_interval_is_wilsons_or_the_logarithms() -> None:
    hits = (np.random.default_rng(0).random((1, 200)) < 0.1).astype(np.float64)
    found = verdicts([hits], [hits], best=1.0)
    # Student's quantile, and the variance over n - 1
    assert (found.low[1], found.high[1]) == pytest.approx(
        proportion_confint(int(hits.sum()), 200, method="wilson"), rel=0.01
    )
    losses = np.random.default_rng(1).exponential(size=(1, 300))
    found = verdicts([losses], [losses])
    error = losses.std(ddof=1) / np.sqrt(300) / losses.mean()
    half = stats.t.ppf(0.975, 299) * error * (1 + stats.skew(losses[0]) ** 2 / 300)
    assert (found.low[1], found.high[1]) == pytest.approx(tuple(losses.mean() * np.exp([-half, half])), rel=1e-6)


def test_an_interval_of_a_perfect_score_is_no_point() -> None:
    """Of 200 answers that are right, the rule of three leaves some 2 % for wrong ones."""
    found = verdicts([np.zeros((3, 200))], [np.ones((1, 200))], best=1.0)
    assert found.low[0] == 0
    assert 0.01 < found.high[0] < 0.025


@pytest.mark.parametrize("seeds", [3, 10])
@pytest.mark.parametrize("spread", [0.2, 5.0])
def test_an_interval_holds_what_other_seeds_and_items_would_give(seeds: int, spread: float) -> None:
    """Over seeds alone it held the score in 62 of 100 tables with ten seeds that agree."""
    rng = np.random.default_rng(8)
    cells = [
        1
        + 0.3 * rng.normal(size=(800, 1, 200))
        + 0.02 * spread * rng.normal(size=(800, seeds, 1))
        + 0.1 * rng.normal(size=(800, seeds, 200))
        for _ in range(4)
    ]
    found = verdicts(cells, [1 + 0.3 * rng.normal(size=(800, 1, 200))])
    held = (found.low <= 1) & (found.high >= 1)
    assert 0.93 < held[:, :4].mean() < 0.985
    assert 0.925 < held[:, 4].mean() < 0.975


@pytest.mark.parametrize("spread", [0.2, 5.0])
def test_the_interval_of_a_skill_holds_it_in_about_nineteen_of_twenty(spread: float) -> None:
    """True skill 0.2, on losses that move with those of the reference."""
    rng = np.random.default_rng(8)
    held = 0
    for _ in range(1000):
        reference = rng.exponential(size=(1, 300))
        own = rng.normal(size=(1, 300)) + rng.normal(size=(3, 1)) * spread * 300**-0.5
        low, high = skill_interval(0.8 * (reference + 0.3 * own), reference)
        held += low <= 0.2 <= high
    assert 0.92 < held / 1000 < 0.985


def test_a_skill_that_does_not_vary_is_a_point() -> None:
    reference = np.arange(1.0, 9.0)[None]
    assert skill_interval(0.5 * reference, reference) == pytest.approx((0.5, 0.5))
    assert np.isnan(skill_interval(reference, 0 * reference)).all()


def test_the_luck_of_seeds_is_the_interaction_of_a_two_way_analysis_of_variance() -> None:
    losses = np.random.default_rng(6).normal(size=(4, 30)) + np.arange(4)[:, None]
    left = losses - losses.mean(axis=0) - losses.mean(axis=1, keepdims=True) + losses.mean()
    interaction = (left**2).sum() / (3 * 29)
    assert _luck(losses, None) == pytest.approx(interaction / 30)


def test_variances_are_shrunken_as_by_smyth() -> None:
    """His estimating equations, solved by root finding; what is far above the others keeps its own."""
    variance = np.array([1.0, 1.8, 0.6, 2.0, 0.2, 1.2, 2.1, 0.1])
    d = 4.0
    logs = np.log(variance) - special.digamma(d / 2) + np.log(d / 2)
    excess = logs.var(ddof=1) - special.polygamma(1, d / 2)
    assert excess > 0
    prior = 2 * optimize.brentq(lambda x: special.polygamma(1, x) - excess, 1e-3, 1e6)
    centre = np.exp(logs.mean() + special.digamma(prior / 2) - np.log(prior / 2))
    found = _shrunken(variance, np.full(8, d), np.ones(8, np.bool_))
    expected = np.maximum((prior * centre + d * variance) / (prior + d), variance.mean())
    assert found.variance[variance < 1.5] == pytest.approx(expected[variance < 1.5])
    assert found.variance[variance > 1.5] == pytest.approx(variance[variance > 1.5])
    assert found.freedom[0] == pytest.approx(min(prior + d, 8 * d))
    even = np.ones(4, np.bool_)
    alike = _shrunken(np.array([1.0, 1.1, 0.9]), np.full(3, 2.0), even[:3])
    assert alike.variance == pytest.approx([1.0] * 3)
    assert alike.freedom == pytest.approx([6.0] * 3)
    apart = _shrunken(np.array([1.0, 1.1, 0.9, 60.0]), np.full(4, 2.0), even)
    assert apart.variance[3] == 60
    assert apart.freedom[3] == 2
    far = _shrunken(np.array([1.0, 1.1, 0.9, 6e4]), np.full(4, 2.0), even)
    assert far.variance == pytest.approx([1.0, 1.0, 1.0, 6e4])
    torn = _shrunken(np.array([1.0, 1.1, 0.9, 60.0]), np.full(4, 2.0), np.arange(4) < 3)
    assert torn.variance == pytest.approx([1.0, 1.0, 1.0, 60.0])
    assert torn.freedom == pytest.approx([6.0, 6.0, 6.0, 2.0])


def test_seeds_in_two_groups_are_seen_and_others_are_not() -> None:
    assert two_groups(np.array([0.90, 0.91, 0.60]), 0.01)
    assert two_groups(np.array([0.9, 0.91, 0.9, 0.6, 0.61]), 0.01)
    assert not two_groups(np.array([0.90, 0.91, 0.60]), 0.1)  # others spread as far
    assert not two_groups(np.array([0.90, 0.91, 0.60]), 0.01, least=0.4)
    assert not two_groups(np.array([0.90, 0.80, 0.60]), 0.01)
    assert not two_groups(np.array([0.9, 0.1]))
    drawn = np.random.default_rng(0).normal(size=(20_000, 3))
    assert two_groups(drawn, 1.0).mean() < 0.01


def test_cells_whose_seeds_fall_into_two_groups_are_named() -> None:
    rng = np.random.default_rng(0)
    steady = [0.1 + 0.01 * rng.normal(size=(3, 50)) for _ in range(2)]
    torn = 0.1 + 0.01 * rng.normal(size=(3, 50)) + np.array([[0.0], [0.0], [0.5]])
    found = verdicts([*steady, torn], [np.ones((1, 50))])
    assert found.uneven.tolist() == [False, False, True]
    twice = verdicts([*steady, torn, torn], [np.ones((1, 50))])
    assert twice.uneven.tolist() == [False, False, True, True]
    alone = [verdicts([torn, steady[0][:1]], [np.ones((1, 50))]), verdicts([torn], [np.ones((1, 50))])]
    assert not any(each.uneven.any() for each in alone)
    five = np.concatenate([torn, steady[0][:2]])
    assert verdicts([five], [np.ones((1, 50))]).uneven.tolist() == [True]
    # and the others' spread is learnt without them
    assert found.reference.p_value[0] < 1e-9


def test_where_it_is_known_when_a_task_is_solved_that_alone_counts() -> None:
    at = [0.001, 0.002, 0.3], [0.001, 0.005, 0.01], [0.3, 0.3, 0.9]
    cells = [np.array(each)[:, None] + np.zeros((3, 20)) for each in at]
    found = verdicts(cells, [np.ones((1, 20))], solved=0.01)
    assert found.uneven.tolist() == [True, False, False]


def test_wilson_interval_of_independent_hits() -> None:
    hits = np.array([1.0] * 45 + [0.0] * 55)
    assert proportion_interval(hits) == pytest.approx(proportion_confint(45, 100, method="wilson"), rel=1e-9)
    assert proportion_interval(np.ones(3)) == pytest.approx(proportion_confint(3, 3, method="wilson"), rel=1e-9)


def test_hits_that_depend_on_each_other_widen_the_interval() -> None:
    hits = np.repeat(np.random.default_rng(4).integers(0, 2, 60), 5).astype(float)
    low, high = proportion_interval(hits)
    low_5, high_5 = proportion_interval(hits, 5)
    assert high_5 - low_5 > 1.4 * (high - low)


@pytest.mark.parametrize(("items", "horizon"), [(5, 5), (9, 12), (20, 12), (24, 24), (60, 5), (359, 7)])
def test_the_interval_of_a_share_in_time_holds_it(items: int, horizon: int) -> None:
    rng = np.random.default_rng(10)
    held = 0
    for _ in range(500):
        low, high = proportion_interval((moving_sums(rng, items, horizon=horizon) > 0).astype(float), horizon)
        held += low <= 0.5 <= high
    assert held / 500 > 0.93


def test_no_hits_no_knowledge() -> None:
    assert proportion_interval(np.array([]), 1) == (0.0, 1.0)


def test_shares_of_units_are_no_single_hits() -> None:
    """Of ten speakers, each right in all of 40 recordings or in none: ten trials, and not 400."""
    by_speaker = np.array([1.0] * 7 + [0.0] * 3)
    apart = by_speaker * 0.98 + 0.01
    low, high = proportion_interval(apart)
    assert (low, high) == pytest.approx(proportion_interval(by_speaker), abs=0.06)
    alike = np.full(10, 0.7) + np.linspace(-0.01, 0.01, 10)
    low, high = proportion_interval(alike)
    assert high - low < 0.02


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_statsmodels(values: list[float]) -> None:
    assert holm(values) == pytest.approx(multipletests(values, method="holm")[1])


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([[0.5, 0.9], [0.01, 0.5]]) == pytest.approx(np.array([[1.0, 1.0], [0.02, 0.5]]))
    assert holm([]).shape == (0,)
    assert Comparison(*compare(np.zeros((1, 2)), np.zeros((1, 2)))).p_value == 1
