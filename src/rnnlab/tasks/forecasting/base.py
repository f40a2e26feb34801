"""What all forecasts of one series share: windows, parts in time, scalers, baselines, and errors by horizon."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Literal, NoReturn

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnlab.data.batches import Batch, Batches, Order
from rnnlab.data.scaler import Scaler
from rnnlab.data.tables.repeats import advice_on_repeats
from rnnlab.data.tables.table import Table
from rnnlab.data.tables.values import Notation
from rnnlab.errors import UserError
from rnnlab.losses import AbsoluteError, Loss
from rnnlab.spec import TaskSpec
from rnnlab.statistics import can_tell, compare, skill_interval
from rnnlab.tasks.raw_input import check_columns, refuse, unlabelled
from rnnlab.tasks.task import Array, Model, Split, Task, check_choice, check_parts, check_whole

DIFFERENCES = ("none", "target", "both")
"""none: the net reads levels and says yₜ₊ₕ; target: it says yₜ₊ₕ - yₜ; both: it also reads changes."""

NOTATION = tuple(field.name for field in fields(Notation))

ORIGINS = 512
"""Of raw input, forecast from at a time."""

Forecast = Callable[[Split], Array]
"""By how much the series will change from each origin of a split, 1 to H timesteps ahead: (origins, H)."""


@dataclass(frozen=True)
class Timesteps:
    """A series and what else is known at each timestep, all (T,).

    level: the yₜ to be forecast; change: yₜ - yₜ₋₁. inputs: what the net reads, by name.
    measured: whether yₜ is a measurement that a forecast can be judged by.
    """

    dates: NDArray[np.datetime64]
    level: Array
    change: Array
    inputs: dict[str, Array]
    measured: NDArray[np.bool_]


class Forecasting(Task):
    """A series yₜ, forecast 1 to H timesteps ahead of each origin t, from the W timesteps that end there.

    Every horizon is predicted directly from what is known at t; no forecast is fed a value of its own future. The
    series is cut by time into train, validation and test; no target of one part lies in another, and both scalers see
    the training part alone.

    window, horizon: timesteps. validation, test: shares of the rows. loss: of the scaled targets, by default the
    absolute error. difference: what of it is changes, see `DIFFERENCES`.
    """

    reference: ClassVar[str] = "persistence"

    directions: ClassVar[dict[str, Literal["min", "max"]]]
    """The metrics, each with the direction that is better."""

    def __init__(
        self,
        name: str,
        window: int = 32,
        horizon: int = 5,
        validation: float = 0.15,
        test: float = 0.15,
        batch_size: int = 64,
        loss: Loss | None = None,
        difference: str = "both",
    ) -> None:
        super().__init__()
        self.task_name = name
        self.window = window
        self.horizon = horizon
        self.validation = validation
        self.test = test
        self.batch_size = batch_size
        self.loss = loss or AbsoluteError()
        self.difference = difference

    @abstractmethod
    def timesteps(self, table: Any) -> tuple[Timesteps, list[str]]:
        """Of what the data set read; and remarks."""

    def facts(self, table: Any, splits: dict[Split, tuple[int, int]]) -> dict[str, Any]:
        """What else of the data set goes into `meta`."""
        return {}

    @abstractmethod
    def table(self, forecast: Forecast) -> pd.DataFrame:
        """The table of predictions: a row for each `origin` of the test split and each `horizon`."""

    @abstractmethod
    def changes(self, table: pd.DataFrame) -> tuple[Array, Array]:
        """The true and the forecast change since the origin, of each row of a table of predictions."""

    @abstractmethod
    def further(self, predictions: list[pd.DataFrame], horizon: int) -> dict[str, Any]:
        """Metrics in the task's own units, the mean over the tables; horizon: the farthest that they hold."""

    def check(self) -> None:
        for key in ("window", "horizon", "batch_size"):
            check_whole(key, getattr(self, key))
        check_parts(self.validation, self.test)
        check_choice("difference", self.difference, DIFFERENCES)

    def prepare(self, dataset: Any, raw: Path, folder: Path) -> dict[str, Any]:
        table = dataset.read(raw)
        steps, notes = self.timesteps(table)
        inputs = np.column_stack(list(steps.inputs.values()))
        splits = self._split(len(inputs))
        last_origin = splits["test"][1]
        ahead = np.arange(last_origin)[:, None] + np.arange(1, self.horizon + 1)
        changes = steps.level[ahead] - steps.level[:last_origin, None]
        judged = steps.measured[ahead].all(axis=1)
        for split, (first, end) in splits.items():
            usable = judged[first:end]
            if usable.sum() < 2:
                self._refuse_filled(table.target, int(usable.sum()), split, splits, steps.measured)
            moved = changes[first:end][usable].any(axis=0)
            if split != "validation" and not moved.all():
                raise UserError(f"'{table.target}' never changes in the {split} part: there is nothing to forecast.")

        forecasts = int(judged[slice(*splits["test"])].sum())
        if not can_tell(forecasts, self.horizon):
            notes.append(
                f"too few forecasts in the test part to test a difference: {forecasts}, overlapping by "
                f"{self.horizon - 1}; {2 * self.horizon} are needed: give more rows, a larger task.test or a shorter "
                "task.horizon"
            )

        # what training may see: the rows before the first target of the validation part
        seen = splits["validation"][0] + 1
        train = slice(*splits["train"])
        targets = steps.level[ahead] if self.difference == "none" else changes
        input_scaler, target_scaler = Scaler.fit(inputs[:seen]), Scaler.fit(targets[train][judged[train]])
        np.save(folder / "inputs.npy", input_scaler.scale(inputs).astype(np.float32))
        np.save(folder / "targets.npy", targets)
        np.save(folder / "level.npy", steps.level)
        np.save(folder / "dates.npy", steps.dates)
        np.save(folder / "judged.npy", judged)
        return {
            "window": self.window,
            "horizon": self.horizon,
            "difference": self.difference,
            "target": table.target,
            "columns": list(steps.inputs),
            "splits": splits,
            **self.facts(table, splits),
            "input_scaler": input_scaler.as_dict(),
            "target_scaler": target_scaler.as_dict(),
            # the error of persistence in training, by horizon: the unit of the mean absolute scaled error
            "mase_unit": np.abs(changes[train][judged[train]]).mean(axis=0).tolist(),
            "mean_change": float(steps.change[:seen].mean()),
            "report": {
                **table.report,
                "target": table.target,
                **_parts(splits, judged, steps.dates),
                "notes": [*table.notes, *notes],
            },
        }

    def _split(self, rows: int) -> dict[Split, tuple[int, int]]:
        """As `_bounds`, of so many rows that each part has examples."""
        splits = self._bounds(rows)
        for split, (first, end) in splits.items():
            if end - first < 2:
                # the first row of the table is left out: it has no change
                raise UserError(
                    f"{rows + 1} rows are too few for task.window={self.window} and task.horizon={self.horizon}: "
                    f"the {split} part has {max(0, end - first)} examples, at least 2 are needed. "
                    "Give more rows, a shorter window or horizon, or other shares."
                )
        return splits

    def _bounds(self, rows: int) -> dict[Split, tuple[int, int]]:
        """First and one past the last origin of each part, such that all targets of a part lie inside it."""
        validation_row = int(rows * (1 - self.validation - self.test))
        test_row = int(rows * (1 - self.test))
        return {
            "train": (self.window - 1, validation_row - self.horizon),
            "validation": (max(self.window, validation_row) - 1, test_row - self.horizon),
            "test": (max(self.window, test_row) - 1, rows - self.horizon),
        }

    def _refuse_filled(
        self,
        target: str,
        examples: int,
        split: Split,
        splits: dict[Split, tuple[int, int]],
        measured: NDArray[np.bool_],
    ) -> NoReturn:
        """Of a split with fewer than 2 examples. measured: see `Timesteps`."""
        ways = []
        if all(end - first >= 2 for first, end in self._bounds(int(measured.sum())).values()):
            ways.append("take the measured rows for consecutive (task.missing=skip)")
        next_ones = [measured[first + 1 : end + 1] for first, end in splits.values()]
        if self.horizon > 1 and all(ones.sum() >= 2 for ones in next_ones):
            ways.append("take a shorter task.horizon")
        ways.append("give the missing numbers")
        stretches = "only one stretch" if examples else "no stretch"
        raise UserError(
            f"{(~measured).sum()} of the {len(measured) + 1} rows of '{target}' are filled with the last value known, "
            f"which judges no forecast: {stretches} of task.horizon={self.horizon} rows in the {split} part is free of "
            f"filled values, at least 2 are needed. {', or '.join(ways).capitalize()}."
        )

    def open(self, folder: Path, meta: dict[str, Any], seed: int) -> None:
        self.restore(meta)
        self.seed = seed
        # mapped, not read: copy-on-write, because torch wants memory it could write to
        inputs = torch.from_numpy(np.load(folder / "inputs.npy", mmap_mode="c"))
        self._windows = inputs.unfold(0, self.window, 1).transpose(1, 2)
        self._raw_targets: Array = np.load(folder / "targets.npy", mmap_mode="r")
        self._level: Array = np.load(folder / "level.npy", mmap_mode="r")
        self._dates = np.load(folder / "dates.npy", mmap_mode="r")
        judged = np.load(folder / "judged.npy")
        self._origins = {
            split: first + np.flatnonzero(judged[first:end]) for split, (first, end) in meta["splits"].items()
        }
        self._targets = torch.from_numpy(self._scaler.scale(self._raw_targets).astype(np.float32))

    def restore(self, learnt: dict[str, Any]) -> None:
        self.meta = learnt
        self._scaler = Scaler.from_dict(learnt["target_scaler"])
        self.spec = TaskSpec(
            task=self.task_name,
            layout="many_to_one",
            input_size=len(learnt["columns"]),
            output_size=self.horizon,
            loss=self.loss,
            metrics=self.directions,
            rank_by="mase",
            overlap=self.horizon,
            parts="steps ahead",
        )

    def state_dict(self) -> dict[str, Any]:
        """What the data taught: it goes into the checkpoint, so that a model can take the raw series."""
        scalers = ("input_scaler", "target_scaler")
        kept = ("window", "horizon", "difference", "target", "columns", *scalers, "splits", "digest")
        return {key: self.meta[key] for key in kept} | self.notation.given()

    @property
    def notation(self) -> Notation:
        """How the numbers and dates of the training's table are written, where that was said."""
        # of prepared data it is a part of the data set's setting, of a restored task one of what was learnt
        reading = self.meta["setting"]["dataset"] if "setting" in self.meta else self.meta
        return Notation(**{key: reading[key] for key in NOTATION if key in reading})

    @abstractmethod
    def raw_table(self, table: pd.DataFrame) -> Any:
        """Raw input as the data set would have read it."""

    @abstractmethod
    def read_table(self, table: Table) -> pd.DataFrame:
        """A file of the user's own as raw input, its dates and numbers read as those of training are."""

    @abstractmethod
    def forecast(self, steps: Timesteps, origins: NDArray[np.int64], changes: Array) -> dict[str, Array]:
        """Columns that say where the series stands at each origin, and what is forecast, in its own unit.

        changes: since the origin, (origins, H) -> each column (origins, H).
        """

    def raw_example(self) -> pd.DataFrame:
        """The shortest table that has an origin: a slow swing."""
        rows = self.window + 1
        dates = pd.date_range("2024-01-01", periods=rows, freq="D").strftime("%Y-%m-%d")
        swing = 100 + 5 * np.sin(np.arange(rows) / 3)
        numbers = {name: swing for name, column in self.raw_columns().items() if column.kind == "number"}
        return pd.DataFrame({"date": dates, **numbers})

    def respond(self, model: Model, tables: Iterable[pd.DataFrame], **options: Any) -> Iterator[pd.DataFrame]:
        """A row for each `origin` that has a whole window behind it, and each `horizon`; the last are of the future.

        The table is read as one, however it comes; the forecasts of some origins at a time are computed and given.

        Raises: `UserError` for a date or number that is none, rows too few for one window, or other columns than those
        of training.
        """
        table = pd.concat(list(tables))
        columns = self.raw_columns()
        check_columns(table, columns)
        steps, notes = self.timesteps(self.raw_table(_with_dates(table, list(columns))))
        if list(steps.inputs) != self.meta["columns"]:
            told = "; ".join(notes) or f"they are {', '.join(steps.inputs)}"
            raise UserError(f"the net reads {', '.join(self.meta['columns'])}, which the input does not give: {told}.")
        if len(steps.level) < self.window:
            raise UserError(
                f"the input has {len(steps.level) + 1} rows; at least {self.window + 1} are needed, a window of "
                f"{self.window} and the row before it."
            )
        scaled = Scaler.from_dict(self.meta["input_scaler"]).scale(np.column_stack(list(steps.inputs.values())))
        windows = torch.from_numpy(scaled.astype(np.float32)).unfold(0, self.window, 1).transpose(1, 2)
        model.eval()
        for first in range(0, len(windows), ORIGINS):
            part = windows[first : first + ORIGINS]
            with torch.inference_mode():
                outputs = model(unlabelled(part).to(model.device)).double().cpu().numpy()
            origins = first + self.window - 1 + np.arange(len(part))
            targets = self._scaler.unscale(outputs)
            changes = targets - steps.level[origins, None] if self.difference == "none" else targets
            yield pd.DataFrame(
                {
                    "origin": np.repeat(steps.dates[origins], self.horizon),
                    "horizon": np.tile(np.arange(1, self.horizon + 1), len(part)),
                    **{name: values.ravel() for name, values in self.forecast(steps, origins, changes).items()},
                }
            )

    def loader(self, split: Split) -> Batches:
        all_origins = torch.from_numpy(self._origins[split])

        def take(indices: Tensor) -> Batch:
            origins = all_origins[indices]
            return Batch(self._windows[origins - (self.window - 1)], self._targets[origins])

        return Batches(take, Order(len(all_origins), self.seed if split == "train" else None), self.batch_size)

    def predict(self, model: Model) -> pd.DataFrame:
        return self.table(lambda split: self._changes_from(self.outputs(model, split), split))

    def _changes_from(self, outputs: Array, split: Split) -> Array:
        """The changes that the outputs of a net, or of a line in its place, speak of."""
        targets = self._scaler.unscale(outputs)
        return targets - self._level[self._origins[split], None] if self.difference == "none" else targets

    def actual(self, split: Split) -> Array:
        """The true changes, (origins, H)."""
        origins = self._origins[split]
        targets: Array = self._raw_targets[origins]
        return targets - self._level[origins, None] if self.difference == "none" else targets

    def baselines(self) -> dict[str, pd.DataFrame]:
        """persistence: the series stays as it is. drift: the mean change of training goes on.

        ridge: a line in the same window, its penalty chosen on the validation part; and what the task adds.
        """
        return {name: self.table(forecast) for name, forecast in {**self.simple(), "ridge": self._ridge()}.items()}

    def simple(self) -> dict[str, Forecast]:
        """The baselines that learn next to nothing."""
        steps = np.arange(1, self.horizon + 1)

        def repeated(changes: Array) -> Forecast:
            return lambda split: np.tile(changes, (len(self._origins[split]), 1))

        return {
            "persistence": repeated(np.zeros(self.horizon)),
            "drift": repeated(self.meta["mean_change"] * steps),
        }

    def _ridge(self) -> Forecast:
        from sklearn.linear_model import Ridge

        def flat(split: Split) -> tuple[Array, Array]:
            batches = self.loader(split)
            whole = batches.take(torch.arange(batches.sampler.size))
            return whole.inputs.flatten(1).double().numpy(), whole.targets.double().numpy()

        x, y = flat("train")
        x_validation, y_validation = flat("validation")
        models = [Ridge(penalty).fit(x, y) for penalty in 10.0 ** np.arange(8)]
        best = min(models, key=lambda model: np.abs(model.predict(x_validation) - y_validation).mean())
        # scikit-learn drops the second dimension where there is one horizon
        return lambda split: self._changes_from(best.predict(flat(split)[0]).reshape(-1, self.horizon), split)

    def rows(self) -> dict[str, Any]:
        """The first columns of every table of predictions."""
        origins = self._origins["test"]
        return {
            "origin": np.repeat(self._dates[origins], self.horizon),
            "horizon": np.tile(np.arange(1, self.horizon + 1), len(origins)),
        }

    def losses(self, predictions: pd.DataFrame) -> Array:
        """The absolute scaled error at each origin, the mean over its horizons."""
        losses: Array = self._scaled([predictions])[0][0].mean(axis=1)
        return losses

    def judge(self, predictions: pd.DataFrame) -> dict[str, float]:
        return self.metrics([predictions])

    def metrics(self, predictions: list[pd.DataFrame]) -> dict[str, float]:
        """Errors of one table, or the mean over the tables of several seeds.

        With eₜₕ the error h timesteps ahead of origin t:

            mase     mean over h of mean |eₜₕ| / (mean |yₜ₊ₕ - yₜ| in the training part): a variant of Hyndman and
                     Koehler (2006), who scale all h by one step
            skill    1 - mase / (mase of persistence): above 0 is better than "it stays as it is"; _low, _high: its 95 %
                     interval over origins, and over seeds where there are several
            p_value  of the same difference, by Diebold and Mariano's test with the seeds' spread added (`compare`)

        and what the task adds (`further`). Each with the suffix _1 to _H for one horizon. Interval and p_value are left
        out where too few forecasts overlap by too much to tell (`can_tell`).
        """
        result = self._summary(predictions, self.horizon)
        for step in range(1, self.horizon + 1):
            one = self._summary([table[table["horizon"] == step] for table in predictions], step)
            result |= {f"{key}_{step}": value for key, value in one.items()}
        return result

    def _summary(self, predictions: list[pd.DataFrame], horizon: int) -> dict[str, float]:
        loss, naive = (each.mean(axis=-1) for each in self._scaled(predictions))
        summary = {"mase": loss.mean(), "skill": 1 - loss.mean() / naive.mean()}
        if can_tell(loss.shape[1], horizon):
            low, high = skill_interval(loss, naive, horizon)
            summary |= {"skill_low": low, "skill_high": high, "p_value": compare(loss, naive, horizon).p_value}
        return {key: float(value) for key, value in (summary | self.further(predictions, horizon)).items()}

    def _scaled(self, predictions: list[pd.DataFrame]) -> tuple[Array, Array]:
        """The absolute scaled errors (tables, origins, horizons), and those of persistence (1, origins, horizons)."""
        unit = np.asarray(self.meta["mase_unit"])[predictions[0]["horizon"].unique() - 1]
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
                {"part": step, "score": metrics[f"mase_{step}"], "skill": metrics[f"skill_{step}"]}
                for step in range(1, self.horizon + 1)
            ]
        )


