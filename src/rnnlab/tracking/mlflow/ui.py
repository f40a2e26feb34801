"""The MLflow UI on the store of the pipelines, light: two processes, no job runner."""

import os
import sys
from collections.abc import Mapping

from rnnlab.tracking.mlflow.client import configure

ADDRESS = "http://127.0.0.1"


def url(port: int) -> str:
    return f"{ADDRESS}:{port}"


def serve(uri: str, port: int, experiments: Mapping[str, str]) -> None:
    """Become the MLflow server, on this machine alone, until it is stopped. experiments: the id of each task's."""
    configure()
    environment = {
        **os.environ,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        # not as an argument, which every user of the machine may read
        "MLFLOW_BACKEND_STORE_URI": uri,
    }
    arguments = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    print(f"MLflow UI: {url(port)} (Ctrl-C stops it)")
    # by itself the UI opens a task on what it has for language models, where no run is seen
    for task, experiment in experiments.items():
        print(f"  {task}: {url(port)}/#/experiments/{experiment}/runs?workflowType=machine_learning")
    sys.stdout.flush()
    os.execvpe(sys.executable, [sys.executable, "-m", "mlflow", "server", *arguments], environment)  # noqa: S606
