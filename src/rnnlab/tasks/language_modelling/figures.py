"""Figures of a text and of what was predicted in it."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rnnlab.data.batches import Batch
from rnnlab.data.sampling import probabilities
from rnnlab.results.figures import can_show
from rnnlab.tasks.figures import Figures, Passage
from rnnlab.tasks.judging import Model
from rnnlab.tasks.language_modelling.data import WARM_UP
from rnnlab.tasks.language_modelling.judging import NEVER, mean_nats
from rnnlab.tasks.task import Array

PASSAGE = 800
SENTENCE = 70

COLUMNS = 80
LARGEST_NATS = 6.0
"""Where the colours end."""

CANDIDATES = 5
LONGEST_WORD = 10

SIGNS = {"\n": "↵", "\t": "→", "\r": "←", " ": "␣"}


class LanguageModellingFigures(Figures):
    """A passage of the test part, and a line of it read by one net."""

    def figures(self, predictions: list[pd.DataFrame], name: str) -> dict[str, Figure]:
        tokens, nats = predictions[0]["token"].to_numpy(), mean_nats(predictions)
        # the first row is of the second token
        begin = max(0, self._line() - self.task.meta["splits"]["test"][0] - 1)
        passage = slice(begin, begin + PASSAGE)
        in_word = np.array([len(token) == 1 and token.isalnum() for token in self.task.vocabulary.tokens])
        title = f"{name}: nats per {self.task.unit}"
        parts = self.judging.plot_rows(predictions)["score"].to_numpy()
        return {
            "passage": draw_passage(self._characters(tokens[passage]), nats[passage], title),
            "places": draw_places(parts, in_word[tokens], nats, title),
        }

    def inspect(self, model: Model) -> dict[str, Figure]:
        """What is likely to come next, over a line of the test part."""
        first = self._line()
        model.eval()
        with torch.no_grad():
            _, state = model.net(self._batch(first - WARM_UP, WARM_UP).to(model.device))
            logits, _ = model.net(self._batch(first, SENTENCE).to(model.device), state)
        p = probabilities(logits[0].double(), never=NEVER).cpu().numpy()
        characters = self._characters(self.task.tokens[first : first + SENTENCE + 1])
        return {"next": draw_next(characters, p, self._characters(np.arange(len(self.task.vocabulary))))}

    def passage(self) -> Passage:
        """The same line, after what comes before it."""
        first = self._line()
        labels = [shown(character) for character in self._characters(self.task.tokens[first : first + SENTENCE])]
        past = self._batch(first - WARM_UP, WARM_UP)
        return Passage(self._batch(first, SENTENCE), labels, self.task.unit, past)

    def _line(self) -> int:
        """Where the first line of the test part begins that does not begin with it."""
        first, end = self.task.meta["splits"]["test"]
        line_end = int(self.task.vocabulary.encode(["\n"])[0])
        found = np.flatnonzero(self.task.tokens[first : min(first + PASSAGE, end - SENTENCE - 1)] == line_end)
        return int(first + found[0] + 1) if len(found) else int(first)

    def _batch(self, first: int, size: int) -> Batch:
        tokens = torch.from_numpy(self.task.tokens[first : first + size + 1].astype(np.int64))[None]
        return Batch(tokens[:, :-1], tokens[:, 1:])

    def _characters(self, tokens: NDArray[np.integer]) -> list[str]:
        """Each token as one character; U+FFFD for those that stand for none."""
        return [
            token if len(token) == 1 else "\ufffd" for token in map(self.task.vocabulary.tokens.__getitem__, tokens)
        ]


def shown(character: str) -> str:
    """One that can be seen, and that a font has."""
    character = SIGNS.get(character, character)
    return character if character.isprintable() and can_show(character, "monospace") else "·"


def draw_passage(characters: Sequence[str], nats: Array, title: str) -> Figure:
    """A passage as it reads, each character on the colour of its loss."""
    rows = _lines(characters)
    cells = np.full((len(rows), max(map(len, rows))), np.nan)
    figure = Figure(figsize=(0.125 * cells.shape[1] + 1.5, 0.21 * len(rows) + 0.6), layout="constrained")
    axes: Axes = figure.subplots()
    for row, places in enumerate(rows):
        cells[row, : len(places)] = nats[places]
        for column, place in enumerate(places):
            if characters[place] != " ":
                colour = "white" if nats[place] > 0.7 * LARGEST_NATS else "black"
                axes.text(
                    column, row, shown(characters[place]), ha="center", va="center", color=colour, fontsize=8.5,
                    family="monospace",
                )  # fmt: skip
    picture = axes.imshow(cells, aspect="auto", cmap="YlOrRd", vmin=0, vmax=LARGEST_NATS, interpolation="none")
    axes.set_axis_off()
    axes.set_title(title, fontsize=10)
    figure.colorbar(picture, ax=axes, pad=0.01, fraction=0.03, extend="max", label="nats", shrink=0.5)
    return figure


def _lines(characters: Sequence[str]) -> list[list[int]]:
    """The places of each line: broken behind a line end, at the last space before the margin, else at the margin."""
    lines: list[list[int]] = [[]]
    for place, character in enumerate(characters):
        if len(lines[-1]) == COLUMNS:
            spaces = [at for at, other in enumerate(lines[-1], 1) if characters[other] == " "]
            cut = spaces[-1] if spaces else COLUMNS
            lines[-1:] = [lines[-1][:cut], lines[-1][cut:]]
        lines[-1].append(place)
        if character == "\n":
            lines.append([])
    return lines if lines[-1] else lines[:-1]


def draw_places(parts: Array, in_word: NDArray[np.bool_], nats: Array, title: str) -> Figure:
    """Left: the loss by part of the text, from its beginning to its end. Right: by the place within a word.

    in_word: of each token, whether it is a letter or a digit.
    """
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(range(1, len(parts) + 1), parts, marker="o", color="C1")
    left.axhline(nats.mean(), color="black", linewidth=1, linestyle="--", label=f"mean {nats.mean():.3f}")
    left.set_xticks(range(1, len(parts) + 1))
    left.set_xlabel(f"part of the test split, of {len(parts)}")
    left.set_ylabel("nats")
    left.legend(frameon=False)

    place = np.minimum(_place_in_word(in_word), LONGEST_WORD)
    met = np.unique(place)
    means = [nats[place == number].mean() for number in met]
    right.bar(met, means, color=["C7" if number == 0 else "C1" for number in met])
    names = {0: "no\nletter", LONGEST_WORD: f"{LONGEST_WORD}+"}
    right.set_xticks(met, [names.get(number, str(number)) for number in met.tolist()])
    right.set_xlabel("place of the letter in its word")
    right.set_ylabel("nats")
    figure.suptitle(title, fontsize=10)
    return figure


def _place_in_word(in_word: NDArray[np.bool_]) -> NDArray[np.int64]:
    """1 for the first letter of a word, 2 for the second, 0 between words."""
    places = np.arange(1, len(in_word) + 1)
    result: NDArray[np.int64] = places - np.maximum.accumulate(np.where(in_word, 0, places))
    return result


def draw_next(characters: Sequence[str], p: Array, tokens: Sequence[str]) -> Figure:
    """Below each character of a line, what was the likeliest to follow it; framed is what did.

    characters: of the line, and the one behind it. p: (line, tokens), the probability of each as the next one.
    """
    best = np.argsort(-p, axis=1, kind="stable")[:, :CANDIDATES]
    figure = Figure(figsize=(1.5 + 0.145 * len(p), 2.3), layout="constrained")
    axes: Axes = figure.subplots()
    shares = np.take_along_axis(p, best, axis=1).T
    picture = axes.imshow(shares, aspect="auto", cmap="Greens", vmin=0, vmax=1, interpolation="none")
    for column, candidates in enumerate(best):
        for row, token in enumerate(candidates):
            right = tokens[token] == characters[column + 1]
            colour = "white" if p[column, token] > 0.6 else "black"
            axes.text(
                column, row, shown(tokens[token]), ha="center", va="center", color=colour, fontsize=8.5,
                family="monospace", weight="bold" if right else "normal",
            )  # fmt: skip
            if right:
                axes.add_patch(mpl.patches.Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="C1"))
    axes.xaxis.tick_top()
    axes.set_xticks(range(len(p)), [shown(character) for character in characters[: len(p)]], family="monospace")
    axes.tick_params(length=0)
    axes.set_yticks(range(best.shape[1]), [str(rank) for rank in range(1, best.shape[1] + 1)])
    axes.set_ylabel("rank")
    axes.set_xlabel("what was likeliest to follow the character above; framed is what did")
    figure.colorbar(picture, ax=axes, pad=0.01, fraction=0.03, label="probability")
    return figure
