"""Runs under way that other hosts train, or other containers of this one's name: who is dead, who lives."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rnnlab.results.files import read_json, write_json
from rnnlab.results.locks import locked
from rnnlab.results.paths import Results
from rnnlab.tracking import live
from rnnlab.tracking.live import LiveRun
from rnnlab.tracking.mlflow import store as of_store
from rnnlab.tracking.mlflow import watch
from rnnlab.tracking.mlflow.store import MLflowStore
from rnnlab.tracking.mlflow.watch import Watch
from tests.conftest import CHECKOUT, Run
from tests.results.test_locks import kill, own_namespaces, write_foreign
from tests.tracking.test_tracking import client, runs
from tests.tracking.test_tracking_server import Server, wait_for

UNDER_WAY = """
import json, sys, time
from pathlib import Path
from rnnlab.tracking import live
from rnnlab.tracking.mlflow.store import MLflowStore
live.BEAT_SECONDS = 0.5
with MLflowStore(sys.argv[1]).live(json.loads(sys.argv[2])):
    time.sleep(600)
"""
"""A run that does nothing but live."""


def content_of_run(root: Path, number: int = 1) -> dict[str, object]:
    return {
        "key": f"run {number}", "name": "rnn", "task": "price", "seed": 0, "folder": str(root / "runs/price/x/rnn/y"),
        "started": number, "params": {"seed": 0}, "tags": {"git_commit": "", "task": "price", "host": "box"},
        "dataset": {"title": "prices", "slug": "s", "digest": "d", "setting": "s"},
    }  # fmt: skip


def under_way(uri: str, root: Path, run: dict[str, object], *before: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*before, sys.executable, "-c", UNDER_WAY, uri, json.dumps(run)],
        env={**os.environ, "RNNLAB_ROOT": str(root), "PYTHONPATH": str(CHECKOUT / "src")},
        start_new_session=True,
    )


def repair(uri: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a process that works in `root` does when it opens the store."""
    monkeypatch.setenv("RNNLAB_ROOT", str(root))
    MLflowStore(uri).repair()


def test_a_host_judges_by_what_it_saw_itself(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(watch.time, "monotonic", lambda: now)
    assert Watch().silent({"a": "0", "b": "7"}) == set()
    now += 299
    assert Watch().silent({"a": "0", "b": "8"}) == set()
    now += 1
    assert Watch().silent({"a": "0", "b": "8"}) == {"a"}
    now += 298
    assert Watch().silent({"b": "8"}) == set()
    now += 1
    # another host with this folder has seen nothing yet, and one that was started again neither
    with monkeypatch.context() as patch:
        patch.setattr(watch, "_this_host", lambda: "another")
        assert Watch().silent({"b": "8"}) == set()
    assert Watch().silent({"b": "8"}) == {"b"}
    (root / "mlflow.db.seen").write_text("{")  # damaged
    assert Watch().silent({"b": "8"}) == set()


def test_a_run_says_that_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "BEAT_SECONDS", 0.1)
    seen: list[tuple[str, int]] = []
    run = LiveRun(lambda: "id", lambda *_: None, beat=lambda *beat: seen.append(beat))
    time.sleep(1)
    run.close()
    assert seen[:3] == [("id", 1), ("id", 2), ("id", 3)]
    assert len(seen) <= 10


