"""Results that an earlier version of rnnlab made are named in one line, and never read as those of this one."""

import json
from pathlib import Path

import pytest

from rnnlab.errors import UserError
from rnnlab.report.results_table import _section
from tests.conftest import Run

XOR = ("task=xor", "cell=rnn", "trainer.max_epochs=1")


@pytest.fixture
def older(run: Run, root: Path) -> Path:
    """A run, evaluated and tracked, as a version that knew no `format` would have left it."""
    assert run("train", *XOR).code == 0
    assert run("evaluate", *XOR).code == 0
    for path in (*root.glob("runs/xor/*/rnn/*/train/seed=0/run.json"), *root.glob("runs/xor/*/baselines/task.json")):
        content = json.loads(path.read_text())
        del content["format"]
        path.write_text(json.dumps(content))
    (folder,) = root.glob("runs/xor/*/rnn/*")
    return folder


def test_older_results_are_named_and_skipped(older: Path, run: Run, root: Path, tmp_path: Path) -> None:
    named = (
        "skipped, as an earlier version of rnnlab made them (train or evaluate again to use them): "
        f"{older.relative_to(root)}"
    )
    reported = run("report", "report.folder=runs", "tracking=none")
    assert reported.code == 2
    assert named in reported.out
    assert "There is nothing evaluated" in reported.err

    (tmp_path / "mlruns.db").unlink(missing_ok=True)
    synchronised = run("report", "report.folder=runs", "report.write=false", "tracking=sync")
    assert named in synchronised.out
    assert "Traceback" not in synchronised.out + synchronised.err

    predicted = run("predict", f"model={older}", "input=[[0,1]]")
    assert predicted.code == 2
    assert "was trained by an earlier version of rnnlab: train it again" in predicted.err


def test_baselines_of_an_earlier_version_are_no_reference(tmp_path: Path) -> None:
    (tmp_path / "task.json").write_text(json.dumps({"format": 3, "reference": "linear"}))
    with pytest.raises(UserError, match="of an earlier version: run `dvc repro`"):
        _section("xor", [tmp_path], [])
