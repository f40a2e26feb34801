"""What tags a sentence without recurrence."""

from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from rnnlab.data.vocabulary import PADDING
from rnnlab.tasks.baselines.baselines import Predict
from rnnlab.tasks.baselines.linear import logistic_regression
from rnnlab.tasks.classification.baselines import ClassificationBaselines
from rnnlab.tasks.classification.tagging.data import TaggingData
from rnnlab.tasks.classification.tagging.judging import TaggingJudging
from rnnlab.tasks.task import SPLITS, Split


class TaggingBaselines(ClassificationBaselines):
    """window: multinomial logistic regression on a word and its two neighbours. frequent: each word's own tags.
    frequency: each tag as often as in training, whatever the word.

    `frequent` gives each tag as often as the word had it in training, or, of a word that training did not have, as
    often as the rare words of its shape and ending had it; all tags together count as one more observation.
    """

    task: TaggingData
    judging: TaggingJudging

    def fitted(self) -> dict[str, Predict]:
        x, y = {split: self._windows(split) for split in SPLITS}, self.task.labels
        met = np.isin(y["validation"], y["train"])
        window = logistic_regression(
            x["train"], y["train"], x["validation"][met], y["validation"][met], len(self.task.classes)
        )
        return {"window": self.predict_by(window, x), "frequent": self._frequent(), **super().fitted()}

    def _windows(self, split: Split) -> Any:
        """A sparse matrix (words, 3 vocabularies): which word stands before, here, and behind, in the same sentence."""
        words, size = self.task.words[split], len(self.task.vocabulary)
        here = np.array(words.values, np.int64)
        before, behind = np.roll(here, 1), np.roll(here, -1)
        before[words.offsets[:-1].numpy()] = PADDING
        behind[words.offsets[1:].numpy() - 1] = PADDING
        columns = np.stack([before, here + size, behind + 2 * size], axis=1)
        rows = np.arange(len(here)).repeat(3)
        ones = np.ones(len(rows), np.float32)
        return sparse.csr_matrix((ones, (rows, columns.ravel())), shape=(len(here), 3 * size))

    def _frequent(self) -> Predict:
        overall = self.judging.counts.sum(axis=0) / self.judging.counts.sum()
        of_tokens = np.zeros((len(self.task.vocabulary), len(self.task.classes)))
        np.add.at(of_tokens, (self.task.words["train"].values, self.task.tags["train"].values), 1)

        def predict(split: Split) -> pd.DataFrame:
            forms, tokens = self.task.forms[split], np.array(self.task.words[split].values)
            counts = np.where(forms[:, None] > 0, self.judging.counts[forms], of_tokens[tokens]) + overall
            return self.judging.table(counts / counts.sum(axis=1, keepdims=True), split)

        return predict
