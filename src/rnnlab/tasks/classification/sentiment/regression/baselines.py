"""What finds the number of a text without recurrence."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from rnnlab.output import progress
from rnnlab.tasks.baselines.baselines import Baselines, Predict
from rnnlab.tasks.baselines.linear import linear_svr, ridge_regression
from rnnlab.tasks.baselines.ngrams import NGrams
from rnnlab.tasks.classification.sentiment.regression.data import SentimentData
from rnnlab.tasks.classification.sentiment.regression.judging import SentimentJudging
from rnnlab.tasks.task import SPLITS, Array


class SentimentBaselines(Baselines):
    """ridge: ridge regression on which words and pairs of neighbouring words occur. svr: a linear support vector
    machine for regression on the same. median: that of training."""

    trivial: ClassVar[str] = "median"
    task: SentimentData
    judging: SentimentJudging

    def fitted(self) -> dict[str, Predict]:
        targets = self.task.targets
        scaled = {split: self.task.target_scaler.scale(targets[split][:, None])[:, 0] for split in SPLITS}
        ngrams = NGrams(self.task.reviews["train"], len(self.task.vocabulary), sizes=(1, 2))
        x = {
            split: ngrams.features(self.task.reviews[split])
            for split in progress(SPLITS, f"{self.task.spec.task}: n-grams")
        }
        median = float(np.median(targets["train"]))

        def by(predict: Callable[[Any], Array]) -> Predict:
            return lambda split: self.judging.table(
                self.task.target_scaler.unscale(predict(x[split])[:, None])[:, 0], split
            )

        parts = (x["train"], scaled["train"], x["validation"], scaled["validation"])
        return {
            "ridge": by(ridge_regression(*parts)),
            "svr": by(linear_svr(*parts)),
            "median": lambda split: self.judging.table(np.full(len(targets[split]), median), split),
        }
