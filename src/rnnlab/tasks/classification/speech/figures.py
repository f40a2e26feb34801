"""Figures of what a net hears."""

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rnnlab.tasks.classification.figures import ClassificationFigures, draw_probabilities, probabilities_after
from rnnlab.tasks.classification.speech.data import SpeechData
from rnnlab.tasks.judging import Model
from rnnlab.tasks.task import Array

SHOWN = 3


class SpeechFigures(ClassificationFigures):
    """Beside those of every classification, what a net would say after each timestep of some utterances."""

    task: SpeechData

    def inspect(self, model: Model) -> dict[str, Figure]:
        return {"listening": self._draw_listening(model)}

    def _draw_listening(self, model: Model) -> Figure:
        """What is heard, and what the net would say if the utterance ended after each of its timesteps."""
        model.eval()
        series = self.task.series["test"]
        figure = Figure(figsize=(4.2 * SHOWN, 5.2), layout="constrained")
        upper, lower = figure.subplots(2, SHOWN, sharex="col", sharey="row")
        for number, index in enumerate(np.linspace(0, len(series) - 1, SHOWN).astype(int).tolist()):
            sound = torch.tensor(series[index])
            probabilities = probabilities_after(model, sound, torch.arange(1, len(sound) + 1))
            true = self.task.classes[int(self.task.labels["test"][index])]
            self._draw_one(upper[number], lower[number], sound.numpy(), probabilities, true)
        kind = "cepstral coefficient" if self.task.meta["source"] == "sample" else "mel filter"
        upper[0].set_ylabel(kind)
        lower[0].set_ylabel("probability after this timestep")
        return figure

    def _draw_one(self, upper: Axes, lower: Axes, sound: NDArray[np.floating], probabilities: Array, true: str) -> None:
        upper.imshow(sound.T, aspect="auto", origin="lower", cmap="magma", interpolation="nearest")
        upper.set_title(f"true class {true}, {len(sound)} timesteps", fontsize=10)
        draw_probabilities(lower, np.arange(len(sound)), probabilities, self.task.classes, true)
