"""What can be said of XOR without recurrence."""

from typing import ClassVar

import pandas as pd

from rnnlab.tasks.baselines.baselines import Baselines
from rnnlab.tasks.baselines.linear import class_frequencies, logistic_regression
from rnnlab.tasks.synthetic.xor.data import XorData


class XorBaselines(Baselines):
    """linear: logistic regression on the two bits. frequency: each class as often as in the rows."""

    reference: ClassVar[str] = "linear"
    task: XorData

    def predictions(self) -> dict[str, pd.DataFrame]:
        x, y = self.task.inputs.double().numpy(), self.task.test_labels
        return {
            "linear": self.judging.table(logistic_regression(x, y, x, y, x, 2)),
            "frequency": self.judging.table(class_frequencies(y, len(y), 2)),
        }
