"""A tracking server that goes away: training does not wait for it, and the store ends up with everything."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from rnnlab.tracking import live
from rnnlab.tracking.live import Connection, LiveRun, Row
from rnnlab.tracking.mlflow.store import MLflowStore
from tests.conftest import Run, start
from tests.tracking.test_tracking import answer, client, content, free_port

LONG = ("trainer.max_epochs=60", "trainer.patience=60", "cell=rnn")


class Server:
    """MLflow's own server on a store of its own, which can be killed and brought back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [
            sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", "127.0.0.1", "--port", str(self.port),
            "--backend-store-uri", f"sqlite:///{self.folder}/server.db",
            "--artifacts-destination", str(self.folder / "artifacts"),
        ]  # fmt: skip
        self.process = subprocess.Popen(
            command,
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
            start_new_session=True,
        )
        answer(f"{self.uri}/health", seconds=90)

    def kill(self) -> None:
        """The server and its worker, with SIGKILL."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.kill()


def runs_of(server: Server) -> list[Any]:
    client = MlflowClient(server.uri)
    found = client.search_experiments(filter_string="tags.task = 'price'")
    return list(client.search_runs([found[0].experiment_id])) if found else []


def wait_for(condition: Callable[[], Any], seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)


@pytest.mark.slow
def test_a_run_outlives_its_server_and_is_put_into_the_store_afterwards(
    root: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    process = start(root, "train", *LONG)
    wait_for(lambda: [run for run in runs_of(server) if "loss/validation" in run.data.metrics])
    server.kill()
    printed, _ = process.communicate(timeout=400)
    assert process.returncode == 0, printed
    assert len(re.findall("the MLflow store failed", printed)) == 1, printed
    # in one line whatever the cause: a server may be killed within an answer, and training may end while it is tried
    assert re.search(r"the MLflow store failed \([^\n]{5,100}\): results are kept on disk", printed), printed
    assert "Traceback" not in printed
    assert "is not in the MLflow store yet" in printed
    assert "WARNING" not in printed  # of MLflow's or urllib3's own
    assert list(root.glob("runs/price/*/rnn/*/train/seed=0/history.parquet"))

    server.start()
    (cut_off,) = runs_of(server)
    assert cut_off.info.status == "RUNNING"
    printed, _ = start(root, "evaluate", *LONG, "tracking=sync").communicate(timeout=400)
    assert "had ended without the store: completed" in printed
    (whole,) = content(MlflowClient(server.uri)).values()
    assert whole["status"] == "FINISHED"
    assert [step for step, _ in whole["metrics"]["loss/validation"]] == list(range(1, 61))

    # and it is what a store that was never away would hold
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    start(root, "report", "report.folder=runs", "tracking=sync").communicate(timeout=400)
    (rebuilt,) = content(client(root)).values()
    for part, found in whole.items():
        assert rebuilt[part] == found


def test_a_server_that_is_away_from_the_start_is_an_error_before_any_work(run: Run, root: Path) -> None:
    uri = f"http://127.0.0.1:{free_port()}"
    outcome = run("train", f"tracking.uri={uri}")
    assert outcome.code == 2
    assert f"The MLflow store {uri} cannot be used (Connection refused)." in outcome.err
    assert not list(root.glob("runs/*"))


def test_so_it_is_before_a_sweep_which_tells_no_password(run: Run, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:s3cret@{address}")
    outcome = run("train", "-m", "cell=rnn,gru")
    assert outcome.code == 2
    assert outcome.err.startswith(f"error: The MLflow store http://{address} cannot be used")
    assert "s3cret" not in outcome.out + outcome.err
    assert not list(root.glob("runs/*"))


@pytest.mark.parametrize("key", ["tracking.uri", "fetch.mirror", "task.path"])
def test_an_address_with_a_secret_is_refused_in_a_sweep(run: Run, root: Path, key: str) -> None:
    """Hydra prints them, and keeps them in a file."""
    outcome = run("train", "-m", "cell=rnn,gru", f"+{key}=http://me:s3cret@127.0.0.1/my.csv")
    assert outcome.code == 2
    assert f"{key}=http://127.0.0.1/my.csv: what a sweep is given is printed and kept" in outcome.err
    assert "s3cret" not in outcome.out + outcome.err
    assert not list(root.iterdir())


def test_a_server_that_comes_back_during_training_gets_everything(root: Path, server: Server) -> None:
    run = {
        "key": "key", "name": "gru h8 seed 0", "task": "adding", "seed": 0, "folder": str(root), "started": 1000,
        "params": {"cell": "gru"}, "tags": {"git_commit": ""},
        "dataset": {"title": "t", "slug": "s", "digest": "d", "setting": "s"},
    }  # fmt: skip
    rows = [Row("loss/train_step", float(step), 50 * step, 0, 1000 + step) for step in range(40)]
    with MLflowStore(server.uri).live(run) as live_run:
        live_run.send(rows[:10])
        wait_for(lambda: live_run.complete)
        server.kill()
        live_run.send(rows[10:20])
        wait_for(lambda: live_run._connection.away)
        live_run.send(rows[20:30])
        server.start()
        wait_for(lambda: live_run.complete)
        live_run.send(rows[30:])
    history = MlflowClient(server.uri).get_metric_history(live_run.run_id, "loss/train_step")
    assert [(one.step, one.value, one.timestamp) for one in history] == [
        (row.step, row.value, row.time) for row in rows
    ]


def test_a_password_in_the_address_is_neither_told_nor_kept(
    run: Run, root: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = server.uri.replace("//", "//me:s3cret@")
    outcome = run("train", "cell=rnn", "trainer.max_epochs=1", f"tracking.uri={address}")
    assert outcome.code == 0, outcome.err
    assert "s3cret" not in outcome.out + outcome.err
    kept = [path for folder in (root, server.folder) for path in folder.rglob("*") if path.is_file()]
    assert any(path.name == "config.yaml" for path in kept)
    assert not [path for path in kept if b"s3cret" in path.read_bytes()]

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:s3cret@127.0.0.1:{free_port()}")
    outcome = run("train")
    assert outcome.code == 2
    assert "The MLflow store http://127.0.0.1" in outcome.err
    assert "s3cret" not in outcome.out + outcome.err


def test_a_driver_that_is_missing_is_named(run: Run, root: Path) -> None:
    outcome = run("train", "tracking.uri=mssql+nothing://me:s3cret@127.0.0.1/runs")
    assert outcome.code == 2
    assert "cannot be used" in outcome.err
    assert "s3cret" not in outcome.err


@contextlib.contextmanager
def silent_server() -> Iterator[str]:
    """Accepts every connection and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("kind", ["closed", "silent"])
