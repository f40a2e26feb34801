"""Figures of sequences drawn by rule: accuracy by length, and the answers after each timestep."""

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.special import softmax

from rnnlab.data.batches import Batch
from rnnlab.data.vocabulary import IGNORED
from rnnlab.tasks.classification.figures import ClassificationFigures
from rnnlab.tasks.judging import Model
from rnnlab.tasks.synthetic.data import SyntheticClassificationData, SyntheticData
from rnnlab.tasks.synthetic.judging import SyntheticClassificationJudging
from rnnlab.tasks.task import Array

SHOWN_STEPS = 200
SHOWN_TOKENS = 90


class SyntheticClassificationFigures(ClassificationFigures):
    """Beside those of every classification, of the training length, accuracy by length, and what a net would answer
    after each timestep of one sequence.
    """

    task: SyntheticClassificationData
    judging: SyntheticClassificationJudging

    def figures(self, predictions: list[pd.DataFrame], name: str) -> dict[str, Figure]:
        trained = [table[table["length"] == self.task.length] for table in predictions]
        return {"by_length": self._draw_by_length(predictions, name), **super().figures(trained, name)}

    def _draw_by_length(self, predictions: list[pd.DataFrame], name: str) -> Figure:
        """Accuracy by length and, where a sequence has several answers, by their place in it."""
        panels = 2 if self.task.layout == "many_to_many" else 1
        figure = Figure(figsize=(5.5 * panels, 4), layout="constrained")
        left, *right = figure.subplots(1, panels, squeeze=False)[0]
        rows = self.judging.plot_rows(predictions)
        left.plot(rows["part"], rows["score"], marker="o", color="C1", label=name)
        mark_lengths(left, self.task.lengths, self.task.length, self.task.parts)
        left.set_title(f"{name}: accuracy by length", fontsize=10)
        for axes in right:
            whole = pd.concat(predictions)
            whole = whole.assign(right=whole["label"] == whole["predicted"])
            for number, (length, part) in enumerate(whole.groupby("length")):
                score = part.groupby("position")["right"].mean()
                axes.plot(score.index, score, color=f"C{number}", linewidth=1.2, label=f"{length} {self.task.parts}")
            axes.set_xlabel("place of the answer in its sequence")
            axes.set_title("by place", fontsize=10)
        for axes in (left, *right):
            axes.axhline(1 / len(self.task.classes), color="black", linewidth=1, linestyle="--", label="chance")
            axes.set_ylim(-0.02, 1.05)
            axes.set_ylabel("share of right answers")
            axes.legend(frameon=False, fontsize=8)
        return figure

    def inspect(self, model: Model) -> dict[str, Figure]:
        batch, steps, outputs = unfold(self.task, model)
        tokens = [self.task.tokens[number] for number in batch.inputs[0].tolist()]
        targets = np.full(len(tokens), IGNORED)
        targets[-1 if self.task.layout == "many_to_one" else slice(None)] = batch.targets[0].cpu().numpy()
        return {"answers": self._draw_answers(tokens, targets, steps, softmax(outputs, axis=1))}

    def _draw_answers(
        self, tokens: list[str], targets: NDArray[np.int64], steps: NDArray[np.int64], probabilities: Array
    ) -> Figure:
        """The probability of each answer after each timestep of one sequence; circles: the right ones, where asked."""
        width = float(np.clip(0.17 * len(tokens) + 1.8, 5.5, 16))
        figure = Figure(figsize=(width, 1.6 + 0.2 * len(self.task.classes)), layout="constrained")
        axes = figure.subplots()
        image = axes.pcolormesh(
            steps, np.arange(len(self.task.classes)), probabilities.T, cmap="Blues", vmin=0, vmax=1, shading="nearest"
        )
        asked = np.flatnonzero(targets != IGNORED)
        axes.scatter(asked + 1, targets[asked], s=22, facecolors="none", edgecolors="C1", linewidths=1.3)
        axes.set_yticks(range(len(self.task.classes)), self.task.classes, fontsize=8)
        axes.invert_yaxis()
        if len(tokens) <= SHOWN_TOKENS:
            turned = max(map(len, tokens)) > 1
            axes.set_xticks(range(1, len(tokens) + 1), tokens, rotation=90 if turned else 0, fontsize=7)
        axes.set_xlabel("what the net has read")
        axes.set_ylabel("its answer")
        axes.set_title("Probability of each answer so far; circles: the right ones", fontsize=9)
        figure.colorbar(image, ax=axes, shrink=0.8)
        return figure


def unfold(task: SyntheticData, model: Model) -> tuple[Batch, NDArray[np.int64], Array]:
    """One test sequence of the training length, and what the net says after so many of its timesteps.

    Returns: the sequence as a batch, the numbers of timesteps (n,), and the outputs (n, output_size).
    """
    index = int(np.flatnonzero(task.length_of["test"] == task.length)[0])
    batch = task.take("test", torch.tensor([index])).to(model.device)
    time = batch.inputs.shape[1]
    model.eval()
    with torch.inference_mode():
        if task.layout == "many_to_many":
            return batch, np.arange(1, time + 1), model(batch)[0].double().cpu().numpy()
        steps = torch.linspace(1, time, min(time, SHOWN_STEPS)).long()
        inputs, targets = (part.expand(len(steps), *part.shape[1:]) for part in (batch.inputs, batch.targets))
        outputs = model(Batch(inputs, targets, steps.to(model.device)))
    return batch, steps.numpy(), outputs.double().cpu().numpy()


def mark_lengths(axes: Axes, lengths: list[int], trained: int, parts: str) -> None:
    """An axis of the tested lengths, with a line where training ended."""
    axes.axvline(trained, color="grey", linewidth=1, linestyle=":", label=f"trained up to {trained}")
    axes.set_xscale("log")
    axes.set_xticks(lengths, [str(length) for length in lengths])
    axes.minorticks_off()
    axes.set_xlabel(parts)
