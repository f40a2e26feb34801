"""Figures of sequences whose timesteps are classified."""

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from rnnlab.tasks.classification.figures import ClassificationFigures
from rnnlab.tasks.judging import Model
from rnnlab.tasks.sequences.data import SequencesData
from rnnlab.tasks.sequences.figures import channels_label, draw_channels, short, shown_sequences

MOST_NAMED = 20
"""Classes that have a colour of their own."""


class SequencesFigures(ClassificationFigures):
    """Beside those of every classification, the true and the predicted classes of some test sequences over time."""

    task: SequencesData

    def inspect(self, model: Model) -> dict[str, Figure]:
        model.eval()
        chosen = shown_sequences(self.task)
        figure = Figure(figsize=(10, 1.2 + 2.4 * len(chosen)), layout="constrained")
        axes = figure.subplots(2 * len(chosen), 1, height_ratios=[3, 1] * len(chosen), squeeze=False)[:, 0]
        batch = self.task.loader("test").take(torch.tensor(chosen))
        with torch.inference_mode():
            said = model(batch.to(model.device)).argmax(dim=-1).cpu().numpy()
        for number, index in enumerate(chosen):
            true = np.asarray(self.task.tags["test"][index])
            predicted = said[number, : len(true)]
            draw_channels(axes[2 * number], self.task, index)
            axes[2 * number].set_ylabel(channels_label(self.task), fontsize=8)
            right = float((true == predicted).mean())
            title = f"{short(self.task.names['test'][index], 60)}: {right:.0%} of the timesteps right"
            axes[2 * number].set_title(title, fontsize=9)
            axes[2 * number].set_xlim(0.5, len(true) + 0.5)
            axes[2 * number].tick_params(labelbottom=False)
            _draw_bands(axes[2 * number + 1], true, predicted)
        axes[-1].set_xlabel("timestep")
        tags = [np.asarray(self.task.tags["test"][index]) for index in chosen]
        met = sorted({*np.concatenate(tags).tolist(), *said.ravel().tolist()})
        patches = [Patch(color=_colour(label), label=self.task.classes[label]) for label in met[:MOST_NAMED]]
        columns = min(len(patches), 8)
        figure.legend(handles=patches, loc="outside lower center", ncols=columns, frameon=False, fontsize=8)
        return {"over_time": figure}


def _draw_bands(axes: Axes, true: NDArray[np.integer], predicted: NDArray[np.integer]) -> None:
    colours = np.array([[_colour(int(label)) for label in row] for row in (true, predicted)])
    axes.imshow(colours, aspect="auto", interpolation="nearest", extent=(0.5, len(true) + 0.5, 1.5, -0.5))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_yticks([0, 1], ["true", "net"], fontsize=8)


def _colour(label: int) -> tuple[float, float, float, float]:
    red, green, blue, alpha = colormaps["tab20"](label % MOST_NAMED)
    return red, green, blue, alpha
