"""Figures of the judgement of reviews: by their length, and after each of their words."""

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from torch import Tensor

from rnnlab.data.batches import Batch
from rnnlab.data.vocabulary import SPECIAL, UNKNOWN
from rnnlab.tasks.classification.figures import ClassificationFigures
from rnnlab.tasks.classification.sentiment.data import SentimentData
from rnnlab.tasks.classification.sentiment.judging import by_length
from rnnlab.tasks.judging import Model
from rnnlab.tasks.task import Array

SHOWN = 6
"""Reviews that are shown word by word, of as many classes."""
SHOWN_WORDS = 16
LINE = 100  # characters
LONGEST_NAME = 12  # characters of the name of a class behind the line


class SentimentFigures(ClassificationFigures):
    """Beside those of every classification, accuracy by length, and what a net says after each word."""

    task: SentimentData

    def figures(self, predictions: list[pd.DataFrame], name: str) -> dict[str, Figure]:
        return {**super().figures(predictions, name), "by_length": draw_by_length(by_length(predictions), name)}

    def inspect(self, model: Model) -> dict[str, Figure]:
        """What the net would have said after each word of some short test reviews, the same for every net."""
        model.eval()
        reviews, labels, classes = self.task.reviews["test"], self.task.labels["test"], self.task.classes
        shown = []
        order = np.argsort(np.abs(reviews.lengths.numpy() - SHOWN_WORDS), kind="stable")
        met = [label for label in reversed(range(len(classes))) if label in labels][:SHOWN]
        for label in met:
            for index in order[labels[order] == label][: SHOWN // len(met)]:
                tokens = [_shown(self.task.vocabulary.tokens[number]) for number in reviews[index]]
                of_class = 1 if len(classes) == 2 else label
                shown.append((tokens, p_by_word(model, reviews[index], of_class), classes[label]))
        return {"word_by_word": draw_word_by_word(shown, classes[1] if len(classes) == 2 else "its class")}


def p_by_word(model: Model, tokens: NDArray[np.integer], label: int) -> Array:
    """p(label | the first t words), for each t, (words,)."""
    size = len(tokens)
    prefixes = torch.from_numpy(tokens.astype(np.int64)).expand(size, size).tril()
    batch = Batch(prefixes, torch.zeros(size, dtype=torch.long), torch.arange(1, size + 1))
    with torch.inference_mode():
        found: Tensor = model(batch.to(model.device))
    result: Array = found.double().softmax(dim=1)[:, label].cpu().numpy()
    return result


def draw_by_length(rows: pd.DataFrame, name: str) -> Figure:
    """Accuracy with its 95 % interval, for each bucket of lengths."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    spread = [rows["score"] - rows["low"], rows["high"] - rows["score"]]
    axes.errorbar(range(len(rows)), rows["score"], yerr=spread, marker="o", color="C1", capsize=3)
    axes.set_xticks(range(len(rows)), rows["part"])
    axes.set_xlabel("words of the review")
    axes.set_ylabel("accuracy")
    axes.set_title(f"{name}: accuracy by length, with 95 % intervals", fontsize=10)
    return figure


def draw_word_by_word(shown: list[tuple[list[str], Array, str]], of_what: str) -> Figure:
    """Each word on the colour of p(of_what) once it has been read; behind the end of each review, what it is."""
    cells = [list(_laid_out(tokens)) for tokens, _, _ in shown]
    lines = [1 + max(line for line, _ in places) for places in cells]
    height = sum(lines) + 0.6 * len(shown)
    figure = Figure(figsize=(11, 1.1 + 0.24 * height), layout="constrained")
    axes = figure.subplots()
    colours = figure.colorbar(
        axes.imshow([[0.0]], cmap="RdBu", vmin=0, vmax=1, visible=False), ax=axes, shrink=0.8, pad=0.01
    )
    colours.set_label(f"p({of_what}) after this word")
    top = 0.0
    for (tokens, p, label), places, count in zip(shown, cells, lines, strict=True):
        for token, value, (line, column) in zip(tokens, p, places, strict=True):
            row = top + line
            width = len(token) + 1
            axes.add_patch(Rectangle((column, row), width, 0.94, color=colours.cmap(value), linewidth=0))
            axes.text(
                column + width / 2, row + 0.47, token, ha="center", va="center", family="monospace", fontsize=8,
                color="white" if abs(value - 0.5) > 0.3 else "black",
            )  # fmt: skip
        verdict = f"{p[-1]:.2f}, is {label if len(label) <= LONGEST_NAME else label[: LONGEST_NAME - 1] + '…'}"
        axes.text(LINE + 2, top + count / 2, verdict, va="center", fontsize=8)
        top += count + 0.6
    axes.set_xlim(0, LINE + 10 + max(8, *(min(len(label), LONGEST_NAME) for _, _, label in shown)))
    axes.set_ylim(top, 0)
    axes.set_aspect("auto")
    axes.axis("off")
    axes.set_title("what the net would say after each word; … stands for words that it does not know", fontsize=10)
    return figure


def _shown(token: str) -> str:
    return "…" if token == SPECIAL[UNKNOWN] else token


def _laid_out(tokens: list[str]) -> list[tuple[int, int]]:
    """The line and column of each word, lines being `LINE` characters long."""
    places, line, column = [], 0, 0
    for token in tokens:
        if column and column + len(token) + 1 > LINE:
            line, column = line + 1, 0
        places.append((line, column))
        column += len(token) + 1
    return places
