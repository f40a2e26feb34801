"""Any series of numbers by date."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnlab.arguments import OneOf, Part, Positive, Range
from rnnlab.data.tables.table import Table
from rnnlab.datasets.series import SeriesTable, names_of, whole
from rnnlab.errors import UserError
from rnnlab.losses import Loss
from rnnlab.tasks.forecasting.data import DIFFERENCES, ForecastingData, Timesteps
from rnnlab.tasks.raw_input import Column
from rnnlab.tasks.task import Array, Split

CYCLES = {"day": 1.0, "week": 7.0, "year": 365.2425}
"""In days."""


class SeriesData(ForecastingData):
    """A series yₜ, further columns xₜ, and the phase of the calendar cₜ.

    An example with origin t, window W and horizon H:

        input    (zₜ₋W₊₁, xₜ₋W₊₁, cₜ₋W₊₁) ... (zₜ, xₜ, cₜ)            W timesteps, scaled
        target   yₜ₊₁ - yₜ, ..., yₜ₊H - yₜ                            H numbers, scaled

    difference: "both": z and x are changes since the timestep before; "target": they are levels; "none": and the target
    is yₜ₊₁, ..., yₜ₊H. See `ForecastingData` for what all forecasts share.

    season: timesteps after which the series comes back to the same phase: it adds the baseline `seasonal_naive`; None:
    what the data set knows of it. calendar: any of "day", "week", "year": sin and cos of the phase in each are inputs,
    for they are known of any date.
    """

    directions: ClassVar[dict[str, Literal["min", "max"]]] = {
        "relative_mae": "min",
        "skill": "max",
        "mase": "min",
        "mae": "min",
        "rmse": "min",
        "interval_score": "min",
    }

    def __init__(
        self,
        name: str,
        window: Positive = 48,
        horizon: Positive = 24,
        validation: Part = 0.15,
        test: Part = 0.15,
        batch_size: Positive = 64,
        loss: Loss | None = None,
        difference: Annotated[str, OneOf(DIFFERENCES)] = "both",
        season: Annotated[int, Range(at_least=2)] | None = None,
        calendar: Sequence[Annotated[str, OneOf(CYCLES)]] | None = (),
    ) -> None:
        super().__init__(name, window, horizon, validation, test, batch_size, loss, difference)
        self.season = season
        self.calendar = names_of(calendar)

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

    def state_dict(self) -> dict[str, Any]:
        missing = self.reading.get("missing", "refuse")
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
        frame = table.series(None, target, inputs)
        if unread := table.unread(map(str, frame.columns)):
            table.notes.append(f"columns that the net does not read: {', '.join(unread)}")
        return frame.rename_axis("date").reset_index()


def phase_of(dates: NDArray[np.datetime64], cycle: str) -> Array:
    """The angle in a cycle of the calendar, in radians."""
    days: Array = (dates - np.datetime64("1970-01-01")) / np.timedelta64(1, "D")
    return 2 * np.pi * days / CYCLES[cycle]
