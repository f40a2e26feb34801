"""Cells over several tasks, against the tests of scipy, scikit-posthocs and statsmodels, and by hand."""

from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import pytest
import scikit_posthocs
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests

from rnnlab.report.page import write
from rnnlab.report.ranks import (
    Pair,
    Ranking,
    _friedman,
    draw,
    in_words,
    rank,
    relative_difference,
    signed_rank_test,
    tasks_needed,
)
from rnnlab.report.results_table import Entry, Section
from rnnlab.statistics import holm
from tests.report.parts import RAIN


def section(task: str, scores: dict[str, float], direction: str = "min", metric: str = "score") -> Section:
    entries = [
        Entry(name, "cell", {metric: value}, [{metric: value}] * 3, np.ones((3, 2))) for name, value in scores.items()
    ]
    naive = Entry("naive", "baseline", {metric: 0.0}, [{metric: 0.0}], np.ones((1, 2)))
    return replace(RAIN, task=task, metric=metric, direction=direction, entries=[*entries, naive])


def ranking(errors: NDArray[np.float64], names: str = "abcdefgh") -> Ranking:
    """Of errors, (tasks, cells)."""
    found = rank([section(str(task), dict(zip(names, row, strict=False))) for task, row in enumerate(errors)])
    assert found is not None
    return found


def drawn(tasks: int, cells: int, seed: int, better: float = 0.0) -> NDArray[np.float64]:
    """Errors of different size from task to task, each cell better than the next by about a share of it."""
    rng = np.random.default_rng(seed)
    errors: NDArray[np.float64] = np.exp(
        rng.normal(size=(tasks, 1)) + 0.2 * rng.normal(size=(tasks, cells)) + better * np.arange(cells)
    )
    return errors


def test_ranks_follow_the_direction_and_share_ties() -> None:
    found = rank([section("a", {"x": 1, "y": 2, "z": 2}), section("b", {"x": 1, "y": 3, "z": 2}, "max")])
    assert found is not None
    assert dict(zip(found.cells, found.mean_ranks, strict=True)) == {"x": 2.0, "y": 1.75, "z": 2.25}
    assert found.cells == ["y", "x", "z"]


def test_only_cells_that_stand_in_every_task_are_ranked() -> None:
    found = rank([section("a", {"x": 1, "y": 2, "z": 3}), section("b", {"x": 1, "y": 3})])
    assert found is not None
    assert found.cells == ["x", "y"]
    assert rank([section("a", {"x": 1, "y": 2})]) is None
    assert found.left_out == ["z"]
    assert in_words(found).endswith("Left out, as they are not judged on every task, or have no finite score there: z.")
    assert rank([section("a", {"x": 1}), section("b", {"y": 1})]) is None


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_cell_whose_score_is_not_finite_is_left_out(value: float) -> None:
    found = rank([section("a", {"x": 1, "y": 2, "z": value}), section("b", {"x": 1, "y": 3, "z": 2})])
    assert found is not None
    assert found.cells == ["x", "y"]
    assert found.left_out == ["z"]


def test_few_seeds_are_named() -> None:
    one, other = (section(task, {"x": 1, "y": 2}) for task in "ab")
    short = replace(other, entries=[replace(each, by_seed=each.by_seed[:1]) for each in other.entries])
    found = rank([one, short])
    assert found is not None
    assert found.few == ["b"]
    assert "Fewer than three seeds of a cell on b" in in_words(found)


def test_a_task_with_one_cell_alone_is_passed_over() -> None:
    several = [section(task, {"x": 1, "y": 2}) for task in "ab"]
    found = rank([*several, section("c", {"x": 1})])
    assert found is not None
    assert found.tasks == ["a", "b"]
    assert found.left_out == []


def test_what_was_not_tuned_alike_is_named() -> None:
    one, other = (section(task, {"x": 1, "y": 2}) for task in "ab")
    searched = replace(other, entries=[replace(other.entries[0], trials=50), *other.entries[1:]])
    found = rank([one, searched])
    assert found is not None
    assert found.unequal == ["b"]
    assert in_words(found).endswith("The cells were not tuned or trained alike on b: not a fair comparison there.")


