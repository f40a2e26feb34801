"""Every mistake is named before any training: what is wrong, where, what to do; and nothing is lost or half-written."""

import ctypes
import re
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import Run

GOOD = [
    f"2020-{month:02d}-{day:02d},{100 + np.sin(month * day):.4f},{1000 + day}"
    for month in range(1, 13)
    for day in range(1, 29)
]
HEADER = "date,close,volume"


def with_row(row: str, at: int = 50) -> str:
    return "\n".join([HEADER, *GOOD[:at], row, *GOOD[at + 1 :]])


BAD_CSV = {
    "empty": ("", "empty"),
    "header only": (HEADER, "no rows"),
    "no date column": ("\n".join(["close,volume", "1.5,2", "2.5,3"]), "date"),
    "unparsable date": (with_row("2020-13-45,1.0,2"), "2020-13-45"),
    "text for a number": (with_row("2020-02-23,cheap,2"), "cheap"),
    "nan": (with_row("2020-02-23,nan,2"), "line 52"),
    "infinite": (with_row("2020-02-23,inf,2"), "line 52"),
    "zero": (with_row("2020-02-23,0,2"), "line 52"),
    "negative": (with_row("2020-02-23,-3,2"), "line 52"),
    "duplicate dates": (with_row(GOOD[49]), "2020-02-22"),
    "too few rows": ("\n".join([HEADER, *GOOD[:40]]), "too few"),
}


@pytest.mark.parametrize("name", BAD_CSV)
def test_a_bad_table_is_named_before_training(run: Run, root: Path, name: str) -> None:
    content, message = BAD_CSV[name]
    path = root / "my.csv"
    path.write_text(content)
    outcome = run("train", "task.source=csv", f"task.path={path}", "task.target=close", "tracking=none")
    assert outcome.code == 2
    assert "my.csv" in outcome.err or name == "too few rows"
    assert message in outcome.err
    assert "Traceback" not in outcome.err
    assert not list(root.glob("runs/*"))
    assert not list(root.rglob("*.npy")), "no data half-prepared"


ACCEPTED_CSV = {
    "byte-order mark": ("\ufeff" + "\n".join([HEADER, *GOOD]), "utf-8", "byte-order mark"),
    "another encoding": ("\n".join(["date,close,Qualität", *GOOD]), "cp1252", "encoding"),
    "semicolons": ("\n".join([HEADER, *GOOD]).replace(",", ";"), "utf-8", "semicolon"),
    "unsorted rows": ("\n".join([HEADER, *GOOD[100:], *GOOD[:100]]), "utf-8", "sorted"),
}


@pytest.mark.parametrize("name", ACCEPTED_CSV)
def test_an_odd_table_is_accepted_with_a_note(run: Run, root: Path, name: str) -> None:
    content, encoding, note = ACCEPTED_CSV[name]
    path = root / "my.csv"
    path.write_bytes(content.encode(encoding))
    outcome = run("train", "task.source=csv", f"task.path={path}", "task.target=close", "debug=fast")
    assert outcome.code == 0, outcome.err
    assert [line for line in outcome.out.splitlines() if note in line.lower()], outcome.out


