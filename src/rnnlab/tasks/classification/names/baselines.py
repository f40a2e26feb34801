"""What finds the origin of a surname without recurrence."""

import numpy as np

from rnnlab.data.ragged import Ragged
from rnnlab.data.vocabulary import END, START
from rnnlab.tasks.baselines.baselines import Predict
from rnnlab.tasks.baselines.linear import logistic_regression
from rnnlab.tasks.baselines.ngrams import NGrams
from rnnlab.tasks.classification.baselines import ClassificationBaselines
from rnnlab.tasks.classification.names.data import NamesData
from rnnlab.tasks.task import SPLITS


class NamesBaselines(ClassificationBaselines):
    """ngrams: multinomial logistic regression on which one to four letters stand side by side, the name's two ends
    counted as letters. frequency: each class as often as in training."""

    task: NamesData

    def fitted(self) -> dict[str, Predict]:
        whole, y = {split: _with_ends(self.task.names[split]) for split in SPLITS}, self.task.labels
        ngrams = NGrams(whole["train"], len(self.task.vocabulary), sizes=(1, 2, 3, 4))
        x = {split: ngrams.features(names) for split, names in whole.items()}
        linear = logistic_regression(x["train"], y["train"], x["validation"], y["validation"], len(self.task.classes))
        return {"ngrams": self.predict_by(linear, x), **super().fitted()}


def _with_ends(names: Ragged) -> Ragged:
    """START before each name and END behind it."""
    parts = [np.concatenate([[START], names[index], [END]]) for index in range(len(names))]
    offsets = names.offsets.numpy()
    return Ragged(np.concatenate(parts), offsets + 2 * np.arange(len(offsets)))
