"""A report of the runs that agree with its words."""

from pathlib import Path

import pandas as pd
import pytest

from rnnlab.config import words_to_keep
from tests.conftest import Run

SHORT = ("trainer.limit_batches=1", "tracking=none")
STEPS = ("budget=steps", "budget.steps=2")
MATCHED = ("parameters=matched",)


@pytest.fixture
def judged(run: Run, root: Path) -> Path:
    """Price: gru and lstm as they are, as large as each other, and for a budget; xor: the gru."""
    for words in ((), MATCHED, STEPS):
        for cell in ("gru", "lstm"):
            for name in ("train", "evaluate"):
                assert (
                    run(name, f"cell={cell}", *SHORT, *(words or ("trainer.max_epochs=1",)), *epochs(words)).code == 0
                )
    for name in ("train", "evaluate"):
        assert run(name, "task=xor", "cell=gru", "trainer.max_epochs=1", "tracking=none").code == 0
    return root


def epochs(words: tuple[str, ...]) -> tuple[str, ...]:
    return ("trainer.max_epochs=1",) if words == MATCHED else ()


def test_a_report_is_of_the_runs_that_its_words_describe(run: Run, judged: Path) -> None:
    def table(*words: str) -> pd.DataFrame:
        outcome = run("report", "report.folder=runs", "tracking=none", *words)
        assert outcome.code == 0, outcome.err
        told = f"Of the runs with {' '.join(words)}." if words else "# Leaderboard"
        assert told in outcome.out
        found = pd.read_csv(judged / "reports-runs/leaderboard.csv")
        return found[found["kind"] == "cell"].sort_values("name").set_index("name")

    assert set(table()["task"]) == {"price", "xor"}
    assert set(table("task=xor")["task"]) == {"xor"}
    free, matched = table("task=price", "parameters=free", "budget=epochs"), table("parameters=matched")
    assert list(free.index) == list(matched.index) == ["gru", "lstm"]
    assert list(free["trials"]) == list(matched["trials"]) == [0, 0]
    assert free["parameters"]["lstm"] == matched["parameters"]["lstm"], "one run, which answers both"
    assert free["parameters"]["gru"] < 0.8 * free["parameters"]["lstm"]
    assert matched["parameters"]["gru"] == pytest.approx(matched["parameters"]["lstm"], rel=0.05)
    assert list(table(*STEPS).index) == ["gru", "lstm"]
    assert list(table("cell=gru", "budget.steps=2").index) == ["gru"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("report.folder=runs", "budget.steps=3"), "There is nothing evaluated in"),
        (("report.folder=runs", "seed=1"), "seed=1: the runs of a report are chosen by task, cell"),
        (("-m", "report.folder=runs", "cell=rnn,gru"), "leave out -m, cell= and seed="),
        (("cell=rnn",), "choose with report.folder=runs"),
    ],
)
def test_words_that_choose_nothing_are_refused(run: Run, root: Path, words: tuple[str, ...], told: str) -> None:
    outcome = run("report", *words, "tracking=none")
    assert outcome.code == 2
    assert told in outcome.err
    assert not (root / "reports-runs").exists()


def test_of_a_key_given_twice_a_sweep_is_named_by_the_last() -> None:
    assert words_to_keep(["task.length=10,25", "cell=gru", "task.length=5"]) == ["cell=gru", "task.length=5"]
