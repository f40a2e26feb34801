"""How classes of sequences are judged."""

from typing import Any

import numpy as np
import pandas as pd

from rnnlab.datasets import ucr
from rnnlab.tasks.classification.judging import ClassificationJudging, losses_by, right_answers
from rnnlab.tasks.sequences.columns import columns_of_sequences
from rnnlab.tasks.sequences.data import SequencesData
from rnnlab.tasks.task import Array, Split


class SequencesJudging(ClassificationJudging):
    """Beside what every classification has, a row of predictions has `columns_of_sequences`."""

    task: SequencesData

    def columns(self, split: Split) -> dict[str, Any]:
        return columns_of_sequences(self.task, split)

    def losses(self, predictions: pd.DataFrame) -> Array:
        """As of any classification; where no group is in two parts, of each group its share of wrong answers."""
        if self.task.spec.unit == "group":
            return losses_by("group", predictions)
        return super().losses(predictions)

    def judge(self, predictions: pd.DataFrame) -> dict[str, float]:
        """As of any classification, and `balanced_accuracy`, see `balanced_accuracy`.

        No interval of the accuracy where groups are judged, whose sequences are not independent.
        """
        metrics = super().judge(predictions)
        if self.task.spec.unit == "group":
            del metrics["accuracy_low"], metrics["accuracy_high"]
        return {**metrics, "balanced_accuracy": balanced_accuracy(predictions)}

    def published(self) -> str:
        """Of a set of the UCR archive, the accuracies of nets that Fawaz et al. (2019) report on its test part."""
        name = self.task.meta.get("set")
        found = ucr.published(name) if name is not None else {}
        if not found:
            return ""
        nets = ", ".join(
            f"{net}{' (recurrent)' if net == ucr.RECURRENT else ''} {accuracy:.3f}" for net, accuracy in found.items()
        )
        return f"Published for this test part, means of 5 runs each (Fawaz et al. 2019): {nets}."


def balanced_accuracy(predictions: pd.DataFrame) -> float:
    """The share of right answers of each class that occurs, and the mean over these classes."""
    right = pd.Series(right_answers(predictions)).groupby(predictions["label"].to_numpy()).mean()
    return float(np.mean(right))
