"""The MLflow UI on the store of the pipelines, light: two processes, no job runner."""

import os
import sys

from omegaconf import DictConfig

from rnnlab.tracking.mlflow.store import open_store, store_uri

ADDRESS = "http://127.0.0.1"


def url(port: int) -> str:
    return f"{ADDRESS}:{port}"


def serve(cfg: DictConfig) -> None:
    """Become the MLflow server, on this machine alone, until it is stopped."""
    store = open_store(cfg)
    environment = {
        **os.environ,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # not as an argument, which every user of the machine may read
        "MLFLOW_BACKEND_STORE_URI": store_uri(cfg),
    }
    arguments = ["--host", "127.0.0.1", "--port", str(cfg.port), "--workers", "1"]
    print(f"MLflow UI: {url(cfg.port)} (Ctrl-C stops it)")
    # by itself the UI opens a task on what it has for language models, where no run is seen
    for task, experiment in store.experiments().items():
        print(f"  {task}: {url(cfg.port)}/#/experiments/{experiment}/runs?workflowType=machine_learning")
    sys.stdout.flush()
    os.execvpe(sys.executable, [sys.executable, "-m", "mlflow", "server", *arguments], environment)  # noqa: S606
