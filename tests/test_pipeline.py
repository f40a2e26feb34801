"""`dvc repro` on a copy of the project: from nothing to the leaderboard, and what an edit reruns."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

import rnnlab
from tests.conftest import CHECKOUT, experiment_of

Shell = Callable[..., str]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's files under git in a new folder, set to train two cells on one task, for two epochs."""
    copy = tmp_path_factory.mktemp("project")
    listed = ["git", "-C", str(CHECKOUT), "ls-files", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, capture_output=True, text=True, check=True).stdout.splitlines():
        if (CHECKOUT / name).is_file() and name != "dvc.lock":
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, copy / name)
    edit(copy / "conf/task/price.yaml", "max_epochs: 40", "max_epochs: 2")
    edit(copy / "conf/grid.yaml", "tasks: [price, digits]", "tasks: [price]")
    edit(copy / "conf/grid.yaml", "cells: [rnn, lstm, gru]", "cells: [lstm, gru]")
    git = ["git", "-C", str(copy), "-c", "user.name=test", "-c", "user.email=test@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "a copy"], check=True)
    return copy


@pytest.fixture(scope="module")
def shell(project: Path) -> Shell:
    def shell(*command: str) -> str:
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("RNNLAB", "MLFLOW"))}
        environment |= {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(project / "src"),
            "GIT_AUTHOR_NAME": "test", "GIT_AUTHOR_EMAIL": "test@example.org",
            "GIT_COMMITTER_NAME": "test", "GIT_COMMITTER_EMAIL": "test@example.org",
        }  # fmt: skip
        done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return shell


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, f"{path} has no {old!r}"
    path.write_text(text.replace(old, new))


def changed_stages(shell: Shell) -> set[str]:
    """What `dvc repro` would run beside `compose`, which always runs."""
    shell("dvc", "repro", "-q", "compose")
    return set(json.loads(shell("dvc", "status", "--json"))) - {"compose"}


@pytest.fixture(scope="module")
def reproduced(project: Path, shell: Shell) -> str:
    return shell("dvc", "repro")


def test_the_pipeline_runs_from_nothing_to_the_leaderboard(project: Path, reproduced: str) -> None:
    ran = re.findall(r"Running stage '(.+)'", reproduced)
    pairs = [f"price-{cell}" for cell in ("lstm", "gru")]
    expected = {"compose", "fetch@price", "preprocess@price", "baseline@price", "report"}
    assert set(ran) == expected | {f"{stage}@{pair}" for stage in ("train", "evaluate") for pair in pairs}

    table = pd.read_csv(project / "reports/leaderboard.csv")
    columns = (
        "task,name,kind,metric,direction,mean,ci_low,ci_high,rank,seeds,trials,parameters,state_size,train_seconds,"
        "steps_per_second,verdict,reference,p_value,solved,data,data_digest"
    )
    assert list(table.columns) == columns.split(",")
    assert set(table["name"]) == {"lstm", "gru", "persistence", "drift", "ridge", "ets", "theta", "arima"}
    cells = table[table["kind"] == "cell"].set_index("name")
    assert (cells["seeds"] == 3).all()
    assert dict(cells["state_size"]) == {"lstm": 64, "gru": 32}
    assert (cells["ci_low"] < cells["mean"]).all()
    html = (project / "reports/leaderboard.html").read_text()
    together, own = 3, 2  # learning curves, against cost, by steps ahead; each cell's forecasts
    assert html.count("data:image/webp;base64,") == together + own
    assert not re.search(r"(src|href)=\"(?!data:|#)", html), "the report needs no other file"


def test_a_second_time_there_is_nothing_to_do(reproduced: str, shell: Shell) -> None:
    again = shell("dvc", "repro")
    assert re.findall(r"Running stage '(.+)'", again) == ["compose"]


def test_metrics_and_plots_are_there_for_dvc(reproduced: str, shell: Shell) -> None:
    metrics = shell("dvc", "metrics", "show", "--md")
    assert "results/price/gru/evaluate/metrics.json" in metrics
    assert "relative_mae" in metrics
    plots = shell("dvc", "plots", "show", "--json")
    assert "learning.csv" in plots


@pytest.mark.slow
def test_make_repro_goes_on_from_files_that_a_killed_dvc_left_empty(
    project: Path, reproduced: str, shell: Shell
) -> None:
    """Nothing but `compose` runs: the copy is of the last stage that ran, whose own results DVC finds in its cache."""
    before = (project / "dvc.lock").read_text()
    (project / "dvc.lock").write_bytes(b"")
    (project / ".dvc/tmp/rwlock").write_bytes(b"")
    # ARGS: of the make that runs the tests, not of this one
    again = shell("make", "repro", "ARGS=", f"VENV={sys.prefix}", "-o", f"{sys.prefix}/.installed")
    assert "dvc.lock cannot be read: put back" in again
    assert ".dvc/tmp/rwlock was left by a killed dvc: removed" in again
    assert re.findall(r"Running stage '(.+)'", again) == ["compose"]
    assert (project / "dvc.lock").read_text() == before


