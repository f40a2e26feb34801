"""Forecasting any series of numbers by date, with an interval that the forecast should lie in."""

from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rnnlab.data.tables.table import Table
from rnnlab.datasets.series import SeriesTable, names_of, whole
from rnnlab.errors import UserError
from rnnlab.losses import Loss
from rnnlab.tasks.forecasting.base import Forecast, Forecasting, Timesteps, mean_of
from rnnlab.tasks.raw_input import Column
from rnnlab.tasks.task import Array, Split, check_choice, check_whole

CYCLES = {"day": 1.0, "week": 7.0, "year": 365.2425}
"""In days."""

INTERVAL = 0.8
"""The share of the future that should lie between `low` and `high`."""

SHOWN_PATHS = 8
SHOWN_PAST = 2


class SeriesData(Forecasting):
    """A series yₜ, further columns xₜ, and the phase of the calendar cₜ.

    An example with origin t, window W and horizon H:

        input    (zₜ₋W₊₁, xₜ₋W₊₁, cₜ₋W₊₁) ... (zₜ, xₜ, cₜ)            W timesteps, scaled
        target   yₜ₊₁ - yₜ, ..., yₜ₊H - yₜ                            H numbers, scaled

    difference: "both": z and x are changes since the timestep before; "target": they are levels; "none": and the target
    is yₜ₊₁, ..., yₜ₊H. See `Forecasting` for what all forecasts share.

    season: timesteps after which the series comes back to the same phase: it adds the baseline `seasonal_naive`; None:
    what the data set knows of it. calendar: any of "day", "week", "year": sin and cos of the phase in each are inputs,
    for they are known of any date.

    The reference is the simplest of its baselines, but for ridge, that errs least on the validation part.
    """

    directions: ClassVar[dict[str, Literal["min", "max"]]] = {
        "mase": "min",
        "skill": "max",
        "mae": "min",
        "rmse": "min",
        "interval_score": "min",
    }

    def __init__(
        self,
        name: str,
        window: int = 48,
        horizon: int = 24,
        validation: float = 0.15,
        test: float = 0.15,
        batch_size: int = 64,
        loss: Loss | None = None,
        difference: str = "both",
        season: int | None = None,
        calendar: Any = (),
    ) -> None:
        super().__init__(name, window, horizon, validation, test, batch_size, loss, difference)
        self.season = season
        self.calendar = names_of(calendar)

    def check(self) -> None:
        super().check()
        if self.season is not None:
            check_whole("season", self.season, at_least=2)
        for cycle in self.calendar:
            check_choice("calendar", cycle, tuple(CYCLES))

    def timesteps(self, table: SeriesTable) -> tuple[Timesteps, list[str]]:
        dates = table.frame.index.to_numpy("datetime64[us]")
        columns = {str(name): column.to_numpy(np.float64) for name, column in table.frame.items()}
        level = columns[table.target]
        if self.difference == "both":
            inputs = {f"change of {name}": np.diff(column) for name, column in columns.items()}
        else:
            inputs = {name: column[1:] for name, column in columns.items()}
        for cycle in self.calendar:
            phase = phase_of(dates[1:], cycle)
            inputs |= {f"sin of the {cycle}": np.sin(phase), f"cos of the {cycle}": np.cos(phase)}
        return Timesteps(dates[1:], level[1:], np.diff(level), inputs, table.measured[1:]), []

    def facts(self, table: SeriesTable, splits: dict[Split, tuple[int, int]]) -> dict[str, Any]:
        """Raises: `UserError` where no forecast of the validation part has a whole season before it."""
        season = table.season if self.season is None else self.season
        known = splits["validation"][0] + 1
        if season is not None and season > known:
            raise UserError(f"task.season={season}: the training part has {known} timesteps only; give more rows.")
        return {"season": season, "calendar": list(self.calendar)}

    def open(self, folder: Path, meta: dict[str, Any], seed: int) -> None:
        super().open(folder, meta, seed)
        # of a series that nobody knows: what is hard to beat is found on the validation part
        self.reference = self._strongest()  # type: ignore[misc]

    def state_dict(self) -> dict[str, Any]:
        missing = self.meta["setting"]["dataset"].get("missing", "refuse")
        return {**super().state_dict(), "calendar": self.meta["calendar"], "missing": missing}

    def raw_columns(self) -> dict[str, Column]:
        of_dates = 2 * len(self.meta["calendar"])
        names = self.meta["columns"][: len(self.meta["columns"]) - of_dates]
        if self.difference == "both":
            names = [name.removeprefix("change of ") for name in names]
        target, *others = names
        inputs = {name: Column("number", "an input beside the series") for name in others}
        return {"date": Column("date", "ISO 8601"), target: Column("number", "the series"), **inputs}

    def raw_table(self, table: pd.DataFrame) -> SeriesTable:
        return whole(table.set_index("date"), self.meta["missing"], None, (), "the input")

    def read_table(self, table: Table) -> pd.DataFrame:
        _, target, *inputs = self.raw_columns()
        return table.series(None, target, inputs).rename_axis("date").reset_index()

    def forecast(self, steps: Timesteps, origins: NDArray[np.int64], changes: Array) -> dict[str, Array]:
        """value: at the origin. predicted: what it becomes."""
        value = np.repeat(steps.level[origins, None], self.horizon, axis=1)
        return {"value": value, "predicted": value + changes}

    def _strongest(self) -> str:
        actual, unit = self.actual("validation"), np.asarray(self.meta["mase_unit"])
        errors = {
            name: (np.abs(forecast("validation") - actual) / unit).mean() for name, forecast in self.simple().items()
        }
        return min(errors, key=lambda name: errors[name])

    def table(self, forecast: Forecast) -> pd.DataFrame:
        """The `value` at each origin; the `actual` and `predicted` one; `low` and `high`, between which the actual one
        should lie: the forecast and the quantiles of its errors in the validation part, by horizon."""
        value = np.repeat(self._level[self._origins["test"]], self.horizon)
        predicted = forecast("test")
        errors = self.actual("validation") - forecast("validation")
        low, high = np.quantile(errors, [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2], axis=0)
        return pd.DataFrame(
            {
                **self.rows(),
                "value": value,
                "actual": value + self.actual("test").ravel(),
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

    def simple(self) -> dict[str, Forecast]:
        """With a season, also seasonal_naive: the last value known of the same phase."""
        simple = super().simple()
        return simple if self.meta["season"] is None else {**simple, "seasonal_naive": self._seasonal_naive}

    def _seasonal_naive(self, split: Split) -> Array:
        season = self.meta["season"]
        origins = self._origins[split][:, None]
        steps = np.arange(1, self.horizon + 1)
        seasons = -(-steps // season)
        changes: Array = self._level[origins + steps - season * seasons] - self._level[origins]
        return changes

    def figures(self, predictions: list[pd.DataFrame], name: str) -> dict[str, Figure]:
        figure = Figure(figsize=(11, 4), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=[2.2, 1])
        table = mean_of(predictions, ("predicted", "low", "high"))
        draw_fans(left, table, self._dates, self._level)
        left.set_title(f"{name}: forecasts with {100 * INTERVAL:.0f} % intervals, mean of {len(predictions)} seed(s)")
        left.set_ylabel(self.meta["target"])
        simple = {key: [self.table(forecast)] for key, forecast in self.simple().items()}
        draw_errors(right, {**simple, name: predictions})
        return {"forecast": figure}


def phase_of(dates: NDArray[np.datetime64], cycle: str) -> Array:
    """The angle in a cycle of the calendar, in radians."""
    days: Array = (dates - np.datetime64("1970-01-01")) / np.timedelta64(1, "D")
    return 2 * np.pi * days / CYCLES[cycle]


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
