"""Forecasts of the weather, judged beside what is usual at the time of the year."""

import numpy as np

from rnnlab.tasks.forecasting.judging import Forecast
from rnnlab.tasks.forecasting.series.data import phase_of
from rnnlab.tasks.forecasting.series.judging import SeriesJudging
from rnnlab.tasks.task import Array, Split

HARMONICS = 3


class WeatherJudging(SeriesJudging):
    def simple(self) -> dict[str, Forecast]:
        """climatology: what is usual for the day of the year; three harmonics of it, fitted to the training part."""
        return {**super().simple(), "climatology": self._climatology}

    def _climatology(self, split: Split) -> Array:
        seen = slice(self.task.meta["splits"]["validation"][0] + 1)
        phase = np.outer(phase_of(self.task.dates, "year"), np.arange(1, HARMONICS + 1))
        features = np.column_stack([np.ones(len(phase)), np.sin(phase), np.cos(phase)])
        weights = np.linalg.lstsq(features[seen], self.task.level[seen])[0]
        usual = features @ weights
        origins = self.task.origins[split][:, None]
        changes: Array = usual[origins + np.arange(1, self.task.horizon + 1)] - self.task.level[origins]
        return changes