GRU_STAGES = {"train@price-gru", "evaluate@price-gru"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "old", "new", "stages"),
    [
        ("conf/cell/gru.yaml", "name: gru", "name: gru\nhidden_size: 16", {"train@price-gru"}),
        ("conf/recurrent.yaml", "num_layers: 1", "num_layers: 2", "all cells"),
        ("src/rnnlab/unroll/cpp/emit.h", "ROWS = 12", "ROWS = 8", "all of all cells"),
        ("src/rnnlab/cells/gru.py", "candidate + update", "candidate + 1.0 * update", GRU_STAGES),
        ("src/rnnlab/cells/gru.py", '"""The GRU (', '"""The well-known GRU (', set()),
        ("src/rnnlab/tracking/mlflow/store.py", "BATCH = 1000", "BATCH = 900", set()),
        ("conf/grid.yaml", "seeds: [0, 1, 2]", "seeds: [0, 1, 2, 3]", "all training"),
        ("conf/task/price.yaml", "window: 32", "window: 16", "all but fetch"),
        ("conf/task/price.yaml", "symbol: AAPL", "symbol: IBM", "all"),
        ("README.md", "", "A word more.", set()),
    ],
)
def test_an_edit_reruns_what_it_touches_and_nothing_else(
    project: Path, reproduced: str, shell: Shell, path: str, old: str, new: str, stages: set[str] | str
) -> None:
    pairs = [f"price-{cell}" for cell in ("lstm", "gru")]
    training = {f"train@{pair}" for pair in pairs}
    judging = {f"evaluate@{pair}" for pair in pairs}
    of_the_task = training | judging | {"preprocess@price", "baseline@price"}
    # `dvc status` names the stages whose own inputs changed; what depends on their results follows once they have run
    expected = {
        "all training": training | {"report"},
        "all cells": training,
        "all of all cells": training | judging,
        "all but fetch": of_the_task,
        "all": {"fetch@price", "preprocess@price"},
    }
    before = (project / path).read_text()
    try:
        edit(project / path, old, new) if old else (project / path).write_text(before + new)
        found = changed_stages(shell)
    finally:
        (project / path).write_text(before)
    wanted = expected[stages] if isinstance(stages, str) else stages
    assert found == wanted


@pytest.mark.slow
def test_a_new_cell_and_a_new_seed_rerun_nothing_old(project: Path, reproduced: str, shell: Shell) -> None:
    """The equations, their module, a config, a word in the grid; and of a fourth seed only the fourth is trained."""
    for room in ("cells", "modules"):
        source = (project / f"src/rnnlab/{room}/rnn.py").read_text()
        (project / f"src/rnnlab/{room}/mine.py").write_text(
            source.replace("cells.rnn", "cells.mine").replace("RNN", "Mine")
        )
    config = (project / "conf/cell/rnn.yaml").read_text().replace("name: rnn", "name: mine")
    (project / "conf/cell/mine.yaml").write_text(config.replace("modules.rnn.RNN", "modules.mine.Mine"))
    edit(project / "conf/grid.yaml", "cells: [lstm, gru]", "cells: [lstm, gru, mine]")
    ran = re.findall(r"Running stage '(.+)'", shell("dvc", "repro"))
    assert ran == ["compose", "train@price-mine", "evaluate@price-mine", "report"]

    edit(project / "conf/grid.yaml", "seeds: [0, 1, 2]", "seeds: [0, 1, 2, 3]")
    output = shell("dvc", "repro", "train@price-gru")
    assert output.count("already trained under this setting") == 3
    assert "price/gru seed 3: validation loss" in output
    edit(project / "conf/grid.yaml", "seeds: [0, 1, 2, 3]", "seeds: [0, 1]")
    shell("dvc", "repro", "train@price-gru")
    kept = sorted(path.name for path in (project / "results/price/gru/train").iterdir())
    assert kept == ["seed=0", "seed=1"]


@pytest.mark.slow
def test_an_experiment_on_the_grid(project: Path, reproduced: str, shell: Shell) -> None:
    shell("git", "add", "-A")
    shell("git", "commit", "-qm", "before the experiment")
    shell("dvc", "exp", "run", "-q", "-S", "conf/grid.yaml:cells=[gru]", "-S", "conf/grid.yaml:seeds=[0]")
    table = pd.read_csv(project / "reports/leaderboard.csv")
    assert set(table[table["kind"] == "cell"]["name"]) == {"gru"}
    assert table.set_index("name").loc["gru", "seeds"] == 1


@pytest.mark.slow
def test_a_queue_of_experiments_runs_what_was_queued_and_its_runs_reach_the_store(
    project: Path, reproduced: str, shell: Shell
) -> None:
    """In copies of the project, each with its own code, whatever is installed or first on PYTHONPATH."""
    shell("git", "add", "-A")
    shell("git", "commit", "-qm", "before the queue", "--allow-empty")
    code, version = project / "src/rnnlab/__init__.py", f'"{rnnlab.__version__}"'
    edit(code, version, '"0+queued"')
    for name, seed in (("first", 5), ("second", 6)):
        grid = ("conf/grid.yaml:cells=[gru]", f"conf/grid.yaml:seeds=[{seed}]")
        shell("dvc", "exp", "run", "-q", "--queue", "-n", name, "-S", grid[0], "-S", grid[1])
    edit(code, '"0+queued"', version)
    shell("dvc", "exp", "run", "--run-all", "-j", "2")
    client = MlflowClient(f"sqlite:///{project}/mlflow.db")
    runs = client.search_runs([experiment_of(client, "price")], "tags.rnnlab = '0+queued'")
    assert {run.data.params["seed"] for run in runs} == {"5", "6"}
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert all("test/relative_mae" in run.data.metrics for run in runs)
    shell("dvc", "exp", "apply", "first")
    assert (project / "results/price/gru/train/seed=5/weights.safetensors").is_file()
    shell("python", "pipelines/report.py", "report.write=false", "tracking=sync")
    again = client.search_runs([experiment_of(client, "price")], "params.seed = '5'")
    assert len(again) == 1, "the same run, though its folder is another now"
