"""The MLflow UI on the store of the pipelines, light: two processes, no job runner."""

import os
import socket
import sys
from collections.abc import Mapping

from rnnlab.errors import UserError
from rnnlab.tracking.mlflow.client import configure

ADDRESS = "http://127.0.0.1"


def url(port: int) -> str:
    return f"{ADDRESS}:{port}"


def check_port(port: int) -> None:
    """Raises: `UserError` where another program listens, whose pages would be taken for the UI."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise UserError(f"port={port} cannot be listened on ({error.strerror}): give another.") from None


def serve(uri: str, port: int, experiments: Mapping[str, str]) -> None:
    """Become the MLflow server, on this machine alone, until it is stopped. experiments: the id of each data set's."""
    configure()
    environment = {
        **os.environ,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        # not as an argument, which every user of the machine may read
        "MLFLOW_BACKEND_STORE_URI": uri,
    }
    arguments = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    print(f"MLflow UI: {url(port)} (Ctrl-C stops it)")
    # by itself the UI opens an experiment on what it has for language models, where no run is seen
    for name, experiment in experiments.items():
        print(f"  {name}: {url(port)}/#/experiments/{experiment}/runs?workflowType=machine_learning")
    sys.stdout.flush()
    os.execvpe(sys.executable, [sys.executable, "-m", "mlflow", "server", *arguments], environment)  # noqa: S606
