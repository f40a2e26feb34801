"""Figures of classifiers: which classes are confused, and whether confidence is earned."""

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from torch import Tensor

from rnnlab.data.batches import Batch
from rnnlab.tasks.classification.judging import BINS, bins_of_confidence, calibration_error, has_probabilities
from rnnlab.tasks.figures import Figures
from rnnlab.tasks.judging import Model
from rnnlab.tasks.task import Array

SHOWN_CLASSES = 26


class ClassificationFigures(Figures):
    """The confusion matrix and, of a method that has probabilities, the reliability diagram."""

    def figures(self, predictions: list[pd.DataFrame], name: str) -> dict[str, Figure]:
        figures = {"confusion": draw_confusion(predictions, self.task.classes, name)}
        if all(map(has_probabilities, predictions)):
            figures["reliability"] = draw_reliability(predictions, name)
        return figures


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
    bins = bins_of_confidence(pd.concat(predictions))
    figure = Figure(figsize=(5.2, 5), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    upper.plot([0, 1], [0, 1], color="black", linewidth=1, linestyle="--", label="as often as believed")
    upper.plot(bins["confidence"], bins["right"], marker="o", color="C1", label=name)
    upper.set_ylabel("share of right answers")
    upper.set_title(f"calibration error {calibration_error(pd.concat(predictions)):.3f}", fontsize=10)
    upper.legend(frameon=False)
    lower.bar((bins.index + 0.5) / BINS, bins["count"] / bins["count"].sum(), width=0.9 / BINS, color="C1")
    lower.set_ylabel("share")
    lower.set_xlabel("confidence")
    lower.set_xlim(0, 1)
    return figure


def probabilities_after(model: Model, sequence: Tensor, beginnings: Tensor) -> Array:
    """Of each class, what a net would say if the sequence ended after so many timesteps, (beginnings, classes).

    sequence: (time, input_size). beginnings: ascending, from 1 to time.
    """
    batch = Batch(sequence.expand(len(beginnings), -1, -1), torch.zeros(len(beginnings), dtype=torch.long), beginnings)
    with torch.inference_mode():
        found: Array = model(batch.to(model.device)).double().softmax(-1).cpu().numpy()
    return found


def draw_probabilities(
    axes: Axes, timesteps: NDArray[np.integer], probabilities: Array, classes: list[str], true: str
) -> None:
    """How probable each class is after these timesteps, (timesteps, classes); those that lead somewhere, and the true
    one, have a name."""
    named = sorted({*probabilities.argmax(axis=1).tolist(), classes.index(true)})
    axes.plot(timesteps, np.delete(probabilities, named, axis=1), color="0.85", linewidth=0.8)
    for number, label in enumerate(named):
        name = classes[label]
        width = 2.4 if name == true else 1.2
        axes.plot(timesteps, probabilities[:, label], color=f"C{number}", linewidth=width, label=name)
    axes.set_ylim(0, 1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("timestep")
    axes.legend(frameon=False, fontsize=8, title="class", title_fontsize=8)
