"""What all tasks share that answer with one of a few classes: predictions, metrics and pictures."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.special import softmax
from torch import Tensor

from rnnlab.data.batches import Batch
from rnnlab.statistics import proportion_interval
from rnnlab.tasks.raw_input import real_timesteps
from rnnlab.tasks.task import Array, Model, Task

METRICS: dict[str, Any] = {"accuracy": "max", "macro_f1": "max", "nll": "min", "calibration_error": "min"}

BINS = 10
SHOWN_CLASSES = 26


class Classification(Task):
    """A task with one label for each example. A task that derives from it sets what `open` finds:

    classes: their names, in the order of the net's outputs.
    test_labels: (examples of the test split,), the class of each.

    The table of predictions has a row for each test example: its `label`, the `predicted` class, the probability of
    that (`confidence`) and of the true one (`p_true`), and what `columns` adds.
    """

    classes: list[str]
    test_labels: NDArray[np.int64]

    def columns(self) -> dict[str, Any]:
        """Further columns of the table of predictions: what the errors may depend on, such as a length."""
        return {}

    def table(self, probabilities: Array) -> pd.DataFrame:
        """Predictions from the probability of each class for each test example, (examples, classes)."""
        predicted = probabilities.argmax(axis=1)
        rows = np.arange(len(predicted))
        return pd.DataFrame(
            {
                "label": self.test_labels,
                "predicted": predicted,
                "confidence": probabilities[rows, predicted],
                "p_true": probabilities[rows, self.test_labels],
                **self.columns(),
            }
        )

    def predict(self, model: Model) -> pd.DataFrame:
        return self.table(softmax(self.outputs(model), axis=1))

    def say(self, model: Model, batch: Batch, table: pd.DataFrame) -> pd.DataFrame:
        """The `predicted` class by name, the probability of it (`confidence`), and of each class (`p_<class>`)."""
        return self.named(softmax(model(batch.to(model.device)).double().cpu().numpy(), axis=-1), table.index)

    def named(self, probabilities: Array, index: pd.Index) -> pd.DataFrame:
        """Answers in words from the probability of each class, (answers, classes)."""
        predicted = probabilities.argmax(axis=1)
        answers = {
            "predicted": np.array(self.classes, dtype=object)[predicted],
            "confidence": probabilities[np.arange(len(predicted)), predicted],
        }
        each = {f"p_{name}": probabilities[:, number] for number, name in enumerate(self.classes)}
        return pd.DataFrame(answers | each, index=index)

    def named_timesteps(self, logits: Tensor, batch: Batch, table: pd.DataFrame) -> pd.DataFrame:
        """Answers at each timestep of each row, `timestep` counting from 1. logits: (rows, time, classes)."""
        real = real_timesteps(batch)
        answers = self.named(softmax(logits.double().cpu().numpy()[real], axis=1), table.index.repeat(real.sum(axis=1)))
        answers.insert(0, "timestep", np.nonzero(real)[1] + 1)
        return answers

    def losses(self, predictions: pd.DataFrame) -> Array:
        """1 for a wrong answer, 0 for a right one."""
        return 1.0 - _right(predictions)

    def judge(self, predictions: pd.DataFrame) -> dict[str, float]:
        """Of one table:

        accuracy           share of right answers; _low, _high: its 95 % interval (Wilson)
        macro_f1           the mean over the classes of 2 TP / (2 TP + FP + FN), 0 for a class never met or named
        nll                -ln of the probability of the true class, in nats
        calibration_error  Σ over ten bins of confidence of share · |accuracy - confidence| (Guo et al. 2017)
        """
        right = _right(predictions)
        low, high = proportion_interval(right, 1)
        return {
            "accuracy": float(right.mean()),
            "accuracy_low": low,
            "accuracy_high": high,
            "macro_f1": float(f1_by_class(predictions, len(self.classes)).mean()),
            "nll": float(-np.log(predictions["p_true"].clip(lower=1e-12)).mean()),
            "calibration_error": _calibration_error(predictions),
        }

    def plot_rows(self, predictions: list[pd.DataFrame]) -> pd.DataFrame:
        """Accuracy by class."""
        whole = pd.concat(predictions)
        right, label = _right(whole), whole["label"].to_numpy()
        met = np.unique(label)
        scores = [right[label == number].mean() for number in met]
        return pd.DataFrame({"part": [self.classes[number] for number in met], "score": scores})

    def figures(self, predictions: list[pd.DataFrame], name: str) -> dict[str, Figure]:
        return {
            "confusion": draw_confusion(predictions, self.classes, name),
            "reliability": draw_reliability(predictions, name),
        }


def _right(predictions: pd.DataFrame) -> Array:
    return np.asarray(predictions["label"] == predictions["predicted"], np.float64)


def f1_by_class(predictions: pd.DataFrame, classes: int) -> Array:
    """2 TP / (2 TP + FP + FN) of each class."""
    label, predicted = predictions["label"].to_numpy(), predictions["predicted"].to_numpy()
    hits = np.bincount(label[label == predicted], minlength=classes)
    total = np.bincount(label, minlength=classes) + np.bincount(predicted, minlength=classes)
    result: Array = 2 * hits / np.maximum(total, 1)
    return result


def _bins(predictions: pd.DataFrame) -> pd.DataFrame:
    """For each bin of confidence that is not empty: how many there are, how confident, how often right."""
    confidence = predictions["confidence"].to_numpy()
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    table = pd.DataFrame({"confidence": confidence, "right": _right(predictions)}).groupby(bins)
    return table.mean().assign(count=table.size())


def _calibration_error(predictions: pd.DataFrame) -> float:
    bins = _bins(predictions)
    return float(((bins["right"] - bins["confidence"]).abs() * bins["count"]).sum() / bins["count"].sum())


def draw_confusion(predictions: list[pd.DataFrame], classes: list[str], name: str) -> Figure:
    """Rows: the true class, columns: the answer, in percent of the row; of many classes, the most frequent ones."""
    whole = pd.concat(predictions)
    count = len(classes)
    counts = np.zeros((count, count))
    np.add.at(counts, (whole["label"].to_numpy(), whole["predicted"].to_numpy()), 1)
    shown = np.sort(np.argsort(-counts.sum(axis=1), kind="stable")[:SHOWN_CLASSES])
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    share = share[np.ix_(shown, shown)]
    names = [classes[index] for index in shown]
    side = 3.2 + 0.36 * len(names)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes: Axes = figure.subplots()
    picture = axes.imshow(share, cmap="Blues", vmin=0, vmax=100)
    for row in range(len(names)):
        for column in range(len(names)):
            if share[row, column] >= 0.5:
                colour = "white" if share[row, column] > 55 else "black"
                axes.text(column, row, f"{share[row, column]:.0f}", ha="center", va="center", color=colour, fontsize=8)
    turned = max(map(len, names)) > 2
    axes.set_xticks(range(len(names)), names, rotation=90 if turned else 0)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("answer")
    axes.set_ylabel("true class")
    rest = f", the {len(names)} most frequent of {count} classes" if len(names) < count else ""
    axes.set_title(f"{name}: answers in % of each class{rest}", fontsize=10)
    figure.colorbar(picture, ax=axes, shrink=0.7, label="%")
    return figure


def draw_reliability(predictions: list[pd.DataFrame], name: str) -> Figure:
    """How often an answer given with some confidence is right: on the diagonal, as often as the net believes."""
    bins = _bins(pd.concat(predictions))
    figure = Figure(figsize=(5.2, 5), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    upper.plot([0, 1], [0, 1], color="black", linewidth=1, linestyle="--", label="as often as believed")
    upper.plot(bins["confidence"], bins["right"], marker="o", color="C1", label=name)
    upper.set_ylabel("share of right answers")
    upper.set_title(f"calibration error {_calibration_error(pd.concat(predictions)):.3f}", fontsize=10)
    upper.legend(frameon=False)
    lower.bar((bins.index + 0.5) / BINS, bins["count"] / bins["count"].sum(), width=0.9 / BINS, color="C1")
    lower.set_ylabel("share")
    lower.set_xlabel("confidence")
    lower.set_xlim(0, 1)
    return figure
