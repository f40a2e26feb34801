"""What answers sequences drawn by rule without recurrence."""

from typing import ClassVar

import numpy as np
import pandas as pd

from rnnlab.tasks.baselines.baselines import Baselines
from rnnlab.tasks.baselines.linear import logistic_regression
from rnnlab.tasks.synthetic.data import SyntheticClassificationData
from rnnlab.tasks.synthetic.judging import SyntheticClassificationJudging
from rnnlab.tasks.task import Array, Split


class ChanceBaselines(Baselines):
    """chance: every answer as likely as any other."""

    reference: ClassVar[str] = "chance"
    task: SyntheticClassificationData
    judging: SyntheticClassificationJudging

    def predictions(self) -> dict[str, pd.DataFrame]:
        return {"chance": self.chance()}

    def chance(self) -> pd.DataFrame:
        """Every answer as likely as any other.

        Which one is given is drawn, the same each time, so that of each length one in so many is right, as is to be
        expected: always the first class would be right as often as the test part happens to have it.
        """
        classes = len(self.task.classes)
        table = self.judging.table(np.full((len(self.task.test_labels), classes), 1 / classes))
        rng = np.random.default_rng(0)
        counts = table.groupby("length").size()  # the rows are in the order of their lengths
        beside = np.concatenate([rng.permutation(np.arange(count) % classes) for count in counts])
        return table.assign(predicted=(self.task.test_labels + beside) % classes)


class BagBaselines(ChanceBaselines):
    """linear: logistic regression on how often each token occurs, whatever the order. chance: every answer as likely as
    any other. For tasks with one answer to each sequence.
    """

    reference: ClassVar[str] = "linear"

    def predictions(self) -> dict[str, pd.DataFrame]:
        probabilities = logistic_regression(
            self._bags("train"),
            self.task.targets["train"].numpy(),
            self._bags("validation"),
            self.task.targets["validation"].numpy(),
            self._bags("test"),
            len(self.task.classes),
        )
        return {"linear": self.judging.table(probabilities), **super().predictions()}

    def _bags(self, split: Split) -> Array:
        inputs = self.task.inputs[split]
        bags = np.zeros((len(inputs), len(self.task.tokens)))
        np.add.at(bags, (np.repeat(np.arange(len(inputs)), inputs.lengths.numpy()), inputs.values), 1)
        return bags
