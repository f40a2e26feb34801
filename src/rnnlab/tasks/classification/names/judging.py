"""How answers about surnames are judged: each class counts as much as any other."""

from typing import Any

import numpy as np
import pandas as pd

from rnnlab.tasks.classification.judging import ClassificationJudging, f1_by_class
from rnnlab.tasks.classification.names.data import NamesData
from rnnlab.tasks.task import Array, Split


class NamesJudging(ClassificationJudging):
    """Beside what every classification has, a row of predictions has the `name`."""

    task: NamesData

    def columns(self, split: Split) -> dict[str, Any]:
        """name: in letters, those unknown to training as <unknown>."""
        names = self.task.names[split]
        return {"name": ["".join(self.task.vocabulary.decode(names[index])) for index in range(len(names))]}

    def losses(self, predictions: pd.DataFrame) -> Array:
        """What each of the n names adds to 1 - macro F1, by the delta method, as F1 is no mean over names:

        1 - mean over the classes c of F1_c + n (a_c - F1_c b_c) / B_c,   F1_c = A_c / B_c

        a_c: 2 if the name is of class c and is said to be, else 0; b_c: 1 if it is of class c, and 1 more if it is said
        to be; A_c, B_c: their sums over the names. A class never met or named has an F1 of 0. The mean over the names
        is 1 - macro F1, and their standard error that of macro F1.
        """
        classes = len(self.task.classes)
        label, predicted = (predictions[column].to_numpy() for column in ("label", "predicted"))
        f1 = f1_by_class(predictions, classes)
        met = np.maximum(np.bincount(label, minlength=classes) + np.bincount(predicted, minlength=classes), 1)
        share = f1 / met
        added = np.where(label == predicted, 2 / met[label], 0.0) - share[label] - share[predicted]
        losses: Array = 1 - f1.mean() - len(predictions) * added / classes
        return losses

    def plot_rows(self, predictions: list[pd.DataFrame]) -> pd.DataFrame:
        """F1 of each class, mean of the tables, with how many names of it are judged."""
        score = np.mean([f1_by_class(table, len(self.task.classes)) for table in predictions], axis=0)
        names = np.bincount(predictions[0]["label"], minlength=len(self.task.classes))
        return pd.DataFrame({"part": self.task.classes, "score": score, "names": names})
