"""What adds without recurrence."""

from collections.abc import Callable
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rnnlab.tasks.baselines.baselines import Baselines, Predict
from rnnlab.tasks.synthetic.adding.data import AddingData
from rnnlab.tasks.synthetic.adding.judging import AddingJudging
from rnnlab.tasks.task import Array, Split


class AddingBaselines(Baselines):
    """constant: 1, the mean of all sums. linear: a line in the mean of the sequence's numbers, least squares. products:
    a line in the sum of each number times its mark: who reads the two together need not remember, only sum.

    By symmetry a line in the mean is what linear regression on all the numbers comes to. Every number is marked
    with probability 2 / T, so it explains 1 / 3T of the variance of 1/6.
    """

    trivial: ClassVar[str] = "constant"
    task: AddingData
    judging: AddingJudging

    def fitted(self) -> dict[str, Predict]:
        return {
            "products": self._line(self._products),
            "constant": lambda split: self.judging.table(np.ones(len(self.task.inputs[split])), split),
            "linear": self._line(self._means),
        }

    def _line(self, feature: Callable[[Split], Array]) -> Predict:
        slope, intercept = np.polyfit(feature("train"), self.task.sums("train"), 1)
        return lambda split: self.judging.table(intercept + slope * feature(split), split)

    def _means(self, split: Split) -> Array:
        means: Array = self._sums(split, self.task.inputs[split].values[:, 0]) / self.task.inputs[split].lengths.numpy()
        return means

    def _products(self, split: Split) -> Array:
        return self._sums(split, self.task.inputs[split].values.prod(axis=1))

    def _sums(self, split: Split, values: NDArray[np.floating]) -> Array:
        """Of the values of each sequence."""
        sums: Array = np.add.reduceat(values, self.task.inputs[split].offsets[:-1].numpy(), dtype=np.float64)
        return sums
