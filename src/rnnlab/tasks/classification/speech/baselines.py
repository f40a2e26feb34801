"""What classifies utterances without recurrence."""

import numpy as np
from numpy.typing import NDArray

from rnnlab.tasks.baselines.baselines import Predict
from rnnlab.tasks.baselines.classifiers import Classify, best_classifier
from rnnlab.tasks.baselines.dtw import nearest_by_warping
from rnnlab.tasks.baselines.linear import discriminant_analysis, logistic_regression
from rnnlab.tasks.classification.baselines import ClassificationBaselines
from rnnlab.tasks.classification.speech.data import SpeechData
from rnnlab.tasks.task import SPLITS, Array, Split

TIMESTEPS = (4, 8, 16)
"""How many may stand for a whole utterance where all must have as many."""


class SpeechBaselines(ClassificationBaselines):
    """discriminant: linear discriminant analysis of the utterance stretched or shortened to so many timesteps as serve
    best on the validation part, of `TIMESTEPS`.
    warping: the class of the training utterance that is nearest by dynamic time warping.
    linear: multinomial logistic regression on the mean and the standard deviation of each feature over time.
    frequency: each class as often as in training.

    Warping's probabilities are a softmax of the distances to the nearest utterance of each class.
    """

    task: SpeechData

    def fitted(self) -> dict[str, Predict]:
        utterances = {split: self.task.utterances(split) for split in SPLITS}
        candidates = [self._discriminant(timesteps) for timesteps in TIMESTEPS]
        validation = self.task.labels["validation"]
        discriminant = best_classifier(candidates, utterances["validation"], validation, self.score)
        return {
            "discriminant": self.predict_by(discriminant, utterances),
            "warping": self.predict_by(self._nearest(utterances), utterances),
            "linear": self.classified(logistic_regression, {split: self._statistics(split) for split in SPLITS}),
            **super().fitted(),
        }

    def _nearest(self, utterances: dict[Split, list[NDArray[np.float32]]]) -> Classify:
        y, classes = self.task.labels, len(self.task.classes)
        return nearest_by_warping(utterances["train"], y["train"], utterances["validation"], y["validation"], classes)

    def _discriminant(self, timesteps: int) -> Classify:
        def features(utterances: list[NDArray[np.float32]]) -> Array:
            return np.stack([at_even_distances(utterance, timesteps).ravel() for utterance in utterances])

        training = features(self.task.utterances("train"))
        classify = discriminant_analysis(training, self.task.labels["train"], len(self.task.classes))
        return lambda utterances: classify(features(utterances))

    def _statistics(self, split: Split) -> Array:
        return np.stack([np.concatenate([each.mean(axis=0), each.std(axis=0)]) for each in self.task.utterances(split)])


def at_even_distances(utterance: NDArray[np.float32], timesteps: int) -> Array:
    """(timesteps, features): the utterance from its first timestep to its last, interpolated."""
    places = np.linspace(0, len(utterance) - 1, timesteps)
    known = np.arange(len(utterance))
    return np.stack([np.interp(places, known, feature) for feature in utterance.T], axis=1)
