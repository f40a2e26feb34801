"""How classes at each timestep are judged."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import softmax

from rnnlab.data.batches import Batch
from rnnlab.tasks.classification.judging import ClassificationJudging, losses_by
from rnnlab.tasks.judging import Model
from rnnlab.tasks.sequences.classification.judging import balanced_accuracy
from rnnlab.tasks.sequences.columns import columns_of_sequences
from rnnlab.tasks.sequences.data import SequencesData
from rnnlab.tasks.task import Array, Split


class SequencesJudging(ClassificationJudging):
    """The table of predictions has a row for each timestep of a split: beside what every classification has,
    `columns_of_sequences` of the sequence that it is of, and the `timestep`, from 1."""

    task: SequencesData

    def predict(self, model: Model) -> pd.DataFrame:
        return self.table(softmax(self.outputs_at_timesteps(model, self.task.tags["test"].lengths), axis=1))

    def say(self, model: Model, batch: Batch, table: pd.DataFrame) -> pd.DataFrame:
        """A row for each timestep: which one it is, and its class as of any classification."""
        return self.named_timesteps(model(batch.to(model.device)), batch, table)

    def columns(self, split: Split) -> dict[str, Any]:
        lengths = self.task.tags[split].lengths.numpy()
        of_sequences = columns_of_sequences(self.task, split)
        return {
            **{name: np.repeat(column, lengths) for name, column in of_sequences.items()},
            "timestep": np.concatenate([np.arange(1, length + 1) for length in lengths]),
        }

    def losses(self, predictions: pd.DataFrame) -> Array:
        """Of each sequence or group, as `spec.unit` says, its wrong timesteps, as a share of those of all."""
        return losses_by(self.task.spec.unit, predictions)

    def judge(self, predictions: pd.DataFrame) -> dict[str, float]:
        """As of any classification, of timesteps, and `balanced_accuracy`."""
        metrics = super().judge(predictions)
        # timesteps of a sequence are not independent, as that interval takes them to be
        del metrics["accuracy_low"], metrics["accuracy_high"]
        return {**metrics, "balanced_accuracy": balanced_accuracy(predictions)}
