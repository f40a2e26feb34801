"""What MLflow runs to load a model: this file is copied into each, beside the code, the weights and the JSON."""

import logging
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

log = logging.getLogger("rnnlab")


class RawInputModel(PythonModel):
    """Raw input in, answers out; see `rnnlab.serving.predictor.Predictor`."""

    def load_context(self, context: PythonModelContext) -> None:
        from rnnlab.serving.predictor import Predictor

        self.predictor = Predictor.load(Path(context.artifacts["net"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        for line in self.predictor.judging.misfits(model_input.reset_index(drop=True)):
            log.warning("%s: %s", self.predictor.data, line)
        return self.predictor.predict(model_input, **(params or {}))


set_model(RawInputModel())
