"""The MLflow store: complete, the same when rebuilt from the folders, and unharmed by jobs side by side."""

import multiprocessing
import os
import socket
import subprocess
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from mlflow import MlflowClient
from mlflow.entities import Run as MLflowRun

from rnnlab.results.paths import Results
from rnnlab.tracking.describe import varied_by
from rnnlab.tracking.live import Row
from rnnlab.tracking.mlflow.pages import rounded
from rnnlab.tracking.mlflow.store import MLflowStore
from tests.conftest import Run, experiment_of, start

SHORT = ("trainer.max_epochs=2",)


def client(root: Path, name: str = "mlflow.db") -> MlflowClient:
    return MlflowClient(f"sqlite:///{root}/{name}")


def runs(store: MlflowClient) -> list[MLflowRun]:
    return store.search_runs([experiment.experiment_id for experiment in store.search_experiments()])


def content(store: MlflowClient) -> dict[str, Any]:
    """All that a store holds of each run, but for its ids."""
    found = {}
    for run in runs(store):
        history = {
            key: [(metric.step, metric.value) for metric in store.get_metric_history(run.info.run_id, key)]
            for key in run.data.metrics
        }
        folders = [store.list_artifacts(run.info.run_id, folder) for folder in ("train", "evaluate")]
        found[run.data.tags["rnnlab.key"]] = {
            "name": run.info.run_name,
            "status": run.info.status,
            "started": run.info.start_time,
            "ended": run.info.end_time,
            "params": run.data.params,
            "tags": {
                key: value.replace(run.info.run_id, "the run")
                for key, value in run.data.tags.items()
                if not key.startswith("mlflow.log")
            },
            "metrics": history,
            "artifacts": sorted(file.path for folder in folders for file in folder if not file.is_dir),
            "datasets": [(entry.dataset.name, entry.dataset.digest) for entry in run.inputs.dataset_inputs],
        }
    return found


def test_a_run_says_all_there_is_to_know(run: Run, root: Path) -> None:
    assert run("train", *SHORT, "cell=gru", "seed=3").code == 0
    assert run("evaluate", *SHORT, "cell=gru", "seed=3").code == 0
    (found,) = content(client(root)).values()
    assert found["name"] == "gru h32 s3 epochs=2"
    assert found["tags"]["variant"] == "gru h32 epochs=2"
    assert found["status"] == "FINISHED"
    assert found["params"]["cell.hidden_size"] == "32"
    assert found["params"]["seed"] == "3"
    assert found["params"]["task.symbol"] == "AAPL"
    tags = {
        "task",
        "cell",
        "layout",
        "unroll",
        "sweep",
        "stage",
        "data_digest",
        "git_commit",
        "git_dirty",
        "device",
        "processor",
        "threads",
        "python",
        "torch",
        "numpy",
        "pytorch_lightning",
        "rnnlab",
    }
    assert tags <= found["tags"].keys()
    assert found["tags"]["cores"] == str(len(os.sched_getaffinity(0)))
    assert [step for step, _ in found["metrics"]["loss/validation"]] == [1, 2]
    assert [step for step, _ in found["metrics"]["loss/train_step"]] == [0, 50]
    assert not {"trainer.threads", "trainer.log_every_n_steps"} & found["params"].keys()
    note = found["tags"]["mlflow.note.content"]
    assert (
        f"**gru on price: test relative MAE {found['metrics']['test/relative_mae'][0][1]:.4g}** (lower is better)"
        in note
    )
    assert "/runs/the run/artifacts/evaluate/forecast.png?workflowType=machine_learning)" in note
    experiment = client(root).get_experiment(experiment_of(client(root), "price"))
    assert experiment.name == f"price: AAPL, 5 ahead ({found['tags']['data_digest'][:6]})"
    assert found["tags"]["data"] == "price: AAPL, 5 ahead"
    assert found["tags"]["slug"] == "aapl-5-ahead"
    assert "judged by **relative MAE**" in experiment.tags["mlflow.note.content"]
    views = {key for key in experiment.tags if key.startswith("mlflow.sharedViewState.")}
    assert {view.rpartition(".")[2] for view in views} == {"learning-curves", "results"}
    assert {"test/relative_mae", "test/skill", "test/directional_accuracy_low", "test_parts/skill_1"} <= found[
        "metrics"
    ].keys()
    assert {"parameters", "validation_loss", "steps_per_second"} <= found["metrics"].keys()
    assert all(value == rounded(value) for history in found["metrics"].values() for _, value in history)
    assert {"train/config.yaml", "train/weights.safetensors", "evaluate/forecast.png"} <= set(found["artifacts"])
    assert found["datasets"] == [("price: AAPL, 5 ahead", found["tags"]["data_digest"])]


