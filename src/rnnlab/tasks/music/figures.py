"""Figures of music: predictions over a piece, the loss of each piece beside a baseline, and how a net goes on."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rnnlab.datasets.chorales import KEYS, LOWEST
from rnnlab.tasks.figures import Figures
from rnnlab.tasks.judging import Model
from rnnlab.tasks.music.data import MusicData
from rnnlab.tasks.music.judging import GIVEN, MusicJudging, mean_by_piece
from rnnlab.tasks.music.piano_roll import draw_continuation, extent, label_axes
from rnnlab.tasks.music.repetition import repetition

SHOWN_FRAMES = 64


class MusicFigures(Figures):
    """The piano roll of a piece under the predicted probabilities, and a point for each piece."""

    task: MusicData
    judging: MusicJudging

    def figures(self, predictions: list[pd.DataFrame], name: str) -> dict[str, Figure]:
        by_piece = mean_by_piece(pd.concat(predictions))
        # the piece in the middle of all, by its loss
        piece = int(by_piece.sort_values(kind="stable").index[len(by_piece) // 2])
        title = f"{name}: {self.task.meta['test_pieces'][piece]}, {by_piece[piece]:.2f} nats per frame"
        reference = mean_by_piece(self.judging.table(repetition(self.task)("test")))
        return {
            "piano_roll": self._draw_predictions(predictions[0], piece, title),
            "nll_by_piece": draw_by_piece(by_piece, reference, name, "repetition"),
        }

    def _draw_predictions(self, predictions: pd.DataFrame, piece: int, title: str) -> Figure:
        chosen = predictions["piece"].to_numpy() == piece
        probabilities = predictions.loc[chosen, [f"p_{LOWEST + key}" for key in range(KEYS)]].to_numpy()
        actual = self.task.actual("test")[chosen][:SHOWN_FRAMES]
        figure = Figure(figsize=(11, 5), layout="constrained")
        axes = figure.subplots()
        picture = axes.imshow(probabilities[:SHOWN_FRAMES].T, cmap="Blues", vmin=0, vmax=1, **extent(len(actual), 1))
        frames, keys = np.nonzero(actual)
        axes.scatter(frames + 1, keys + LOWEST, s=9, color="C1", linewidths=0, label="sounds in the piece")
        label_axes(axes, actual)
        axes.set_title(title, fontsize=10)
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), frameon=False, fontsize=9, borderaxespad=0)
        figure.colorbar(picture, ax=axes, shrink=0.8, label="probability that it sounds")
        return figure

    def inspect(self, model: Model) -> dict[str, Figure]:
        """A chorale of the test part that the net goes on with."""
        roll = self.judging.continuation(model, "test")
        return {"continuation": draw_continuation(roll, GIVEN, self.task.meta["test_pieces"][0])}


def draw_by_piece(by_piece: "pd.Series[float]", reference: "pd.Series[float]", name: str, other: str) -> Figure:
    """A point for each piece of the test split: what it costs the net, and what it costs the baseline."""
    figure = Figure(figsize=(5.2, 5), layout="constrained")
    axes = figure.subplots()
    low = min(by_piece.min(), reference.min()) - 0.5
    high = max(by_piece.max(), reference.max()) + 0.5
    axes.plot([low, high], [low, high], color="black", linewidth=1, linestyle="--", label="the same")
    axes.scatter(reference, by_piece, s=18, color="C1", label="a piece")
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    axes.set_aspect("equal")
    axes.set_xlabel(f"{other}: nats per frame")
    axes.set_ylabel(f"{name}: nats per frame")
    better = int((by_piece < reference).sum())
    axes.set_title(f"{name} is better in {better} of {len(by_piece)} pieces", fontsize=10)
    axes.legend(frameon=False)
    return figure
