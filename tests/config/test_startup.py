"""What a process imports, and how it starts: how long that takes is measured in docs/measurements.md."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import imported_by

HEAVY = {"torch", "pytorch_lightning", "torchmetrics", "mlflow", "matplotlib", "scipy", "pandas", "pyarrow"}


@pytest.mark.parametrize("words", [["--help"], ["--cfg", "job"]])
def test_answering_a_question_imports_nothing_heavy(root: Path, words: list[str]) -> None:
    assert not imported_by(root, "train", *words) & (HEAVY | {"numpy"})


def test_composing_imports_nothing_heavy(root: Path) -> None:
    assert not imported_by(root, "compose") & HEAVY
    assert list(root.glob("configs/train/*.yaml"))


def test_showing_the_leaderboard_imports_nothing_heavy(root: Path) -> None:
    (root / "reports").mkdir()
    (root / "reports/leaderboard.md").write_text("a table\n")
    assert not imported_by(root, "report", "report.write=false") & (HEAVY | {"numpy"})


def test_fetching_imports_no_lightning(root: Path) -> None:
    (root / "mine.txt").write_text("a text\n")
    imported = imported_by(root, "fetch", "task=text", f"task.path={root / 'mine.txt'}")
    assert not imported & {"torch", "pytorch_lightning", "mlflow", "matplotlib"}
    assert (root / "data/raw/text").is_dir()


START = """
import gc
from omegaconf import DictConfig
from rnnlab.config.cli import Command

def work(cfg: DictConfig) -> None:
    print(gc.isenabled(), gc.get_freeze_count() > 10_000)

if __name__ == "__main__":
    Command("a job", "job.work").run("job")
    print(gc.isenabled())
"""


@pytest.mark.parametrize("words", [[], ["-m", "seed=0,1"]])
def test_garbage_is_collected_once_a_job_has_begun(root: Path, words: list[str]) -> None:
    (root / "job.py").write_text(START)
    done = subprocess.run([sys.executable, "job.py", *words], cwd=root, capture_output=True, text=True, check=True)
    jobs = 2 if words else 1
    lines = [line for line in done.stdout.splitlines() if line.startswith(("True", "False"))]  # and not Hydra's
    assert lines == ["True True"] * jobs + ["True"]


FAILING = """
from omegaconf import DictConfig
from rnnlab import output
from rnnlab.config.cli import Command
from rnnlab.errors import UserError

def fail(item: int) -> None:
    raise UserError("the first job cannot be done")

def work(cfg: DictConfig) -> None:
    print("shown", output._shown)
    if cfg.seed == 0:
        [fail(item) for item in output.progress(range(3), "work")]

if __name__ == "__main__":
    Command("a job", "job.work").run("job")
"""


def test_a_job_that_fails_leaves_no_bar_to_the_next(root: Path) -> None:
    """The error is kept, and with it the loop that it came from."""
    (root / "job.py").write_text(FAILING)
    done = subprocess.run(
        [sys.executable, "job.py", "-m", "seed=0,1"], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "error: the first job cannot be done" in done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("shown")] == ["shown None"] * 2
