"""Forecasts of a series in its own unit, each with an interval that the actual value should lie in."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnlab.tasks.forecasting.data import Timesteps
from rnnlab.tasks.forecasting.judging import Forecast, ForecastingJudging
from rnnlab.tasks.task import Array, Split

INTERVAL = 0.8
"""The share of the future that should lie between `low` and `high`."""


class SeriesJudging(ForecastingJudging):
    """Each forecast with the interval that its own errors in the validation part give it."""

    def table(self, forecast: Forecast, split: Split = "test") -> pd.DataFrame:
        """The `value` at each origin; the `actual` and `predicted` one; `low` and `high`, between which the actual one
        should lie: the forecast and the quantiles of its errors in the validation part, by horizon."""
        value = np.repeat(self.task.level[self.task.origins[split]], self.task.horizon)
        predicted = forecast(split)
        errors = self.actual("validation") - forecast("validation")
        low, high = np.quantile(errors, [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2], axis=0)
        return pd.DataFrame(
            {
                **self.rows(split),
                "value": value,
                "actual": value + self.actual(split).ravel(),
                "predicted": value + predicted.ravel(),
                "low": value + (predicted + low).ravel(),
                "high": value + (predicted + high).ravel(),
            }
        )

    def changes(self, table: pd.DataFrame) -> tuple[Array, Array]:
        value = table["value"].to_numpy()
        return table["actual"].to_numpy() - value, table["predicted"].to_numpy() - value

    def further(self, predictions: list[pd.DataFrame], horizon: int) -> dict[str, Any]:
        """mae, rmse: in the unit of the series.

        coverage: the share of actual values between low and high, which are made to hold 80 %.
        interval_score: high - low + 10 · (how far the actual value lies outside), the mean (Gneiting and Raftery 2007).
        """
        each = [_further(table) for table in predictions]
        return {key: np.mean([metrics[key] for metrics in each]) for key in each[0]}

    def forecast(self, steps: Timesteps, origins: NDArray[np.int64], changes: Array) -> dict[str, Array]:
        """value: at the origin. predicted: what it becomes."""
        value = np.repeat(steps.level[origins, None], self.task.horizon, axis=1)
        return {"value": value, "predicted": value + changes}

    def simple(self) -> dict[str, Forecast]:
        """With a season, also seasonal_naive: the last value known of the same phase."""
        simple = super().simple()
        return simple if self.task.meta["season"] is None else {**simple, "seasonal_naive": self._seasonal_naive}

    def _seasonal_naive(self, split: Split) -> Array:
        season = self.task.meta["season"]
        origins = self.task.origins[split][:, None]
        steps = np.arange(1, self.task.horizon + 1)
        seasons = -(-steps // season)
        changes: Array = self.task.level[origins + steps - season * seasons] - self.task.level[origins]
        return changes


def _further(table: pd.DataFrame) -> dict[str, float]:
    error = (table["predicted"] - table["actual"]).to_numpy()
    below = (table["low"] - table["actual"]).clip(lower=0).to_numpy()
    above = (table["actual"] - table["high"]).clip(lower=0).to_numpy()
    width = (table["high"] - table["low"]).to_numpy()
    return {
        "mae": np.abs(error).mean(),
        "rmse": np.sqrt((error**2).mean()),
        "coverage": ((below == 0) & (above == 0)).mean(),
        "interval_score": (width + 2 / (1 - INTERVAL) * (below + above)).mean(),
    }
