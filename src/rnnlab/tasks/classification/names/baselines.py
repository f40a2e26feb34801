"""What finds the origin of a surname without recurrence."""

from typing import ClassVar

import numpy as np
import pandas as pd

from rnnlab.data.ragged import Ragged
from rnnlab.data.vocabulary import END, START
from rnnlab.tasks.baselines.baselines import Baselines
from rnnlab.tasks.baselines.linear import class_frequencies, logistic_regression
from rnnlab.tasks.baselines.ngrams import NGrams
from rnnlab.tasks.classification.names.data import NamesData
from rnnlab.tasks.classification.names.judging import NamesJudging
from rnnlab.tasks.task import SPLITS


class NamesBaselines(Baselines):
    """ngrams: multinomial logistic regression on which one to four letters stand side by side, the name's two ends
    counted as letters. frequency: each class as often as in training."""

    reference: ClassVar[str] = "ngrams"
    task: NamesData
    judging: NamesJudging

    def predictions(self) -> dict[str, pd.DataFrame]:
        whole = {split: _with_ends(self.task.names[split]) for split in SPLITS}
        ngrams = NGrams(whole["train"], len(self.task.vocabulary), sizes=(1, 2, 3, 4))
        x = {split: ngrams.features(names) for split, names in whole.items()}
        y, y_validation = (self.task.labels[split].numpy() for split in ("train", "validation"))
        count = len(self.task.classes)
        return {
            "ngrams": self.judging.table(
                logistic_regression(x["train"], y, x["validation"], y_validation, x["test"], count)
            ),
            "frequency": self.judging.table(class_frequencies(y, len(self.task.test_labels), count)),
        }


def _with_ends(names: Ragged) -> Ragged:
    """START before each name and END behind it."""
    parts = [np.concatenate([[START], names[index], [END]]) for index in range(len(names))]
    offsets = names.offsets.numpy()
    return Ragged(np.concatenate(parts), offsets + 2 * np.arange(len(offsets)))
