"""The estimators have the numbers of the pipeline."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnnlab.commands.train import train
from rnnlab.config.files import read
from rnnlab.config.stages import compose_task
from rnnlab.estimators import RecurrentClassifier, RecurrentRegressor
from rnnlab.serving.predictor import Predictor

Table = Callable[[int], pd.DataFrame]


def rows(seed: int, count: int) -> pd.DataFrame:
    """A long table of sequences of unequal lengths, with gaps, and a channel of text."""
    rng = np.random.default_rng(seed)
    parts = []
    for number in range(count):
        time, kind = int(rng.integers(4, 12)), number % 3
        part = pd.DataFrame({"id": f"s{number}", "time": np.arange(time), "x": rng.normal(size=time) + kind})
        part["y"] = np.where(rng.random(time) < 0.2, np.nan, rng.normal(size=time))
        part["mode"] = rng.choice(["on", "off"], time)
        part["label"] = f"class {kind}"
        part["amount"] = float(rng.normal() + 10 * kind)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_the_same_sequences_give_the_same_answers_as_the_pipeline(root: Path, tmp_path: Path, kind: str) -> None:
    label, other = ("label", "amount") if kind == "classification" else ("amount", "label")
    table, test = (rows(seed, count).drop(columns=other) for seed, count in ((0, 45), (1, 9)))
    table.to_csv(tmp_path / "mine.csv", index=False)
    test.to_csv(tmp_path / "test.csv", index=False)
    files = (f"task.path={tmp_path / 'mine.csv'}", f"task.test_path={tmp_path / 'test.csv'}", f"task.kind={kind}")
    net = ("cell=lstm", "cell.hidden_size=8", "cell.zoneout=0.1", "optimizer.lr=0.01", "trainer.max_epochs=4")
    train(compose_task("sequences", *files, f"task.label={label}", *net, "seed=3", "tracking=none"))
    (folder,) = root.glob("runs/sequences/*/lstm/*/train/seed=3")
    expected = Predictor.of_run(folder).predict(as_cells(test))

    make = RecurrentClassifier if kind == "classification" else RecurrentRegressor
    options = {"hidden_size": 8, "lr": 0.01, "max_epochs": 4, "cell_options": {"zoneout": 0.1}}
    estimator = make("lstm", random_state=3, **options)
    labels = table.groupby("id")[label].first()
    estimator.fit(table.drop(columns=label), labels.sample(frac=1, random_state=0))
    answers = estimator.predict(test.drop(columns=label))
    if kind == "classification":
        p = estimator.predict_proba(test.drop(columns=label))
        assert np.allclose(p, expected[[f"p_{name}" for name in estimator.classes_]], rtol=0, atol=1e-6)
        assert answers.tolist() == expected["predicted"].tolist()
    else:
        assert np.allclose(answers, expected["predicted"], rtol=1e-6)


def as_cells(table: pd.DataFrame) -> pd.DataFrame:
    """A row for each sequence, and in it a list for each channel, as `predict` takes it."""
    return table.groupby("id", sort=False)[["x", "y", "mode"]].agg(list).reset_index(drop=True)


def test_the_defaults_are_those_of_the_task() -> None:
    task = read("task/sequences")
    assert task is not None
    mine = RecurrentClassifier().get_params()
    shared = ("batch_size", "validation")
    assert {key: mine[key] for key in shared} == {key: task[key] for key in shared}
    training = ("hidden_size", "max_epochs", "lr", "patience")
    assert {key: mine[key] for key in training} == {key: task.training[key] for key in training}
    dropout = ("input_dropout", "output_dropout")
    assert {key: mine[key] for key in dropout} == {key: task.net[key] for key in dropout}
    assert mine["readout"] == task.net.readout
    common = read("recurrent")
    assert common is not None
    of_the_cell = ("num_layers", "bidirectional", "dropout")
    assert {key: mine[key] for key in of_the_cell} == {key: common[key] for key in of_the_cell}
