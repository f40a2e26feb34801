"""Forecasting a price: log returns over the next steps, from the returns and volume changes of a window."""

from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rnnlab.data.tables.table import Table
from rnnlab.datasets.prices import PriceTable
from rnnlab.statistics import proportion_interval
from rnnlab.tasks.forecasting.base import Forecast, Forecasting, Timesteps, mean_of
from rnnlab.tasks.raw_input import Column, refuse
from rnnlab.tasks.task import Array

SHOWN_ORIGINS = 120


class PriceData(Forecasting):
    """The close pₜ of one instrument, its log return rₜ = ln pₜ - ln pₜ₋₁ and its log volume change vₜ.

    An example with origin t, window W and horizon H:

        input    (rₜ₋W₊₁, vₜ₋W₊₁) ... (rₜ, vₜ)                        W timesteps, scaled
        target   ln pₜ₊₁ - ln pₜ, ..., ln pₜ₊H - ln pₜ                H numbers, scaled

    See `Forecasting` for what all forecasts share.
    """

    directions: ClassVar[dict[str, Literal["min", "max"]]] = {
        "mase": "min",
        "skill": "max",
        "return_mae": "min",
        "return_rmse": "min",
        "price_mae": "min",
        "price_rmse": "min",
        # and directional_accuracy, which a forecast of no change has not
    }

    def timesteps(self, table: PriceTable) -> tuple[Timesteps, list[str]]:
        frame, notes = table.frame, []
        log_close = np.log(frame["close"].to_numpy(np.float64))
        returns = np.diff(log_close)
        inputs = {"return": returns}
        if "volume" in frame:
            volume = frame["volume"].to_numpy(np.float64)
            if np.isfinite(volume).all() and (volume >= 0).all():
                inputs["volume change"] = np.diff(np.log1p(volume))
            else:
                notes.append("volume is missing or negative in places: not used")
        dates = frame["date"].to_numpy("datetime64[s]")[1:]
        return Timesteps(dates, log_close[1:], returns, inputs, np.ones(len(dates), np.bool_)), notes

    def table(self, forecast: Forecast) -> pd.DataFrame:
        return pd.DataFrame(
            {
                **self.rows(),
                "close": np.repeat(np.exp(self._level[self._origins["test"]]), self.horizon),
                "actual_return": self.actual("test").ravel(),
                "predicted_return": forecast("test").ravel(),
            }
        )

    def raw_columns(self) -> dict[str, Column]:
        columns = {"date": Column("date", "ISO 8601"), "close": Column("number", "the price")}
        if "volume change" in self.meta["columns"]:
            columns["volume"] = Column("number", "the volume traded")
        return columns

    def raw_table(self, table: pd.DataFrame) -> PriceTable:
        for name in table.columns[1:]:
            worst = table[name].isna() | ((table[name] <= 0) if name == "close" else (table[name] < 0))
            if worst.any():
                row = int(worst.to_numpy().argmax())
                what = "a price is above zero" if name == "close" else "a volume is not negative"
                refuse(table["date"][row], name, f"found {table[name][row]}; {what}, and no cell is empty")
        return PriceTable(table, self.meta["target"], (), {})

    def read_table(self, table: Table) -> pd.DataFrame:
        target = self.meta["target"]
        frame, _ = table.prices(None, target if target in table.columns else None, None)
        return frame

    def forecast(self, steps: Timesteps, origins: NDArray[np.int64], changes: Array) -> dict[str, Array]:
        """close: at the origin. predicted_return: the log return since then. predicted: the price that it implies."""
        close = np.repeat(np.exp(steps.level[origins, None]), self.horizon, axis=1)
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

    def figures(self, predictions: list[pd.DataFrame], name: str) -> dict[str, Figure]:
        return {"forecast": draw_forecast(predictions, self.plot_rows(predictions), name)}


def draw_forecast(predictions: list[pd.DataFrame], errors: pd.DataFrame, name: str) -> Figure:
    """Left: the last stretch of the test split, with a path of forecasts from every H-th origin. Right: the errors."""
    horizon = int(predictions[0]["horizon"].max())
    shown = mean_of(predictions, ("predicted_return",)).iloc[-SHOWN_ORIGINS * horizon :]
    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[2.2, 1])

    origins = shown.iloc[::horizon]
    dates = origins["origin"].to_numpy()
    left.plot(dates, origins["close"], color="black", linewidth=1.2, label="actual")
    for start in range(0, len(origins) - horizon, horizon):
        path = shown.iloc[start * horizon : (start + 1) * horizon]
        close = path["close"].iloc[0]
        prices = np.concatenate([[close], close * np.exp(path["predicted_return"])])
        label = f"forecast, 1 to {horizon} steps ahead" if start == 0 else None
        left.plot(dates[start : start + horizon + 1], prices, color="C1", linewidth=1.6, label=label)
    left.set_title(f"{name}: forecasts from every {horizon}th origin, mean of {len(predictions)} seed(s)")
    left.set_ylabel("price")
    left.tick_params(axis="x", rotation=30)
    left.legend(frameon=False)

    right.plot(errors["part"], 1 - errors["skill"], marker="o", color="C1", label=name)
    right.axhline(1, color="black", linewidth=1, linestyle="--", label="persistence")
    right.set_xticks(errors["part"])
    right.set_xlabel("steps ahead")
    right.set_ylabel("absolute error / that of persistence")
    right.set_title("error by horizon (below 1 is skill)")
    right.legend(frameon=False)
    return figure
