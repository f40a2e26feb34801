"""Models in an MLflow store: their metrics, and how they are fetched from an address."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnlab.addresses import shown
from rnnlab.errors import UserError
from rnnlab.tracking.live import reason
from rnnlab.tracking.mlflow.client import configure, quieten, store_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

OURS = "rnnlab-"
"""How the names of registered models begin; the task's name follows."""

TASK, DATA = "task", "data"
"""Tags of a registered model: of which task, and the title of its data set."""

LISTED = 20
"""Registered models that an error lists."""

AT_ONCE = 100
"""Metrics that are sent beside a model."""


def link_metrics(client: "MlflowClient", run_id: str, model_id: str, dataset: dict[str, Any]) -> None:
    """Show what a run says of validation and test beside its model too; the run itself stays as it is."""
    from mlflow.entities import Metric

    shown = {_place(metric) for metric in client.get_logged_model(model_id).metrics or []}
    keys = [
        key
        for key in client.get_run(run_id).data.metrics
        if key.startswith(("validation_loss", "test/", "test_parts/"))
    ]
    last = [metric for key in keys if _place(metric := client.get_metric_history(run_id, key)[-1]) not in shown]
    # with one metric among them that is there, or more than a hundred, MLflow's SQL store makes duplicates, and fails
    for first in range(0, len(last), AT_ONCE):
        client.log_batch(
            run_id,
            metrics=[
                Metric(
                    metric.key, metric.value, metric.timestamp, metric.step,
                    model_id=model_id, dataset_name=dataset["title"], dataset_digest=dataset["digest"],
                )
                for metric in last[first : first + AT_ONCE]
            ],
        )  # fmt: skip


def _place(metric: "Metric") -> tuple[str, int, int]:
    return metric.key, metric.timestamp, metric.step


def download(address: str, uri: str | None, into: Path) -> Path:
    """The model at `address`, models:/... or runs:/..., of the store of `tracking.uri`; a folder within `into`.

    Raises: `UserError` where there is none, or no store.
    """
    configure()
    import mlflow
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    quieten()
    store = store_uri(uri)
    local = store.removeprefix("sqlite:///")
    if local != store and not Path(local).is_file():  # to look into it would make one
        raise UserError(f"model={address}: there is no store {shown(store)} yet. Name another with tracking.uri=...")
    mlflow.set_tracking_uri(store)
    mlflow.set_registry_uri(store)
    try:
        return Path(download_artifacts(artifact_uri=address, dst_path=str(into)))
    except (MlflowException, SQLAlchemyError, OSError, ImportError, ValueError) as error:
        there = _there_are(address, store)
        raise UserError(f"model={address}: {there or reason(error, store)} (the store is {shown(store)}).") from None


def _there_are(address: str, store: str) -> str:
    """What registered models there are of the task that an address names, with what they were trained on, where that
    address names none; empty where it does, or that cannot be found out."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    named = re.fullmatch(r"models:/([^/@]+)[/@].*", address)
    if named is None or not named[1].startswith(OURS):
        return ""
    try:
        found = MlflowClient(store, store).search_registered_models(f"name LIKE '{OURS}%'", order_by=["name ASC"])
    except (MlflowException, SQLAlchemyError, OSError):
        return ""
    if any(model.name == named[1] for model in found):
        return ""
    of_task = [model for model in found if f"{named[1]}-".startswith(f"{OURS}{model.tags.get(TASK)}-")] or found
    listed = [f"models:/{model.name}@champion ({model.tags.get(DATA, '')})" for model in of_task]
    if not listed:
        return "there is no such model, and no other of rnnlab's"
    more = f", and {len(listed) - LISTED} more" if len(listed) > LISTED else ""
    return f"there is no such model; a data set has one of its own: {', '.join(listed[:LISTED])}{more}"
