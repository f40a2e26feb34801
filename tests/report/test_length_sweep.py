"""Where cells stop learning: read from runs on disk, named by what differs, drawn."""

from pathlib import Path

import pandas as pd
import pytest
from matplotlib.pyplot import imread

from rnnlab.report.length_sweep import draw_lengths, learnt_up_to, read_runs
from rnnlab.results.files import read_json
from tests.conftest import Run

SMALL = ("task=adding", "task.test_lengths=[]", "task.train=100", "task.validation=50", "task.test=50",
         "trainer.max_epochs=1", "cell.hidden_size=8", "tracking=none")  # fmt: skip

SIGNS = ["the whole sequence", "at least"]


def test_a_sweep_over_lengths_is_reported_and_its_variants_are_told_apart(run: Run, root: Path) -> None:
    sweeps = [
        ("-m", *SMALL, "task.length=5,9", "cell=rnn", "seed=0,1", "callbacks=memory"),
        ("-m", *SMALL, "task.length=5", "cell=lstm", "cell.forget_bias=0.0,1.0", "trainer.gradient_clip_val=null"),
    ]
    for sweep in sweeps:
        for stage in ("train", "evaluate"):
            assert run(stage, *sweep).code == 0
    of_looked_into = read_runs([root / "runs"])
    assert set(of_looked_into["name"]) == {"rnn"}, "the others were not looked into"
    assert run("diagnose", *sweeps[1]).code == 0

    outcome = run("report", "report.folder=runs", "tracking=none")
    assert outcome.code == 0, outcome.err
    table = pd.read_csv(root / "reports-runs/lengths/adding.csv")
    assert set(table["name"]) == {"rnn", "lstm forget_bias=0.0", "lstm forget_bias=1.0"}
    assert len(table) == 4 + 2
    for _, row in table.iterrows():
        assert 0 <= row["memory_length"] <= row["length"] - 1
    trained = {(row["name"], row["length"], row["seed"]): row["score"] for _, row in table.iterrows()}
    for path in root.glob("runs/adding/*/rnn/*/evaluate/seeds/seed=1/metrics.json"):
        run_json = read_json(path.parents[3] / "train/seed=1/run.json")
        assert trained["rnn", run_json["params"]["task.length"], 1] == read_json(path)["mse"]
    # before training the first line is known for what was looked into from the start
    assert set(table[table["memory_length_at_start"].notna()]["name"]) == {"rnn"}
    for picture in ("adding_lengths", "adding_gradients"):
        assert imread(root / f"reports-runs/lengths/{picture}.png").std() > 0.05
        assert f"{picture}.png" in outcome.out
    assert set(pd.read_csv(root / "reports-runs/lengths/adding_learnt.csv")["of"]) == {5, 9}


def test_nothing_is_written_where_no_length_was_swept(run: Run, root: Path) -> None:
    for stage in ("train", "evaluate"):
        assert run(stage, *SMALL, "task.length=5", "cell=rnn", "callbacks=memory").code == 0
    assert run("report", "report.folder=runs", "tracking=none").code == 0
    assert not (root / "reports-runs/lengths").exists()


def runs_of(direction: str, reference: float, scores: dict[str, list[float]]) -> pd.DataFrame:
    rows = [
        {"task": "t", "unit": "timesteps", "name": name, "length": 10 * number, "seed": 0, "metric": "m",
         "direction": direction, "score": score, "reference": "constant", "reference_score": reference,
         "timesteps": 10 * number, "memory_length": 3.0, "beyond": False, "memory_length_at_start": 2.0,
         "beyond_at_start": False}
        for name, of_name in scores.items() for number, score in enumerate(of_name, 1)
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("direction", "reference", "scores", "expected"),
    [
        ("min", 0.16, [0.01, 0.07, 0.09, 0.01], 20),  # what is learnt behind a gap was luck, or more data
        ("max", 0.05, [0.99, 0.60, 0.53, 0.52], 30),
        ("max", 0.05, [0.06, 0.90, 0.05, 0.05], 0),
        ("min", 0.16, [0.01, 0.01, 0.01, 0.01], 40),
    ],
)
def test_learnt_is_what_lies_nearer_to_perfect_than_to_the_baseline(
    direction: str, reference: float, scores: list[float], expected: int
) -> None:
    table = learnt_up_to(runs_of(direction, reference, {"gru": scores}))
    assert table.to_dict("records") == [{"name": "gru", "learnt_up_to": expected, "of": 40}]


def test_the_picture_has_a_line_for_each_name_and_the_baseline() -> None:
    figure = draw_lengths(runs_of("min", 0.16, {"rnn": [0.1, 0.16], "gru": [0.01, 0.02]}))
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["rnn", "gru", "constant (baseline)", *SIGNS]
    score, start, end = figure.axes
    assert [list(line.get_ydata()) for line in score.lines][:1] == [[0.1, 0.16]]
    assert list(start.lines[0].get_ydata()) == [2.0, 2.0]
    assert list(end.lines[0].get_ydata()) == [3.0, 3.0]
