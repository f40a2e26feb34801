"""How answers about surnames are judged: each class counts as much as any other."""

from typing import Any

import numpy as np
import pandas as pd

from rnnlab.tasks.classification.judging import ClassificationJudging, f1_by_class
from rnnlab.tasks.classification.names.data import NamesData
from rnnlab.tasks.task import Array


class NamesJudging(ClassificationJudging):
    """Beside what every classification has, a row of predictions has the `name`."""

    task: NamesData

    def columns(self) -> dict[str, Any]:
        """name: in letters, those unknown to training as <unknown>."""
        names = self.task.names["test"]
        return {"name": ["".join(self.task.vocabulary.decode(names[index])) for index in range(len(names))]}

    def losses(self, predictions: pd.DataFrame) -> Array:
        """A wrong answer costs n / (classes · names of its class), so that the mean is 1 - the mean recall."""
        label = predictions["label"].to_numpy()
        counts = np.bincount(label, minlength=len(self.task.classes))
        losses: Array = super().losses(predictions) * len(label) / ((counts > 0).sum() * counts[label])
        return losses

    def plot_rows(self, predictions: list[pd.DataFrame]) -> pd.DataFrame:
        """F1 of each class, mean of the tables, with how many names of it are judged."""
        score = np.mean([f1_by_class(table, len(self.task.classes)) for table in predictions], axis=0)
        names = np.bincount(self.task.test_labels, minlength=len(self.task.classes))
        return pd.DataFrame({"part": self.task.classes, "score": score, "names": names})