def _with_dates(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """The columns by ascending date, dates and numbers as such, NaN where a cell is empty."""
    found: dict[str, Any] = {
        "date": pd.to_datetime(table["date"], errors="coerce", format="ISO8601", utc=True).dt.tz_convert(None)
    }
    for name in columns[1:]:
        found[name] = pd.to_numeric(table[name], errors="coerce").astype(np.float64)
    frame = pd.DataFrame(found)
    for name in columns:
        is_lost = frame[name].isna() & (table[name].notna() | (name == "date"))
        if is_lost.any():
            what = "a date such as 2024-01-31" if name == "date" else "a number"
            refuse(table.index[is_lost][0], name, f"found {table[name][is_lost].iloc[0]!r}, {what} is needed")
    if frame["date"].duplicated().any():
        row = table.index[frame["date"].duplicated()][0]
        advice = advice_on_repeats(table, frame["date"], list(table.columns).index(columns[1]))
        refuse(row, "date", f"this date came before. {advice}")
    return frame.sort_values("date", ignore_index=True)


def mean_of(predictions: list[pd.DataFrame], columns: tuple[str, ...]) -> pd.DataFrame:
    """The first table, with the mean over all tables (seeds) in some columns."""
    return predictions[0].assign(
        **{column: np.mean([table[column] for table in predictions], axis=0) for column in columns}
    )


def _parts(
    splits: dict[Split, tuple[int, int]], judged: NDArray[np.bool_], dates: NDArray[np.datetime64]
) -> dict[str, str]:
    """What the data report says of each part."""

    def day(row: int) -> str:
        return str(dates[row].astype("datetime64[s]")).removesuffix("T00:00:00")

    return {
        split: f"{judged[first:end].sum()} examples, forecasts made from {day(first)} to {day(end - 1)}"
        for split, (first, end) in splits.items()
    }
