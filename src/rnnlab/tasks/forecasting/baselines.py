"""What forecasts a series without a recurrent net."""

from functools import partial
from typing import ClassVar

import numpy as np
import torch

from rnnlab.output import progress
from rnnlab.tasks.baselines.baselines import Baselines, Predict
from rnnlab.tasks.forecasting.judging import Forecast, ForecastingJudging
from rnnlab.tasks.task import Array, Split


class ForecastingBaselines(Baselines):
    """`ForecastingJudging.simple`, and ridge: a line in the same window, its penalty chosen on the validation part."""

    trivial: ClassVar[str] = "persistence"

    judging: ForecastingJudging

    def fitted(self) -> dict[str, Predict]:
        forecasts = {**self.judging.simple(), "ridge": self._ridge()}
        return {name: partial(self.judging.table, forecast) for name, forecast in forecasts.items()}

    def _ridge(self) -> Forecast:
        from sklearn.linear_model import Ridge

        def flat(split: Split) -> tuple[Array, Array]:
            batches = self.task.loader(split)
            whole = batches.take(torch.arange(batches.sampler.size))
            return whole.inputs.flatten(1).double().numpy(), whole.targets.double().numpy()

        x, y = flat("train")
        x_validation, y_validation = flat("validation")
        models = [Ridge(penalty).fit(x, y) for penalty in progress(10.0 ** np.arange(8), "ridge", 8)]
        best = min(models, key=lambda model: np.abs(model.predict(x_validation) - y_validation).mean())
        # scikit-learn drops the second dimension where there is one horizon
        return lambda split: self.judging.changes_from(
            best.predict(flat(split)[0]).reshape(-1, self.task.horizon), split
        )
