"""Figures of transcripts: which words are confused, and what a net puts out at each timestep."""

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnnlab.data.vocabulary import PADDING, SPECIAL
from rnnlab.datasets.spoken_digits import WORDS
from rnnlab.tasks.judging import Model
from rnnlab.tasks.transduction.figures import TransductionFigures
from rnnlab.tasks.transduction.transcribe.data import TranscribeData
from rnnlab.tasks.transduction.transcribe.judging import NOTHING, TranscribeJudging

SHOWN = 3


class TranscribeFigures(TransductionFigures):
    """Beside those of all texts, the confusion of words; the probabilities of all tokens over a string."""

    task: TranscribeData
    judging: TranscribeJudging

    def figures(self, predictions: list[pd.DataFrame], name: str) -> dict[str, Figure]:
        aligned = self.judging.aligned(pd.concat(predictions, ignore_index=True))
        return {**super().figures(predictions, name), "words": draw_words(aligned, name)}

    def inspect(self, model: Model) -> dict[str, Figure]:
        """What is put out at each timestep, for a short, a middling and a long string of the test part."""
        model.eval()
        lengths = self.task.frames["test"].lengths
        chosen = torch.argsort(lengths, stable=True)[torch.linspace(0.2, 0.95, SHOWN).mul(len(lengths)).long()]
        batch = self.task.take("test", chosen).to(model.device)
        with torch.inference_mode():
            probabilities = model(batch).exp().cpu().numpy()
        _, references = self.task.texts("test")
        written = self.judging.write(model, batch)
        tokens = self.task.vocabulary.tokens
        # from zero to nine, letters from a to z
        named = sorted(tokens[len(SPECIAL) :], key=lambda token: (WORDS.index(token) if token in WORDS else 0, token))
        rows = [PADDING, *map(tokens.index, named)]
        figure = Figure(figsize=(13, 6), layout="constrained")
        widths = lengths[chosen].tolist()
        upper, lower = figure.subplots(2, SHOWN, sharex="col", sharey="row", width_ratios=widths)
        for number, index in enumerate(chosen.tolist()):
            sound = self.task.frames["test"][index]
            upper[number].imshow(sound.T, aspect="auto", origin="lower", cmap="magma", interpolation="nearest")
            upper[number].set_title(f"said: {references[index]}\nwritten: {written[number]}", fontsize=9)
            heard = probabilities[number, : len(sound)][:, rows]
            lower[number].imshow(heard.T, aspect="auto", cmap="Greys", vmin=0, vmax=1, interpolation="nearest")
            lower[number].set_xlabel(f"timestep of {self.task.hop} ms")
        upper[0].set_ylabel("mel filter")
        lower[0].set_yticks(range(len(rows)), ["blank", *(name.replace(" ", "space") for name in named)])
        lower[0].set_ylabel("probability of each token")
        return {"posteriorgram": figure}


def draw_words(aligned: pd.DataFrame, name: str) -> Figure:
    """How often each word was written for each other, in percent of the true one. What was put in is in percent of all
    words; a net that writes letters may write what is no word."""
    known = {word: number for number, word in enumerate((*WORDS, NOTHING))}
    rows, columns = [*WORDS, "put in"], [*WORDS, "left out", "no word"]
    counts = np.zeros((len(rows), len(columns)))
    for true, put in zip(aligned["true"], aligned["written"], strict=True):
        counts[known[true], known.get(put, len(known))] += 1
    totals = counts.sum(axis=1)
    totals[-1] = totals[:-1].sum()
    share = 100 * counts / np.maximum(totals, 1)[:, None]
    if not counts[:, -1].any():
        share, columns = share[:, :-1], columns[:-1]
    figure = Figure(figsize=(6.4, 5.6), layout="constrained")
    axes: Axes = figure.subplots()
    picture = axes.imshow(share, cmap="Blues", vmin=0, vmax=100)
    for row, column in np.argwhere(share >= 0.5):
        colour = "white" if share[row, column] > 55 else "black"
        axes.text(column, row, f"{share[row, column]:.0f}", ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(len(columns)), columns, rotation=90)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xlabel("written")
    axes.set_ylabel("said")
    axes.set_title(f"{name}: in % of each word said", fontsize=10)
    figure.colorbar(picture, ax=axes, shrink=0.7, label="%")
    return figure
