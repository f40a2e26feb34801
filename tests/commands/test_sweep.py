"""Before a sweep: what all its jobs share is checked, then the store is made."""

from pathlib import Path

import pytest

from rnnlab.results.paths import CONF
from tests.conftest import Run

SHORT = ("train", "-m", "task=xor", "trainer.max_epochs=1", "trainer.limit_batches=1")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tasks that a store is opened for; the process ends there."""
    tasks: list[str] = []

    def open_store(cfg: object) -> None:
        tasks.append(cfg.task.name)  # type: ignore[attr-defined]
        raise SystemExit(99)

    monkeypatch.setattr("rnnlab.commands.tracking.open_store", open_store)
    return tasks


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("cell=rnn,gru", "trainer.patience=0"), "trainer.patience must be an integer >= 1 or null, got 0."),
        (("seed=0,1", "trainer.accelerator=tpu"), "trainer.accelerator must be one of auto, cpu, gpu, got tpu."),
        (("seed=0,1", "+port2=1"), "port2: nothing reads this key."),
        (("task=xor,digits", "task.name=../up"), "task.name must be a name"),
        (("cell=rnn,gru", "experiment=learning_rates,sizes", "tracking._target_=os.X"), "tracking._target_=os.X"),
    ],
)
def test_what_no_job_can_work_with_is_refused_before_a_store_is_made(
    run: Run, root: Path, opened: list[str], words: tuple[str, ...], message: str
) -> None:
    outcome = run(*SHORT, *words)
    assert outcome.code == 2, outcome.err
    assert outcome.err.startswith("error: ")
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert not opened
    assert not list(root.iterdir())


@pytest.mark.parametrize(
    "words",
    [
        ("trainer.patience=0,1",),
        ("cell=rnn,gru", "cell.hidden_size=4"),
        ("task=xor,digits", "+task.of_digits=1"),
        ("experiment=learning_rates,sizes", "trainer.patience=0"),
        *((f"experiment={path.stem}",) for path in sorted(CONF.glob("experiment/*.yaml"))),
    ],
    ids=" ".join,
)
def test_what_its_jobs_decide_is_left_to_them(run: Run, root: Path, opened: list[str], words: tuple[str, ...]) -> None:
    outcome = run("train", "-m", *words)
    assert outcome.code == 99, outcome.err
    assert len(opened) == 1
