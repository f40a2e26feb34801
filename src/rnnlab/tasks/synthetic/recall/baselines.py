"""What recalls without recurrence."""

import numpy as np

from rnnlab.tasks.baselines.baselines import Predict
from rnnlab.tasks.baselines.linear import logistic_regression
from rnnlab.tasks.synthetic.baselines import BagBaselines
from rnnlab.tasks.task import SPLITS, Array, Split


class RecallBaselines(BagBaselines):
    """As of every task with one answer, and beside.

    beside: logistic regression on how often each token stands right behind one that is the last of the sequence, too.
    It looks up what a cell has to have kept, by its content; and it knows where to look.
    """

    def fitted(self) -> dict[str, Predict]:
        x, y = {split: self._behind(split) for split in SPLITS}, self.task.labels
        beside = logistic_regression(x["train"], y["train"], x["validation"], y["validation"], len(self.task.classes))
        return {"beside": self.predict_by(beside, x), **super().fitted()}

    def _behind(self, split: Split) -> Array:
        inputs = self.task.inputs[split]
        sequence = np.repeat(np.arange(len(inputs)), inputs.lengths.numpy())
        last = inputs.values[inputs.offsets.numpy()[1:] - 1]
        found = np.flatnonzero((inputs.values[:-1] == last[sequence[:-1]]) & (sequence[1:] == sequence[:-1]))
        behind = np.zeros((len(inputs), len(self.task.tokens)))
        np.add.at(behind, (sequence[found], inputs.values[found + 1]), 1)
        return behind
