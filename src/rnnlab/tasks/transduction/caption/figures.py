"""Figures of captions: pictures with what was written of them, and where a net looks for each word."""

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rnnlab.data.vocabulary import END
from rnnlab.tasks.images import Images
from rnnlab.tasks.judging import Model
from rnnlab.tasks.transduction.caption.data import CaptionData
from rnnlab.tasks.transduction.caption.drawing import draw_captions
from rnnlab.tasks.transduction.caption.judging import SHOWN, CaptionJudging
from rnnlab.tasks.transduction.figures import TransductionFigures
from rnnlab.tasks.transduction.judging import spread


class CaptionFigures(TransductionFigures):
    """Some pictures with their captions, instead of a table of texts; the columns that attention looks at."""

    task: CaptionData
    judging: CaptionJudging

    def figures(self, predictions: list[pd.DataFrame], name: str) -> dict[str, Figure]:
        table = predictions[0].iloc[spread(len(predictions[0]), SHOWN)]
        pictures = self.task.pictures["test"][table.index.to_numpy()]
        return {
            "parts": super().figures(predictions, name)["parts"],
            "written": draw_captions(pictures, table["reference"].tolist(), table["written"].tolist(), name),
        }

    def inspect(self, model: Model) -> dict[str, Figure]:
        """With attention: for each word that is written of some test pictures, the columns that the net looks at."""
        indices = spread(len(self.task.captions["test"]), SHOWN // 2)
        batch = self.task.take("test", torch.from_numpy(indices)).to(model.device)
        decoded = model.net.decode(batch, self.task.longest)
        if decoded.weights is None:
            return {}
        tokens = decoded.tokens.tolist()
        words = [self.task.vocabulary.decode(numbers) + ["(end)"] * (END in numbers) for numbers in tokens]
        weights = [found[: len(row)] for found, row in zip(decoded.weights.cpu().numpy(), words, strict=True)]
        return {"attention": draw_attention(self.task.pictures["test"][indices], words, weights)}


def draw_attention(pictures: Images, words: list[list[str]], weights: list[NDArray[np.floating]]) -> Figure:
    """Below each picture a row for each word that was written of it: how much of it each column of the image had."""
    rows = -(-len(pictures) // 2)
    longest = max(map(len, words))
    figure = Figure(figsize=(9, rows * (1.3 + 0.17 * longest)), layout="constrained")
    grid = figure.add_gridspec(2 * rows, 2, height_ratios=[1.0, 0.17 * longest] * rows)
    for number, (picture, text, looks) in enumerate(zip(pictures, words, weights, strict=True)):
        row, column = 2 * (number // 2), number % 2
        upper, lower = figure.add_subplot(grid[row, column]), figure.add_subplot(grid[row + 1, column])
        upper.imshow(picture, cmap="gray_r", vmin=0, vmax=255, aspect="auto")
        upper.set(xticks=[], yticks=[])
        lower.imshow(looks, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        lower.set_xticks([])
        lower.set_yticks(range(len(text)), text, fontsize=8)
    figure.suptitle("where the net looks for each word, darker for more", fontsize=10)
    return figure
