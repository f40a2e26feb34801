"""What classifies utterances without recurrence."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from rnnlab.tasks.baselines.baselines import Predict
from rnnlab.tasks.baselines.dtw import warped_distances
from rnnlab.tasks.baselines.linear import Classify, logistic_regression
from rnnlab.tasks.classification.baselines import ClassificationBaselines
from rnnlab.tasks.classification.speech.data import SpeechData
from rnnlab.tasks.task import SPLITS, Array, Split

TEMPERATURES = 2.0 ** np.arange(-10, 3)
FITTED = 100
"""Utterances of the validation part, at most, that the temperature is chosen on."""


class SpeechBaselines(ClassificationBaselines):
    """warping: the class of the training utterance that is nearest by dynamic time warping.
    linear: multinomial logistic regression on the mean and the standard deviation of each feature over time.
    frequency: each class as often as in training.

    Warping's probabilities are a softmax of the distances to the nearest utterance of each class.
    """

    task: SpeechData

    def fitted(self) -> dict[str, Predict]:
        x, y = {split: self._statistics(split) for split in SPLITS}, self.task.labels
        linear = logistic_regression(x["train"], y["train"], x["validation"], y["validation"], len(self.task.classes))
        nearest = self._nearest()
        return {
            "warping": lambda split: self.judging.table(nearest(self.task.utterances(split)), split),
            "linear": self.predict_by(linear, x),
            **super().fitted(),
        }

    def _statistics(self, split: Split) -> Array:
        return np.stack([np.concatenate([each.mean(axis=0), each.std(axis=0)]) for each in self.task.utterances(split)])

    def _nearest(self) -> Classify:
        """The temperature of the softmax is the one of `TEMPERATURES` under which validation is the likeliest."""
        labels = self.task.labels["validation"]
        chosen = np.unique(np.linspace(0, len(labels) - 1, FITTED).astype(int))
        known = self._by_class([self.task.series["validation"][index] for index in chosen.tolist()])

        def surprise(temperature: float) -> float:
            likely = softmax(-known / temperature, axis=1)[np.arange(len(chosen)), labels[chosen]]
            return -float(np.log(likely.clip(1e-12)).mean())

        best = min(TEMPERATURES.tolist(), key=surprise)

        def probabilities(utterances: list[NDArray[np.float32]]) -> Array:
            found: Array = softmax(-self._by_class(utterances) / best, axis=1)
            return found

        return probabilities

    def _by_class(self, utterances: list[NDArray[np.float32]]) -> Array:
        """The distance to the nearest training utterance of each class, (utterances, classes)."""
        labels = self.task.labels["train"]
        distances = warped_distances(utterances, self.task.utterances("train"))
        nearest = np.full((len(utterances), len(self.task.classes)), np.inf)
        for label in np.unique(labels):
            nearest[:, label] = distances[:, labels == label].min(axis=1)
        return nearest
