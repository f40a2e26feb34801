"""Figures of classified sequences."""

import numpy as np
import torch
from matplotlib.figure import Figure

from rnnlab.tasks.classification.figures import ClassificationFigures, draw_probabilities, probabilities_after
from rnnlab.tasks.judging import Model
from rnnlab.tasks.sequences.data import SequencesData
from rnnlab.tasks.sequences.figures import channels_label, draw_channels, short, shown_sequences

MOST_BEGINNINGS = 100
"""After which a net is asked."""


class SequencesFigures(ClassificationFigures):
    """Beside those of every classification, what a net would say after each timestep of some test sequences."""

    task: SequencesData

    def inspect(self, model: Model) -> dict[str, Figure]:
        model.eval()
        chosen = shown_sequences(self.task)
        figure = Figure(figsize=(4.2 * len(chosen), 5.2), layout="constrained")
        axes = figure.subplots(2, len(chosen), sharex="col", sharey="row", squeeze=False)
        for (upper, lower), index in zip(axes.T, chosen, strict=True):
            sequence = torch.tensor(np.asarray(self.task.series["test"][index]))
            beginnings = np.unique(np.linspace(1, len(sequence), min(MOST_BEGINNINGS, len(sequence))).astype(int))
            probabilities = probabilities_after(model, sequence, torch.from_numpy(beginnings))
            true = self.task.classes[int(self.task.labels["test"][index])]
            draw_channels(upper, self.task, index)
            upper.set_title(f"{short(self.task.names['test'][index])}\ntrue class {true}", fontsize=9)
            draw_probabilities(lower, beginnings, probabilities, self.task.classes, true)
        axes[0, 0].set_ylabel(channels_label(self.task))
        axes[1, 0].set_ylabel("probability after this timestep")
        return {"while_reading": figure}
