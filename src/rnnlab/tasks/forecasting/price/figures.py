"""Forecasts of a price beside what it did, and their errors by horizon."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rnnlab.tasks.figures import Figures
from rnnlab.tasks.forecasting.figures import mean_of

SHOWN_ORIGINS = 120


class PriceFigures(Figures):
    def figures(self, predictions: list[pd.DataFrame], name: str) -> dict[str, Figure]:
        return {"forecast": draw_forecast(predictions, self.judging.plot_rows(predictions), name)}


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
