"""What more training examples are worth: tables and a picture of one task under several sizes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from rnnlab.report.results_table import Entry, Section
from rnnlab.report.training_sizes import write_sizes
from tests.report.parts import RAIN

TRAINING = {"parameters": 10, "state_size": 2, "train_seconds": 1.0, "steps_per_second": 9.0, "validation_loss": 1.0}


def section(size: int, **means: float) -> Section:
    """Two cells of three seeds on 200 days, their losses being like each other."""
    rng = np.random.default_rng(size)
    noise = rng.normal(size=200)
    entries = []
    for name, mean in means.items():
        losses = mean + noise + 0.01 * rng.normal(size=(3, 200)) + np.array([[-0.01], [0.0], [0.01]])
        by_seed = [{"score": float(row.mean())} for row in losses]
        settings = {"task.train": size, "task.window": 7}
        summary = {"score": float(losses.mean())}
        named = f"{name} lr={size}"
        entries.append(Entry(named, "cell", summary, by_seed, losses, [TRAINING] * 3, settings=settings, trials=5))
    naive = np.full((1, 200), 9.0) + noise
    baseline = Entry("naive", "baseline", {"score": float(naive.mean())}, [{"score": float(naive.mean())}], naive)
    return replace(RAIN, data=f"d{size}", entries=[*entries, baseline], tried=entries)


def test_cells_are_compared_at_each_size(tmp_path: Path) -> None:
    found = [section(400, gru=5.0, lstm=5.0), section(100, gru=6.0, lstm=7.0)]
    assert write_sizes(found, tmp_path / "sizes") == [tmp_path / "sizes/rain.png"]
    pairs = pd.read_csv(tmp_path / "sizes/rain_pairs.csv")
    assert pairs[["train", "cell", "other"]].to_numpy().tolist() == [[100, "gru", "lstm"], [400, "gru", "lstm"]]
    assert np.allclose(pairs["difference"], [-1.0, 0.0], atol=0.01)
    assert pairs["p_value"][0] < 0.05 < pairs["p_value"][1]
    table = pd.read_csv(tmp_path / "sizes/rain.csv").set_index(["train", "name"])
    assert table.loc[(400, "naive"), "kind"] == "baseline"
    row = table.loc[(100, "lstm")]
    assert row["ci_low"] < row["mean"] < row["ci_high"]


def test_sizes_that_differ_in_something_else_are_no_comparison(tmp_path: Path) -> None:
    one, other = section(100, gru=6.0, lstm=7.0), section(400, gru=5.0, lstm=5.0)
    for entry in other.tried:
        entry.settings["task.window"] = 14
    assert write_sizes([one, other], tmp_path / "sizes") == []
    assert write_sizes([one], tmp_path / "sizes") == []
    assert not (tmp_path / "sizes").exists()


def test_runs_on_the_whole_training_part_take_no_picture_from_the_others(tmp_path: Path) -> None:
    found = [section(size, gru=6.0, lstm=7.0) for size in (100, 400, 800)]
    for entry in found[2].tried:
        entry.settings["task.train"] = None
    write_sizes(found, tmp_path / "sizes")
    assert set(pd.read_csv(tmp_path / "sizes/rain.csv")["train"]) == {100, 400}
    # the same arrays were asked for by their size as well
    found[2].tried[1].settings["task.train"] = 800
    write_sizes(found, tmp_path / "sizes")
    assert set(pd.read_csv(tmp_path / "sizes/rain.csv")["train"]) == {100, 400, 800}
