"""MLflow's own client: where it finds the store, and what it says of its own accord."""

import logging
import os

from rnnlab.results.paths import store_root


def store_uri(uri: str | None) -> str:
    """The store of the option `tracking.uri`: null is a database of the workspace."""
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