def test_a_task_on_two_states_of_its_data_counts_once() -> None:
    twice = [section("a", {"x": 1, "y": 2}), section("a", {"x": 3, "y": 2}), section("b", {"x": 1, "y": 2})]
    found = rank(twice)
    assert found is not None
    assert found.tasks == ["a", "b"]
    assert found.mean_ranks == [1.0, 2.0]


def test_the_permutation_test_is_friedmans_where_tasks_are_many() -> None:
    rng = np.random.default_rng(0)
    ranks = stats.rankdata(rng.normal(size=(40, 4)) + np.array([0, 0.1, 0.2, 0.35]), axis=1)
    expected = stats.friedmanchisquare(*ranks.T).pvalue
    assert 0.01 < expected < 0.9
    assert _friedman(ranks) == pytest.approx(expected, abs=0.02)


def test_two_tasks_that_agree_are_no_evidence() -> None:
    found = rank([section(task, {"x": 1, "y": 2, "z": 3}) for task in "ab"])
    assert found is not None
    assert found.p_value == pytest.approx(1 / 6, abs=0.01)
    assert "sees no difference" in in_words(found)


def test_a_difference_is_the_share_of_the_larger_error() -> None:
    assert relative_difference(0.75, 1.0, "mase", "min") == 0.25
    assert relative_difference(1.0, 0.75, "mase", "min") == -0.25
    assert relative_difference(0.99, 0.98, "accuracy", "max") == 0.5
    assert relative_difference(75, 50, "bleu", "max") == 0.5
    assert relative_difference(0, 0, "mse", "min") == 0
    assert relative_difference(1, 1, "accuracy", "max") == 0
    assert relative_difference(0, 0.5, "mse", "min") == 1
    assert relative_difference(40, 30, "reward", "max") == 0.25, "no best value is known: the metric itself"
    assert relative_difference(-40, -30, "log_likelihood", "max") < 0
    assert relative_difference(-2, 1, "nll", "min") == 1.5


errors_of_two = st.tuples(st.floats(0, 1e3), st.floats(0, 1e3))


@given(errors_of_two, st.integers(-20, 20))
def test_a_difference_has_no_unit_and_a_sign(both: tuple[float, float], power: int) -> None:
    one, other = both
    found = relative_difference(one, other, "mse", "min")
    assert relative_difference(other, one, "mse", "min") == -found
    assert -1 <= found <= 1
    assert relative_difference(one * 2.0**power, other * 2.0**power, "mse", "min") == pytest.approx(found, abs=1e-11)
    assert relative_difference(one, one, "mse", "min") == 0


def test_signed_ranks_by_hand() -> None:
    """Of five differences one is against, of rank 2: W₊ = 13, W₋ = 2, and three of 32 signs give 2 or less."""
    assert signed_rank_test(np.array([0.1, -0.2, 0.3, 0.4, 0.5])) == (11.0, 6 / 32)
    assert signed_rank_test(np.array([0.1, 0.2, 0.3, 0.4])) == (10.0, 0.125)
    assert signed_rank_test(np.array([0.1, 0.2, 0.0, 0.0, 0.3])) == (6.0, 0.25), "zeros are left out"
    assert signed_rank_test(np.zeros(9)) == (0.0, 1.0)
    assert signed_rank_test(np.array([1.0, 1.0, -1.0])) == (2.0, 1.0), "ranks of 2 each: W₋ is 2 or less in half of all"


@pytest.mark.parametrize("tasks", [3, 6, 12, 30, 50])
def test_without_ties_the_test_is_scipys_exact_one(tasks: int) -> None:
    differences = np.random.default_rng(tasks).normal(0.3, 1, tasks)
    expected = stats.wilcoxon(differences, method="exact").pvalue
    assert signed_rank_test(differences)[1] == pytest.approx(expected, rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=2, max_size=9))
def test_with_ties_and_zeros_the_test_is_that_of_all_signs(whole: list[int]) -> None:
    differences = np.array(whole, dtype=float)
    signed, found = signed_rank_test(differences)
    kept = differences[differences != 0]
    ranks = stats.rankdata(np.abs(kept))
    patterns = (np.arange(2 ** len(kept))[:, None] >> np.arange(len(kept))) % 2 * 2 - 1
    assert signed == (np.sign(kept) * ranks).sum()
    assert found == pytest.approx(np.mean(np.abs(patterns @ ranks) >= abs(signed)))


