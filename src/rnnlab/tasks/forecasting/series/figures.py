"""Forecasts of a series with their intervals, and their errors by horizon."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rnnlab.tasks.figures import Figures
from rnnlab.tasks.forecasting.figures import mean_of
from rnnlab.tasks.forecasting.series.judging import INTERVAL
from rnnlab.tasks.task import Array

SHOWN_PATHS = 8
SHOWN_PAST = 2


class SeriesFigures(Figures):
    """Left: the end of the test split. Right: the mean absolute error by horizon, beside that of `simple` forecasts."""

    def figures(self, predictions: list[pd.DataFrame], name: str) -> dict[str, Figure]:
        figure = Figure(figsize=(11, 4), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=[2.2, 1])
        table = mean_of(predictions, ("predicted", "low", "high"))
        draw_fans(left, table, self.task.dates, self.task.level)
        left.set_title(f"{name}: forecasts with {100 * INTERVAL:.0f} % intervals, mean of {len(predictions)} seed(s)")
        left.set_ylabel(self.task.meta["target"])
        simple = {key: [self.judging.table(forecast)] for key, forecast in self.judging.simple().items()}
        draw_errors(right, {**simple, name: predictions})
        return {"forecast": figure}


def draw_fans(axes: Axes, table: pd.DataFrame, dates: NDArray[np.datetime64], level: Array) -> None:
    """The end of the test split, with a forecast from every H-th of its last origins, and what the series did."""
    horizon = int(table["horizon"].max())
    size = len(table) // horizon
    chosen = range(size - 1, max(-1, size - 1 - SHOWN_PATHS * horizon), -horizon)
    first, last = (int(np.searchsorted(dates, table["origin"].iloc[at * horizon])) for at in (chosen[-1], chosen[0]))
    shown = slice(max(0, first - SHOWN_PAST * horizon), last + horizon + 1)
    for at in chosen:
        path = table.iloc[at * horizon : (at + 1) * horizon]
        origin = int(np.searchsorted(dates, path["origin"].iloc[0]))
        times = dates[origin : origin + horizon + 1]
        low, predicted, high = (np.append(level[origin], path[column]) for column in ("low", "predicted", "high"))
        axes.fill_between(times, low, high, color="C1", alpha=0.25, linewidth=0)
        label = f"forecast, 1 to {horizon} steps ahead" if at == chosen[0] else None
        axes.plot(times, predicted, color="C1", linewidth=1.6, label=label)
    axes.plot(dates[shown], level[shown], color="black", linewidth=1.2, label="actual")
    axes.tick_params(axis="x", rotation=30)
    axes.legend(frameon=False)


def draw_errors(axes: Axes, predictions: dict[str, list[pd.DataFrame]]) -> None:
    """The mean absolute error by horizon; the last of the methods is the one to be seen."""
    for number, (name, tables) in enumerate(predictions.items()):
        table = pd.concat(tables)
        errors = (table["predicted"] - table["actual"]).abs().groupby(table["horizon"]).mean()
        if number == len(predictions) - 1:
            axes.plot(errors.index, errors, marker="o", markersize=4, color="C1", label=name)
        else:
            style = ("--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))[number % 4]
            axes.plot(errors.index, errors, color="black", linewidth=1, linestyle=style, label=name)
    axes.set_xlabel("steps ahead")
    axes.set_ylabel("mean absolute error")
    axes.set_title("error by horizon")
    axes.legend(frameon=False, fontsize=9)
