"""What adds without recurrence."""

from typing import ClassVar

import numpy as np

from rnnlab.tasks.baselines.baselines import Baselines, Predict
from rnnlab.tasks.synthetic.adding.data import AddingData
from rnnlab.tasks.synthetic.adding.judging import AddingJudging
from rnnlab.tasks.task import Array, Split


class AddingBaselines(Baselines):
    """constant: 1, the mean of all sums. linear: a line in the mean of the sequence's numbers, least squares.

    By symmetry a line in the mean is what linear regression on all the numbers comes to. Every number is marked
    with probability 2 / T, so it explains 1 / 3T of the variance of 1/6.
    """

    trivial: ClassVar[str] = "constant"
    task: AddingData
    judging: AddingJudging

    def fitted(self) -> dict[str, Predict]:
        slope, intercept = np.polyfit(self._means("train"), self.task.sums("train"), 1)
        return {
            "constant": lambda split: self.judging.table(np.ones(len(self.task.inputs[split])), split),
            "linear": lambda split: self.judging.table(intercept + slope * self._means(split), split),
        }

    def _means(self, split: Split) -> Array:
        inputs = self.task.inputs[split]
        sums = np.add.reduceat(inputs.values[:, 0], inputs.offsets[:-1].numpy(), dtype=np.float64)
        means: Array = sums / inputs.lengths.numpy()
        return means
