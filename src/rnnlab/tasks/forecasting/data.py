"""What the data of all forecasts of one series share: windows, parts in time, and scalers."""

from abc import abstractmethod
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NoReturn

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnlab.arguments import OneOf, Part, Positive, refusal
from rnnlab.data.batches import Batch, Batches, Order
from rnnlab.data.scaler import Scaler
from rnnlab.data.tables.repeats import advice_on_repeats
from rnnlab.data.tables.table import Table, iso
from rnnlab.data.tables.values import Notation
from rnnlab.errors import UserError
from rnnlab.losses import AbsoluteError, Loss, RegressionLoss
from rnnlab.spec import TaskSpec
from rnnlab.tasks.raw_input import check_columns, refuse
from rnnlab.tasks.task import Array, Split, Task, check_parts

DIFFERENCES = ("none", "target", "both")
"""none: the net reads levels and says yₜ₊ₕ; target: it says yₜ₊ₕ - yₜ; both: it also reads changes."""

NOTATION = tuple(field.name for field in fields(Notation))


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


class ForecastingData(Task):
    """A series yₜ, forecast 1 to H timesteps ahead of each origin t, from the W timesteps that end there.

    Every horizon is predicted directly from what is known at t; no forecast is fed a value of its own future. The
    series is cut by time into train, validation and test; no target of one part lies in another, and both scalers see
    the training part alone.

    window, horizon: timesteps. validation, test: shares of the rows. loss: of the scaled targets, by default the
    absolute error. difference: what of it is changes, see `DIFFERENCES`.

    Of an open task:

    origins: of each split, the t that are forecast from, all (origins,). level, dates: as of `Timesteps`.
    raw_targets: of every t, yₜ₊ₕ or yₜ₊ₕ - yₜ as `difference` says, (T, H), unscaled. target_scaler: of those.
    """

    directions: ClassVar[dict[str, Literal["min", "max"]]]
    """The metrics, each with the direction that is better."""

    def __init__(
        self,
        name: str,
        window: Positive = 32,
        horizon: Positive = 5,
        validation: Part = 0.15,
        test: Part = 0.15,
        batch_size: Positive = 64,
        loss: Loss | None = None,
        difference: Annotated[str, OneOf(DIFFERENCES)] = "both",
    ) -> None:
        super().__init__()
        self.task_name = name
        self.window = window
        self.horizon = horizon
        self.validation = validation
        self.test = test
        self.batch_size = batch_size
        self.loss = AbsoluteError() if loss is None else loss
        self.difference = difference

    @abstractmethod
    def timesteps(self, table: Any) -> tuple[Timesteps, list[str]]:
        """Of what the data set read; and remarks."""

    def facts(self, table: Any, splits: dict[Split, tuple[int, int]]) -> dict[str, Any]:
        """What else of the data set goes into `meta`."""
        return {}

    def check(self) -> None:
        super().check()
        check_parts(self.validation, self.test)
        if not isinstance(self.loss, RegressionLoss):
            losses = ", ".join(loss.__name__ for loss in RegressionLoss.__subclasses__())
            raise UserError(refusal("task.loss", f"a loss of numbers, one of {losses}", type(self.loss).__name__))

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

        # what training may see: the rows before the first target of the validation part
        seen = splits["validation"][0] + 1
        train = slice(*splits["train"])
        facts = self.facts(table, splits)
        step = np.median(np.diff(steps.dates[:seen]) / np.timedelta64(1, "s"))
        numbers = table.frame[: seen + 1].select_dtypes("number")
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
            **facts,
            "input_scaler": input_scaler.as_dict(),
            "target_scaler": target_scaler.as_dict(),
            # in training, by horizon
            "persistence_mae": np.abs(changes[train][judged[train]]).mean(axis=0).tolist(),
            "naive_mae": _naive_mae(steps.level[:seen], steps.measured[:seen], facts.get("season")),
            "mean_change": float(steps.change[:seen].mean()),
            # what raw input is compared with: dates in words, the step in seconds, of each column the least and most
            "seen": {
                "rows": seen + 1,
                # of a change the date before it, which the report has
                "first": str(table.report.get("first") or iso(pd.Timestamp(steps.dates[0]))),
                "last": iso(pd.Timestamp(steps.dates[seen - 1])),
                "step": float(step),
                "ranges": {str(name): [float(each.min()), float(each.max())] for name, each in numbers.items()},
            },
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
        self.raw_targets: Array = np.load(folder / "targets.npy", mmap_mode="r")
        self.level: Array = np.load(folder / "level.npy", mmap_mode="r")
        self.dates = np.load(folder / "dates.npy", mmap_mode="r")
        judged = np.load(folder / "judged.npy")
        self.origins = {
            split: first + np.flatnonzero(judged[first:end]) for split, (first, end) in meta["splits"].items()
        }
        self._targets = torch.from_numpy(self.target_scaler.scale(self.raw_targets).astype(np.float32))

    def restore(self, learnt: dict[str, Any]) -> None:
        self.meta = learnt
        self.target_scaler = Scaler.from_dict(learnt["target_scaler"])
        self.spec = TaskSpec(
            task=self.task_name,
            layout="many_to_one",
            input_size=len(learnt["columns"]),
            output_size=self.horizon,
            loss=self.loss,
            metrics=self.directions,
            rank_by="relative_mae",
            unit="forecast",
            overlap=self.horizon,
            parts="steps ahead",
        )

    def state_dict(self) -> dict[str, Any]:
        """What the data taught: it goes into the checkpoint, so that a model can take the raw series."""
        scalers = ("input_scaler", "target_scaler")
        kept = ("window", "horizon", "difference", "target", "columns", *scalers, "splits", "seen", "digest")
        # a model of an earlier version has no "seen"
        return {key: self.meta[key] for key in kept if key in self.meta} | self.notation.given()

    @property
    def notation(self) -> Notation:
        """How the numbers and dates of the training's table are written, where that was said."""
        reading = self.reading
        return Notation(**{key: reading[key] for key in NOTATION if key in reading})

    @property
    def reading(self) -> dict[str, Any]:
        """How the training's table was read: of prepared data the data set's setting, of a restored task what was
        learnt."""
        found: dict[str, Any] = self.meta["setting"]["dataset"] if "setting" in self.meta else self.meta
        return found

    @abstractmethod
    def raw_table(self, table: pd.DataFrame) -> Any:
        """Raw input as the data set would have read it."""

    @abstractmethod
    def read_table(self, table: Table) -> pd.DataFrame:
        """A file of the user's own as raw input, its dates and numbers read as those of training are."""

    def raw_example(self) -> pd.DataFrame:
        """The shortest table that has an origin: a slow swing."""
        rows = self.window + 1
        dates = pd.date_range("2024-01-01", periods=rows, freq="D").strftime("%Y-%m-%d")
        swing = 100 + 5 * np.sin(np.arange(rows) / 3)
        numbers = {name: swing for name, column in self.raw_columns().items() if column.kind == "number"}
        return pd.DataFrame({"date": dates, **numbers})

    def read_raw(self, table: pd.DataFrame) -> tuple[Timesteps, Tensor]:
        """Raw input as `prepare` would have it: its timesteps, and all its windows, (origins, W, inputs).

        Raises: `UserError` for a date or number that is none, rows too few for one window, or other columns than those
        of training.
        """
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
        return steps, torch.from_numpy(scaled.astype(np.float32)).unfold(0, self.window, 1).transpose(1, 2)

    def loader(self, split: Split) -> Batches:
        all_origins = torch.from_numpy(self.origins[split])

        def take(indices: Tensor) -> Batch:
            origins = all_origins[indices]
            return Batch(self._windows[origins - (self.window - 1)], self._targets[origins])

        return Batches(take, Order(len(all_origins), self.seed if split == "train" else None), self.batch_size)


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


def _naive_mae(level: Array, measured: NDArray[np.bool_], season: int | None) -> float:
    """The mean of |yₜ - yₜ₋ₘ| over the measured yₜ of the training part, m being a season, or 1 where there is none.

    Also 1 for a series that repeats its season without an error, in units of which every other error is infinite, and
    for a training part of one season alone.
    """
    for lag in (season or 1, 1):
        errors = np.abs(level[lag:] - level[:-lag])[measured[lag:]]
        if errors.any():
            break
    return float(errors.mean())


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