def test_sending_never_waits(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither for a closed port nor for a server that hangs; what the end of training waits is bounded."""
    import requests

    monkeypatch.setattr(live, "PATIENCE", 1.0)
    with silent_server() as silent:
        address = silent if kind == "silent" else f"http://127.0.0.1:{free_port()}"

        def log_rows(run_id: str, rows: list[Row]) -> None:
            requests.post(address, timeout=10)

        connection = Connection()
        run = LiveRun(lambda: "run", log_rows, connection)
        longest = 0.0
        for step in range(200):
            begin = time.perf_counter()
            run.send([Row("loss/train_step", 0.0, step, 0, step)])
            longest = max(longest, time.perf_counter() - begin)
            time.sleep(0.001)
        begin = time.perf_counter()
        run.close()
        assert longest < 0.05
        assert time.perf_counter() - begin < 3
        assert not run.complete
        assert connection.away


def test_rows_are_sent_once_and_in_order_when_the_store_fails_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(live, "LONGEST_PAUSE", 0.02)
    taken: list[Row] = []
    attempts = iter(range(1_000_000))

    def log_rows(run_id: str, rows: list[Row]) -> None:
        if next(attempts) % 3:
            raise ConnectionError("no answer")
        taken.extend(rows)

    run = LiveRun(lambda: "run", log_rows, Connection())
    rows = [Row("loss/train_step", float(step), step, 0, step) for step in range(300)]
    for start_of in range(0, 300, 10):
        run.send(rows[start_of : start_of + 10])
        time.sleep(0.005)
    wait_for(lambda: run.complete, seconds=10)
    run.close()
    assert taken == rows
    assert not [thread for thread in threading.enumerate() if thread.name == "tracking"]
