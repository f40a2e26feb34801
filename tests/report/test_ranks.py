"""Cells over several tasks, against scipy's tests and by hand."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from rnnlab.report.ranks import Ranking, _friedman, draw, in_words, rank
from rnnlab.report.results_table import Entry, Section


def section(task: str, scores: dict[str, float], direction: str = "min") -> Section:
    entries = [
        Entry(name, "cell", {"score": value}, [{"score": value}] * 3, np.ones((3, 2))) for name, value in scores.items()
    ]
    naive = Entry("naive", "baseline", {"score": 0.0}, [], np.ones((1, 2)))
    return Section(task, "d1", "score", direction, "naive", 1, "steps ahead", [*entries, naive])


def test_ranks_follow_the_direction_and_share_ties() -> None:
    found = rank([section("a", {"x": 1, "y": 2, "z": 2}), section("b", {"x": 1, "y": 3, "z": 2}, "max")])
    assert found is not None
    assert dict(zip(found.cells, found.mean_ranks, strict=True)) == {"x": 2.0, "y": 1.75, "z": 2.25}
    assert found.cells == ["y", "x", "z"]


def test_the_critical_difference_of_a_published_example() -> None:
    """Demšar (2006): 4 classifiers on 14 data sets differ at 1.25, q = 2.569."""
    found = rank([section(str(task), {"a": 1, "b": 2, "c": 3, "d": 4}) for task in range(14)])
    assert found is not None
    assert found.critical_difference == pytest.approx(1.25, abs=0.005)


def test_only_cells_that_stand_in_every_task_are_ranked() -> None:
    found = rank([section("a", {"x": 1, "y": 2, "z": 3}), section("b", {"x": 1, "y": 3})])
    assert found is not None
    assert found.cells == ["x", "y"]
    assert rank([section("a", {"x": 1, "y": 2})]) is None
    assert found.left_out == ["z"]
    assert in_words(found).endswith("Left out, for they are not on every task: z.")
    assert rank([section("a", {"x": 1}), section("b", {"y": 1})]) is None


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


def test_bars_cover_the_longest_runs_that_are_not_told_apart() -> None:
    found = Ranking(["a", "b", "c", "d"], [1.0, 1.5, 2.6, 4.0], ["t"] * 9, 0.001, 1.2)
    assert found.groups() == [(0, 1), (1, 2)]
    assert "a ranks before c, d by more than 1.20" in in_words(found)
    lines = draw(found).axes[0].lines
    assert sum(line.get_linewidth() == 3.5 for line in lines) == 2
