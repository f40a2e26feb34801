"""How numbers that belong to sequences or texts are judged."""

from typing import Any

import numpy as np
import pandas as pd

from rnnlab.data.batches import Batch
from rnnlab.tasks.judging import Judging, Model
from rnnlab.tasks.task import Array, Split

QUARTERS = 4


class RegressionJudging(Judging):
    """The table of predictions has a row for each example of a split: the number that is asked for (`actual`), the one
    that is `predicted`, both in the unit of the data, and what `columns` adds.

    Its task has `targets`: of each split, in the unit of the data, (examples,); and `target_scaler`: fitted on those of
    the training part.
    """

    task: Any

    def columns(self, split: Split) -> dict[str, Any]:
        """Further columns of the table of predictions: what the errors may depend on, such as a length."""
        return {}

    def table(self, predicted: Array, split: Split = "test") -> pd.DataFrame:
        """predicted: a number for each example of the split, (examples,)."""
        first = {"actual": self.task.targets[split], "predicted": predicted}
        return pd.DataFrame({**first, **self.columns(split)})

    def predict(self, model: Model) -> pd.DataFrame:
        return self.table(self.task.target_scaler.unscale(self.outputs(model))[:, 0])

    def say(self, model: Model, batch: Batch, table: pd.DataFrame) -> pd.DataFrame:
        """The number that is `predicted`, in the unit of the data."""
        outputs = model(batch.to(model.device)).double().cpu().numpy()
        return pd.DataFrame({"predicted": self.task.target_scaler.unscale(outputs)[:, 0]}, index=table.index)

    def losses(self, predictions: pd.DataFrame) -> Array:
        """|ŷ - y| of each example."""
        return np.abs(errors_of(predictions))

    def judge(self, predictions: pd.DataFrame) -> dict[str, float]:
        """Of one table, in the unit of the data:

        mae    the mean of |ŷ - y|
        rmse   the root of the mean of (ŷ - y)²
        r2     1 - Σ (ŷ - y)² / Σ (y - ȳ)²: 0 for whoever says the mean of the test part, which nobody knows; NaN where
               all y are the same
        """
        errors = errors_of(predictions)
        spread = float(np.square(predictions["actual"] - predictions["actual"].mean()).sum())
        return {
            "mae": float(np.abs(errors).mean()),
            "rmse": float(np.sqrt(np.square(errors).mean())),
            "r2": 1 - float(np.square(errors).sum()) / spread if spread > 0 else float("nan"),
        }

    def plot_rows(self, predictions: list[pd.DataFrame]) -> pd.DataFrame:
        """The MAE by quarters of what is asked for, the smallest numbers first."""
        whole = pd.concat(predictions)
        quarter = pd.qcut(whole["actual"], QUARTERS, duplicates="drop")
        error = pd.Series(np.abs(errors_of(whole)), index=whole.index).groupby(quarter.to_numpy(), observed=True).mean()
        parts = [f"{interval.left:.4g} to {interval.right:.4g}" for interval in error.index]
        return pd.DataFrame({"part": parts, "score": error.to_numpy()})


def errors_of(predictions: pd.DataFrame) -> Array:
    return np.asarray(predictions["predicted"] - predictions["actual"], np.float64)
