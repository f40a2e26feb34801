"""What classifies the timesteps of a sequence without recurrence."""

import numpy as np
from numpy.typing import NDArray

from rnnlab.output import progress
from rnnlab.tasks.baselines.baselines import Predict
from rnnlab.tasks.baselines.classifiers import Classify
from rnnlab.tasks.baselines.linear import logistic_regression
from rnnlab.tasks.classification.baselines import ClassificationBaselines
from rnnlab.tasks.sequences.data import SequencesData
from rnnlab.tasks.sequences.tagging.judging import SequencesJudging
from rnnlab.tasks.task import Array

AROUND = (2, 5, 12)
"""Timesteps on either side of one that its class is found by."""
MOST_TIMESTEPS = 20_000
"""Of the training part that are fitted to, at even distances where there are more."""

Features = list[NDArray[np.float32]]


class SequencesBaselines(ClassificationBaselines):
    """window: multinomial logistic regression on a timestep and those around it, zeros beyond the ends, for as many as
    serve best on the validation part. single: the same on the timestep alone. frequency: each class as often as in
    training.
    """

    task: SequencesData
    judging: SequencesJudging

    def fitted(self) -> dict[str, Predict]:
        candidates = {around: self._window(around) for around in progress(AROUND, "windows of timesteps")}
        best = max(candidates, key=lambda around: self._merit(candidates[around], around))
        return {"window": self._by(candidates[best], best), "single": self._by(self._window(0), 0), **super().fitted()}

    def _window(self, around: int) -> Classify:
        y = self.task.labels
        x, validation = (_windows(self.task.features(split), around) for split in ("train", "validation"))
        kept = np.unique(np.linspace(0, len(x) - 1, min(len(x), MOST_TIMESTEPS)).astype(int))
        classes = len(self.task.classes)
        return logistic_regression(x[kept], y["train"][kept], validation, y["validation"], classes, self.score)

    def _merit(self, classify: Classify, around: int) -> float:
        return self.score(classify(_windows(self.task.features("validation"), around)).argmax(axis=1))

    def _by(self, classify: Classify, around: int) -> Predict:
        return lambda split: self.judging.table(classify(_windows(self.task.features(split), around)), split)


def _windows(sequences: Features, around: int) -> Array:
    """(timesteps of all, (2 around + 1) features)."""
    found = []
    for sequence in sequences:
        padded = np.pad(sequence, ((around, around), (0, 0)))
        found.append(np.concatenate([padded[j : j + len(sequence)] for j in range(2 * around + 1)], axis=1))
    return np.concatenate(found).astype(np.float64)
