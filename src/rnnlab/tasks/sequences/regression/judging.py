"""How numbers that belong to sequences are judged."""

import numpy as np
import pandas as pd

from rnnlab.data.batches import Batch
from rnnlab.tasks.judging import Judging, Model, losses_of_ratio
from rnnlab.tasks.sequences.columns import columns_of_sequences
from rnnlab.tasks.sequences.data import SequencesData
from rnnlab.tasks.task import Array, Split

QUARTERS = 4


class SequencesJudging(Judging):
    """The table of predictions has a row for each sequence of a split: the number that is asked for (`actual`), the one
    that is `predicted`, both in the unit of the data, and `columns_of_sequences`."""

    task: SequencesData

    def table(self, predicted: Array, split: Split = "test") -> pd.DataFrame:
        """predicted: a number for each sequence of the split, (sequences,)."""
        first = {"actual": self.task.targets[split], "predicted": predicted}
        return pd.DataFrame({**first, **columns_of_sequences(self.task, split)})

    def predict(self, model: Model) -> pd.DataFrame:
        return self.table(self.task.target_scaler.unscale(self.outputs(model))[:, 0])

    def say(self, model: Model, batch: Batch, table: pd.DataFrame) -> pd.DataFrame:
        """The number that is `predicted`, in the unit of the data."""
        outputs = model(batch.to(model.device)).double().cpu().numpy()
        return pd.DataFrame({"predicted": self.task.target_scaler.unscale(outputs)[:, 0]}, index=table.index)

    def losses(self, predictions: pd.DataFrame) -> Array:
        """|ŷ - y| of each sequence; where no group is in two parts, of each group, as `losses_of_ratio` has it."""
        errors = np.abs(_errors(predictions))
        if self.task.spec.unit != "group":
            return errors
        of_groups = pd.Series(errors).groupby(predictions["group"].to_numpy())
        return losses_of_ratio(np.asarray(of_groups.sum(), np.float64), np.asarray(of_groups.size(), np.float64))

    def judge(self, predictions: pd.DataFrame) -> dict[str, float]:
        """Of one table, in the unit of the data:

        mae    the mean of |ŷ - y|
        rmse   the root of the mean of (ŷ - y)²
        r2     1 - Σ (ŷ - y)² / Σ (y - ȳ)²: 0 for whoever says the mean of the test part, which nobody knows; NaN where
               all y are the same
        """
        errors = _errors(predictions)
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
        error = pd.Series(np.abs(_errors(whole)), index=whole.index).groupby(quarter.to_numpy(), observed=True).mean()
        parts = [f"{interval.left:.4g} to {interval.right:.4g}" for interval in error.index]
        return pd.DataFrame({"part": parts, "score": error.to_numpy()})


def _errors(predictions: pd.DataFrame) -> Array:
    return np.asarray(predictions["predicted"] - predictions["actual"], np.float64)
