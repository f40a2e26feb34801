"""MLflow's own client: where it finds the store, and what it says of its own accord."""

import logging
import os
import random
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING

from rnnlab.extras import require
from rnnlab.results.paths import store_root

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger("rnnlab")

PSYCOPG2 = "postgresql+psycopg2://"
"""How addresses begin of databases that are reached by the driver which the extra `server` brings."""

SERVERS = ("postgresql", "mysql", "mssql")
"""Databases that processes of several hosts use; one in a file is kept by a lock beside it."""

PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds between attempts to use a database in which another process is just making MLflow's tables."""


def store_uri(uri: str | None) -> str:
    """The store of the option `tracking.uri`: null is a database of the workspace.

    By postgresql:// SQLAlchemy means psycopg, its third version, from 2.1 on, and psycopg2 before.
    """
    if uri and uri.startswith("postgresql://") and find_spec("psycopg") is None:
        return uri.replace("postgresql://", PSYCOPG2, 1)
    return uri or f"sqlite:///{store_root() / 'mlflow.db'}"


def configure() -> None:
    """What MLflow reads from the environment, unless the user says otherwise: before whatever imports or starts it."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # which shows a password in it
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")


def quieten() -> None:
    """Only warnings of MLflow: after it is imported, which sets up its own logging."""
    for noisy in ("mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # repeats a database's own words, the user's name among them, at every attempt
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.ERROR)


def connected(uri: str) -> "MlflowClient":
    """The client of a store; its tables are made where there are none.

    Several that make them in one database disturb each other, and no lock of a workspace keeps those of another away:
    whoever fails tries again, and finds them made.

    Raises: `MissingExtra` for a database whose driver is not installed.
    """
    if uri.startswith(PSYCOPG2):
        require("server", "A store in PostgreSQL", "psycopg2")
    from alembic.util import CommandError
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import IntegrityError, InternalError, ProgrammingError

    quieten()
    for pause in PAUSES:
        try:
            return MlflowClient(uri)
        except (MlflowException, CommandError, IntegrityError, InternalError, ProgrammingError):
            if not uri.startswith(SERVERS):
                raise
            if pause == PAUSES[0]:
                log.info("the database of the MLflow store is being made ready, or is out of date: trying again")
            time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - not for secrets
    return MlflowClient(uri)
