"""How sums are judged."""

import numpy as np
import pandas as pd

from rnnlab.data.batches import Batch
from rnnlab.tasks.judging import Judging, Model
from rnnlab.tasks.synthetic.adding.data import SOLVED, AddingData
from rnnlab.tasks.synthetic.judging import too_long
from rnnlab.tasks.task import Array, Split


class AddingJudging(Judging):
    """The table of predictions has a row for each sequence of a split: its `length`, the `actual` and the `predicted`
    sum.
    """

    task: AddingData

    def say(self, model: Model, batch: Batch, table: pd.DataFrame) -> pd.DataFrame:
        """predicted: the sum."""
        sums = model(batch.to(model.device))[:, 0].double().cpu().numpy()
        return pd.DataFrame({"predicted": sums}, index=table.index)

    def misfits(self, table: pd.DataFrame) -> list[str]:
        return too_long(self.task, table)

    def table(self, sums: Array, split: Split = "test") -> pd.DataFrame:
        """A row for each sequence of the split."""
        return pd.DataFrame({"length": self.task.length_of[split], "actual": self.task.sums(split), "predicted": sums})

    def predict(self, model: Model) -> pd.DataFrame:
        return self.table(self.outputs(model)[:, 0])

    def losses(self, predictions: pd.DataFrame) -> Array:
        """The squared error of each sequence of the training length."""
        return _squared_errors(predictions[predictions["length"] == self.task.length])

    def judge(self, predictions: pd.DataFrame) -> dict[str, float]:
        """Of the sequences of the training length, and with the suffix _<length> of each length:

        mse, mae  mean squared and mean absolute error
        solved    1 where mse is 0.01 at most, else 0: over seeds, the share of those that solve it
        """
        result: dict[str, float] = {}
        for length in np.unique(predictions["length"]).tolist():
            squared = _squared_errors(predictions[predictions["length"] == length])
            found = {
                "mse": float(squared.mean()),
                "mae": float(np.sqrt(squared).mean()),
                "solved": float(squared.mean() <= SOLVED),
            }
            result |= {f"{key}_{length}": value for key, value in found.items()}
            if length == self.task.length:
                result |= found
        return result

    def plot_rows(self, predictions: list[pd.DataFrame]) -> pd.DataFrame:
        """Mean squared error by length."""
        metrics = self.metrics(predictions)
        return pd.DataFrame(
            {"part": self.task.lengths, "score": [metrics[f"mse_{length}"] for length in self.task.lengths]}
        )


def _squared_errors(predictions: pd.DataFrame) -> Array:
    errors: Array = (predictions["predicted"] - predictions["actual"]).to_numpy(np.float64) ** 2
    return errors
