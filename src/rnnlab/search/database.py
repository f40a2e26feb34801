"""Studies in a PostgreSQL database: processes of separate workspaces, on separate hosts, share the trials."""

import hashlib
import logging
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any, TypeVar

import optuna
from optuna import Study
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy import URL, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from rnnlab.addresses import shown
from rnnlab.errors import UserError
from rnnlab.extras import require
from rnnlab.search.storage import DRAW, running

log = logging.getLogger("rnnlab")

T = TypeVar("T")

HEARTBEAT_SECONDS = 10
"""From one sign of life of a trial's process to the next."""

GRACE_SECONDS = 60
"""A trial without a sign of life for so long, by the clock of the database, is taken to be dead."""

TURN_SECONDS = 60
"""A process that is suspended in its turn for so long, as that of a lost host, loses it."""

PATIENCE_SECONDS = 1800.0
"""A database that does not answer is tried for so long, every `RETRY_SECONDS`."""

RETRY_SECONDS = 2.0

FORMS = (
    "search.storage must be null, for a journal in the workspace, or postgresql://HOST:5432/DATABASE with "
    "USER:PASSWORD@ before HOST, in which signs such as @ : / ? # % of a password are percent-encoded"
)

REASONS = {
    "password authentication failed": "it refuses the user or the password",
    "no password supplied": "it asks for a password",
    "no pg_hba.conf entry": "it admits no such user or host",
    "connection refused": "connection refused",
    "could not translate host name": "there is no such host",
    "timeout expired": "no answer",
    "too many clients": "too many clients",
    "remaining connection slots": "too many clients",
    "starting up": "it is starting",
    "shutting down": "it is shutting down",
    "terminating connection": "it is shutting down",
    "server closed the connection": "it closed the connection",
    "closed unexpectedly": "it closed the connection",
    "ssl syscall": "it closed the connection",
    "no such file or directory": "there is no such socket",
    "does not support ssl": "it has no SSL",
    "certificate": "its certificate is refused",
    "permission denied": "its user may not make or write tables there",
    "does not exist": "there is no such database or user",
    "no space left": "its disk is full",
}
"""What a driver's message says: the message itself may hold parts of the address. The first that it contains counts."""

AWAY = (OperationalError, InterfaceError)


