"""What adds without recurrence."""

from typing import ClassVar

import numpy as np
import pandas as pd

from rnnlab.tasks.baselines.baselines import Baselines
from rnnlab.tasks.synthetic.adding.data import AddingData
from rnnlab.tasks.synthetic.adding.judging import AddingJudging
from rnnlab.tasks.task import Array, Split


class AddingBaselines(Baselines):
    """constant: 1, the mean of all sums. linear: a line in the mean of the sequence's numbers, least squares.

    By symmetry a line in the mean is what linear regression on all the numbers comes to. Every number is marked
    with probability 2 / T, so it explains 1 / 3T of the variance of 1/6.
    """

    reference: ClassVar[str] = "constant"
    task: AddingData
    judging: AddingJudging

    def predictions(self) -> dict[str, pd.DataFrame]:
        slope, intercept = np.polyfit(self._means("train"), self.task.targets["train"].numpy()[:, 0], 1)
        return {
            "constant": self.judging.table(np.ones(len(self.task.test_sums))),
            "linear": self.judging.table(intercept + slope * self._means("test")),
        }

    def _means(self, split: Split) -> Array:
        inputs = self.task.inputs[split]
        sums = np.add.reduceat(inputs.values[:, 0], inputs.offsets[:-1].numpy(), dtype=np.float64)
        means: Array = sums / inputs.lengths.numpy()
        return means
