"""Searches whose processes share a study in PostgreSQL from workspaces of their own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf
from sqlalchemy.exc import OperationalError

from rnnlab.config.fingerprint import save_config, words_to_keep
from rnnlab.config.stages import compose_task
from rnnlab.errors import UserError
from tests.conftest import CHECKOUT, Run
from tests.search.postgres import PASSWORD, PostgreSQL, postgresql
from tests.tracking.test_tracking import free_port
from tests.training.test_train import wait_for

optuna = pytest.importorskip("optuna", reason="the extra search is not installed")

from rnnlab.search import database, study  # noqa: E402
from rnnlab.search.database import Database  # noqa: E402

SMALL = ("cell=rnn", "trainer.max_epochs=1", "search.space.cell.hidden_size.choices=[4,8,32]", "tracking=none")

server_test = pytest.mark.server
numbers = count()


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgreSQL]:
    with postgresql() as server:
        yield server


@pytest.fixture
def address(postgres: PostgreSQL) -> str:
    """Of a new database."""
    name = f"studies{next(numbers)}"
    postgres.execute(f"CREATE DATABASE {name}")
    return postgres.address(name)


def search(address: str, *overrides: str) -> float | None:
    return study.search(compose_task("price", *SMALL, f"search.storage='{address}'", *overrides))


def trials(address: str) -> list[Any]:
    """Of the one study there is."""
    return optuna.load_study(study_name=None, storage=Database(address).backend).get_trials()


def states(address: str) -> list[str]:
    return [trial.state.name for trial in trials(address)]


def counted(address: str) -> list[Any]:
    return [trial for trial in trials(address) if trial.state.name in ("COMPLETE", "PRUNED")]


def start(root: Path, address: str, *overrides: str) -> subprocess.Popen[str]:
    """A search in a process of its own, which takes others to be dead after 4 seconds."""
    root.mkdir(exist_ok=True)
    code = (
        "from rnnlab.commands import main; from rnnlab.search import database, study\n"
        "database.HEARTBEAT_SECONDS, database.GRACE_SECONDS, study.POLL_SECONDS = 1, 4, 0.5\n"
        "main.run('search')\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, *SMALL, *overrides],
        env={
            **os.environ, "RNNLAB_ROOT": str(root), "RNNLAB_STUDIES": address, "PYTHONPATH": str(CHECKOUT / "src"),
        },
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=root,
    )  # fmt: skip


def output(process: subprocess.Popen[str], code: int = 0) -> str:
    printed, _ = process.communicate(timeout=240)
    assert process.returncode == code, printed
    assert "Traceback" not in printed
    return printed


def holding(root: Path, *secrets: str) -> list[Path]:
    """The files that hold one of these texts."""
    files = [path for path in root.rglob("*") if path.is_file()]
    return [path for path in files if any(secret.encode() in path.read_bytes() for secret in secrets)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("sqlite:///me.db", "not sqlite,"),
        ("mysql://me:s3cret@127.0.0.1/studies", "not mysql,"),
        ("postgres://me:s3cret@127.0.0.1/studies", "not postgres,"),
        ("postgresql+asyncpg://me:s3cret@127.0.0.1/studies", "not postgresql+asyncpg,"),
        ("me:s3cret@127.0.0.1/studies", "cannot be read as such"),
        ("postgresql://me:s3cr:et@127.0.0.1:s3cret/studies", "cannot be read as such"),
        ("postgresql://me:s3cret@127.0.0.1", "the database is missing"),
        ("", "cannot be read as such"),
    ],
)
def test_an_address_of_another_form_is_refused_without_a_part_of_it(
    run: Run, root: Path, monkeypatch: pytest.MonkeyPatch, given: str, message: str
) -> None:
    monkeypatch.setenv("RNNLAB_STUDIES", given)
    outcome = run("search", *SMALL)
    assert outcome.code == 2
    assert "postgresql://HOST:5432/DATABASE with USER:PASSWORD@ before HOST" in outcome.err
    assert message in outcome.err
    assert "s3cr" not in outcome.out + outcome.err
    assert not list(root.glob("searches")) + list(root.glob("data"))


def test_a_database_that_is_away_is_an_error_before_any_work(run: Run, root: Path) -> None:
    pytest.importorskip("psycopg2", reason="the extra server is not installed")
    place = f"127.0.0.1:{free_port()}/studies"
    outcome = run("search", *SMALL, f"search.storage='postgresql://me:s3cret@{place}?sslmode=disable'")
    assert outcome.code == 2
    assert f"search.storage, postgresql://{place}, cannot be used (connection refused)." in outcome.err
    assert "s3cret" not in outcome.out + outcome.err
    assert not list(root.glob("searches")) + list(root.glob("data"))


def test_without_the_driver_the_extra_is_named(run: Run, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnlab.extras._is_there", lambda module: module != "psycopg2")
    outcome = run("search", *SMALL, "search.storage=postgresql://me:s3cret@127.0.0.1/studies")
    assert outcome.code == 2
    assert "pip install 'rnnlab[server]'" in outcome.err
    assert "s3cret" not in outcome.out + outcome.err


def test_the_address_decides_nothing_and_no_file_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNLAB_STUDIES", "postgresql://me:s3cret@elsewhere/studies")
    cfg = compose_task("price")
    assert cfg.search.storage == "postgresql://me:s3cret@elsewhere/studies"
    save_config(cfg, tmp_path / "config.yaml")
    assert not holding(tmp_path, "s3cret", "elsewhere", "storage")
    assert "name: search" in (tmp_path / "config.yaml").read_text()
    assert words_to_keep(["search.storage=postgresql://elsewhere/s", "search.trials=3"]) == ["search.trials=3"]


def test_trials_of_two_machines_are_not_compared_by_seconds(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("budget=seconds", "budget.seconds=0.1", "trainer.max_epochs=null", "search.trials=1")
    study.search(compose_task("price", *SMALL, *words))
    monkeypatch.setattr("platform.node", lambda: "another")
    with pytest.raises(UserError, match="how far a training comes in its seconds depends on the machine"):
        study.search(compose_task("price", *SMALL, *words[:3], "search.trials=2"))


# --- with a server ---


@server_test
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"password": "s3cretive"}, "it refuses the user or the password"),
        ({"user": "nobody"}, "it refuses the user or the password"),
        ({"database": "missing"}, "there is no such database or user"),
        ({"user": "reader"}, "its user may not make or write tables there"),
    ],
)
def test_a_database_that_refuses_is_an_error_before_any_work(
    run: Run, root: Path, postgres: PostgreSQL, change: dict[str, str], reason: str
) -> None:
    if change.get("user") == "reader":
        postgres.execute(f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'")
    outcome = run("search", *SMALL, f"search.storage='{postgres.address(**{'database': 'postgres', **change})}'")
    assert outcome.code == 2
    assert f"/{change.get('database', 'postgres')}, cannot be used ({reason})." in outcome.err
    assert "s3cret" not in outcome.out + outcome.err
    assert not list(root.glob("searches")) + list(root.glob("data"))


@server_test
def test_processes_of_separate_workspaces_share_exactly_so_many_trials(tmp_path: Path, address: str) -> None:
    """In a new database, of which each finds that it has no tables; one of them is killed in the middle."""
    roots = [tmp_path / name for name in "abc"]
    words = ("trainer.max_epochs=8", "search.trials=9", "search.pruner=none")
    processes = [start(root, address, *words) for root in roots]
    wait_for(processes[0], lambda: list(roots[0].glob("searches/*/*/*/trials/*/**/last.ckpt")), 120)
    processes[0].kill()
    killed, _ = processes[0].communicate()
    printed = [output(process) for process in processes[1:]]
    assert sum("another takes its place" in text for text in printed) == 1
    found = counted(address)
    assert sorted(trial.user_attrs["draw"] for trial in found) == list(range(9))
    assert sorted(states(address)) == ["COMPLETE"] * 9 + ["FAIL"]
    (lost,) = [trial for trial in trials(address) if trial.state.name == "FAIL"]
    assert len({tuple(sorted(trial.params.items())) for trial in found}) == 9, "none was tried twice"
    assert lost.user_attrs["draw"] in range(9)
    assert min(text.count("price/rnn trial") for text in printed) > 0, "both had their share"
    best = min(trial.value for trial in found)
    again = output(start(roots[0], address, *words))
    assert f"lowest validation loss {best:.4f}" in again
    overlays = [OmegaConf.load(root / "conf/tuned/search/price_rnn.yaml") for root in roots]
    assert overlays[0] == overlays[1] == overlays[2]
    (folder,) = roots[1].glob("searches/price/rnn/*")
    assert overlays[0].tuning == {"trials": 9, "study": folder.name}
    assert not list(tmp_path.glob("*/searches/*/*/*/trials/*")), "what was killed is swept"
    assert not list(tmp_path.rglob("journal.log"))
    secrets = (PASSWORD, address.partition("lab:")[2].partition("@")[0], address.rpartition("@")[2], "s3cret")
    assert not [secret for secret in secrets for text in (killed, again, *printed) if secret in text]
    assert not holding(tmp_path, *secrets)


@server_test
def test_a_server_that_is_lost_in_a_trial_loses_nothing(tmp_path: Path, postgres: PostgreSQL, address: str) -> None:
    process = start(tmp_path / "a", address, "trainer.max_epochs=12", "search.trials=3", "search.pruner=none")
    wait_for(process, lambda: list(tmp_path.glob("a/searches/*/*/*/trials/1/**/last.ckpt")), 120)
    postgres.stop()
    time.sleep(6)
    assert process.poll() is None
    postgres.start()
    printed = output(process)
    assert "does not answer (connection refused): waiting for it, for up to 30 minutes" in printed
    assert "answers again" in printed
    assert states(address) == ["COMPLETE"] * 3
    assert all(len(trial.intermediate_values) == trial.user_attrs["epochs"] for trial in trials(address))


@server_test
def test_without_patience_all_trials_that_ended_are_kept(
    root: Path, postgres: PostgreSQL, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain_fit = study.fit

    def fit(run: Any, *rest: Any) -> Any:
        facts = plain_fit(run, *rest)
        if run.label.endswith("trial 1"):
            postgres.stop()
        return facts

    with monkeypatch.context() as patched:
        patched.setattr(study, "fit", fit)
        patched.setattr(database, "PATIENCE_SECONDS", 1)
        patched.setattr(database, "RETRY_SECONDS", 0.5)
        with pytest.raises(UserError, match="All trials that ended are in it: the same command continues"):
            search(address, "search.trials=3")
    postgres.start()
    assert states(address) == ["COMPLETE", "RUNNING"]
    monkeypatch.setattr(database, "GRACE_SECONDS", 1)
    time.sleep(1.5)
    search(address, "search.trials=3")
    assert states(address) == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert trials(address)[1].params == trials(address)[2].params


@server_test
def test_a_process_that_stood_still_counts_nothing_twice(tmp_path: Path, address: str) -> None:
    words = ("trainer.max_epochs=12", "search.trials=3", "search.pruner=none")
    still = start(tmp_path / "a", address, *words)
    wait_for(still, lambda: list(tmp_path.glob("a/searches/*/*/*/trials/*/**/last.ckpt")), 120)
    still.send_signal(signal.SIGSTOP)
    other = output(start(tmp_path / "b", address, *words))
    assert "had been killed: another takes its place" in other
    still.send_signal(signal.SIGCONT)
    assert "gave no sign of life for too long" in output(still)
    assert sorted(states(address)) == ["COMPLETE"] * 3 + ["FAIL"]
    assert (tmp_path / "a/conf/tuned/search/price_rnn.yaml").exists()


@server_test
def test_a_turn_is_one_process_s_and_ends_with_it(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "TURN_SECONDS", 1)
    one, other = Database(address), Database(address)

    def stand_still() -> None:
        with one.turn("study"):
            began = time.monotonic()
            with other.turn("another"):
                assert time.monotonic() - began < 0.5, "of another study it does not wait"
            with other.turn("study"):
                assert time.monotonic() - began > 0.9

    with pytest.raises(OperationalError, match=r"idle-in-transaction|server closed the connection"):
        stand_still()


@server_test
@pytest.mark.filterwarnings("ignore:Heartbeat of storage")
def test_a_trial_that_began_and_never_gave_a_sign_of_life_is_replaced(root: Path, address: str) -> None:
    """Its process was killed within its turn."""
    search(address, "search.trials=1")
    optuna.load_study(study_name=None, storage=Database(address).backend).ask()
    search(address, "search.trials=2")
    assert states(address) == ["COMPLETE", "FAIL", "COMPLETE"]


@server_test
def test_what_decides_a_search_names_its_study(root: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And two workspaces find the same one, with what one alone finds."""
    search(address, "search.trials=1")
    (name,) = optuna.get_all_study_names(Database(address).backend)
    (folder,) = root.glob("searches/price/rnn/*")
    assert name == f"price/rnn/{folder.name}"
    monkeypatch.setenv("RNNLAB_ROOT", str(root / "other"))
    search(address, "search.trials=3")
    shared = counted(address)
    assert len(shared) == 3
    search(address, "search.trials=1", "search.seed=1", "search.name=other")
    assert len(optuna.get_all_study_names(Database(address).backend)) == 2
    monkeypatch.setenv("RNNLAB_ROOT", str(root / "alone"))
    study.search(compose_task("price", *SMALL, "search.trials=3"))
    (journal,) = (root / "alone").glob(f"searches/price/rnn/{folder.name}/journal.log")
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(journal)))
    alone = optuna.load_study(study_name=None, storage=storage).get_trials()
    assert [(each.params, each.value) for each in shared] == [(each.params, each.value) for each in alone]


@server_test
def test_trials_are_not_forgotten_by_looking_elsewhere(root: Path, address: str) -> None:
    cfg: DictConfig = compose_task("price", *SMALL, "search.trials=1")
    study.search(cfg)
    with pytest.raises(UserError, match="has the journal of this search"):
        search(address, "search.trials=1")
    search(address, "search.trials=1", "search.seed=1", "search.name=other")
    with pytest.raises(UserError, match="is of a search in a database"):
        study.search(compose_task("price", *SMALL, "search.trials=1", "search.seed=1", "search.name=other"))
