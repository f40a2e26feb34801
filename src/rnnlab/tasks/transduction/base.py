"""What all tasks share that answer with a text: letting a net write it, metrics of texts, pictures and samples."""

from abc import abstractmethod
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rnnlab.data.batches import Batch, Batches
from rnnlab.data.ragged import Ragged
from rnnlab.data.vocabulary import Vocabulary
from rnnlab.statistics import proportion_interval
from rnnlab.tasks.task import Array, Model, Split, Task

MEASURES: dict[str, Literal["min", "max"]] = {
    "exact_match": "max",
    "character_error_rate": "min",
    "word_error_rate": "min",
    "bleu": "max",
    "chrf": "max",
}

PARTS = 6
SAMPLES = 12
SHOWN_CHARACTERS = 64


class Written(Task):
    """A task that writes a text for each example, token by token. A task that derives from it sets what `open` finds:

    measures: some of `MEASURES`; the first one ranks, and says what `losses` are.
    vocabulary: of what is written. separator: what stands between two tokens of a text: "" where tokens are characters,
    " " where they are words.
    longest: how many tokens may be written, END included. beam: width of the search for the likeliest text, 1: greedy.
    parts: what the parts of the test split differ in that pictures tell apart, see `part`.

    The table of predictions has a row for each test example: `source`, what was read, as text; the `reference`; what
    was `written`; and what `columns` adds.
    """

    measures: tuple[str, ...]
    vocabulary: Vocabulary
    separator: str
    longest: int
    beam: int
    parts: str = "length of the source"

    @abstractmethod
    def texts(self, split: Split) -> tuple[list[str], list[str]]:
        """Sources and references of a split, in the order in which the examples lie; what has no text has a name."""

    def columns(self) -> dict[str, Any]:
        """Further columns of the table of predictions: what the errors may depend on, such as a language."""
        return {}

    def part(self, predictions: pd.DataFrame) -> "pd.Series[str]":
        """Which part of the test split each row belongs to in pictures; here, how long the source is."""
        return by_length(predictions["source"], self.separator)

    def text(self, numbers: list[int]) -> str:
        """The tokens up to END, as a text."""
        return self.separator.join(self.vocabulary.decode(numbers))

    def write(self, model: Model, batch: Batch) -> list[str]:
        """What the net writes for each example of a batch."""
        decoded = model.net.decode(batch.to(model.device), self.longest, self.beam)
        return [self.text(numbers) for numbers in decoded.tokens.tolist()]

    def table(self, written: list[str]) -> pd.DataFrame:
        """Predictions from a text for each test example, in the order in which the examples lie."""
        sources, references = self.texts("test")
        return pd.DataFrame({"source": sources, "reference": references, "written": written, **self.columns()})

    def predict(self, model: Model) -> pd.DataFrame:
        model.eval()
        loader = self.loader("test")
        assert isinstance(loader, Batches)
        found = [text for batch in loader for text in self.write(model, batch)]
        written = [""] * len(found)
        for position, text in zip(loader.positions().tolist(), found, strict=True):
            written[position] = text
        return self.table(written)

    def say(self, model: Model, batch: Batch, table: pd.DataFrame) -> pd.DataFrame:
        """The text that is `written` for each row."""
        return pd.DataFrame({"written": self.write(model, batch)}, index=table.index)

    def losses(self, predictions: pd.DataFrame) -> Array:
        """Of each text, as the first measure has it.

        exact_match: 0 for a right one, 1 for another. An error rate: that of the text. bleu, chrf: 1 - chrF / 100 of
        the text, as BLEU says little of a single one.
        """
        written, reference = predictions["written"], predictions["reference"]
        if self.measures[0] == "exact_match":
            return 1.0 - _exact(predictions)
        if self.measures[0] in ("bleu", "chrf"):
            from sacrebleu.metrics.chrf import CHRF

            score = CHRF().sentence_score
            return np.array(
                [1 - score(text, [true]).score / 100 for text, true in zip(written, reference, strict=True)]
            )
        rate = _character_error_rate if self.measures[0] == "character_error_rate" else _word_error_rate
        return np.array([rate([text], [true]) for text, true in zip(written, reference, strict=True)])

    def judge(self, predictions: pd.DataFrame) -> dict[str, float]:
        """Those of these that the task names:

        exact_match           share of texts written without any error; _low, _high: its 95 % interval (Wilson)
        character_error_rate  Σ edit distance / Σ length of the references, in characters; word_error_rate: in words
        bleu                  Papineni et al. (2002) as sacrebleu computes it, 0 to 100, whatever the case; its own
                              tokens ("13a") of words, single characters where those are the tokens
        chrf                  F₂ of character n-grams, n up to 6 (Popović 2015), 0 to 100
        """
        written, reference = predictions["written"].tolist(), predictions["reference"].tolist()
        result = {}
        for measure in self.measures:
            result[measure] = self._measure(measure, written, reference)
            if measure == "exact_match":
                result["exact_match_low"], result["exact_match_high"] = proportion_interval(_exact(predictions), 1)
        return result

    def _measure(self, measure: str, written: list[str], reference: list[str]) -> float:
        from sacrebleu.metrics.bleu import BLEU
        from sacrebleu.metrics.chrf import CHRF

        if measure == "exact_match":
            return float(np.mean([text == true for text, true in zip(written, reference, strict=True)]))
        if measure == "character_error_rate":
            return _character_error_rate(written, reference)
        if measure == "word_error_rate":
            return _word_error_rate(written, reference)
        if measure == "bleu":
            # force: texts made of words with spaces between them are as they should be
            bleu = BLEU(tokenize="13a" if self.separator else "char", lowercase=True, force=True)
            return float(bleu.corpus_score(written, [reference]).score)
        return float(CHRF().corpus_score(written, [reference]).score)

    def plot_rows(self, predictions: list[pd.DataFrame]) -> pd.DataFrame:
        """The measure that ranks, by part."""
        whole = pd.concat(predictions, ignore_index=True)
        rows = []
        for part, table in whole.groupby(self.part(whole), sort=True, observed=True):
            score = self._measure(self.measures[0], table["written"].tolist(), table["reference"].tolist())
            rows.append({"part": str(part), "score": score, "examples": len(table) // len(predictions)})
        return pd.DataFrame(rows)

    def figures(self, predictions: list[pd.DataFrame], name: str) -> dict[str, Figure]:
        return {
            "parts": draw_parts(self.plot_rows(predictions), self.measures[0], self.parts, name),
            "written": draw_written(predictions[0], name),
        }

    def samples(self, model: Model) -> dict[str, str | bytes]:
        """Some examples of the validation part, what is written beside what should be."""
        loader = self.loader("validation")
        assert isinstance(loader, Batches)
        sources, references = self.texts("validation")
        indices = _spread(np.arange(len(sources)), SAMPLES)
        written = self.write(model, loader.take(torch.from_numpy(indices)))
        return {
            "written.txt": "\n".join(
                f"source     {sources[index]}\nreference  {references[index]}\nwritten    {text}\n"
                for index, text in zip(indices, written, strict=True)
            )
        }


def write_texts(folder: Path, name: str, texts: list[str]) -> None:
    """Keep texts beside the arrays that were made of them."""
    Ragged.write(folder, name, [np.frombuffer(text.encode(), np.uint8) for text in texts], np.uint8)


def read_texts(folder: Path, name: str) -> list[str]:
    texts = Ragged.open(folder, name)
    return [texts[index].tobytes().decode() for index in range(len(texts))]


def by_length(texts: "pd.Series[str]", separator: str = "") -> "pd.Series[str]":
    """For each text the range of lengths it falls into, such as "8-11", in tokens; as many texts in each as can be."""
    lengths = texts.str.count(separator) + 1 if separator else texts.str.len()
    edges = np.unique(np.quantile(lengths, np.arange(1, PARTS) / PARTS, method="nearest"))
    part = np.searchsorted(edges, lengths, side="right")
    names = {}
    for number in np.unique(part):
        inside = lengths[part == number]
        names[number] = str(inside.min()) if inside.min() == inside.max() else f"{inside.min()}-{inside.max()}"
    labels = pd.Categorical([names[number] for number in part], list(names.values()), ordered=True)
    return pd.Series(labels, texts.index)


def _exact(predictions: pd.DataFrame) -> Array:
    return np.asarray(predictions["written"] == predictions["reference"], np.float64)


def _character_error_rate(written: list[str], reference: list[str]) -> float:
    from torchmetrics.functional.text import char_error_rate

    return float(char_error_rate(written, reference))


def _word_error_rate(written: list[str], reference: list[str]) -> float:
    from torchmetrics.functional.text import word_error_rate

    return float(word_error_rate(written, reference))


def draw_parts(rows: pd.DataFrame, measure: str, parts: str, name: str) -> Figure:
    """A bar for each part of the test split; parts: what they differ in."""
    figure = Figure(figsize=(max(4.0, 1.6 + 0.6 * len(rows)), 3.6), layout="constrained")
    axes: Axes = figure.subplots()
    bars = axes.bar(rows["part"], rows["score"], color="C1", width=0.7)
    axes.bar_label(bars, fmt="%.3g" if rows["score"].max() <= 1 else "%.0f", fontsize=8)
    axes.set_xlabel(parts)
    axes.set_ylabel(measure.replace("_", " "))
    axes.margins(y=0.1)
    axes.tick_params(axis="x", rotation=90 if rows["part"].str.len().max() > 8 else 0)
    axes.set_title(name, fontsize=10)
    return figure


def draw_written(predictions: pd.DataFrame, name: str) -> Figure:
    """Some rows of the table of predictions, half of them with an error where there are as many; errors are red."""
    right = _exact(predictions) == 1
    shown = max(SAMPLES // 2, SAMPLES - int((~right).sum()))
    without = _spread(np.flatnonzero(right), shown)
    rows = np.sort(np.concatenate([without, _spread(np.flatnonzero(~right), SAMPLES - len(without))]))
    columns = ["source", "reference", "written"]
    cells = [columns, *([_shortened(str(cell)) for cell in row] for row in predictions[columns].to_numpy()[rows])]
    widths = [3 + max(len(row[index]) for row in cells) for index in range(len(columns))]
    figure = Figure(figsize=(0.2 + 0.08 * sum(widths), 0.5 + 0.24 * len(cells)), layout="constrained")
    axes: Axes = figure.subplots()
    axes.set(xlim=(0, sum(widths)), ylim=(len(cells) - 0.5, -0.5))
    axes.set_title(f"{name}: {right.mean():.1%} of all texts are right; errors are red", fontsize=10, loc="left")
    axes.set_axis_off()
    axes.axhline(0.5, color="black", linewidth=0.8)
    for row, texts in enumerate(cells):
        colour = "black" if row == 0 or right[rows[row - 1]] else "C3"
        for index, text in enumerate(texts):
            # no formulas: a dollar is a dollar
            axes.text(
                sum(widths[:index]),
                row,
                text,
                color=colour if index == 2 else "black",
                va="center",
                fontsize=9,
                parse_math=False,
            )
    return figure


def _spread(indices: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """At most `count` of the indices, at even distances."""
    chosen: NDArray[np.intp] = indices[np.linspace(0, len(indices) - 1, min(count, len(indices))).astype(int)]
    return chosen


def _shortened(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"