@given(st.lists(st.floats(-1, 1).map(lambda value: round(value, 3)), min_size=1, max_size=20), st.randoms())
def test_neither_the_order_of_tasks_nor_that_of_the_cells_decides(values: list[float], random: Random) -> None:
    differences = np.array(values)
    signed, p_value = signed_rank_test(differences)
    assert signed_rank_test(-differences) == (-signed, p_value)
    random.shuffle(values)
    assert signed_rank_test(np.array(values)) == (signed, p_value)
    assert p_value >= min(1.0, 2.0 ** (1 - len(values)))
    assert p_value <= 1


def test_the_test_errs_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    p_values = np.array([signed_rank_test(rng.normal(size=12))[1] for _ in range(2000)])
    assert 0.03 < (p_values < 0.05).mean() < 0.065


@pytest.mark.parametrize(("tasks", "cells", "better"), [(12, 4, 0.15), (15, 6, 0.1), (8, 3, 0.3), (5, 3, 0.3)])
def test_pairs_are_those_of_scikit_posthocs(tasks: int, cells: int, better: float) -> None:
    """Its differences are e - e': the relative ones reach it as the errors of two cells at a time."""
    errors = drawn(tasks, cells, seed=cells, better=better)
    found = ranking(errors)
    plain = []
    for one, other in combinations(range(cells), 2):
        differences = [relative_difference(*row[[one, other]], "score", "min") for row in errors]
        both = np.array([differences, np.zeros(tasks)])
        plain.append(float(scikit_posthocs.posthoc_wilcoxon(both, method="exact").iloc[0, 1]))
    corrected = multipletests(plain, method="holm")[1]
    for (one, other), p_value, p_holm in zip(combinations("abcdefgh"[:cells], 2), plain, corrected, strict=True):
        assert found.pair(one, other).p_value == pytest.approx(p_value)
        assert found.pair(one, other).p_holm == pytest.approx(p_holm)


def test_holm_over_all_pairs_is_that_of_scikit_posthocs() -> None:
    """Where the better of two has an error of 0.9 times the other's on all tasks, any unit gives the same signs."""
    cells = np.cumprod(np.full((4, 1), 0.9), axis=0)
    errors = (1 + 0.1 * np.arange(11)) * cells
    table = scikit_posthocs.posthoc_wilcoxon(errors, p_adjust="holm", method="exact")
    found = ranking(errors.T)
    assert found.cells == list("dcba")
    for one, other in combinations(range(4), 2):
        assert found.pair("abcd"[one], "abcd"[other]).p_holm == pytest.approx(table.iloc[one, other])
    assert found.pair("a", "b").p_holm == pytest.approx(6 * 2**-10)


def test_the_test_of_two_cells_does_not_depend_on_the_others() -> None:
    """Unlike a critical difference of mean ranks (Benavoli, Corani and Mangili 2016)."""
    errors = drawn(10, 6, seed=3, better=0.1)
    all_of_them, alone = ranking(errors).pair("a", "b"), ranking(errors[:, :2]).pair("a", "b")
    assert replace(all_of_them, p_holm=1.0) == replace(alone, p_holm=1.0)
    assert all_of_them.p_holm >= alone.p_holm == alone.p_value


def test_a_pair_by_hand() -> None:
    """One task in accuracy, one tied, and one lost."""
    found = rank(
        [
            section("a", {"x": 0.9, "y": 0.8}, "max", "accuracy"),
            section("b", {"x": 2.0, "y": 2.0}),
            section("c", {"x": 1.0, "y": 0.9}),
            section("d", {"x": 1.0, "y": 4.0}),
        ]
    )
    assert found is not None
    (pair,) = found.pairs
    assert pair == Pair("x", "y", pytest.approx((0.5 + 0 - 0.1 + 0.75) / 4), 2, 1, 1, 4.0, 0.5, 0.5)
    assert found.pair("y", "x") == Pair("y", "x", -pair.mean_difference, 1, 1, 2, -4.0, 0.5, 0.5)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 12), st.integers(2, 6), st.integers(0, 1000), st.floats(0, 0.4))
