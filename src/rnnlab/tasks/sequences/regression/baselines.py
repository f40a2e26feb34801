"""What finds the number of a sequence without recurrence."""

from collections.abc import Callable
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rnnlab.tasks.baselines.baselines import Baselines, Predict
from rnnlab.tasks.baselines.dtw import Thinning, warped_distances
from rnnlab.tasks.baselines.rocket import ridge_numbers_on_kernels
from rnnlab.tasks.baselines.summaries import summaries
from rnnlab.tasks.sequences.data import SequencesData
from rnnlab.tasks.sequences.regression.judging import SequencesJudging
from rnnlab.tasks.task import SPLITS, Array, Split

NEIGHBOURS = (1, 3, 5, 9)
PENALTIES = np.logspace(-3, 3, 10)

Features = dict[Split, list[NDArray[np.float32]]]


class SequencesBaselines(Baselines):
    """rocket: ridge regression on some 10,000 fixed convolutions (MiniRocket).
    nearest: the mean of the training sequences that are nearest by dynamic time warping, so many of `NEIGHBOURS` as
    serve best on the validation part; of large data sets as `Thinning` has it.
    summary: ridge regression on a few numbers of each channel, see `summaries`.
    median: that of training, whatever the sequence.
    """

    trivial: ClassVar[str] = "median"
    task: SequencesData
    judging: SequencesJudging

    def fitted(self) -> dict[str, Predict]:
        features: Features = {split: self.task.features(split) for split in SPLITS}
        targets = self.task.targets["train"]
        median = float(np.median(targets))
        return {
            "rocket": self._by(ridge_numbers_on_kernels(features["train"], targets), features),
            "nearest": self._nearest(features),
            "summary": self._summary(features),
            "median": lambda split: self.judging.table(np.full(len(features[split]), median), split),
        }

    def _by(self, answer: Callable[[list[NDArray[np.float32]]], Array], features: Features) -> Predict:
        return lambda split: self.judging.table(answer(features[split]), split)

    def _nearest(self, features: Features) -> Predict:
        targets = self.task.targets
        queries = [*features["validation"], *features["test"]]
        thinning = Thinning.of(features["train"], queries, targets["train"])
        known = thinning.thin([features["train"][index] for index in thinning.references])
        numbers = targets["train"][thinning.references]

        def nearest(sequences: list[NDArray[np.float32]]) -> NDArray[np.int64]:
            """The training sequences by their distance, (sequences, training sequences)."""
            return np.argsort(warped_distances(thinning.thin(sequences), known, squared=True), axis=1, kind="stable")

        order = nearest(features["validation"])
        fitting = [count for count in NEIGHBOURS if count <= len(known)]
        errors = [np.abs(numbers[order[:, :count]].mean(axis=1) - targets["validation"]).mean() for count in fitting]
        best = fitting[int(np.argmin(errors))]
        return self._by(lambda sequences: numbers[nearest(sequences)[:, :best]].mean(axis=1), features)

    def _summary(self, features: Features) -> Predict:
        from sklearn.linear_model import RidgeCV
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        model = make_pipeline(StandardScaler(), RidgeCV(alphas=PENALTIES))
        model.fit(summaries(features["train"]), self.task.targets["train"])
        return self._by(lambda sequences: np.asarray(model.predict(summaries(sequences)), np.float64), features)
