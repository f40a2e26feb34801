"""What tags a sentence without recurrence."""

from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from scipy import sparse

from rnnlab.data.vocabulary import PADDING
from rnnlab.tasks.baselines.baselines import Baselines
from rnnlab.tasks.baselines.linear import logistic_regression
from rnnlab.tasks.classification.tagging.data import TaggingData
from rnnlab.tasks.classification.tagging.judging import TaggingJudging
from rnnlab.tasks.task import SPLITS, Array, Split


class TaggingBaselines(Baselines):
    """window: multinomial logistic regression on a word and its two neighbours. frequent: each word's own tags.

    `frequent` gives each tag as often as the word had it in training, or, of a word that training did not have, as
    often as the rare words of its shape and ending had it; all tags together count as one more observation.
    """

    reference: ClassVar[str] = "window"
    task: TaggingData
    judging: TaggingJudging

    def predictions(self) -> dict[str, pd.DataFrame]:
        return {"window": self.judging.table(self._of_windows), "frequent": self.judging.table(self._frequent())}

    @cached_property
    def _of_windows(self) -> Array:
        """Kept, as the figures of each seed show it, too."""
        y = {split: np.array(self.task.tags[split].values) for split in SPLITS}
        x = {split: self._windows(split) for split in SPLITS}
        met = np.isin(y["validation"], y["train"])
        return logistic_regression(
            x["train"], y["train"], x["validation"][met], y["validation"][met], x["test"], len(self.task.classes)
        )

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

    def _frequent(self) -> Array:
        overall = self.judging.counts.sum(axis=0) / self.judging.counts.sum()
        of_tokens = np.zeros((len(self.task.vocabulary), len(self.task.classes)))
        np.add.at(of_tokens, (self.task.words["train"].values, self.task.tags["train"].values), 1)
        forms, tokens = self.task.forms["test"], np.array(self.task.words["test"].values)
        counts = np.where(forms[:, None] > 0, self.judging.counts[forms], of_tokens[tokens]) + overall
        result: Array = counts / counts.sum(axis=1, keepdims=True)
        return result