@pytest.mark.parametrize(
    ("overrides", "messages"),
    [
        (["cell=lstn"], ["conf/cell/lstn.yaml does not exist", "Did you mean lstm?"]),
        (["task=prise"], ["conf/task/prise.yaml does not exist", "Did you mean price?"]),
        (
            ["hydra/launcher=dask"],
            ["hydra/launcher=dask is not installed; cluster=local, slurm or ray needs none."],
        ),
        (["task.symbol=APPL"], ["APPL", "AAPL"]),
        (["task.source=yaho"], ["yaho", "yahoo"]),
        (["cell.hiden_size=3"], ["cell.hiden_size", "Did you mean cell.hidden_size?"]),
        (["cels=lstm"], ["cels", "Did you mean cell?"]),
        (["+cell.hiden_size=3"], ["hiden_size"]),
        (["cell.hidden_size=0"], ["cell.hidden_size must be an integer >= 1, got 0."]),
        (["cell.hidden_size=1000000"], ["cell.hidden_size=1000000", "does not fit into memory"]),
        (["cell.hidden_size=many"], ["cell.hidden_size must be", "got many."]),
        (["cell.unroll=fast"], ["cell.unroll must be one of", "got fast."]),
        (["task.window=4000"], ["3270 rows are too few"]),
        (["task.source=csv"], ["task.path"]),
        (["task.source=csv", "task.path=nowhere.csv"], ["nowhere.csv"]),
        (["trainer.accelerator=gpu"], ["CUDA"]),
        (["trainer.accelerator=tpu"], ["trainer.accelerator must be one of auto, cpu, gpu, got tpu."]),
        (["trainer.precision=8"], ["trainer.precision must be one of 32-true,"]),
        (["trainer.max_epochs=0"], ["trainer.max_epochs must be", "got 0."]),
        (["seed=-1"], ["seed must be", "got -1."]),
        (["seed=one"], ["seed must be", "got one."]),
        (["optimizer.lr=0"], ["optimizer.lr must be", "got 0."]),
        (["optimizer.momentum=0.9"], ["optimizer.momentum"]),
        (["optimizer.weight_decay=-1"], ["optimizer: Adam", "weight_decay=-1"]),
        (["optimizer=sgd", "optimizer.momentum=-1"], ["optimizer: SGD", "momentum=-1"]),
        (["+optimizer.speed=2"], ["optimizer.speed=2", "Adam"]),
        (["schedule.T_max=0"], ["schedule.T_max must be an integer >= 1 or null, got 0."]),
        (["schedule=plateau", "schedule.factor=2"], ["schedule: ReduceLROnPlateau", "factor=2"]),
        (["trainer.log_every_n_steps=0"], ["trainer.log_every_n_steps must be", "got 0."]),
        (["trainer.log_every_n_steps=null"], ["trainer.log_every_n_steps must be", "got null."]),
        (["task.validation=abc"], ["task.validation must be", "got abc."]),
        (["cell.dropout=abc"], ["cell.dropout must be", "got abc."]),
        (["task.symbol=123"], ["123", "AAPL"]),
        (["trainer.gradient_clip_val=-1"], ["trainer.gradient_clip_val must be", "got -1."]),
        (["trainer.limit_batches=0"], ["trainer.limit_batches must be", "got 0."]),
        (["checkpoint=runs/seed=0/best.ckpt"], ["quotes"]),
        (["cell=[lstm"], ["cell=[lstm"]),
        (["tracking.uri=sqlite:////proc/nowhere/all.db"], ["/proc/nowhere/all.db", "tracking=none"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_setting_that_cannot_work_is_named(run: Run, root: Path, overrides: list[str], messages: list[str]) -> None:
    if not any(override.startswith("tracking") for override in overrides):
        overrides = [*overrides, "tracking=none"]
    outcome = run("train", *overrides)
    assert outcome.code == 2, outcome.err
    for message in messages:
        assert message in outcome.err
    assert "Traceback" not in outcome.err
    assert not list(root.glob("runs/price/*/lstm/*/train"))


@pytest.fixture
def checkpoint(run: Run, root: Path) -> Path:
    """A trained net's checkpoint."""
    assert run("train", "trainer.max_epochs=1", "tracking=none").code == 0
    (path,) = root.glob("runs/price/*/lstm/*/checkpoints/seed=0/best.ckpt")
    return path


def test_a_checkpoint_that_does_not_belong_is_named(run: Run, root: Path, checkpoint: Path) -> None:
    cut_off = root / "cut off.ckpt"
    cut_off.write_bytes(checkpoint.read_bytes()[:5000])
    shared = ["tracking=none", f"checkpoint='{checkpoint}'"]
    assert run("evaluate", *shared).code == 0

    other_task = root / "copy.csv"
    other_task.write_text("\n".join([HEADER, *GOOD]))
    csv = ["task.source=csv", f"task.path={other_task}"]
    for overrides, message in (
        (["tracking=none", f"checkpoint='{cut_off}'"], "not a whole checkpoint"),
        (["tracking=none", "checkpoint=nowhere.ckpt"], "not a file"),
        ([*shared, "cell=gru"], "cell=lstm"),
        ([*shared, "task.name=rain", *csv], "task=price"),
        ([*shared, "cell.hidden_size=7"], "does not fit"),
        ([*shared, "task.symbol=IBM"], "other data or splits"),
        ([*shared, "task.test=0.3"], "other data or splits"),
    ):
        outcome = run("evaluate", *overrides)
        assert outcome.code == 2, outcome.err
        assert message in outcome.err
        assert "Traceback" not in outcome.err


def test_a_price_that_never_moves_is_refused_before_training(run: Run, root: Path) -> None:
    path = root / "flat.csv"
    path.write_text("\n".join([HEADER, *(f"{row.split(',')[0]},5.0,1" for row in GOOD)]))
    outcome = run("train", "task.source=csv", f"task.path={path}", "tracking=none")
    assert outcome.code == 2
    assert "never changes in the train part" in outcome.err


def test_evaluating_what_is_not_trained_says_so(run: Run) -> None:
    outcome = run("evaluate", "cell=gru", "tracking=none")
    assert outcome.code == 2
    assert "rnnlab train" in outcome.err


def test_a_loss_that_becomes_nan_stops_at_its_step_and_keeps_the_best(run: Run, root: Path) -> None:
    """A rate that grows a hundred million times from epoch to epoch."""
    outcome = run(
        "train", "cell=rnn", "cell.activation=relu", "task.loss=SquaredError",
        "trainer.gradient_clip_val=null", "tracking=none", "optimizer=sgd", "schedule=constant",
        "schedule._target_=torch.optim.lr_scheduler.ExponentialLR", "~schedule.factor", "+schedule.gamma=1e8",
    )  # fmt: skip
    assert outcome.code == 2
    assert re.search(r"loss became (nan|inf) at step \d+ \(epoch [2-9]\)", outcome.err), outcome.err
    best = re.search(r"kept in (.+best\.ckpt)", outcome.err)
    assert best
    weights = torch.load(best[1], weights_only=True)["state_dict"]
    assert all(weight.isfinite().all() for weight in weights.values())
    assert not list(root.glob("runs/price/*/rnn/*/train/*")), "a diverged run is no result"


@contextmanager
def bound_by_permissions() -> Iterator[None]:
    """Root may write anywhere. Without that capability it stays itself, and reads its own checkout and packages."""
    libc = ctypes.CDLL(None)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # the interface's third version, this thread
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable: capabilities 0 to 31, then 32 to 63
    assert libc.capget(header, sets) == 0
    granted = sets[0]
    sets[0] = granted & ~(1 << 1)  # CAP_DAC_OVERRIDE
    assert libc.capset(header, sets) == 0
    try:
        yield
    finally:
        sets[0] = granted
        assert libc.capset(header, sets) == 0


def test_a_read_only_folder_is_named(run: Run, root: Path) -> None:
    root.chmod(0o555)
    with bound_by_permissions():
        outcome = run("train", "tracking=none")
    root.chmod(0o755)
    assert outcome.code == 2
    assert f"cannot write {root}" in outcome.err
    assert "Permission denied" in outcome.err
    assert "RNNLAB_ROOT" in outcome.err


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file may grow beyond 20 kB: the write fails half-way, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_write_that_fails_half_way_leaves_nothing_behind(
    run: Run, root: Path, request: pytest.FixtureRequest
) -> None:
    assert run("fetch", "dvc=true").code == 0
    request.getfixturevalue("small_files")
    outcome = run("preprocess", "dvc=true")
    assert outcome.code == 2
    assert "cannot write" in outcome.err
    assert not (root / "data/processed/price").exists()
    assert not list((root / "data").rglob("*.part"))


def test_a_result_that_is_not_json_is_named(run: Run, root: Path) -> None:
    assert run("fetch", "dvc=true").code == 0
    (root / "data/raw/price/fetched.json").write_text("{")
    outcome = run("preprocess", "dvc=true")
    assert outcome.code == 2
    assert "fetched.json is not JSON" in outcome.err


def test_the_report_without_results_says_what_to_run(run: Run, root: Path) -> None:
    shutil.rmtree(root, ignore_errors=True)
    outcome = run("report", "tracking=none")
    assert outcome.code == 2
    assert "dvc repro" in outcome.err