@pytest.mark.slow
def test_a_lost_store_is_rebuilt_from_the_folders_and_syncing_twice_adds_nothing(run: Run, root: Path) -> None:
    assert run("train", "-m", *SHORT, "cell=rnn,lstm", "seed=0,1").code == 0
    assert run("evaluate", "-m", *SHORT, "cell=rnn,lstm", "seed=0,1").code == 0
    before = content(client(root))
    assert len(before) == 4
    # in processes of their own: MLflow holds a store it has once opened, also when its file is gone
    (root / "mlflow.db").rename(root / "lost.db")
    outputs = [start(root, "report", "report.folder=runs", "tracking=sync").communicate(timeout=300)[0] for _ in "12"]
    assert "4 run(s) put into the store" in outputs[0]
    assert "put into the store" not in outputs[1]
    (root / "mlflow.db").rename(root / "rebuilt.db")
    assert content(client(root, "rebuilt.db")) == before


def test_a_run_is_put_into_the_store_in_few_requests(run: Run, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of thousands of them a sync takes as long as their requests."""
    assert run("train", *SHORT, "tracking=none").code == 0
    assert run("evaluate", *SHORT, "tracking=none").code == 0
    asked: list[str] = []
    for name in ("search_runs", "create_run", "log_batch", "log_inputs", "set_tag", "get_run", "set_terminated"):
        method = getattr(MlflowClient, name)

        def counted(self: MlflowClient, *given: Any, name: str = name, method: Any = method, **named: Any) -> Any:
            asked.append(name)
            return method(self, *given, **named)

        monkeypatch.setattr(MlflowClient, name, counted)
    results = Results(next(root.glob("runs/*/*/*/*/train/seed=0")).parents[1])
    assert MLflowStore(f"sqlite:///{root}/mlflow.db").put(results, 0) is not None
    # what it is found by, what it was given, its history, its training, its evaluation
    assert Counter(asked) == {
        "search_runs": 2, "create_run": 1, "log_inputs": 1, "log_batch": 4, "get_run": 1, "set_terminated": 1,
    }  # fmt: skip
    (found,) = runs(client(root))
    assert found.data.tags["rnnlab.trained"] == "true"
    assert found.data.tags["unroll"] != "auto"
    assert {"rnnlab.evaluated", "judging"} <= found.data.tags.keys()
    assert {"validation_loss", "test/relative_mae", "loss/train"} <= found.data.metrics.keys()


def test_training_again_takes_the_place_of_the_earlier_run(run: Run, root: Path) -> None:
    for _ in range(2):
        assert run("train", *SHORT, "force=true").code == 0
    assert len(runs(client(root))) == 1


def test_what_was_evaluated_stays_evaluated_when_the_same_training_is_repeated(run: Run, root: Path) -> None:
    for pipeline, *more in (("train",), ("evaluate",), ("train", "force=true")):
        assert run(pipeline, *SHORT, "cell=rnn", *more).code == 0
    (found,) = content(client(root)).values()
    assert "test/relative_mae" in found["metrics"]
    assert "evaluate/forecast.png" in found["artifacts"]


def test_an_old_evaluation_is_not_put_beside_a_new_training(run: Run, root: Path) -> None:
    """`dvc repro train@...` alone leaves the evaluation of the earlier training on disk."""
    for stage in ("fetch", "preprocess", "train", "evaluate"):
        assert run(stage, *SHORT, "dvc=true").code == 0
    assert run("train", *SHORT, "cell.hidden_size=8", "dvc=true").code == 0
    judged = {one["name"]: "test/relative_mae" in one["metrics"] for one in content(client(root)).values()}
    assert judged == {f"lstm h{size} s{seed} epochs=2": size == 32 for size in (32, 8) for seed in range(3)}


def test_a_result_that_was_not_tracked_is_put_in_the_store_when_it_is_found(run: Run, root: Path) -> None:
    assert run("train", *SHORT, "tracking=none").code == 0
    again = run("train", *SHORT)
    assert "already trained" in again.out
    assert len(runs(client(root))) == 1


def test_the_runs_of_a_sweep_are_flat_and_share_a_tag(run: Run, root: Path) -> None:
    assert run("train", "-m", *SHORT, "cell=rnn,gru", "seed=0").code == 0
    found = list(content(client(root)).values())
    assert {one["tags"]["sweep"] for one in found} == {"trainer.max_epochs=2 cell=rnn,gru seed=0"}
    assert not any("mlflow.parentRunId" in one["tags"] for one in found)


def test_a_job_that_fails_lets_the_others_of_its_sweep_run(run: Run, root: Path) -> None:
    outcome = run("train", "-m", *SHORT, "cell.hidden_size=0,8")
    assert outcome.code == 2
    assert "cell.hidden_size=0" in outcome.err
    assert [one["params"]["cell.hidden_size"] for one in content(client(root)).values()] == ["8"]


def test_a_run_that_dies_is_marked_failed_with_its_reason(run: Run, root: Path) -> None:
    outcome = run(
        "train", "cell=rnn", "cell.activation=relu", "optimizer=sgd", "optimizer.lr=1e18", "schedule=constant",
        "trainer.gradient_clip_val=null", "task.loss=SquaredError",
    )  # fmt: skip
    assert outcome.code == 2
    (found,) = runs(client(root))
    assert found.info.status == "FAILED"
    assert "loss became" in found.data.tags["rnnlab.end"]


@pytest.mark.slow
def test_a_live_run_is_not_taken_for_a_dead_one(root: Path) -> None:
    process = start(root, "train", "trainer.max_epochs=500", "trainer.patience=500")
    while not list(root.glob("runs/price/*/lstm/*/checkpoints/seed=0/last.ckpt")):
        assert process.poll() is None
    other = start(root, "train", *SHORT, "cell=rnn")
    printed, _ = other.communicate(timeout=300)
    assert other.returncode == 0, printed
    assert [one.info.status for one in runs(client(root)) if one.data.tags["cell"] == "lstm"] == ["RUNNING"]
    process.kill()
    process.communicate()
    other = start(root, "train", *SHORT, "cell=rnn")
    printed, _ = other.communicate(timeout=300)
    assert "had been killed: marked FAILED" in printed
    assert [one.info.status for one in runs(client(root)) if one.data.tags["cell"] == "lstm"] == ["FAILED"]


@pytest.mark.slow
def test_jobs_side_by_side_lose_nothing_in_a_new_store(root: Path) -> None:
    """A Hydra sweep in four processes, the store not yet made."""
    process = start(root, "train", "-m", *SHORT, "cluster.workers=4", "cell=rnn", "seed=range(0,8)")
    printed, _ = process.communicate(timeout=600)
    assert process.returncode == 0, printed
    found = content(client(root))
    assert len(found) == 8
    assert all(one["status"] == "FINISHED" for one in found.values())
    assert all(len(one["metrics"]["loss/validation"]) == 2 for one in found.values())


def write_runs(root: str, first: int) -> None:
    """Eight runs, one after another, each with 200 values of a loss by step and 20 by epoch."""
    os.environ["RNNLAB_ROOT"] = root
    store = MLflowStore(f"sqlite:///{root}/mlflow.db")
    for number in range(first, first + 8):
        run = {
            "key": f"run {number}", "name": "rnn", "task": "price", "seed": number, "folder": root, "started": number,
            "params": {"seed": number}, "tags": {"git_commit": ""},
            "dataset": {"title": "prices", "slug": "s", "digest": "d", "setting": "s"},
        }  # fmt: skip
        with store.live(run) as live:
            for step in range(0, 200, 10):
                live.send([Row("loss/train_step", number + at / 1000, at, 0, at) for at in range(step, step + 10)])
                live.send([Row("loss/validation", number + step / 1000, step, step // 10, step)])
        assert live.complete


@pytest.mark.slow
def test_four_processes_with_32_runs_lose_no_value(root: Path) -> None:
    """The writing alone, without the training between."""
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as pool:
        for done in [pool.submit(write_runs, str(root), first) for first in range(0, 32, 8)]:
            done.result(timeout=300)
    found = content(client(root))
    assert sorted(found) == sorted(f"run {number}" for number in range(32))
    for one in found.values():
        number = int(one["params"]["seed"])
        assert one["metrics"]["loss/train_step"] == [(step, rounded(number + step / 1000)) for step in range(200)]
        assert one["metrics"]["loss/validation"] == [(epoch, rounded(number + epoch / 100)) for epoch in range(20)]


@pytest.mark.slow
def test_processes_that_start_at_once_make_one_store(root: Path) -> None:
    """Without a sweep's callback: each process finds no store and wants to make it."""
    processes = [start(root, "train", *SHORT, "cell=rnn", f"seed={seed}") for seed in range(3)]
    for process in processes:
        printed, _ = process.communicate(timeout=300)
        assert process.returncode == 0, printed
    assert len(content(client(root))) == 3


@pytest.mark.slow
def test_the_ui_shows_the_store_of_the_pipelines_from_any_folder(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    start(root, "train", *SHORT).communicate(timeout=300)
    port = free_port()
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    server = start(root, "ui", f"port={port}", folder=elsewhere, terminal=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/search?max_results=9"
        names = [experiment["name"] for experiment in answer(address, seconds=60).json()["experiments"]]
        assert any(name.startswith("price: AAPL, 5 ahead (") for name in names)
        assert not list(elsewhere.iterdir())
    finally:
        server.terminate()
        server.wait(timeout=30)


def answer(address: str, seconds: float) -> requests.Response:
    end = time.monotonic() + seconds
    while True:
        try:
            return requests.get(address, timeout=5)
        except requests.ConnectionError:
            assert time.monotonic() < end, "the server does not answer"
            time.sleep(0.3)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def test_names_lead_with_what_differs_in_an_order_that_the_command_line_does_not_decide(run: Run, root: Path) -> None:
    words = ("trainer.max_epochs=1", "trainer.limit_batches=1", "optimizer.lr=0.01", "cell.num_layers=2")
    assert run("train", *words, "cell=gru").code == 0
    assert run("train", "cell=gru", *reversed(words), "seed=1").code == 0
    found = content(client(root)).values()
    assert {one["name"] for one in found} == {f"gru h32 s{n} layers=2 lr=0.01 batches=1 epochs=1" for n in (0, 1)}
    assert {one["tags"]["variant"] for one in found} == {"gru h32 layers=2 lr=0.01 batches=1 epochs=1"}


def test_no_setting_is_lost_whose_key_ends_as_that_of_another() -> None:
    """Runs that differ in either have names and variants of their own, over which charts take no mean."""
    words = ["task.data.order=permuted", "cell.order=2", "optimizer.lr=0.01", "seed=3"]
    assert varied_by(words) == ["cell.order=2", "lr=0.01", "task.data.order=permuted"]


@pytest.mark.parametrize(
    ("value", "shown"), [(0.1234567, 0.12346), (1234567, 1234567), (1234567.0, 1234567.0), (3.1e-9, 3.1e-9)]
)
def test_the_ui_gets_five_digits(value: float, shown: float) -> None:
    assert rounded(value) == shown
