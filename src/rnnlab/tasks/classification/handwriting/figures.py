"""Figures of characters with the answers."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rnnlab.datasets.strokes import SIDE
from rnnlab.tasks.classification.figures import ClassificationFigures
from rnnlab.tasks.classification.handwriting.data import HandwritingData

SHOWN = 18


class HandwritingFigures(ClassificationFigures):
    """Beside those of every classification, some characters."""

    task: HandwritingData

    def figures(self, predictions: list[pd.DataFrame], name: str) -> dict[str, Figure]:
        return {**super().figures(predictions, name), "characters": self._draw_characters(predictions[0], name)}

    def _draw_characters(self, predictions: pd.DataFrame, name: str) -> Figure:
        """Some characters as the net was given them, the first strokes dark, the last ones light."""
        rows = np.unique(np.linspace(0, len(predictions) - 1, SHOWN).astype(np.int64))
        across = 6
        down = -(-len(rows) // across)
        figure = Figure(figsize=(1.5 * across, 0.4 + 1.75 * down), layout="constrained")
        all_axes = figure.subplots(down, across, squeeze=False).ravel()
        for axes in all_axes:
            axes.set_axis_off()
        for axes, row in zip(all_axes, rows, strict=False):
            draw_strokes(axes, self.task.moves["test"][row], SIDE / self.task.spacing)
            label, predicted = (self.task.classes[predictions[column].iloc[row]] for column in ("label", "predicted"))
            wrong = label != predicted
            title = f"{label}\nanswer: {predicted}" if wrong else f"{label}\n"
            axes.set_title(title, fontsize=8, color="C3" if wrong else "black")
        figure.suptitle(f"{name}: the radical, wrong answers in red", fontsize=10)
        return figure


def draw_strokes(axes: Axes, moves: NDArray[np.float32], side: float) -> None:
    """What the pen wrote in a square of that side, its first strokes dark."""
    from matplotlib import colormaps

    points = np.cumsum(moves[:, :2], axis=0)
    strokes = np.split(points, np.flatnonzero(moves[:, 2] == 0)[1:])
    for number, stroke in enumerate(strokes):
        axes.plot(*stroke.T, color=colormaps["viridis"](0.85 * number / len(strokes)), linewidth=1.6)
    axes.set(xlim=(-side / 2, side / 2), ylim=(side / 2, -side / 2), aspect="equal")
