"""What tags a sentence without recurrence."""

from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from rnnlab.data.vocabulary import PADDING
from rnnlab.tasks.baselines.baselines import Predict
from rnnlab.tasks.baselines.linear import linear_svm, logistic_regression
from rnnlab.tasks.classification.baselines import ClassificationBaselines
from rnnlab.tasks.classification.tagging.data import TaggingData
from rnnlab.tasks.classification.tagging.judging import TaggingJudging
from rnnlab.tasks.task import SPLITS, Split

AROUND = 3
"""Words on either side of one that its tag is predicted from."""


class TaggingBaselines(ClassificationBaselines):
    """svm: a linear support vector machine on a word and the three on either side of it. window: multinomial logistic
    regression on the same. frequent: each word's own tags. frequency: each tag as often as in training, whatever the
    word.

    `frequent` gives each tag as often as the word had it in training, or, of a word that training did not have, as
    often as the rare words of its shape and ending had it; all tags together count as one more observation.
    """

    task: TaggingData
    judging: TaggingJudging

    def fitted(self) -> dict[str, Predict]:
        return {"svm": self.answered(linear_svm, self._features), **self.in_figures(), **super().fitted()}

    def in_figures(self) -> dict[str, Predict]:
        """Those of `fitted` that stand beside a net in figures."""
        return {"frequent": self._frequent(), "window": self.classified(logistic_regression, self._features)}

    @cached_property
    def _features(self) -> dict[Split, Any]:
        return {split: self._windows(split) for split in SPLITS}

    def _windows(self, split: Split) -> Any:
        """A sparse matrix (words, 7 vocabularies): which word stands at each place around, in the same sentence."""
        words, size = self.task.words[split], len(self.task.vocabulary)
        here = np.array(words.values, np.int64)
        sentence = np.repeat(np.arange(len(words)), words.lengths.numpy())
        padded, sentences = np.pad(here, AROUND, constant_values=PADDING), np.pad(sentence, AROUND, constant_values=-1)
        columns = np.empty((len(here), 2 * AROUND + 1), np.int64)
        for place in range(2 * AROUND + 1):
            there = slice(place, place + len(here))
            inside = sentences[there] == sentence
            columns[:, place] = np.where(inside, padded[there], PADDING) + place * size
        rows = np.arange(len(here)).repeat(columns.shape[1])
        ones = np.ones(len(rows), np.float32)
        return sparse.csr_matrix((ones, (rows, columns.ravel())), shape=(len(here), columns.shape[1] * size))

    def _frequent(self) -> Predict:
        overall = self.judging.counts.sum(axis=0) / self.judging.counts.sum()
        of_tokens = np.zeros((len(self.task.vocabulary), len(self.task.classes)))
        np.add.at(of_tokens, (self.task.words["train"].values, self.task.tags["train"].values), 1)

        def predict(split: Split) -> pd.DataFrame:
            forms, tokens = self.task.forms[split], np.array(self.task.words[split].values)
            counts = np.where(forms[:, None] > 0, self.judging.counts[forms], of_tokens[tokens]) + overall
            return self.judging.table(counts / counts.sum(axis=1, keepdims=True), split)

        return predict
