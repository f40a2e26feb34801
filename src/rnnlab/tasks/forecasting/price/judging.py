"""Errors of a forecast price: of its log return, of its level and of its direction."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnlab.statistics import proportion_interval
from rnnlab.tasks.forecasting.data import Timesteps
from rnnlab.tasks.forecasting.judging import Forecast, ForecastingJudging
from rnnlab.tasks.task import Array, Split


class PriceJudging(ForecastingJudging):
    """The table of predictions has the `close` at each origin, the `actual_return` since then and the
    `predicted_return`."""

    in_units = False

    def table(self, forecast: Forecast, split: Split = "test") -> pd.DataFrame:
        return pd.DataFrame(
            {
                **self.rows(split),
                "close": np.repeat(np.exp(self.task.level[self.task.origins[split]]), self.task.horizon),
                "actual_return": self.actual(split).ravel(),
                "predicted_return": forecast(split).ravel(),
            }
        )

    def forecast(self, steps: Timesteps, origins: NDArray[np.int64], changes: Array) -> dict[str, Array]:
        """close: at the origin. predicted_return: the log return since then. predicted: the price that it implies."""
        close = np.repeat(np.exp(steps.level[origins, None]), self.task.horizon, axis=1)
        return {"close": close, "predicted_return": changes, "predicted": close * np.exp(changes)}

    def changes(self, table: pd.DataFrame) -> tuple[Array, Array]:
        return table["actual_return"].to_numpy(), table["predicted_return"].to_numpy()

    def further(self, predictions: list[pd.DataFrame], horizon: int) -> dict[str, Any]:
        """return_mae, _rmse: of the log return; price_mae, price_rmse: of the price level it implies.

        directional_accuracy: the share of non-zero moves whose sign was right; _low, _high: its 95 % interval.
        """
        actual, predicted = self.stacked(predictions)
        close = predictions[0]["close"].to_numpy().reshape(actual.shape[1:])
        returns = predicted - actual
        prices = close * (np.exp(predicted) - np.exp(actual))
        metrics = {
            "return_mae": np.abs(returns).mean(),
            "return_rmse": np.sqrt((returns**2).mean(axis=(1, 2))).mean(),
            "price_mae": np.abs(prices).mean(),
            "price_rmse": np.sqrt((prices**2).mean(axis=(1, 2))).mean(),
        }
        # neither hit nor miss where nothing moved or no direction was given
        hits = np.ma.masked_where((actual == 0) | (predicted == 0), np.sign(actual) == np.sign(predicted))
        if hits.count():
            # the share of hits at each origin: origins overlap in time, its horizons and seeds share one outcome
            by_origin = hits.mean(axis=(0, 2)).compressed()
            low, high = proportion_interval(by_origin, horizon)
            metrics |= {
                "directional_accuracy": by_origin.mean(),
                "directional_accuracy_low": low,
                "directional_accuracy_high": high,
            }
        return metrics
