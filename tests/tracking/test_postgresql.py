"""A store in PostgreSQL that several processes of different workspaces use first at the same time."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from rnnlab import extras
from rnnlab.errors import MissingExtra
from rnnlab.tracking.mlflow.client import connected, store_uri
from rnnlab.tracking.mlflow.store import MLflowStore
from tests.conftest import CHECKOUT
from tests.tracking.test_tracking import free_port, runs

FIRST_USE = """
import sys
from rnnlab.tracking.mlflow.store import MLflowStore
number = int(sys.argv[2])
store = MLflowStore(sys.argv[1])
store.open()
run = {
    "key": f"run {number}", "name": "rnn", "task": "price", "seed": 0, "folder": "/nowhere", "started": number,
    "params": {"seed": 0}, "tags": {"git_commit": ""},
    "dataset": {"title": "prices", "slug": "s", "digest": "d", "setting": "s"},
}
with store.live(run) as live:
    pass
assert live.complete
"""


@pytest.fixture(scope="module")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server without a database, as psycopg2 takes it."""
    found = shutil.which("pg_ctl") or next((str(path) for path in Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")), "")
    if not found:
        pytest.skip("no PostgreSQL")
    if find_spec("psycopg2") is None:
        pytest.skip("no psycopg2")
    tools = Path(found).parent
    # neither initdb nor the server run as root
    other = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    folder = Path("/tmp") / f"rnnlab-postgresql-{os.getpid()}"  # where that user may go
    folder.mkdir()
    if other:
        shutil.chown(folder, "postgres", "postgres")
    port = free_port()

    def call(*words: str) -> None:
        done = subprocess.run([*other, *words], capture_output=True, text=True, cwd=folder, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    try:
        call(str(tools / "initdb"), "-D", str(folder / "data"), "-U", "lab", "--auth=trust")
        options = f"-c listen_addresses=127.0.0.1 -p {port} -c unix_socket_directories={folder} -c fsync=off"
        call(str(tools / "pg_ctl"), "-D", str(folder / "data"), "-l", str(folder / "log"), "-w", "-o", options, "start")
        yield f"lab@127.0.0.1:{port}"
        call(str(tools / "pg_ctl"), "-D", str(folder / "data"), "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def new_database(server: str, name: str) -> str:
    import psycopg2

    connection = psycopg2.connect(f"postgresql://{server}/postgres")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    connection.close()
    return f"postgresql://{server}/{name}"


@pytest.mark.server
def test_four_workspaces_use_a_new_database_at_once(postgresql: str, tmp_path: Path) -> None:
    """Each of its own, so that no lock on a file keeps one waiting for another."""
    uri = new_database(postgresql, "mlflow")
    started = []
    for number in range(4):
        folder = tmp_path / str(number)
        folder.mkdir()
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", FIRST_USE, uri, str(number)],
                env={**os.environ, "RNNLAB_ROOT": str(folder), "PYTHONPATH": str(CHECKOUT / "src")},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    printed = [process.communicate(timeout=300)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0, 0], "\n".join(printed)
    found = runs(MLflowStore(uri).client)
    assert sorted(run.data.tags["rnnlab.key"] for run in found) == [f"run {number}" for number in range(4)]
    assert len({run.info.experiment_id for run in found}) == 1


def test_without_its_driver_the_extra_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    for uri in ("postgresql://lab@127.0.0.1/mlflow", "postgresql+psycopg2://lab@127.0.0.1/mlflow"):
        with pytest.raises(MissingExtra, match=r"needs the package psycopg2, .* pip install 'rnnlab\[server\]'"):
            connected(store_uri(uri))
        with pytest.raises(MissingExtra):
            MLflowStore(uri).open()
