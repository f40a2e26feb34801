"""Figures of translations: where a net with attention looks as it writes."""

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rnnlab.data.vocabulary import END, SPECIAL
from rnnlab.tasks.judging import Model
from rnnlab.tasks.transduction.figures import TransductionFigures
from rnnlab.tasks.transduction.judging import spread
from rnnlab.tasks.transduction.translate.data import TranslateData
from rnnlab.tasks.transduction.translate.judging import TranslateJudging

LOOKED_AT = 3
"""Texts whose attention is drawn."""


class TranslateFigures(TransductionFigures):
    """Beside those of all texts, the weights of attention."""

    task: TranslateData
    judging: TranslateJudging

    def inspect(self, model: Model) -> dict[str, Figure]:
        """Where a net with attention looks as it writes."""
        sources, _ = self.task.texts("test")
        indices = spread(len(sources), LOOKED_AT)
        model.eval()
        batch = self.task.loader("test").take(torch.from_numpy(indices)).to(model.device)
        decoded = model.net.decode(batch, self.task.longest)
        if decoded.weights is None:
            return {}
        maps = []
        for row, index in enumerate(indices):
            read = self.task.tokens(sources[index])
            numbers = decoded.tokens[row].tolist()
            numbers = numbers[: numbers.index(END) + 1] if END in numbers else numbers
            weights = decoded.weights[row, : len(numbers), : len(read)].cpu().double().numpy()
            maps.append((read, [self.task.vocabulary.tokens[number] for number in numbers], weights))
        return {"attention": draw_attention(maps)}


def draw_attention(maps: list[tuple[list[str], list[str], NDArray[np.float64]]]) -> Figure:
    """For each text, what was read from left to right, what was written from top to bottom; dark: looked at."""
    heights = [len(written) + 3 for _, written, _ in maps]
    width = max(len(read) for read, _, _ in maps)
    words = any(len(token) > 1 for read, _, _ in maps for token in read)
    figure = Figure(figsize=(1.2 + (0.34 if words else 0.2) * width, 0.2 * sum(heights)), layout="constrained")
    for axes, (read, written, weights) in zip(
        figure.subplots(len(maps), 1, squeeze=False, height_ratios=heights)[:, 0], maps, strict=True
    ):
        axes.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        axes.set_xlim(-0.5, width - 0.5)
        axes.set_xticks(range(len(read)), read, rotation=60 if words else 0, ha="right" if words else "center")
        axes.set_yticks(range(len(written)), ["END" if token == SPECIAL[END] else token for token in written])
        axes.tick_params(length=0, labelsize=8)
        for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
            label.set_parse_math(False)
        axes.spines[:].set_visible(False)
    figure.supxlabel("read", fontsize=10)
    figure.supylabel("written", fontsize=10)
    return figure