class Database:
    """The studies of a PostgreSQL database.

    One process at a time decides on a study, under an advisory lock of the database, which ends with the transaction
    that took it: the lock of a killed process is free at once, that of a lost host or a stopped process after
    `TURN_SECONDS`. What is decided counts only where the transaction still stood at its end.

    The process of a trial gives a sign of life every `HEARTBEAT_SECONDS`; whoever has a turn fails the trials that gave
    none for `GRACE_SECONDS`. All times are the database's.
    """

    waits = True

    def __init__(self, address: str) -> None:
        """Connect, and make Optuna's tables where there are none.

        Raises: `UserError` for an address of another form, and for a database that cannot be used; `MissingExtra`
        without the driver.
        """
        self._shown = shown(address)
        url = _parsed(address)
        require("server", "search.storage", "psycopg2")
        options = {
            "connect_timeout": 10, "application_name": "rnnlab search", "tcp_user_timeout": 30_000,
            "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3,
        }  # fmt: skip
        options = {key: value for key, value in options.items() if key not in url.query}
        # Optuna keeps heartbeats without their time zone, which is otherwise the client's
        options |= {"options": f"{url.query.get('options', '')} -c timezone=UTC".strip()}
        self._turns = create_engine(url, poolclass=NullPool, connect_args=options)
        try:
            with self.turn("the tables"), warnings.catch_warnings():  # made by several at once, they fail
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                self.backend = RDBStorage(
                    url.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}"),
                    # one connection stays open; 100 in all are what a server admits, unless it is set otherwise
                    {"pool_size": 1, "max_overflow": 2, "pool_pre_ping": True, "connect_args": options},
                    heartbeat_interval=HEARTBEAT_SECONDS,
                    grace_period=GRACE_SECONDS,
                )
        except (SQLAlchemyError, StorageInternalError) as error:
            raise UserError(
                f"The database of search.storage, {self._shown}, cannot be used ({_reason(error)})."
            ) from None
        except RuntimeError as error:  # tables of another Optuna
            raise UserError(f"The database of search.storage, {self._shown}, cannot be used: {error}") from None

    def name(self, pair: str, setting: str) -> str:
        """With the digest: other configs, and other versions of the code, have studies of their own."""
        return f"{pair}/{setting}"

    @contextmanager
    def turn(self, name: str) -> Iterator[None]:
        key = int.from_bytes(hashlib.sha256(f"rnnlab {name}".encode()).digest()[:8], signed=True)
        with self._turns.begin() as connection:
            connection.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = '{TURN_SECONDS}s'"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
            yield

    @contextmanager
    def alive(self, name: str, number: int) -> Iterator[None]:
        study = self.backend.get_study_id_from_name(name)
        trial = self.backend.get_trial_id_from_study_id_trial_number(study, number)
        self.backend.record_heartbeat(trial)
        ended = Event()
        thread = Thread(target=self._beat, args=(trial, ended), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(timeout=1)

    def _beat(self, trial: int, ended: Event) -> None:
        while not ended.wait(HEARTBEAT_SECONDS):
            try:
                self.backend.record_heartbeat(trial)
            except (SQLAlchemyError, StorageInternalError):
                continue  # the trial itself says so, when it has something to report
        self.backend.remove_session()

    def fail_dead(self, study: Study) -> list[int]:
        before = running(study)
        for trial in before:
            if DRAW not in trial.user_attrs:  # given to each in the turn in which it begins, after its first heartbeat
                study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
        if self._was_up():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                optuna.storages.fail_stale_trials(study)
        return sorted({trial.number for trial in before} - {trial.number for trial in running(study)})

    def _was_up(self) -> bool:
        """Whether trials could give signs of life for as long as they are given."""
        with self._turns.connect() as connection:
            up = "SELECT now() - pg_postmaster_start_time() > make_interval(secs => :seconds)"
            return bool(connection.execute(text(up), {"seconds": GRACE_SECONDS}).scalar())

    def patiently(self, call: Callable[[], T]) -> T:
        """Raises: `UserError` where the database is away for longer than `PATIENCE_SECONDS`, or refuses."""
        began, away = time.monotonic(), False
        while True:
            try:
                result = call()
            except (SQLAlchemyError, StorageInternalError) as error:
                waited = time.monotonic() - began
                if not isinstance(_of_driver(error), AWAY) or waited > PATIENCE_SECONDS:
                    raise UserError(
                        f"The database of search.storage, {self._shown}, cannot be used ({_reason(error)}). All trials "
                        "that ended are in it: the same command continues."
                    ) from None
                if not away:
                    log.warning(
                        "The database of search.storage, %s, does not answer (%s): waiting for it, for up to %.0f "
                        "minutes.", self._shown, _reason(error), PATIENCE_SECONDS / 60,
                    )  # fmt: skip
                away = True
                time.sleep(RETRY_SECONDS)
            else:
                if away:
                    log.info("The database of search.storage answers again.")
                return result


def _parsed(address: str) -> URL:
    """Raises: `UserError` without any part of the address: it may be a secret that is not written as one."""
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        raise UserError(f"{FORMS}; what is given cannot be read as such.") from None
    if url.drivername not in ("postgresql", "postgresql+psycopg2"):
        raise UserError(f"{FORMS}; not {url.drivername}, which is not served.")
    if not url.database:
        raise UserError(f"{FORMS}; the database is missing.")
    # named, since the default driver depends on the version of SQLAlchemy
    return url.set(drivername="postgresql+psycopg2")


def _of_driver(error: BaseException | None) -> Any:
    """What SQLAlchemy raised, which Optuna wraps in an error of its own."""
    while error is not None and not isinstance(error, SQLAlchemyError):
        error = error.__cause__
    return error


def _reason(error: BaseException) -> str:
    cause = getattr(_of_driver(error), "orig", None)
    said = str(cause).lower()
    return next((reason for words, reason in REASONS.items() if words in said), type(cause or error).__name__)
