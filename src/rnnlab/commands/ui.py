"""The MLflow UI."""

from omegaconf import DictConfig

from rnnlab.commands.tracking import open_store
from rnnlab.tracking.mlflow.client import store_uri
from rnnlab.tracking.mlflow.store import MLflowStore
from rnnlab.tracking.mlflow.ui import check_port, serve


def ui(cfg: DictConfig) -> None:
    """Serve the store that the pipelines write to, until it is stopped."""
    check_port(cfg.port)
    store = open_store(cfg)
    experiments = store.experiments() if isinstance(store, MLflowStore) else {}
    serve(store_uri(cfg.tracking.get("uri")), cfg.port, experiments)
