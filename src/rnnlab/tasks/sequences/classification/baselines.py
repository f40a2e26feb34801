"""What classifies sequences without recurrence."""

import numpy as np
from numpy.typing import NDArray

from rnnlab.tasks.baselines.baselines import Predict
from rnnlab.tasks.baselines.classifiers import Classify
from rnnlab.tasks.baselines.dtw import Thinning, nearest_by_warping
from rnnlab.tasks.baselines.linear import logistic_regression
from rnnlab.tasks.baselines.rocket import ridge_on_kernels
from rnnlab.tasks.baselines.summaries import summaries
from rnnlab.tasks.classification.baselines import ClassificationBaselines
from rnnlab.tasks.sequences.classification.judging import SequencesJudging
from rnnlab.tasks.sequences.data import SequencesData
from rnnlab.tasks.task import SPLITS, Split

Features = dict[Split, list[NDArray[np.float32]]]


class SequencesBaselines(ClassificationBaselines):
    """rocket: a ridge classifier on some 10,000 fixed convolutions (MiniRocket).
    nearest: the class of the training sequence that is nearest by dynamic time warping; of large data sets as
    `Thinning` has it.
    summary: multinomial logistic regression on a few numbers of each channel, see `summaries`.
    frequency: each class as often as in training.
    """

    task: SequencesData
    judging: SequencesJudging

    def fitted(self) -> dict[str, Predict]:
        features: Features = {split: self.task.features(split) for split in SPLITS}
        labels = self.task.labels["train"]
        return {
            "rocket": self.answer_by(ridge_on_kernels(features["train"], labels), features),
            "nearest": self.predict_by(self._nearest(features), features),
            "summary": self._summary(features),
            **super().fitted(),
        }

    def _nearest(self, features: Features) -> Classify:
        y = self.task.labels
        queries = [*features["validation"], *features["test"]]
        thinning = Thinning.of(features["train"], queries, y["train"])
        classify = nearest_by_warping(
            thinning.thin([features["train"][index] for index in thinning.references]),
            y["train"][thinning.references],
            thinning.thin(features["validation"]),
            y["validation"],
            len(self.task.classes),
            squared=True,
        )
        return lambda sequences: classify(thinning.thin(sequences))

    def _summary(self, features: Features) -> Predict:
        x = {split: summaries(features[split]) for split in SPLITS}
        mean, std = x["train"].mean(axis=0), x["train"].std(axis=0)
        scaled = {split: (x[split] - mean) / np.where(std > 0, std, 1) for split in SPLITS}
        return self.classified(logistic_regression, scaled)
