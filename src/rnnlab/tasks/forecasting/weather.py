"""Forecasting the weather of the next days: the highest temperature, from a window of all that was measured."""

import numpy as np

from rnnlab.tasks.forecasting.base import Forecast
from rnnlab.tasks.forecasting.series import SeriesData, phase_of
from rnnlab.tasks.task import Array, Split

HARMONICS = 3


class WeatherData(SeriesData):
    """The highest temperature yₜ of a day, °C. The first example, of 2 to 15 January 2012:

        input    (10.6, 10.9, 2.8, 4.5, 0.01, 1.00), (11.7, 0.8, 7.2, 2.3, 0.03, 1.00), ..., (1.1, 5.3, -3.3, 3.2, ...)
        target   0.6, 2.2, -1.1, -2.2, 6.1, 7.2, 5.6            the next 7 days, against the last that was read

    both scaled. A day is yₜ, the precipitation (mm), the lowest temperature (°C), the wind (m/s), and sin and cos of
    the time of the year. See `SeriesData` for the options.
    """

    def simple(self) -> dict[str, Forecast]:
        """climatology: what is usual for the day of the year; three harmonics of it, fitted to the training part."""
        return {**super().simple(), "climatology": self._climatology}

    def _climatology(self, split: Split) -> Array:
        seen = slice(self.meta["splits"]["validation"][0] + 1)
        phase = np.outer(phase_of(self._dates, "year"), np.arange(1, HARMONICS + 1))
        features = np.column_stack([np.ones(len(phase)), np.sin(phase), np.cos(phase)])
        weights = np.linalg.lstsq(features[seen], self._level[seen])[0]
        usual = features @ weights
        origins = self._origins[split][:, None]
        changes: Array = usual[origins + np.arange(1, self.horizon + 1)] - self._level[origins]
        return changes
