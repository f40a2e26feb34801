"""What all tasks share, without recurrence, that answer with one of a few classes."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from rnnlab.tasks.baselines.baselines import Baselines, Predict
from rnnlab.tasks.baselines.linear import Classify
from rnnlab.tasks.classification.data import ClassificationData
from rnnlab.tasks.classification.judging import ClassificationJudging
from rnnlab.tasks.task import Split


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

    def predict_by(self, classify: Classify, features: Mapping[Split, Any]) -> Predict:
        """What a classifier says of the features of a split."""
        return lambda split: self.judging.table(classify(features[split]), split)
