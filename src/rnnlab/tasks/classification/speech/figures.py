"""Figures of what a net hears."""

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from rnnlab.data.batches import Batch
from rnnlab.tasks.classification.figures import ClassificationFigures
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
            beginnings = torch.arange(1, len(sound) + 1)
            label = torch.full((len(sound),), int(self.task.labels["test"][index]))
            batch = Batch(sound.expand(len(sound), -1, -1), label, beginnings)
            with torch.inference_mode():
                probabilities = model(batch.to(model.device)).softmax(-1).cpu().numpy()
            self._draw_one(upper[number], lower[number], sound.numpy(), probabilities, self.task.classes[label[0]])
        kind = "cepstral coefficient" if self.task.meta["source"] == "sample" else "mel filter"
        upper[0].set_ylabel(kind)
        lower[0].set_ylabel("probability after this timestep")
        return figure

    def _draw_one(self, upper: Axes, lower: Axes, sound: NDArray[np.floating], probabilities: Array, true: str) -> None:
        upper.imshow(sound.T, aspect="auto", origin="lower", cmap="magma", interpolation="nearest")
        upper.set_title(f"true class {true}, {len(sound)} timesteps", fontsize=10)
        # those that lead at some timestep, and the true one, have a name
        named = sorted(set(probabilities.argmax(axis=1).tolist()) | {self.task.classes.index(true)})
        lower.plot(np.delete(probabilities, named, axis=1), color="0.85", linewidth=0.8)
        for number, label in enumerate(named):
            name = self.task.classes[label]
            width = 2.4 if name == true else 1.2
            lower.plot(probabilities[:, label], color=f"C{number}", linewidth=width, label=name)
        lower.set_ylim(0, 1)
        lower.xaxis.set_major_locator(MaxNLocator(integer=True))
        lower.set_xlabel("timestep")
        lower.legend(frameon=False, fontsize=8, title="class", title_fontsize=8)
