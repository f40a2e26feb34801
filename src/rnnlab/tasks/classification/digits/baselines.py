"""What recognises digits without recurrence."""

from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnlab.tasks.baselines.baselines import Baselines
from rnnlab.tasks.baselines.linear import class_frequencies, logistic_regression
from rnnlab.tasks.task import Array, Split


class DigitsBaselines(Baselines):
    """linear: multinomial logistic regression on all 784 pixels. frequency: each class as often as in training."""

    reference: ClassVar[str] = "linear"

    def predictions(self) -> dict[str, pd.DataFrame]:
        x, y = self._flat("train")
        linear = logistic_regression(x, y, *self._flat("validation"), self._flat("test")[0], 10)
        return {
            "linear": self.judging.table(linear),
            "frequency": self.judging.table(class_frequencies(y, len(self.task.test_labels), 10)),
        }

    def _flat(self, split: Split) -> tuple[Array, NDArray[np.int64]]:
        images = self.task.images[split].reshape(len(self.task.images[split]), -1)
        return images / 255.0, self.task.labels[split].numpy()
