"""How numbers that belong to sequences are judged."""

from typing import Any

import numpy as np
import pandas as pd

from rnnlab.tasks.judging import losses_of_ratio
from rnnlab.tasks.regression.judging import RegressionJudging
from rnnlab.tasks.sequences.columns import columns_of_sequences
from rnnlab.tasks.sequences.data import SequencesData
from rnnlab.tasks.task import Array, Split


class SequencesJudging(RegressionJudging):
    """Beside what every regression has, a row of predictions has `columns_of_sequences`."""

    task: SequencesData

    def columns(self, split: Split) -> dict[str, Any]:
        return columns_of_sequences(self.task, split)

    def losses(self, predictions: pd.DataFrame) -> Array:
        """|ŷ - y| of each sequence; where no group is in two parts, of each group, as `losses_of_ratio` has it."""
        errors = super().losses(predictions)
        if self.task.spec.unit != "group":
            return errors
        of_groups = pd.Series(errors).groupby(predictions["group"].to_numpy())
        return losses_of_ratio(np.asarray(of_groups.sum(), np.float64), np.asarray(of_groups.size(), np.float64))
