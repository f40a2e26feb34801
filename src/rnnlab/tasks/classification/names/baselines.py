"""What finds the origin of a surname without recurrence."""

import numpy as np

from rnnlab.data.ragged import Ragged
from rnnlab.data.vocabulary import END, START
from rnnlab.tasks.baselines.baselines import Predict
from rnnlab.tasks.baselines.linear import linear_svm, logistic_regression
from rnnlab.tasks.baselines.ngrams import NGrams
from rnnlab.tasks.classification.baselines import ClassificationBaselines
from rnnlab.tasks.classification.names.data import NamesData
from rnnlab.tasks.task import SPLITS


class NamesBaselines(ClassificationBaselines):
    """svm: a linear support vector machine on which one to four letters stand side by side, the name's two ends counted
    as letters. ngrams: multinomial logistic regression on the same. frequency: each class as often as in training."""

    task: NamesData

    def fitted(self) -> dict[str, Predict]:
        whole = {split: _with_ends(self.task.names[split]) for split in SPLITS}
        ngrams = NGrams(whole["train"], len(self.task.vocabulary), sizes=(1, 2, 3, 4))
        x = {split: ngrams.features(names) for split, names in whole.items()}
        return {
            "svm": self.answered(linear_svm, x),
            "ngrams": self.classified(logistic_regression, x),
            **super().fitted(),
        }


def _with_ends(names: Ragged) -> Ragged:
    """START before each name and END behind it."""
    parts = [np.concatenate([[START], names[index], [END]]) for index in range(len(names))]
    offsets = names.offsets.numpy()
    return Ragged(np.concatenate(parts), offsets + 2 * np.arange(len(offsets)))
