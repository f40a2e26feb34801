"""A price: log returns over the next steps, from the returns and volume changes of a window."""

from typing import ClassVar, Literal

import numpy as np
import pandas as pd

from rnnlab.data.tables.table import Table
from rnnlab.datasets.prices import PriceTable
from rnnlab.tasks.forecasting.data import ForecastingData, Timesteps
from rnnlab.tasks.raw_input import Column, refuse


class PriceData(ForecastingData):
    """The close pₜ of one instrument, its log return rₜ = ln pₜ - ln pₜ₋₁ and its log volume change vₜ.

    An example with origin t, window W and horizon H:

        input    (rₜ₋W₊₁, vₜ₋W₊₁) ... (rₜ, vₜ)                        W timesteps, scaled
        target   ln pₜ₊₁ - ln pₜ, ..., ln pₜ₊H - ln pₜ                H numbers, scaled

    See `ForecastingData` for what all forecasts share.
    """

    directions: ClassVar[dict[str, Literal["min", "max"]]] = {
        "relative_mae": "min",
        "skill": "max",
        "mase": "min",
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
