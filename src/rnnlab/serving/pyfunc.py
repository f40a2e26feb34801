"""What MLflow runs to load a model: this file is copied into each, beside the code, the weights and the JSON."""

from pathlib import Path

from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext


class RawInputModel(PythonModel):
    """Raw input in, answers out; see `rnnlab.serving.predictor.Predictor`."""

    def load_context(self, context: PythonModelContext) -> None:
        from rnnlab.serving.predictor import Predictor

        self.predictor = Predictor.load(Path(context.artifacts["net"]))

    # without type hints: MLflow would take them for a schema, in the place of the signature
    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
        return self.predictor.predict(model_input, **(params or {}))


set_model(RawInputModel())
