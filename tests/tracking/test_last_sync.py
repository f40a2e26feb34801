"""What a sync leaves behind, so that one with nothing to do opens no store."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from rnnlab.results.files import write_json
from rnnlab.results.origin import FORMAT
from rnnlab.tracking.mlflow import last_sync
from rnnlab.tracking.mlflow.last_sync import LastSync
from tests.conftest import Run, experiment_of, imported_by
from tests.tracking.test_tracking import client, runs

SYNC = ("report.folder=runs", "report.write=false", "report.show=false", "tracking=sync")


def is_valid(root: Path) -> bool:
    return LastSync(f"sqlite:///{root}/mlflow.db").is_valid()


@pytest.fixture
def synced(run: Run, root: Path) -> Path:
    """A root with one run, trained and synced."""
    assert run("train", "cell=rnn", "trainer.max_epochs=1", "trainer.limit_batches=1").code == 0
    assert not is_valid(root)
    assert run("report", *SYNC).code == 0
    assert is_valid(root)
    return root


def test_a_sync_with_nothing_to_do_imports_no_mlflow(synced: Path) -> None:
    assert not imported_by(synced, "report", *SYNC) & {"mlflow", "sqlalchemy", "torch", "pandas", "numpy"}
    write_json(synced / "mlflow.db.synced", {})
    assert imported_by(synced, "report", *SYNC) >= {"mlflow", "sqlalchemy"}
    assert is_valid(synced)


def tagged(root: Path) -> None:
    (found,) = runs(client(root))
    client(root).set_tag(found.info.run_id, "by", "hand")


@pytest.mark.slow
def test_after_any_change_the_store_is_opened_and_then_again_left_alone(run: Run, synced: Path) -> None:
    (train,) = synced.glob("runs/*/*/*/*/train/seed=0")
    judged = train.parents[1] / "evaluate/seeds/seed=0"
    changes: dict[str, Callable[[], object]] = {
        "someone wrote into it": lambda: tagged(synced),
        "the seed was trained again": (train / "run.json").touch,
        "it was evaluated": lambda: judged.mkdir(parents=True) or write_json(judged / "metrics.json", {}),
        "the file is damaged": lambda: (synced / "mlflow.db.synced").write_text("{"),
        "the seed is gone": lambda: shutil.rmtree(train),
        "the database is gone": (synced / "mlflow.db").unlink,  # last: MLflow holds in this process what it has opened
    }
    for name, change in changes.items():
        change()
        assert not is_valid(synced), name
        assert imported_by(synced, "report", *SYNC) >= {"mlflow"}
        assert is_valid(synced), name


def test_nothing_is_kept_while_a_run_is_under_way(run: Run, synced: Path) -> None:
    """Its process may be killed, which changes nothing on disk, and the next sync has to end it."""
    store: MlflowClient = client(synced)
    begun = store.create_run(experiment_of(store, "price"))
    assert run("report", *SYNC).code == 0
    assert not is_valid(synced)
    store.set_terminated(begun.info.run_id)
    assert run("report", *SYNC).code == 0
    assert is_valid(synced)


@pytest.mark.parametrize("name", ["run.json", "weights.safetensors", "price.db"])
def test_a_file_that_another_process_deletes_meanwhile_is_a_change(
    root: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Between the moment that it is found and the moment that it is read."""
    train = root / "runs/price/aapl-0/rnn/abc/train/seed=0"
    for file in ("run.json", "weights.safetensors"):
        write_json(train / file, {"format": FORMAT, "key": "runs/price/rnn/abc/seed=0"})
    (root / "price.db").touch()

    def looked_at() -> LastSync:
        return LastSync(f"sqlite:///{root}/price.db")

    state = looked_at().state()
    assert state is not None
    looked_at().keep(state)
    assert looked_at().is_valid()

    is_file = Path.is_file

    def found_and_deleted(path: Path) -> bool:
        found = is_file(path)
        if path.name == name:
            path.unlink(missing_ok=True)
        return found

    listed = last_sync._files

    def listed_and_deleted(folder: str) -> Iterator[os.DirEntry[str]]:
        for file in listed(folder):
            if file.name == name:
                Path(file.path).unlink(missing_ok=True)
            yield file

    monkeypatch.setattr(Path, "is_file", found_and_deleted)
    monkeypatch.setattr(last_sync, "_files", listed_and_deleted)
    assert not looked_at().is_valid()
