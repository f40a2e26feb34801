"""A report of the runs that agree with its words."""

from pathlib import Path

import pandas as pd
import pytest

from rnnlab.config.fingerprint import words_to_keep
from rnnlab.config.stages import compose_task
from rnnlab.report.results_table import _cell_entry, _settings
from rnnlab.report.selection import Selection
from rnnlab.results.paths import Results
from tests.conftest import Run

SHORT = ("trainer.limit_batches=1", "tracking=none")
STEPS = ("budget=steps", "budget.steps=2")
MATCHED = ("parameters=matched",)


@pytest.fixture
def judged(run: Run, root: Path) -> Path:
    """Price: gru and lstm as they are and as large as each other, the gru for a budget, too."""
    epoch = "trainer.max_epochs=1"
    for words in (("cell=gru", epoch), ("cell=gru,lstm", epoch, *MATCHED), ("cell=gru", *STEPS)):
        for name in ("train", "evaluate"):
            assert run(name, "-m", *SHORT, *words).code == 0
    assert run("evaluate", "cell=lstm", *SHORT, epoch).code == 0, "one run answers both words"
    return root


def test_a_report_is_of_the_runs_that_its_words_describe(run: Run, judged: Path) -> None:
    found = [Results(path.parent) for path in sorted(judged.glob("runs/price/*/*/*/evaluate"))]

    def chosen(*words: str) -> list[tuple[str, int]]:
        wanted = Selection(compose_task("price", *words), words)
        entries = [_cell_entry(results, _settings(results)) for results in found if wanted.takes(results)]
        return [(entry.name, entry.training[0]["parameters"]) for entry in entries]

    sizes = dict(chosen("parameters=matched"))
    assert sorted(chosen()) == sorted([("gru", 3621), ("gru", 3621), ("gru", sizes["gru"]), ("lstm", 4773)])
    assert sizes["gru"] == pytest.approx(4773, rel=0.05)
    assert chosen("parameters=matched", "parameters.count=4773") == list(sizes.items())
    assert chosen("parameters=free", "budget=epochs") == [("gru", 3621), ("lstm", 4773)]
    assert chosen(*STEPS) == [("gru", 3621)]
    assert chosen("cell=gru", "budget.steps=2") == [("gru", 3621)]
    assert chosen("parameters.count=9") == chosen("task=xor") == []

    outcome = run("report", "report.folder=runs", "tracking=none", *MATCHED)
    assert outcome.code == 0
    assert "Of the runs with parameters=matched." in outcome.out
    table = pd.read_csv(judged / "reports-runs/leaderboard.csv").query("kind == 'cell'")
    assert dict(zip(table["name"], table["parameters"], strict=True)) == sizes
    assert set(table["trials"]) == {0}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("report.folder=runs", "budget.steps=3"), "There is nothing evaluated in"),
        (("report.folder=runs", "seed=1"), "seed=1: the runs of a report are chosen by task, cell"),
        (("-m", "report.folder=runs", "cell=rnn,gru"), "leave out -m, cell= and seed="),
        (("cell=rnn",), "choose with report.folder=runs"),
        (("report.folder=runs", "cell=rnn", "report.write=false"), "report.write=false shows what was written last"),
    ],
)
def test_words_that_choose_nothing_are_refused(run: Run, root: Path, words: tuple[str, ...], told: str) -> None:
    outcome = run("report", *words, "tracking=none")
    assert outcome.code == 2
    assert told in outcome.err
    assert not (root / "reports-runs").exists()


def test_of_a_key_given_twice_a_sweep_is_named_by_the_last() -> None:
    assert words_to_keep(["task.length=10,25", "cell=gru", "task.length=5"]) == ["cell=gru", "task.length=5"]
