"""Champions: the best model of a task by its validation loss, among those for the same loss on the same data."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from rnnlab.errors import UserError
from rnnlab.results.files import read_json
from rnnlab.serving import champions, model
from rnnlab.tracking.mlflow.pages import rounded
from tests.conftest import Run, start
from tests.tracking.test_tracking import client, runs

SHORT = ("cell=rnn", "trainer.max_epochs=1")
SYNC = ("report", "report.folder=runs", "report.write=false", "report.show=false", "tracking=sync")


def registered(root: Path, name: str = "mlflow.db") -> list[str]:
    return [model.name for model in client(root, name).search_registered_models()]


def champion(root: Path, name: str = "mlflow.db") -> ModelVersion:
    (only,) = registered(root, name)
    return client(root, name).get_model_version_by_alias(only, "champion")


def versions(root: Path) -> int:
    return len(client(root).search_model_versions())


def validation_losses(root: Path) -> dict[str, float]:
    folders = [path.parent for path in root.glob("runs/price/*/*/*/train/*/metrics.json")]
    return {read_json(one / "run.json")["key"]: read_json(one / "metrics.json")["validation_loss"] for one in folders}


def test_the_champion_is_the_best_on_validation_also_in_a_rebuilt_store(run: Run, root: Path) -> None:
    assert run("train", "-m", *SHORT, "seed=0,1,2").code == 0
    losses = validation_losses(root)
    found = champion(root)
    assert found.tags["rnnlab.key"] == min(losses, key=lambda key: losses[key])
    assert float(found.tags["validation_loss"]) == min(losses.values())
    seed, digest = int(found.tags["seed"]), found.tags["data_digest"]
    assert found.tags["cell"] == "rnn"

    # what the test split says of it stands beside the model too, with the data it is of, once it is judged
    assert run("evaluate", *SHORT, f"seed={seed}").code == 0
    store = client(root)
    (of,) = [one for one in runs(store) if one.info.run_id == found.run_id]
    (output,) = of.outputs.model_outputs
    model = store.get_logged_model(output.model_id)
    shown = {metric.key: metric.value for metric in model.metrics if metric.dataset_digest == digest}
    assert shown["validation_loss"] == rounded(min(losses.values()))
    assert shown["test/relative_mae"] == of.data.metrics["test/relative_mae"]
    assert len(store.get_metric_history(of.info.run_id, "test/relative_mae")) == 1

    (root / "mlflow.db").rename(root / "lost.db")
    process = start(root, "report", "report.folder=runs", "tracking=sync")
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    (root / "mlflow.db").rename(root / "rebuilt.db")
    again = champion(root, "rebuilt.db")
    assert {**again.tags} == {**found.tags}
    assert again.description == found.description


def test_a_champion_with_more_than_a_hundred_metrics_is_shown_with_all_of_them(run: Run, root: Path) -> None:
    """Also when it is judged again."""
    series = ("task=series", "cell=rnn", "trainer.max_epochs=1")
    assert run("train", *series).code == 0
    for _ in range(2):
        outcome = run("evaluate", *series)
        assert outcome.code == 0
        assert "store failed" not in outcome.out + outcome.err
    store = client(root)
    (found,) = runs(store)
    (output,) = found.outputs.model_outputs
    shown = {metric.key for metric in store.get_logged_model(output.model_id).metrics}
    judged = {key for key in found.data.metrics if key.startswith(("test/", "test_parts/"))}
    assert len(judged) > 100
    assert judged < shown


def test_what_is_not_better_or_not_comparable_leaves_the_champion_alone(run: Run, root: Path) -> None:
    assert run("train", *SHORT, "trainer.limit_batches=2").code == 0
    assert not client(root).search_registered_models()  # validated on two batches
    assert run("train", *SHORT).code == 0
    first = champion(root).tags["rnnlab.key"]
    assert run("train", *SHORT, "optimizer.lr=1e-9", "seed=1").code == 0  # hardly trained
    losses = validation_losses(root)
    assert losses[first] < max(losses.values())
    assert champion(root).tags["rnnlab.key"] == first
    printed = run("train", *SHORT, "task.loss=SquaredError").out  # whose values are much smaller
    assert "the champion in the registry was chosen by another loss" in printed
    assert champion(root).tags["rnnlab.key"] == first
    assert versions(root) == 1


def test_a_champion_by_another_loss_whose_results_are_gone_gives_way(run: Run, root: Path) -> None:
    assert run("train", *SHORT).code == 0
    first = champion(root)
    shutil.rmtree(root / "runs/price")
    assert run("train", *SHORT, "task.loss=SquaredError").code == 0
    second = champion(root)
    assert second.tags["yardstick"] != first.tags["yardstick"]
    assert [int(one.version) for one in (first, second)] == [1, 2]


def test_a_run_trained_again_takes_its_own_place(run: Run, root: Path) -> None:
    for _ in range(2):
        assert run("train", *SHORT, "force=true").code == 0
    (only,) = runs(client(root))
    assert champion(root).run_id == only.info.run_id


def test_a_champion_that_the_registry_did_not_take_is_put_there_by_the_next_sync(
    run: Run, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "create_model_version", fail)
        for command in (("train", *SHORT), SYNC):
            outcome = run(*command)
            assert outcome.code == 0, outcome.err
            assert "no space left" in outcome.err + outcome.out
    assert versions(root) == 0
    assert run(*SYNC).code == 0
    assert float(champion(root).tags["validation_loss"]) == min(validation_losses(root).values())
    assert versions(root) == 1


def test_why_a_pair_has_no_champion_is_said_once(run: Run, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise UserError("it takes no raw input.")

    monkeypatch.setattr(model, "save_model", refuse)
    monkeypatch.setattr(champions, "_no_model", set())
    printed = "".join(
        run("train", "-m", "trainer.max_epochs=1", f"cell={cell}", "seed=0,1").out for cell in ("rnn", "gru")
    )
    for name in ("rnn", "gru"):
        line = f"{name} h32 s0 epochs=1 would be the new champion, but cannot be made a model: it takes no raw"
        assert line in printed
    assert printed.count("would be the new champion") == 2


def test_the_champion_answers_by_its_address(run: Run, root: Path) -> None:
    """The last of this file: for the rest of the process, MLflow's registry is that of the store it was asked for."""
    assert run("train", *SHORT).code == 0
    (folder,) = root.glob("runs/price/*/rnn/*")
    rng = np.random.default_rng(0)
    dates = pd.bdate_range("2024-01-01", periods=40)
    close = 100 * np.exp(rng.normal(0, 0.01, 40).cumsum())
    table = pd.DataFrame({"date": dates, "close": close, "volume": rng.integers(1, 9, 40)})
    table.to_csv(root / "prices.csv", index=False)
    for named, name in ((f"models:/{registered(root)[0]}@champion", "champion"), (folder, "folder")):
        done = run("predict", f"model={named}", f"input={root / 'prices.csv'}", f"output={root / name}.csv")
        assert done.code == 0, done.err
    assert (root / "champion.csv").read_text() == (root / "folder.csv").read_text()