def test_tasks_in_another_order_change_nothing(tasks: int, cells: int, seed: int, better: float) -> None:
    errors = drawn(tasks, cells, seed, better)
    one, other = ranking(errors), ranking(errors[np.random.default_rng(seed).permutation(tasks)])
    assert one.cells == other.cells
    for first, second in zip(one.pairs, other.pairs, strict=True):
        assert replace(first, mean_difference=0.0) == replace(second, mean_difference=0.0)
        assert first.mean_difference == pytest.approx(second.mean_difference)
    assert one.cliques() == other.cliques()


def of_pairs(apart: set[tuple[int, int]], count: int, tasks: int = 9) -> Ranking:
    """Cells of which those pairs differ."""
    names = "abcdefghij"[:count]
    pairs = [
        Pair(names[i], names[j], 0.1, tasks, 0, 0, 45.0, p_value, p_value)
        for i, j in combinations(range(count), 2)
        for p_value in ([0.001] if (i, j) in apart else [0.5])
    ]
    return Ranking(list(names), [1.0 + i for i in range(count)], [f"t{i}" for i in range(tasks)], 0.001, pairs)


def test_bars_cover_the_longest_runs_of_which_no_two_differ() -> None:
    found = of_pairs({(0, 2), (0, 3), (1, 3)}, 4)
    assert found.cliques() == [(0, 1), (1, 2), (2, 3)]
    lines = draw(found).axes[0].lines
    assert sum(line.get_linewidth() == 3.5 for line in lines) == 3
    assert of_pairs({(1, 2)}, 4).cliques() == [(0, 1), (2, 3)], "a and c do not differ, but b between them does from c"
    assert of_pairs(set(), 4).cliques() == [(0, 3)]
    assert of_pairs(set(combinations(range(4), 2)), 4).cliques() == []


@given(
    st.integers(2, 9).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.sampled_from([*combinations(range(n), 2)]))))
)
def test_cliques_are_all_maximal_runs_and_no_others(drawn_pairs: tuple[int, set[tuple[int, int]]]) -> None:
    count, apart = drawn_pairs
    found = of_pairs(apart, count).cliques()

    def alike(first: int, last: int) -> bool:
        return not any(first <= i and j <= last for i, j in apart)

    for first, last in combinations(range(count), 2):
        covered = any(start <= first and last <= end for start, end in found)
        assert covered == alike(first, last)
    for one, other in pairwise(found):
        assert one[0] < other[0]
        assert one[1] < other[1], "none within another"


def test_few_tasks_are_said_to_tell_nothing() -> None:
    words = in_words(ranking(drawn(4, 3, seed=0, better=1.0)))
    assert "With 4 tasks no pair can differ significantly: the smallest p is 0.125. " in words
    assert words.endswith("Among 3 cells a difference takes at least 7 tasks.")
    found = ranking(drawn(8, 6, seed=0, better=1.0))
    assert not any(pair.differs for pair in found.pairs)
    words = "no pair can differ significantly: the smallest p is 0.00781, and 0.12 after Holm's correction for 15 pairs"
    assert words in in_words(found)
    assert all(pair.differs for pair in ranking(drawn(10, 6, seed=0, better=2.0)).pairs)


@pytest.mark.parametrize(("pairs", "tasks"), [(1, 6), (3, 7), (15, 10), (703, 15)])
def test_the_fewest_tasks_that_can_tell(pairs: int, tasks: int) -> None:
    assert tasks_needed(pairs) == tasks
    assert min(holm([2.0 ** (1 - tasks)] * pairs)) < 0.05 <= min(holm([2.0 ** (2 - tasks)] * pairs))


