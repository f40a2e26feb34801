"""What all tasks share, without recurrence, that answer with one of a few classes."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnlab.tasks.baselines.baselines import Baselines, Predict
from rnnlab.tasks.baselines.classifiers import Answer, Classify
from rnnlab.tasks.classification.data import ClassificationData
from rnnlab.tasks.classification.judging import ClassificationJudging
from rnnlab.tasks.task import Split

ALL = slice(None)


class ClassificationBaselines(Baselines):
    """frequency: each class as often as in training."""

    trivial: ClassVar[str] = "frequency"
    task: ClassificationData
    judging: ClassificationJudging

    def fitted(self) -> dict[str, Predict]:
        return {"frequency": self._frequency}

    def _frequency(self, split: Split) -> pd.DataFrame:
        labels = self.task.labels
        frequencies = np.bincount(labels["train"], minlength=len(self.task.classes)) / len(labels["train"])
        return self.judging.table(np.tile(frequencies, (len(labels[split]), 1)), split)

    def score(self, answers: NDArray[np.integer]) -> float:
        """The metric that ranks, of a class for each example of the validation part; negative where lower is better."""
        metric = self.task.spec.rank_by
        value = self.judging.judge(self.judging.table_of_answers(answers, "validation"))[metric]
        return value if self.task.spec.metrics[metric] == "max" else -value

    def classified(self, fit: Callable[..., Classify], x: Mapping[Split, Any], kept: slice = ALL) -> Predict:
        """What a classifier says, fitted by one such as `logistic_regression`.

        x: the features of each split, (examples, ...). kept: those of the training part that `x` has.
        """
        y, classes = self.task.labels, len(self.task.classes)
        found = fit(x["train"], y["train"][kept], x["validation"], y["validation"], classes, self.score)
        return self.predict_by(found, x)

    def answered(self, fit: Callable[..., Answer], x: Mapping[Split, Any], kept: slice = ALL) -> Predict:
        """The same of one that knows no probabilities, such as `rbf_svm`."""
        return self.answer_by(fit(x["train"], self.task.labels["train"][kept], x["validation"], self.score), x)

    def predict_by(self, classify: Classify, features: Mapping[Split, Any]) -> Predict:
        """What a classifier says of the features of a split."""
        return lambda split: self.judging.table(classify(features[split]), split)

    def answer_by(self, answer: Answer, features: Mapping[Split, Any]) -> Predict:
        """Likewise, of one that knows no probabilities."""
        return lambda split: self.judging.table_of_answers(answer(features[split]), split)
