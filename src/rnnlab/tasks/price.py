"""Forecasting a price: log returns over the next steps, from the returns and volume changes of a window."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from rnnlab.data.batches import Batch, Batches, Order
from rnnlab.data.scaler import Scaler
from rnnlab.datasets.prices import Prices
from rnnlab.errors import UserError
from rnnlab.report.statistics import diebold_mariano, proportion_interval
from rnnlab.spec import TaskSpec
from rnnlab.tasks.task import Array, Model, Split, Task, check_choice, check_share, check_whole

SHOWN_ORIGINS = 120


class PriceData(Task):
    """The close pₜ of one instrument, its log return rₜ = ln pₜ - ln pₜ₋₁ and its log volume change vₜ.

    An example with origin t, window W and horizon H:

        input    (rₜ₋W₊₁, vₜ₋W₊₁) ... (rₜ, vₜ)                        W timesteps, scaled
        target   ln pₜ₊₁ - ln pₜ, ..., ln pₜ₊H - ln pₜ                H numbers, scaled

    Every horizon is predicted directly from what is known at t; no forecast is fed a price of its own future. The
    series is cut by time into train, validation and test; no target of one part lies in another, and both scalers see
    the training part alone.

    window, horizon: timesteps. validation, test: shares of the rows. loss: "mae" or "mse" of the scaled targets.
    """

    reference: ClassVar[str] = "persistence"

    def __init__(
        self,
        name: str,
        window: int = 32,
        horizon: int = 5,
        validation: float = 0.15,
        test: float = 0.15,
        batch_size: int = 64,
        loss: Any = "mae",
    ) -> None:
        super().__init__()
        self.task_name = name
        self.window = window
        self.horizon = horizon
        self.validation = validation
        self.test = test
        self.batch_size = batch_size
        self.loss = loss

    def check(self) -> None:
        for key in ("window", "horizon", "batch_size"):
            check_whole(key, getattr(self, key))
        for key in ("validation", "test"):
            check_share(key, getattr(self, key))
        if self.validation + self.test >= 1:
            raise UserError("task.validation and task.test leave nothing to train on: together they must stay below 1.")
        check_choice("loss", self.loss, ("mae", "mse"))

    def prepare(self, dataset: Prices, raw: Path, folder: Path) -> dict[str, Any]:
        table = dataset.read(raw)
        frame, notes = table.frame, list(table.notes)
        log_close = np.log(frame["close"].to_numpy(np.float64))
        columns = {"return": np.diff(log_close)}
        if "volume" in frame:
            volume = frame["volume"].to_numpy(np.float64)
            if np.isfinite(volume).all() and (volume >= 0).all():
                columns["volume change"] = np.diff(np.log1p(volume))
            else:
                notes.append("volume is missing or negative in places: not used")
        inputs = np.column_stack(list(columns.values()))
        log_close, dates = log_close[1:], frame["date"].to_numpy("datetime64[s]")[1:]

        splits = self._split(len(inputs), len(frame))
        steps_ahead = np.arange(1, self.horizon + 1)
        last_origin = splits["test"][1]
        origins = np.arange(last_origin)
        targets = log_close[origins[:, None] + steps_ahead] - log_close[origins, None]

        # what training may see: the rows before the first target of the validation part
        seen = splits["validation"][0] + 1
        train_targets = targets[slice(*splits["train"])]
        for split in ("train", "test"):
            if not np.abs(targets[slice(*splits[split])]).mean(axis=0).all():
                raise UserError(f"The price never changes in the {split} part: there is nothing to forecast.")
        input_scaler, target_scaler = Scaler.fit(inputs[:seen]), Scaler.fit(train_targets)
        np.save(folder / "inputs.npy", input_scaler.scale(inputs).astype(np.float32))
        np.save(folder / "targets.npy", targets)
        np.save(folder / "close.npy", np.exp(log_close))
        np.save(folder / "dates.npy", dates)
        return {
            "window": self.window,
            "horizon": self.horizon,
            "columns": list(columns),
            "splits": splits,
            "input_scaler": input_scaler.as_dict(),
            "target_scaler": target_scaler.as_dict(),
            # the error of persistence in training, by horizon: the unit of the mean absolute scaled error
            "mase_unit": np.abs(train_targets).mean(axis=0).tolist(),
            "mean_return": float(columns["return"][:seen].mean()),
            "report": {**table.report, "target": table.target, **_parts(splits, dates), "notes": notes},
        }

    def _split(self, rows: int, table_rows: int) -> dict[str, tuple[int, int]]:
        """First and one past the last origin of each part, such that all targets of a part lie inside it."""
        validation_row = int(rows * (1 - self.validation - self.test))
        test_row = int(rows * (1 - self.test))
        splits = {
            "train": (self.window - 1, validation_row - self.horizon),
            "validation": (max(self.window, validation_row) - 1, test_row - self.horizon),
            "test": (max(self.window, test_row) - 1, rows - self.horizon),
        }
        for split, (first, end) in splits.items():
            if end - first < 2:
                raise UserError(
                    f"{table_rows} rows are too few for task.window={self.window} and task.horizon={self.horizon}: "
                    f"the {split} part has {max(0, end - first)} examples, at least 2 are needed. "
                    "Give more rows, a shorter window or horizon, or other shares."
                )
        return splits

    def open(self, folder: Path, meta: dict[str, Any], seed: int) -> None:
        self.meta = meta
        self.seed = seed
        # mapped, not read: copy-on-write, because torch wants memory it could write to
        inputs = torch.from_numpy(np.load(folder / "inputs.npy", mmap_mode="c"))
        self._windows = inputs.unfold(0, self.window, 1).transpose(1, 2)
        self._returns: Array = np.load(folder / "targets.npy", mmap_mode="r")
        self._close: Array = np.load(folder / "close.npy", mmap_mode="r")
        self._dates = np.load(folder / "dates.npy", mmap_mode="r")
        self._scaler = Scaler.from_dict(meta["target_scaler"])
        self._targets = torch.from_numpy(self._scaler.scale(self._returns).astype(np.float32))
        self.spec = TaskSpec(
            task=self.task_name,
            layout="many_to_one",
            input_size=inputs.shape[1],
            output_size=self.horizon,
            loss=self.loss,
            metrics={
                "mase": "min",
                "skill": "max",
                "return_mae": "min",
                "return_rmse": "min",
                "price_mae": "min",
                "price_rmse": "min",
                "directional_accuracy": "max",
            },
            rank_by="mase",
            overlap=self.horizon,
        )

    def state_dict(self) -> dict[str, Any]:
        """What the data taught: it goes into the checkpoint, so that a model can take raw prices."""
        kept = ("window", "horizon", "columns", "input_scaler", "target_scaler", "splits", "digest")
        return {key: self.meta[key] for key in kept}

    def _origins(self, split: str) -> slice:
        return slice(*self.meta["splits"][split])

    def loader(self, split: Split) -> Batches:
        first, end = self.meta["splits"][split]

        def take(indices: Tensor) -> Batch:
            origins = indices + first
            return Batch(self._windows[origins - (self.window - 1)], self._targets[origins])

        return Batches(take, Order(end - first, self.seed if split == "train" else None), self.batch_size)

    def predict(self, model: Model) -> pd.DataFrame:
        return self._table(self._scaler.unscale(self.outputs(model)))

    def _table(self, predicted_returns: Array) -> pd.DataFrame:
        """One row for each origin of the test split and each horizon."""
        origins = self._origins("test")
        size, horizon = predicted_returns.shape
        return pd.DataFrame(
            {
                "origin": np.repeat(self._dates[origins], horizon),
                "horizon": np.tile(np.arange(1, horizon + 1), size),
                "close": np.repeat(self._close[origins], horizon),
                "actual_return": self._returns[origins].ravel(),
                "predicted_return": predicted_returns.ravel(),
            }
        )

    def baselines(self) -> dict[str, pd.DataFrame]:
        """persistence: the price stays. drift: the mean return of training goes on. ridge: a line in the same window.

        Ridge regression's penalty is chosen on the validation part.
        """
        size = len(range(*self.meta["splits"]["test"]))
        steps = np.arange(1, self.horizon + 1)
        return {
            "persistence": self._table(np.zeros((size, self.horizon))),
            "drift": self._table(np.tile(self.meta["mean_return"] * steps, (size, 1))),
            "ridge": self._table(self._scaler.unscale(self._ridge())),
        }

    def _ridge(self) -> Array:
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
        result: Array = best.predict(flat("test")[0]).reshape(-1, self.horizon)
        return result

    def losses(self, predictions: pd.DataFrame) -> Array:
        """The absolute scaled error at each origin, the mean over its horizons."""
        losses: Array = _Errors.of(predictions, np.asarray(self.meta["mase_unit"])).scaled.mean(axis=1)
        return losses

    def judge(self, predictions: pd.DataFrame) -> dict[str, float]:
        return self.metrics([predictions])

    def metrics(self, predictions: list[pd.DataFrame]) -> dict[str, float]:
        """Errors of one table, or the mean over the tables of several seeds.

        With eₜₕ the error of the log return h steps ahead of origin t:

            mase                  mean over h of mean |eₜₕ| / (mean |actual| h steps ahead in the training part): of the
                                  log price, and a variant of Hyndman and Koehler (2006), who scale all h by one step
            skill                 1 - mase / (mase of persistence): above 0 is better than "the price stays"
            p_value               Diebold-Mariano test of that difference, on the loss averaged over seeds
            return_mae, _rmse     of the log return; price_mae, price_rmse: of the price level it implies
            directional_accuracy  share of non-zero moves whose sign was right; _low, _high: its 95 % interval

        Each with the suffix _1 to _H for one horizon.
        """
        unit = np.asarray(self.meta["mase_unit"])
        seeds = [_Errors.of(table, unit) for table in predictions]
        loss = np.mean([errors.scaled for errors in seeds], axis=0)
        naive = seeds[0].naive
        result = _summary(seeds, loss.mean(axis=1), naive.mean(axis=1), slice(None), self.horizon)
        for step in range(self.horizon):
            one = _summary(seeds, loss[:, step], naive[:, step], slice(step, step + 1), step + 1)
            result |= {f"{key}_{step + 1}": value for key, value in one.items()}
        return result

    def plot_rows(self, predictions: list[pd.DataFrame]) -> pd.DataFrame:
        metrics = self.metrics(predictions)
        return pd.DataFrame(
            [
                {"part": step, "score": metrics[f"mase_{step}"], "skill": metrics[f"skill_{step}"]}
                for step in range(1, self.horizon + 1)
            ]
        )

    def figures(self, predictions: list[pd.DataFrame], name: str) -> dict[str, Figure]:
        return {"forecast": draw_forecast(predictions, self.plot_rows(predictions), name)}


@dataclass(frozen=True)
class _Errors:
    """Errors of one table of predictions, each (origins, horizon)."""

    scaled: Array
    naive: Array
    returns: Array
    prices: Array
    hits: Array

    @classmethod
    def of(cls, table: pd.DataFrame, unit: Array) -> "_Errors":
        shape = (-1, len(unit))
        close = table["close"].to_numpy().reshape(shape)
        actual = table["actual_return"].to_numpy().reshape(shape)
        predicted = table["predicted_return"].to_numpy().reshape(shape)
        # neither hit nor miss where nothing moved or no direction was given
        hits = np.where((actual == 0) | (predicted == 0), np.nan, np.sign(actual) == np.sign(predicted))
        return cls(
            scaled=np.abs(predicted - actual) / unit,
            naive=np.abs(actual) / unit,
            returns=predicted - actual,
            prices=close * (np.exp(predicted) - np.exp(actual)),
            hits=hits,
        )


def _summary(seeds: list[_Errors], loss: Array, naive: Array, columns: slice, horizon: int) -> dict[str, float]:
    returns = np.stack([errors.returns[:, columns] for errors in seeds])
    prices = np.stack([errors.prices[:, columns] for errors in seeds])
    hits = np.ma.masked_invalid(np.stack([errors.hits[:, columns] for errors in seeds]))
    summary = {
        "mase": loss.mean(),
        "skill": 1 - loss.mean() / naive.mean(),
        "p_value": diebold_mariano(loss, naive, horizon).p_value,
        "return_mae": np.abs(returns).mean(),
        "return_rmse": np.sqrt((returns**2).mean(axis=(1, 2))).mean(),
        "price_mae": np.abs(prices).mean(),
        "price_rmse": np.sqrt((prices**2).mean(axis=(1, 2))).mean(),
    }
    if hits.count():
        # the share of hits at each origin: origins overlap in time, its horizons and seeds share one outcome
        by_origin = hits.mean(axis=(0, 2)).compressed()
        low, high = proportion_interval(by_origin, horizon)
        summary |= {
            "directional_accuracy": by_origin.mean(),
            "directional_accuracy_low": low,
            "directional_accuracy_high": high,
        }
    return {key: float(value) for key, value in summary.items()}


def _parts(splits: dict[str, tuple[int, int]], dates: NDArray[np.datetime64]) -> dict[str, str]:
    """What the data report says of each part."""

    def day(row: int) -> str:
        return str(dates[row]).removesuffix("T00:00:00")

    return {
        split: f"{end - first} examples, forecasts made from {day(first)} to {day(end - 1)}"
        for split, (first, end) in splits.items()
    }


def draw_forecast(predictions: list[pd.DataFrame], errors: pd.DataFrame, name: str) -> Figure:
    """Left: the last stretch of the test split, with a path of forecasts from every H-th origin. Right: the errors."""
    horizon = int(predictions[0]["horizon"].max())
    table = predictions[0].assign(
        predicted_return=np.mean([table["predicted_return"] for table in predictions], axis=0)
    )
    shown = table.iloc[-SHOWN_ORIGINS * horizon :]
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