def test_the_words_say_whom_the_first_in_rank_is_better_than() -> None:
    test = "Pair by pair (Wilcoxon's signed-rank test over tasks, Holm's correction)"
    some = in_words(of_pairs({(0, 2), (0, 3), (1, 3)}, 4, tasks=12))
    assert f"{test} a, the first in rank, is better than c, d, and not seen to differ from b. Of 6 pairs 3 " in some
    none = in_words(of_pairs(set(), 4, tasks=12))
    assert f"{test} no difference is seen: more tasks might show one." in none
    first = in_words(of_pairs({(2, 3)}, 4, tasks=12))
    assert "a, the first in rank, is not seen to differ from any other. Of 6 pairs 1 differs significantly." in first
    best = in_words(of_pairs({(0, other) for other in range(1, 9)}, 9, tasks=12))
    assert "a, the first in rank, is better than any other." in best
    many = in_words(of_pairs({(0, other) for other in range(2, 9)}, 9, tasks=12))
    assert "is better than 7 others, and not seen to differ from b." in many


def test_a_cell_may_be_first_in_rank_and_lose_to_another() -> None:
    """Where it is ahead of the other on most tasks, but further behind the rest on some."""
    found = of_pairs({(0, 1), (0, 2)}, 3, tasks=12)
    found = replace(found, pairs=[replace(found.pairs[0], signed_ranks=-45.0), *found.pairs[1:]])
    assert "a, the first in rank, is better than c, and worse than b. Of 3 pairs 2 differ" in in_words(found)


def pages(folder: Path, count: int, tasks: int = 12) -> tuple[str, str, pd.DataFrame]:
    errors = drawn(tasks, count, seed=1, better=0.3)
    names = [f"cell{i:02d}" for i in range(count)]
    facts = {"parameters": 1, "multiply_adds": 1, "train_seconds": 1.0, "steps_per_second": 1.0}
    found = [section(f"t{task}", dict(zip(names, row, strict=True))) for task, row in enumerate(errors)]
    trained = [
        replace(
            each,
            entries=[
                replace(entry, training=[{**facts, "state_size": 1}] * 3 if entry.kind == "cell" else [])
                for entry in each.entries
            ],
        )
        for each in found
    ]
    write(trained, folder)
    markdown, html = ((folder / f"leaderboard.{kind}").read_text(encoding="utf-8") for kind in ("md", "html"))
    return markdown, html, pd.read_csv(folder / "pairs.csv")


def test_pairs_are_in_the_text_the_page_and_a_file(tmp_path: Path) -> None:
    markdown, html, pairs = pages(tmp_path / "reports", 4)
    assert list(pairs.columns) == list(Pair.__dataclass_fields__)
    assert len(pairs) == 6
    rows = [
        line.split("|")[1:-1] for line in markdown[markdown.index("## Over all tasks") :].splitlines() if "|" in line
    ]
    shown = [[cell.strip() for cell in row] for row in rows[2:]]
    assert [row[:2] for row in shown] == pairs[["cell", "other"]].to_numpy().tolist()
    first = pairs.iloc[0]
    assert shown[0][2:4] == [f"{100 * first.mean_difference:+.1f} %", f"{first.wins}/{first.ties}/{first.losses}"]
    assert f"<br>{first.wins}/{first.ties}/{first.losses}<br>p " in html
    assert html.count('class="differs"') == 2 * (pairs["p_holm"] < 0.05).sum() > 0
    assert html.count("<br>p ") == 12


def test_with_many_cells_the_text_names_the_file(tmp_path: Path) -> None:
    markdown, html, pairs = pages(tmp_path / "reports", 9, tasks=3)
    assert markdown.rstrip().endswith("All 36 pairs of cells are in pairs.csv.")
    assert len(pairs) == 36
    assert html.count("<br>p ") == 72


@pytest.mark.parametrize("count", [2, 6, 20, 38])
def test_nothing_of_the_diagram_is_cut_off(count: int) -> None:
    names = [f"antisymmetric{i}" for i in range(count)]
    pairs = [Pair(*both, 0.1, 9, 0, 0, 45.0, 0.5, 0.5) for both in combinations(names, 2)]
    figure = draw(Ranking(names, [1.0 + i for i in range(count)], ["t"] * 9, 0.001, pairs))
    figure.draw_without_rendering()
    width, height = figure.bbox.width, figure.bbox.height
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert all(box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height for box in boxes)
    axis = boxes[: len(boxes) - count]
    assert all(left.x1 < right.x0 for left, right in pairwise(axis)), "numbers of the axis do not overlap"
