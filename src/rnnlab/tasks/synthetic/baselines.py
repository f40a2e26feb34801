"""What answers sequences drawn by rule without recurrence."""

from typing import ClassVar

import numpy as np
import pandas as pd

from rnnlab.tasks.baselines.baselines import Predict
from rnnlab.tasks.baselines.linear import logistic_regression
from rnnlab.tasks.classification.baselines import ClassificationBaselines
from rnnlab.tasks.synthetic.data import SyntheticClassificationData
from rnnlab.tasks.synthetic.judging import SyntheticClassificationJudging
from rnnlab.tasks.task import SPLITS, Array, Split


class ChanceBaselines(ClassificationBaselines):
    """chance: every answer as likely as any other."""

    trivial: ClassVar[str] = "chance"
    task: SyntheticClassificationData
    judging: SyntheticClassificationJudging

    def fitted(self) -> dict[str, Predict]:
        return {"chance": self.chance}

    def chance(self, split: Split = "test") -> pd.DataFrame:
        """Every answer as likely as any other.

        Which one is given is drawn, the same each time, so that of each length one in so many is right, as is to be
        expected: always the first class would be right as often as the split happens to have it.
        """
        labels, classes = self.task.labels[split], len(self.task.classes)
        table = self.judging.table(np.full((len(labels), classes), 1 / classes), split)
        rng = np.random.default_rng(0)
        counts = table.groupby("length").size()  # the rows are in the order of their lengths
        beside = np.concatenate([rng.permutation(np.arange(count) % classes) for count in counts])
        return table.assign(predicted=(labels + beside) % classes)


class BagBaselines(ChanceBaselines):
    """linear: logistic regression on how often each token occurs, whatever the order. chance: every answer as likely as
    any other. For tasks with one answer to each sequence.
    """

    def fitted(self) -> dict[str, Predict]:
        x, y = {split: self._bags(split) for split in SPLITS}, self.task.labels
        linear = logistic_regression(x["train"], y["train"], x["validation"], y["validation"], len(self.task.classes))
        return {"linear": self.predict_by(linear, x), **super().fitted()}

    def _bags(self, split: Split) -> Array:
        inputs = self.task.inputs[split]
        bags = np.zeros((len(inputs), len(self.task.tokens)))
        np.add.at(bags, (np.repeat(np.arange(len(inputs)), inputs.lengths.numpy()), inputs.values), 1)
        return bags