def test_a_run_whose_folder_is_not_seen_here_is_judged_by_its_signs_of_life(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lock cannot be looked at: of the same path, this workspace may have a folder of its own."""
    monkeypatch.setattr(watch, "SILENT_SECONDS", 3.0)
    uri = f"sqlite:///{tmp_path}/shared.db"
    theirs, ours = tmp_path / "a", tmp_path / "b"
    run = content_of_run(tmp_path)
    MLflowStore(uri).open()
    process = under_way(uri, theirs, run)
    try:
        wait_for(lambda: runs(client(tmp_path, "shared.db")), 60)
        other = {"key": run["key"], "started": 2}
        write_json(Results(Path(str(run["folder"]))).checkpoints(0) / "run.json", other)
        end = time.monotonic() + 5
        while time.monotonic() < end:
            repair(uri, ours, monkeypatch)
            (found,) = runs(client(tmp_path, "shared.db"))
            assert found.info.status == "RUNNING"
            time.sleep(0.5)
    finally:
        kill(process)
    repair(uri, ours, monkeypatch)
    time.sleep(3.1)
    repair(uri, ours, monkeypatch)
    (found,) = runs(client(tmp_path, "shared.db"))
    assert found.info.status == "FAILED"
    assert "no sign of life" in found.data.tags["rnnlab.end"]


def test_a_run_whose_folder_is_seen_here_is_judged_by_its_lock(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, whatever host holds it."""
    uri = f"sqlite:///{tmp_path}/shared.db"
    run = content_of_run(tmp_path)
    checkpoints = Results(Path(str(run["folder"]))).checkpoints(0)
    write_json(checkpoints / "run.json", run)
    MLflowStore(uri)._begin(run)
    with locked(checkpoints / ".lock"):
        repair(uri, tmp_path / "b", monkeypatch)
    (found,) = runs(client(tmp_path, "shared.db"))
    assert found.info.status == "RUNNING"
    marker = write_foreign(checkpoints / ".lock")
    repair(uri, tmp_path / "b", monkeypatch)
    (found,) = runs(client(tmp_path, "shared.db"))
    assert found.info.status == "RUNNING"
    os.utime(marker, (time.time() - 600, time.time() - 600))
    repair(uri, tmp_path / "b", monkeypatch)
    (found,) = runs(client(tmp_path, "shared.db"))
    assert found.info.status == "FAILED"
    assert found.data.tags["rnnlab.end"] == "its process was killed"


def test_a_run_that_was_taken_for_dead_is_finished_when_it_ends(run: Run, root: Path) -> None:
    def fail() -> None:
        while not (found := runs(client(root))):
            time.sleep(0.1)
        MLflowStore(f"sqlite:///{root}/mlflow.db")._fail(found[0], "no sign of life", "gave none")

    MLflowStore().open()
    thread = threading.Thread(target=fail)
    thread.start()
    outcome = run("train", "cell=rnn", "trainer.max_epochs=30", "trainer.patience=30")
    thread.join()
    assert outcome.code == 0, outcome.err
    assert "marked FAILED" in outcome.out + outcome.err
    (found,) = runs(client(root))
    assert found.info.status == "FINISHED"
    assert of_store.END not in found.data.tags
    (folder,) = root.glob("runs/price/*/rnn/*/train/seed=0")
    assert found.info.end_time == int(read_json(folder / "metrics.json")["ended"] * 1000)


@pytest.mark.slow
def test_two_containers_of_one_host_name_on_one_server(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each with a workspace of its own, whose paths the other does not see: neither ends the other's run."""
    box = own_namespaces()
    server = Server(tmp_path)
    server.start()
    try:
        started = [under_way(server.uri, tmp_path / name, content_of_run(tmp_path / name, number), *box)
                   for number, name in enumerate("ab", 1)]  # fmt: skip
        store = MLflowStore(server.uri)
        wait_for(lambda: len(runs(store.client)) == 2)
        opened = "import sys\nfrom rnnlab.tracking.mlflow.store import MLflowStore\nMLflowStore(sys.argv[1]).open()\n"
        for name in "ab":
            subprocess.run(
                [*box, sys.executable, "-c", opened, server.uri],
                env={**os.environ, "RNNLAB_ROOT": str(tmp_path / name), "PYTHONPATH": str(CHECKOUT / "src")},
                check=True,
            )
        assert {one.info.status for one in runs(store.client)} == {"RUNNING"}
        os.killpg(started[0].pid, signal.SIGKILL)
        monkeypatch.setattr(watch, "SILENT_SECONDS", 4.0)
        repair(server.uri, tmp_path / "c", monkeypatch)
        time.sleep(5)
        repair(server.uri, tmp_path / "c", monkeypatch)
        found = {one.data.tags["rnnlab.key"]: one.info.status for one in runs(store.client)}
        assert found == {"run 1": "FAILED", "run 2": "RUNNING"}
    finally:
        for process in started:
            kill(process)
        server.kill()
