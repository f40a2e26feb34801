"""What forecasts a series of which nobody has said what is hard to beat."""

import numpy as np

from rnnlab.tasks.forecasting.baselines import ForecastingBaselines
from rnnlab.tasks.forecasting.series.judging import SeriesJudging


class SeriesBaselines(ForecastingBaselines):
    judging: SeriesJudging

    @property
    def reference(self) -> str:  # type: ignore[override]
        """The simple forecast that errs least on the validation part."""
        actual, unit = self.judging.actual("validation"), np.asarray(self.task.meta["mase_unit"])
        errors = {
            name: (np.abs(forecast("validation") - actual) / unit).mean()
            for name, forecast in self.judging.simple().items()
        }
        return min(errors, key=lambda name: errors[name])
