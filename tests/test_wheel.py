"""The wheel in an environment of its own, in an empty folder far from the checkout: what one has who has only that."""

import json
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

import rnnlab
from rnnlab.results import paths
from tests.conftest import CHECKOUT, experiment_of

pytestmark = pytest.mark.slow

Shell = Callable[..., str]

CELL = """
from rnnlab.nn import GatedCell, HiddenState


class SlowCell(GatedCell):
    gates = 1

    def step(self, projected, state, matmul, shared):
        change = (projected + matmul("weight_hh", state.hidden)).tanh() - state.hidden
        hidden = state.hidden + 0.5 * change
        return hidden, HiddenState(hidden)
"""

OWN_TASK = "defaults: [series, _self_]\nname: mine\npath: data/mine.csv\ntarget: load\nwindow: 12\nhorizon: 3\n"

OWN_CELL = "defaults: [/recurrent@_here_, _self_]\n_target_: mypackage.SlowCell\nname: slow\n"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = [*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder), str(CHECKOUT)]
    subprocess.run(build, check=True, capture_output=True, text=True)
    (path,) = folder.glob("rnnlab-*.whl")
    return path


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workspace")


@pytest.fixture(scope="module")
def shell(wheel: Path, workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Runs a command in the workspace, with the wheel installed and the packages that it needs linked."""
    environment = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    python = environment / "bin/python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python)]
    subprocess.run([*pip, "install", "-q", "--no-deps", str(wheel)], check=True, capture_output=True, text=True)
    packages = sysconfig.get_path("purelib", vars={"base": str(environment)})
    Path(packages, "linked.pth").write_text(sysconfig.get_path("purelib"))
    theirs = ("RNNLAB", "MLFLOW", "PYTHON", "DVC")
    variables = {key: value for key, value in os.environ.items() if not key.startswith(theirs)}
    variables["RNNLAB_PACKAGES"] = "mypackage"
    variables["PATH"] = os.pathsep.join([str(environment / "bin"), str(Path(sys.executable).parent), variables["PATH"]])

    def shell(*command: str, code: int = 0, folder: Path = workspace) -> str:
        done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout if code == 0 else done.stderr

    assert Path(shell("python", "-c", "import rnnlab; print(rnnlab.__file__)").strip()).is_relative_to(environment)
    return shell


@pytest.fixture(scope="module")
def reproduced(shell: Shell, workspace: Path) -> str:
    """What `dvc repro` printed: a table and a cell of one's own in a workspace that `rnnlab init` made."""
    shell("rnnlab", "init")
    shell("git", "init", "-q")
    for folder in ("data", "conf/task", "conf/cell"):
        (workspace / folder).mkdir(exist_ok=True)
    write_table(workspace / "data/mine.csv", 600)
    (workspace / "mypackage.py").write_text(CELL)
    (workspace / "conf/task/mine.yaml").write_text(OWN_TASK + "training: {hidden_size: 8, max_epochs: 2, lr: 0.002}\n")
    (workspace / "conf/cell/slow.yaml").write_text(OWN_CELL)
    (workspace / "conf/grid.yaml").write_text("tasks: [mine]\ncells: [rnn, slow]\nseeds: [1]\n")
    return shell("dvc", "repro")


def write_table(path: Path, rows: int) -> None:
    hours = np.arange(rows)
    load = 100 + 10 * np.sin(hours * 2 * np.pi / 24) + np.random.default_rng(0).normal(size=rows)
    pd.DataFrame({"date": pd.date_range("2021-01-01", periods=rows, freq="h"), "load": load}).to_csv(path, index=False)


def test_the_wheel_holds_the_config_and_the_package(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    listed = ["git", "-C", str(CHECKOUT), "ls-files", "conf", "src"]
    ours = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split()
    assert {f"rnnlab/{name}" if name.startswith("conf/") else name.removeprefix("src/") for name in ours} <= names
    # Hydra finds the launcher of sweeps by the name of its package, `hydra_plugins`, which is no part of ours
    assert {name.split("/")[0] for name in names} == {
        "hydra_plugins",
        "rnnlab",
        f"rnnlab-{rnnlab.__version__}.dist-info",
    }


def test_a_checkout_s_config_is_its_own() -> None:
    assert not paths.INSTALLED
    assert paths.CONF == CHECKOUT / "conf"


def test_dvc_repro_in_a_workspace(reproduced: str, shell: Shell, workspace: Path) -> None:
    ran = set(re.findall(r"Running stage '(.+)'", reproduced))
    pairs = {f"{stage}@mine-{cell}" for stage in ("train", "evaluate") for cell in ("rnn", "slow")}
    assert ran == {"compose", "fetch@mine", "preprocess@mine", "baseline@mine", "report"} | pairs
    table = pd.read_csv(workspace / "reports/leaderboard.csv")
    cells = table[table["kind"] == "cell"].set_index("name")
    assert set(cells["task"]) == {"mine"}
    assert dict(cells["seeds"]) == {"rnn": 1, "slow": 1}
    client = MlflowClient(f"sqlite:///{workspace}/mlflow.db")
    runs = client.search_runs([experiment_of(client, "mine")])
    assert len(runs) == 2
    assert {run.data.tags["rnnlab"] for run in runs} == {rnnlab.__version__}
    assert "| slow" in shell("rnnlab", "report", "report.write=false")
    assert not set(re.findall(r"Running stage '(.+)'", shell("dvc", "repro"))) - {"compose"}


def test_an_edit_of_one_s_own_table_or_cell_reruns_what_depends_on_it(
    reproduced: str, shell: Shell, workspace: Path
) -> None:
    def stale() -> set[str]:
        shell("dvc", "repro", "-q", "compose")
        return set(json.loads(shell("dvc", "status", "--json"))) - {"compose"}

    (workspace / "mypackage.py").write_text(CELL.replace("0.5 *", "0.25 *"))
    assert stale() == {"train@mine-slow", "evaluate@mine-slow"}
    write_table(workspace / "data/mine.csv", 601)
    assert {"fetch@mine", "preprocess@mine"} <= stale()


def test_runs_by_hand_from_anywhere_in_the_workspace(reproduced: str, shell: Shell, workspace: Path) -> None:
    deep = workspace / "data"
    words = ("task=mine", "trainer.max_epochs=1", "tracking=none")
    shell("rnnlab", "train", "-m", *words, "cell=rnn,slow", folder=deep)
    assert len(list(workspace.glob("runs/mine/*/*/*/train/seed=0/weights.safetensors"))) == 2
    shell("rnnlab", "predict", *words, "cell=rnn", "input=mine.csv", "output=answers.csv", folder=deep)
    answers = pd.read_csv(deep / "answers.csv")
    assert set(answers["horizon"]) == {1, 2, 3}
    assert sorted(path.name for path in deep.iterdir()) == ["answers.csv", "cache", "mine.csv", "processed", "raw"]
