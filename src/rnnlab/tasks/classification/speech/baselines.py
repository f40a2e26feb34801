"""What classifies utterances without recurrence."""

from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import softmax

from rnnlab.tasks.baselines.baselines import Baselines
from rnnlab.tasks.baselines.dtw import warped_distances
from rnnlab.tasks.baselines.linear import logistic_regression
from rnnlab.tasks.classification.speech.data import SpeechData
from rnnlab.tasks.classification.speech.judging import SpeechJudging
from rnnlab.tasks.task import Array, Split

TEMPERATURES = 2.0 ** np.arange(-10, 3)
FITTED = 100
"""Utterances of the validation part, at most, that the temperature is chosen on."""


class SpeechBaselines(Baselines):
    """warping: the class of the training utterance that is nearest by dynamic time warping.
    linear: multinomial logistic regression on the mean and the standard deviation of each feature over time.

    Warping's probabilities are a softmax of the distances to the nearest utterance of each class.
    """

    reference: ClassVar[str] = "warping"
    task: SpeechData
    judging: SpeechJudging

    def predictions(self) -> dict[str, pd.DataFrame]:
        x, y = self._statistics("train"), self.task.labels["train"].numpy()
        x_validation, y_validation = self._statistics("validation"), self.task.labels["validation"].numpy()
        linear = logistic_regression(x, y, x_validation, y_validation, self._statistics("test"), len(self.task.classes))
        return {"warping": self.judging.table(self._nearest()), "linear": self.judging.table(linear)}

    def _statistics(self, split: Split) -> Array:
        return np.stack([np.concatenate([each.mean(axis=0), each.std(axis=0)]) for each in self.task.utterances(split)])

    def _nearest(self) -> Array:
        """The temperature of the softmax is the one of `TEMPERATURES` under which validation is the likeliest."""
        labels = self.task.labels["validation"].numpy()
        chosen = np.unique(np.linspace(0, len(labels) - 1, FITTED).astype(int))
        known = self._by_class("validation", chosen)

        def surprise(temperature: float) -> float:
            likely = softmax(-known / temperature, axis=1)[np.arange(len(chosen)), labels[chosen]]
            return -float(np.log(likely.clip(1e-12)).mean())

        best = min(TEMPERATURES.tolist(), key=surprise)
        result: Array = softmax(-self._by_class("test", np.arange(len(self.task.test_labels))) / best, axis=1)
        return result

    def _by_class(self, split: Split, chosen: NDArray[np.integer]) -> Array:
        """The distance to the nearest training utterance of each class, (chosen, classes)."""
        labels = self.task.labels["train"].numpy()
        queries = [self.task.series[split][index] for index in chosen.tolist()]
        distances = warped_distances(queries, self.task.utterances("train"))
        nearest = np.full((len(queries), len(self.task.classes)), np.inf)
        for label in np.unique(labels):
            nearest[:, label] = distances[:, labels == label].min(axis=1)
        return nearest
