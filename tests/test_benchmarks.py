"""The benchmarks find what they measure: they are run by hand, and rooms they look into may have moved since."""

import sys
from pathlib import Path

import pandas as pd
import pytest

from benchmarks import calibration_page, costs, run, workspace
from benchmarks.calibration import Setting, measured, settings


def test_the_pieces_of_a_compiled_net_are_timed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["run", "profile", "--cell", "gru", "--shape", "2,3,2,4", "--seconds", "0"])
    assert run.main() == 0
    assert "forward kernel" in capsys.readouterr().out


def test_verdicts_hold_what_the_earlier_test_did_not() -> None:
    """A small part of `make bench ARGS=calibration`: where seeds spread more than items, and where forecasts depend on
    each other for longer than they overlap, three tables held a false verdict for one that may."""
    for setting, least in (
        (Setting("accuracy", 3, 6, 300, 3), 0.10),
        (Setting("accuracy", 3, 20, 300, 3), 0.18),
        (Setting("forecast", 3, 6, 359, 1, "alike", 7, "MA + AR 0.95"), 0.15),
    ):
        found = measured(setting, tables=400)
        assert found["false"] < 0.075
        assert found["others"]["earlier"] > least
        assert 0.925 < found["coverage"] < 0.985


def test_the_page_says_what_was_measured() -> None:
    chosen = [
        each for each in settings() if each.items <= 100 or each.beyond or (each.cells != "alike" and each.rows == 3)
    ]
    rows = [measured(setting, tables=4) for setting in chosen]
    text = "\n".join(calibration_page.page(rows))
    assert "nan" not in text
    assert f"{rows[0]['false']:.3f} ({rows[0]['false_se']:.3f})" in text


def test_a_grid_costs_what_its_parts_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "ratios", lambda: {"gru": 1.0, "rnn": 0.5})
    beside = [{"stage": "start", "cpu_seconds": 4.0}, {"stage": "run", "cpu_seconds": 0.5}]
    tasks = [{"task": "xor", "epochs": 10, "steps": 10, "train": 3.0, "evaluate": 6.0, "baselines": 1.0}]
    model = costs.Model([*beside, {"stage": "epoch", "cpu_seconds": 0.1}, *tasks])
    assert model.run("xor", "gru") == 0.5 + 1.0 + 2.0
    assert model.run("xor", "rnn") == 0.5 + 1.0 + 1.0
    assert model.job("xor", "rnn", 5) == 4.0 + 5 * 2.5
    assert model.job("xor", "rnn", 5, evaluate=True) == 4.0 + 5 * 2.5 + 5 * 2.0
    assert model.grid(["xor"], ["gru", "rnn"], 1) == [7.5, 6.5]
    assert costs.hours([3600, 7200, 3600], 2) == 2.0
    assert costs.hours([3600, 7200, 3600], 1) == 4.0


def test_settings_have_names_of_their_own() -> None:
    names = [setting.name for setting in settings()]
    assert len(set(names)) == len(names) >= 60


@pytest.mark.slow
def test_a_workspace_of_copied_runs_is_reported_as_a_real_one(tmp_path: Path) -> None:
    workspace.make(tmp_path, 20)
    assert len([*tmp_path.glob("runs/*/*/*/*/train/seed=*")]) == 20
    workspace.run(tmp_path, *workspace.STAGES["report"])
    table = pd.read_csv(tmp_path / "reports-runs/leaderboard.csv")
    assert set(table["task"]) >= set(workspace.TASKS)
    assert table["seeds"].max() == workspace.SEEDS
    workspace.run(tmp_path, *workspace.STAGES["train again"])  # which raises where it fails
