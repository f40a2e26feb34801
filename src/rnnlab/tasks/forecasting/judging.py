"""How forecasts of one series are judged: by how much it changes, against simple forecasts, and by horizon."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from rnnlab.statistics import can_tell, compare, least_items, skill_interval
from rnnlab.tasks.forecasting.data import ForecastingData, Timesteps
from rnnlab.tasks.forecasting.misfits import in_words, misfits
from rnnlab.tasks.judging import Judging, Model
from rnnlab.tasks.raw_input import unlabelled
from rnnlab.tasks.task import Array, Split

ORIGINS = 512
"""Of raw input, forecast from at a time."""

Forecast = Callable[[Split], Array]
"""By how much the series will change from each origin of a split, 1 to H timesteps ahead: (origins, H)."""


class ForecastingJudging(Judging):
    """Errors are of the change since each origin, beside those of persistence in training."""

    task: ForecastingData

    in_units: ClassVar[bool] = True
    """Whether what the net reads has the units of the columns, and so a range; returns have none."""

    @abstractmethod
    def table(self, forecast: Forecast, split: Split = "test") -> pd.DataFrame:
        """The table of predictions: a row for each `origin` of the split and each `horizon`."""

    @abstractmethod
    def changes(self, table: pd.DataFrame) -> tuple[Array, Array]:
        """The true and the forecast change since the origin, of each row of a table of predictions."""

    @abstractmethod
    def further(self, predictions: list[pd.DataFrame], horizon: int) -> dict[str, Any]:
        """Metrics in the task's own units, the mean over the tables; horizon: the farthest that they hold."""

    @abstractmethod
    def forecast(self, steps: Timesteps, origins: NDArray[np.int64], changes: Array) -> dict[str, Array]:
        """Columns that say where the series stands at each origin, and what is forecast, in its own unit.

        changes: since the origin, (origins, H) -> each column (origins, H).
        """

    def remarks(self) -> list[str]:
        forecasts, horizon = len(self.task.origins["test"]), self.task.horizon
        if can_tell(forecasts, horizon):
            return []
        return [
            f"too few forecasts in the test part to test a difference: {forecasts}, overlapping by {horizon - 1}; "
            f"{least_items(horizon)} are needed: give more rows, a larger task.test or a shorter task.horizon"
        ]

    def predict(self, model: Model) -> pd.DataFrame:
        return self.table(lambda split: self.changes_from(self.outputs(model, split), split))

    def changes_from(self, outputs: Array, split: Split) -> Array:
        """The changes that the outputs of a net, or of a line in its place, speak of, from each origin of a split."""
        return self._changes(self.task.target_scaler.unscale(outputs), self.task.level[self.task.origins[split]])

    def actual(self, split: Split) -> Array:
        """The true changes, (origins, H)."""
        origins = self.task.origins[split]
        return self._changes(self.task.raw_targets[origins], self.task.level[origins])

    def _changes(self, targets: Array, level: Array) -> Array:
        """What the targets, unscaled, say of the change since each origin. level: there."""
        return targets - level[:, None] if self.task.difference == "none" else targets

    def rows(self, split: Split) -> dict[str, Any]:
        """The first columns of every table of predictions."""
        origins = self.task.origins[split]
        return {
            "origin": np.repeat(self.task.dates[origins], self.task.horizon),
            "horizon": np.tile(np.arange(1, self.task.horizon + 1), len(origins)),
        }

    def simple(self) -> dict[str, Forecast]:
        """Forecasts that learn next to nothing: what every other one is drawn and tested beside.

        persistence: the series stays as it is. drift: the mean change of training goes on.
        """
        steps = np.arange(1, self.task.horizon + 1)

        def repeated(changes: Array) -> Forecast:
            return lambda split: np.tile(changes, (len(self.task.origins[split]), 1))

        return {
            "persistence": repeated(np.zeros(self.task.horizon)),
            "drift": repeated(self.task.meta["mean_change"] * steps),
        }

    def losses(self, predictions: pd.DataFrame) -> Array:
        """The relative absolute error at each origin, the mean over its horizons."""
        losses: Array = self._relative([predictions])[0][0].mean(axis=1)
        return losses

    def judge(self, predictions: pd.DataFrame) -> dict[str, float]:
        return self.metrics([predictions])

    def metrics(self, predictions: list[pd.DataFrame]) -> dict[str, float]:
        """Errors of one table, or the mean over the tables of several seeds.

        With eₜₕ the error h timesteps ahead of origin t:

            relative_mae  mean over h of mean |eₜₕ| / mean |yₜ₊ₕ - yₜ| in the training part, what persistence errs there
                          at the same h
            skill         1 - relative_mae / (relative_mae of persistence): above 0 is better than "it stays as it is";
                          _low, _high: its 95 % interval over origins, and over seeds where there are several
            p_value       of the same difference, of this net and persistence alone (`rnnlab.statistics.compare`)
            mase          mean |eₜₕ| over all h / mean |yₜ - yₜ₋ₘ| in the training part, m being the season, or 1 where
                          there is none (Hyndman and Koehler 2006)

        and what the task adds (`further`). Each with the suffix _1 to _H for one horizon. Interval and p_value are left
        out where too few forecasts overlap by too much to tell (`can_tell`).
        """
        result = self._summary(predictions, self.task.horizon)
        for step in range(1, self.task.horizon + 1):
            one = self._summary([table[table["horizon"] == step] for table in predictions], step)
            result |= {f"{key}_{step}": value for key, value in one.items()}
        return result

    def _summary(self, predictions: list[pd.DataFrame], horizon: int) -> dict[str, float]:
        loss, naive = (each.mean(axis=-1) for each in self._relative(predictions))
        actual, predicted = self.stacked(predictions)
        mase = np.abs(predicted - actual).mean() / self.task.meta["naive_mae"]
        summary = {"relative_mae": loss.mean(), "skill": 1 - loss.mean() / naive.mean(), "mase": mase}
        if can_tell(loss.shape[1], horizon):
            low, high = skill_interval(loss, naive, horizon)
            summary |= {"skill_low": low, "skill_high": high, "p_value": compare(loss, naive, horizon).p_value}
        return {key: float(value) for key, value in (summary | self.further(predictions, horizon)).items()}

    def _relative(self, predictions: list[pd.DataFrame]) -> tuple[Array, Array]:
        """Absolute errors in units of those of persistence in training, (tables, origins, horizons), and likewise those
        of persistence, (1, origins, horizons)."""
        unit = np.asarray(self.task.meta["persistence_mae"])[predictions[0]["horizon"].unique() - 1]
        actual, predicted = self.stacked(predictions)
        return np.abs(predicted - actual) / unit, np.abs(actual[:1]) / unit

    def stacked(self, predictions: list[pd.DataFrame]) -> tuple[Array, Array]:
        """The true and the forecast changes, (tables, origins, horizons)."""
        shape = (len(predictions), -1, predictions[0]["horizon"].nunique())
        pairs = [self.changes(table) for table in predictions]
        actual, predicted = (np.stack(each).reshape(shape) for each in zip(*pairs, strict=True))
        return actual, predicted

    def plot_rows(self, predictions: list[pd.DataFrame]) -> pd.DataFrame:
        metrics = self.metrics(predictions)
        return pd.DataFrame(
            [
                {"part": step, "score": metrics[f"relative_mae_{step}"], "skill": metrics[f"skill_{step}"]}
                for step in range(1, self.task.horizon + 1)
            ]
        )

    def learnt_from(self) -> str:
        return in_words(self.task.meta["seen"]) if "seen" in self.task.meta else ""

    def misfits(self, table: pd.DataFrame) -> list[str]:
        seen = self.task.meta.get("seen")  # which a model of an earlier version does not have
        if not seen:
            return []
        return misfits(seen if self.in_units else {**seen, "ranges": {}}, self.task.raw_columns(), table)

    def respond(self, model: Model, tables: Iterable[pd.DataFrame], **options: Any) -> Iterator[pd.DataFrame]:
        """A row for each `origin` that has a whole window behind it, and each `horizon`; the last are of the future.

        The table is read as one, however it comes; the forecasts of some origins at a time are computed and given.

        Raises: `UserError` as `ForecastingData.read_raw` does.
        """
        steps, windows = self.task.read_raw(pd.concat(list(tables)))
        model.eval()
        for first in range(0, len(windows), ORIGINS):
            part = windows[first : first + ORIGINS]
            with torch.inference_mode():
                outputs = model(unlabelled(part).to(model.device)).double().cpu().numpy()
            origins = first + self.task.window - 1 + np.arange(len(part))
            changes = self._changes(self.task.target_scaler.unscale(outputs), steps.level[origins])
            yield pd.DataFrame(
                {
                    "origin": np.repeat(steps.dates[origins], self.task.horizon),
                    "horizon": np.tile(np.arange(1, self.task.horizon + 1), len(part)),
                    **{name: values.ravel() for name, values in self.forecast(steps, origins, changes).items()},
                }
            )
