"""What MLflow reads from the environment: whatever imports or starts it has set the same."""

import contextlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest

from rnnlab.errors import UserError
from rnnlab.results.paths import Results
from rnnlab.serving.model import save_model
from rnnlab.tracking.mlflow.client import configure, quieten
from rnnlab.tracking.mlflow.models import download
from rnnlab.tracking.mlflow.store import MLflowStore
from rnnlab.tracking.mlflow.ui import serve

USERS: dict[str, Callable[[Path], object]] = {
    "store": lambda folder: MLflowStore(f"sqlite:///{folder}/none.db"),
    "download": lambda folder: download("models:/none@champion", f"sqlite:///{folder}/none.db", folder),
    "save_model": lambda folder: save_model(Results(folder), 0, folder / "model"),
    "ui": lambda folder: serve(f"sqlite:///{folder}/none.db", 5000, {}),
}


def settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("MLFLOW_")}


@pytest.mark.parametrize("name", USERS)
def test_mlflow_is_set_up_in_one_way(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "execvpe", lambda *_: None)
    given = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
    with patch.dict(os.environ, given, clear=True):
        configure()
        wanted = settings()
    with patch.dict(os.environ, given, clear=True):
        with contextlib.suppress(UserError):
            USERS[name](tmp_path)
        assert settings() == wanted


def test_a_database_does_not_repeat_its_user_s_name_as_a_model_is_made(tmp_path: Path) -> None:
    logger = logging.getLogger("mlflow.store.db.utils")
    quieten()
    wanted = logger.level
    logger.setLevel(logging.NOTSET)
    with pytest.raises(UserError):
        save_model(Results(tmp_path), 0, tmp_path / "model")
    assert logger.level == wanted
