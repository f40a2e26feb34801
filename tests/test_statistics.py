"""Intervals and tests against worked examples, and against what they promise in repeated sampling."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rnnlab.statistics import (
    Comparison,
    can_tell,
    compare,
    holm,
    long_run_variance,
    mean_interval,
    proportion_interval,
    skill_interval,
)


def diebold_mariano(loss: np.ndarray, reference: np.ndarray, horizon: int) -> Comparison:
    return compare(loss[None], reference[None], horizon)


def test_diebold_mariano_at_one_step_is_a_t_test_of_the_differences() -> None:
    rng = np.random.default_rng(0)
    loss, reference = rng.normal(size=80), rng.normal(size=80)
    expected = stats.ttest_rel(loss, reference)
    found = diebold_mariano(loss, reference, horizon=1)
    # the variance over n instead of n - 1 and the correction (n - 1)/n make up for each other
    assert found == pytest.approx((expected.statistic, expected.pvalue), rel=1e-12)


@pytest.mark.parametrize("horizon", [1, 5])
def test_diebold_mariano_rejects_about_one_in_twenty_when_there_is_no_difference(horizon: int) -> None:
    rng = np.random.default_rng(1)
    rejected = 0
    for _ in range(2000):
        # h-step forecasts overlap: losses are moving sums over h steps
        noise = rng.normal(size=(2, 300 + horizon - 1))
        losses = np.stack([np.convolve(row, np.ones(horizon), "valid") for row in noise])
        rejected += diebold_mariano(losses[0], losses[1], horizon).p_value < 0.05
    assert 0.03 < rejected / 2000 < 0.08


@pytest.mark.parametrize(("items", "horizon"), [(365, 30), (200, 24), (60, 24)])
def test_few_forecasts_of_many_steps_are_little_evidence(items: int, horizon: int) -> None:
    """With items - 1 degrees of freedom it would err in one of ten, nine, and four."""
    rng = np.random.default_rng(6)
    rejected = 0
    for _ in range(2000):
        difference = np.convolve(rng.normal(size=items + horizon - 1), np.ones(horizon), "valid")
        rejected += compare(difference[None], np.zeros((1, items)), horizon).p_value < 0.05
    assert 0.01 < rejected / 2000 < 0.085


def errors_over(horizon: int, items: int, rng: np.random.Generator) -> np.ndarray:
    """The mean absolute error of each forecast over its steps, of which it shares all but one with the next."""
    return np.convolve(np.abs(rng.normal(size=items + horizon - 1)), np.full(horizon, 1 / horizon), "valid")


@pytest.mark.parametrize(("items", "horizon"), [(4, 2), (10, 5), (24, 12), (48, 24), (36, 12), (60, 12)])
def test_a_test_is_right_from_the_fewest_forecasts_on(items: int, horizon: int) -> None:
    rng = np.random.default_rng(9)
    different = certain = held = 0
    for _ in range(1000):
        losses, reference = (errors_over(horizon, items, rng)[None] for _ in range(2))
        p_value = compare(losses, reference, horizon).p_value
        low, high = skill_interval(losses, reference, horizon)
        different += p_value < 0.05
        certain += p_value < 0.0001
        held += low <= 0 <= high
    assert different / 1000 < 0.085
    assert certain / 1000 <= 0.003
    assert held / 1000 > 0.915


@settings(max_examples=60, deadline=None)
@given(items=st.integers(1, 40), horizon=st.integers(1, 24), seeds=st.integers(1, 3), seed=st.integers(0, 99))
def test_too_few_forecasts_are_refused_and_all_others_tested(items: int, horizon: int, seeds: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    losses = np.stack([errors_over(horizon, items, rng) for _ in range(seeds)])
    reference = errors_over(horizon, items, rng)[None]
    assert can_tell(items, horizon) == (items >= 2 * horizon)
    if can_tell(items, horizon):
        assert 0 < compare(losses, reference, horizon).p_value <= 1
        assert np.isfinite(skill_interval(losses, reference, horizon)).all()
    else:
        for ask in (compare, skill_interval):
            with pytest.raises(ValueError, match=f"{items} items are too few: at least {2 * horizon} are needed"):
                ask(losses, reference, horizon)


def test_diebold_mariano_sees_a_true_difference_and_its_sign() -> None:
    rng = np.random.default_rng(2)
    loss = rng.normal(size=500) ** 2
    better = diebold_mariano(0.5 * loss, loss, horizon=1)
    assert better.statistic < 0
    assert better.p_value < 1e-6
    assert diebold_mariano(loss, 0.5 * loss, horizon=1).statistic > 0


def test_diebold_mariano_of_equal_losses_is_no_evidence() -> None:
    assert diebold_mariano(np.ones(10), np.ones(10), horizon=3) == (0.0, 1.0)


def test_right_everywhere_against_wrong_everywhere_is_judged_by_the_number_of_items() -> None:
    """As by the sign test, for there is no variance."""
    for items in (4, 500):
        found = compare(np.zeros((3, items)), np.ones((1, items)))
        assert found.statistic == -np.inf
        assert found.p_value == pytest.approx(stats.binomtest(0, items).pvalue)


def drawn(rng: np.random.Generator, seeds: int, spread: float, items: int = 200) -> np.ndarray:
    """Losses of a method whose mean over all seeds and items is 0; `spread`: of seeds, in standard errors of items."""
    return rng.normal(size=(1, items)) + rng.normal(size=(seeds, 1)) * spread * items**-0.5


@pytest.mark.parametrize("seeds", [3, 10])
@pytest.mark.parametrize("spread", [0.2, 1.0, 5.0])
@pytest.mark.parametrize("against", ["baseline", "cell"])
def test_a_comparison_over_seeds_and_items_is_wrong_in_one_of_twenty(seeds: int, spread: float, against: str) -> None:
    rng = np.random.default_rng(5)
    wrong = 0
    for _ in range(2000):
        other = drawn(rng, seeds if against == "cell" else 1, spread if against == "cell" else 0.0)
        wrong += compare(drawn(rng, seeds, spread), other).p_value < 0.05
    assert 0.02 < wrong / 2000 < 0.08


def test_seeds_that_agree_leave_the_test_over_items() -> None:
    rng = np.random.default_rng(7)
    loss, reference = rng.normal(size=(2, 80))
    same = compare(np.tile(loss, (3, 1)), reference[None])
    assert same == pytest.approx(diebold_mariano(loss, reference, horizon=1), rel=1e-9)


@pytest.mark.parametrize("spread", [0.2, 5.0])
def test_the_interval_of_a_skill_holds_it_in_about_nineteen_of_twenty(spread: float) -> None:
    """True skill 0.2, on losses that move with those of the reference."""
    rng = np.random.default_rng(8)
    held = 0
    for _ in range(2000):
        reference = rng.exponential(size=(1, 300))
        losses = 0.8 * (reference + 0.3 * drawn(rng, 3, spread, 300))
        low, high = skill_interval(losses, reference)
        held += low <= 0.2 <= high
    assert 0.9 < held / 2000 < 0.98


def test_a_skill_that_does_not_vary_is_a_point() -> None:
    reference = np.arange(1.0, 9.0)[None]
    assert skill_interval(0.5 * reference, reference) == pytest.approx((0.5, 0.5))
    assert np.isnan(skill_interval(reference, 0 * reference)).all()


def test_the_long_run_variance_of_a_moving_sum() -> None:
    rng = np.random.default_rng(3)
    series = np.convolve(rng.normal(size=200_000), np.ones(3), "valid")
    # the mean of a sum over 3 steps varies as 3² independent values
    assert long_run_variance(series, 2) == pytest.approx(9, rel=0.05)


def test_wilson_interval_of_independent_hits() -> None:
    hits = np.array([1.0] * 45 + [0.0] * 55)
    expected = stats.binomtest(45, 100).proportion_ci(method="wilson")
    assert proportion_interval(hits, horizon=1) == pytest.approx((expected.low, expected.high), rel=1e-9)


def test_overlapping_hits_widen_the_interval() -> None:
    hits = np.repeat(np.random.default_rng(4).integers(0, 2, 60), 5).astype(float)
    low, high = proportion_interval(hits, horizon=1)
    low_5, high_5 = proportion_interval(hits, horizon=5)
    assert high_5 - low_5 > 1.4 * (high - low)


@pytest.mark.parametrize(("items", "horizon"), [(5, 5), (9, 12), (12, 12), (20, 12), (24, 24)])
def test_few_hits_that_overlap_are_worth_next_to_nothing(items: int, horizon: int) -> None:
    rng = np.random.default_rng(10)
    held = 0
    for _ in range(500):
        ups = np.convolve(rng.normal(size=items + horizon - 1), np.ones(horizon), "valid") > 0
        low, high = proportion_interval(ups.astype(float), horizon)
        held += low <= 0.5 <= high
    assert held / 500 > 0.93


def test_no_hits_no_knowledge() -> None:
    assert proportion_interval(np.array([]), horizon=1) == (0.0, 1.0)


def test_mean_interval_is_students() -> None:
    values = np.array([1.0, 2.0, 4.0])
    expected = stats.t.interval(0.95, 2, values.mean(), values.std(ddof=1) / np.sqrt(3))
    assert mean_interval(values) == pytest.approx(expected)
    assert all(np.isnan(mean_interval(np.array([1.0]))))


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []
