"""What all tasks share that answer with one of a few classes: predictions, metrics, and answers in words."""

from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch import Tensor

from rnnlab.data.batches import Batch, Batches
from rnnlab.data.vocabulary import IGNORED
from rnnlab.statistics import proportion_interval
from rnnlab.tasks.classification.data import ClassificationData
from rnnlab.tasks.judging import Judging, Model, losses_of_ratio
from rnnlab.tasks.raw_input import real_timesteps
from rnnlab.tasks.task import Array, Split

BINS = 10


class ClassificationJudging(Judging):
    """The table of predictions has a row for each example of a split: its `label`, the `predicted` class, the
    probability of that (`confidence`) and of the true one (`p_true`), and what `columns` adds. The two probabilities
    are NaN where a method has none.
    """

    task: ClassificationData

    def columns(self, split: Split) -> dict[str, Any]:
        """Further columns of the table of predictions: what the errors may depend on, such as a length."""
        return {}

    def table(self, probabilities: Array, split: Split = "test") -> pd.DataFrame:
        """Predictions from the probability of each class for each example of the split, (examples, classes)."""
        predicted = probabilities.argmax(axis=1)
        rows, labels = np.arange(len(predicted)), self.task.labels[split]
        return self._table(predicted, probabilities[rows, predicted], probabilities[rows, labels], split)

    def table_of_answers(self, predicted: NDArray[np.integer], split: Split = "test") -> pd.DataFrame:
        """Predictions of a method that knows no probabilities, from a class for each example of the split."""
        none = np.full(len(predicted), np.nan)
        return self._table(predicted, none, none, split)

    def _table(self, predicted: NDArray[np.integer], confidence: Array, p_true: Array, split: Split) -> pd.DataFrame:
        first = {"label": self.task.labels[split], "predicted": predicted, "confidence": confidence, "p_true": p_true}
        return pd.DataFrame({**first, **self.columns(split)})

    def predict(self, model: Model) -> pd.DataFrame:
        return self.table(softmax(self.outputs(model), axis=1))

    def outputs_at_timesteps(self, model: Model, lengths: Tensor, split: Split = "test") -> Array:
        """As `outputs`, of a net that says something at each timestep: (timesteps, classes), those of the first example
        first. lengths: of the examples, (examples,)."""
        loader = self.task.loader(split)
        assert isinstance(loader, Batches)
        found, examples = [], []
        batches = loader.sampler.batches(loader.batch_size)
        for (batch, prediction), indices in zip(self.answers(model, split), batches, strict=True):
            found.append(prediction[batch.targets != IGNORED].double().cpu())
            examples.append(indices.repeat_interleave(lengths[indices]))
        in_order = torch.cat(examples).argsort(stable=True)
        return torch.cat(found)[in_order].numpy()

    def say(self, model: Model, batch: Batch, table: pd.DataFrame) -> pd.DataFrame:
        """The `predicted` class by name, the probability of it (`confidence`), and of each class (`p_<class>`)."""
        return self.named(softmax(model(batch.to(model.device)).double().cpu().numpy(), axis=-1), table.index)

    def named(self, probabilities: Array, index: pd.Index) -> pd.DataFrame:
        """Answers in words from the probability of each class, (answers, classes)."""
        predicted = probabilities.argmax(axis=1)
        answers = {
            "predicted": np.array(self.task.classes, dtype=object)[predicted],
            "confidence": probabilities[np.arange(len(predicted)), predicted],
        }
        each = {f"p_{name}": probabilities[:, number] for number, name in enumerate(self.task.classes)}
        return pd.DataFrame(answers | each, index=index)

    def named_timesteps(self, logits: Tensor, batch: Batch, table: pd.DataFrame) -> pd.DataFrame:
        """Answers at each timestep of each row, `timestep` counting from 1. logits: (rows, time, classes)."""
        real = real_timesteps(batch)
        answers = self.named(softmax(logits.double().cpu().numpy()[real], axis=1), table.index.repeat(real.sum(axis=1)))
        answers.insert(0, "timestep", np.nonzero(real)[1] + 1)
        return answers

    def losses(self, predictions: pd.DataFrame) -> Array:
        """1 for a wrong answer, 0 for a right one."""
        return 1.0 - right_answers(predictions)

    def judge(self, predictions: pd.DataFrame) -> dict[str, float]:
        """Of one table:

        accuracy           share of right answers; _low, _high: its 95 % interval (Wilson)
        macro_f1           the mean over the classes of 2 TP / (2 TP + FP + FN), 0 for a class never met or named
        nll                -ln of the probability of the true class, in nats
        calibration_error  Σ over ten bins of confidence of share · |accuracy - confidence| (Guo et al. 2017)

        The last two are left out where a method has no probabilities.
        """
        right = right_answers(predictions)
        low, high = proportion_interval(right)
        metrics = {
            "accuracy": float(right.mean()),
            "accuracy_low": low,
            "accuracy_high": high,
            "macro_f1": float(f1_by_class(predictions, len(self.task.classes)).mean()),
        }
        if has_probabilities(predictions):
            metrics["nll"] = float(-np.log(predictions["p_true"].clip(lower=1e-12)).mean())
            metrics["calibration_error"] = calibration_error(predictions)
        return metrics

    def plot_rows(self, predictions: list[pd.DataFrame]) -> pd.DataFrame:
        """Accuracy by class."""
        whole = pd.concat(predictions)
        right, label = right_answers(whole), whole["label"].to_numpy()
        met = np.unique(label)
        scores = [right[label == number].mean() for number in met]
        return pd.DataFrame({"part": [self.task.classes[number] for number in met], "score": scores})


def has_probabilities(predictions: pd.DataFrame) -> bool:
    return not predictions["confidence"].isna().all()


def right_answers(predictions: pd.DataFrame) -> Array:
    return np.asarray(predictions["label"] == predictions["predicted"], np.float64)


def losses_by(column: str, predictions: pd.DataFrame) -> Array:
    """The share of wrong answers among those that have a value of the column in common, such as a sentence; where not
    all have as many, as `losses_of_ratio` has it. The mean is 1 - accuracy."""
    wrong = pd.Series(1 - right_answers(predictions)).groupby(predictions[column].to_numpy())
    return losses_of_ratio(*(np.asarray(found, np.float64) for found in (wrong.sum(), wrong.size())))


def f1_by_class(predictions: pd.DataFrame, classes: int) -> Array:
    """2 TP / (2 TP + FP + FN) of each class."""
    label, predicted = predictions["label"].to_numpy(), predictions["predicted"].to_numpy()
    hits = np.bincount(label[label == predicted], minlength=classes)
    total = np.bincount(label, minlength=classes) + np.bincount(predicted, minlength=classes)
    result: Array = 2 * hits / np.maximum(total, 1)
    return result


def bins_of_confidence(predictions: pd.DataFrame) -> pd.DataFrame:
    """For each bin of confidence that is not empty: how many there are, how confident, how often right."""
    confidence = predictions["confidence"].to_numpy()
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    table = pd.DataFrame({"confidence": confidence, "right": right_answers(predictions)}).groupby(bins)
    return table.mean().assign(count=table.size())


def calibration_error(predictions: pd.DataFrame) -> float:
    bins = bins_of_confidence(predictions)
    return float(((bins["right"] - bins["confidence"]).abs() * bins["count"]).sum() / bins["count"].sum())
