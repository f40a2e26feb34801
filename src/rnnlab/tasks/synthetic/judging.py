"""How answers to sequences drawn by rule are judged: by their length."""

from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.special import softmax

from rnnlab.data.batches import Batch
from rnnlab.data.vocabulary import IGNORED
from rnnlab.statistics import proportion_interval
from rnnlab.tasks.classification.judging import ClassificationJudging, losses_by
from rnnlab.tasks.judging import Model
from rnnlab.tasks.synthetic.data import SyntheticClassificationData, SyntheticData
from rnnlab.tasks.task import Array, Split

MUCH_LONGER = 2.0
"""Than the longest of training and test."""


class SyntheticClassificationJudging(ClassificationJudging):
    """The table of predictions has a row for each answer, and beside what every classification has the number of its
    `sequence`, that one's `length`, and the `position` of the answer among those of the sequence, from 1.
    """

    task: SyntheticClassificationData

    def say(self, model: Model, batch: Batch, table: pd.DataFrame) -> pd.DataFrame:
        """As of any classification; of `many_to_many` at each timestep, also where nothing is asked."""
        if self.task.layout == "many_to_one":
            return super().say(model, batch, table)
        return self.named_timesteps(model(batch.to(model.device)), batch, table)

    def misfits(self, table: pd.DataFrame) -> list[str]:
        return too_long(self.task, table)

    def columns(self, split: Split) -> dict[str, Any]:
        sequence = self.task.sequence[split]
        return {
            "sequence": sequence,
            "length": self.task.length_of[split][sequence],
            "position": self.task.position[split],
        }

    def predict(self, model: Model) -> pd.DataFrame:
        logits, counts = [], []
        for batch, prediction in self.answers(model):
            asked = batch.targets != IGNORED
            logits.append(prediction[asked].double().cpu())
            counts.append(asked.reshape(len(asked), -1).sum(1).cpu())
        sequence = self.task.loader("test").positions().repeat_interleave(torch.cat(counts))
        in_order = torch.argsort(sequence, stable=True)
        return self.table(softmax(torch.cat(logits)[in_order].numpy(), axis=1))

    def losses(self, predictions: pd.DataFrame) -> Array:
        """The share of wrong answers in each sequence of the training length; see `losses_by`."""
        return losses_by("sequence", predictions[predictions["length"] == self.task.length])

    def judge(self, predictions: pd.DataFrame) -> dict[str, float]:
        """Those of every classification, of the training length, and with the suffix _<length> of each length.

        The 95 % interval of the accuracy counts a sequence as one trial, for its answers depend on each other. Where
        it has several, `exact` is the share of sequences without a wrong one.
        """
        result: dict[str, float] = {}
        for length in np.unique(predictions["length"]).tolist():
            part = predictions[predictions["length"] == length]
            right = _right_by_sequence(part)
            found = super().judge(part)
            found["accuracy_low"], found["accuracy_high"] = proportion_interval(right)
            if self.task.layout == "many_to_many":
                found["exact"] = float((right == 1).mean())
            found |= self.further_metrics(length, found)
            result |= {f"{key}_{length}": value for key, value in found.items()}
            if length == self.task.length:
                result |= found
        return result

    def further_metrics(self, length: int, found: dict[str, float]) -> dict[str, float]:
        """What the literature reports beside the others, from those of one length."""
        return {}

    def plot_rows(self, predictions: list[pd.DataFrame]) -> pd.DataFrame:
        """Accuracy by length."""
        whole = pd.concat(predictions)
        right = whole["label"] == whole["predicted"]
        return right.groupby(whole["length"]).mean().rename_axis("part").reset_index(name="score")


def too_long(task: SyntheticData, table: pd.DataFrame) -> list[str]:
    """A line where raw input has sequences that are much longer than any of training and test."""
    (column,) = task.raw_columns()
    longest = max(map(len, task.raw_example()[column])) * max(task.lengths) / task.length
    found = max((len(each) for each in table.get(column, ()) if isinstance(each, list | np.ndarray)), default=0)
    if found <= MUCH_LONGER * longest:
        return []
    return [f"a sequence of {found} timesteps: those of training and test had about {longest:.0f} at most"]


def _right_by_sequence(predictions: pd.DataFrame) -> Array:
    right = (predictions["label"] == predictions["predicted"]).astype(np.float64)
    return np.asarray(right.groupby(predictions["sequence"]).mean())
