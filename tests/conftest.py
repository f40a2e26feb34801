"""Runs the real entry points, each test in a folder of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hydra.core.hydra_config import HydraConfig

from rnnlab.commands import main
from rnnlab.training import prepare

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHECKOUT = Path(__file__).resolve().parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshot", help="where test_ui keeps a picture of the MLflow UI after a larger sweep")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: each is one process's own, which should not be left alone with it at the end."""
    longest = ("test_tasks.py", "test_pipeline.py")
    items.sort(key=lambda item: item.path.name not in longest)


@dataclass(frozen=True)
class Outcome:
    """What an entry point printed, and its exit code."""

    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty RNNLAB_ROOT, without the tester's own mirror and tracking server."""
    monkeypatch.setenv("RNNLAB_ROOT", str(tmp_path))
    for name in ("RNNLAB_MIRROR", "RNNLAB_STUDIES", "MLFLOW_TRACKING_URI", "RNNLAB_SWEEP"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def run(root: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Run a command in this process: run("train", "cell=gru")."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def run(name: str, *overrides: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", [f"rnnlab {name}", *overrides])
        monkeypatch.delenv("RNNLAB_SWEEP", raising=False)
        prepare._unsettled.clear()  # as in a process of its own
        capfd.readouterr()
        code = 0
        try:
            main.run(name)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        finally:
            HydraConfig.instance().cfg = None  # after --help and after an error, Hydra leaves it
        printed = capfd.readouterr()
        return Outcome(code, printed.out, printed.err)

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


def experiment_of(client: "MlflowClient", task: str) -> str:
    """The id of the experiment of the only data set that this task was run on."""
    (found,) = client.search_experiments(filter_string=f"tags.task = '{task}'")
    return str(found.experiment_id)


def start(
    root: Path, name: str, *overrides: str, terminal: int | None = None, folder: Path | None = None
) -> subprocess.Popen[str]:
    """An entry point in a process of its own, its output kept or sent to a terminal."""
    paths = [str(CHECKOUT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(
        [sys.executable, str(CHECKOUT / "pipelines" / f"{name}.py"), *overrides],
        env={**os.environ, "RNNLAB_ROOT": str(root), "PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE if terminal is None else terminal,
        stderr=subprocess.STDOUT if terminal is None else terminal,
        text=True,
        cwd=folder or root,
    )


def imported_by(root: Path, name: str, *overrides: str, code: int = 0) -> set[str]:
    """The top-level packages that an entry point imports in a process of its own, which ends with this exit code."""
    script = (
        "import pathlib, runpy, sys\n"
        "sys.argv = sys.argv[1:]\n"
        "sys.path[0] = str(pathlib.Path(sys.argv[0]).parent)\n"
        "try:\n    runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "finally:\n    print('imported', *{name.partition('.')[0] for name in sys.modules})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(CHECKOUT / "pipelines" / f"{name}.py"), *overrides],
        env={**os.environ, "RNNLAB_ROOT": str(root), "PYTHONPATH": str(CHECKOUT / "src")},
        capture_output=True,
        text=True,
        check=False,
        cwd=root,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return set(done.stdout.rpartition("imported ")[2].split())
