"""What all tasks share that answer with a text: letting a net write it, metrics of texts, and samples."""

from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from rnnlab.arguments import Positive, check_arguments
from rnnlab.data.batches import Batch, Batches
from rnnlab.output import progress
from rnnlab.statistics import proportion_interval
from rnnlab.tasks.judging import Judging, Model
from rnnlab.tasks.task import Array
from rnnlab.tasks.transduction.data import TransductionData

PARTS = 6
SAMPLES = 12


class TransductionJudging(Judging):
    """The table of predictions has a row for each test example: `source`, what was read, as text; the `reference`; what
    was `written`; and what `columns` adds.

    beam: width of the search for the likeliest text, 1: greedy.
    """

    task: TransductionData

    def __init__(self, task: TransductionData, beam: Positive = 1) -> None:
        super().__init__(task)
        check_arguments(type(self), {"beam": beam}, "task.")  # answers to raw input need no package that judges
        self.beam = beam

    def columns(self) -> dict[str, Any]:
        """Further columns of the table of predictions: what the errors may depend on, such as a language."""
        return {}

    @property
    def parts(self) -> str:
        """What the parts of the test split differ in, see `part`."""
        return "length of the source"

    def part(self, predictions: pd.DataFrame) -> "pd.Series[str]":
        """Which part of the test split each row belongs to in figures; here, how long the source is."""
        return by_length(predictions["source"], self.task.separator)

    def text(self, numbers: list[int]) -> str:
        """The tokens up to END, as a text."""
        return self.task.separator.join(self.task.vocabulary.decode(numbers))

    def write(self, model: Model, batch: Batch) -> list[str]:
        """What the net writes for each example of a batch."""
        decoded = model.net.decode(batch.to(model.device), self.task.longest, self.beam)
        return [self.text(numbers) for numbers in decoded.tokens.tolist()]

    def table(self, written: list[str]) -> pd.DataFrame:
        """Predictions from a text for each test example, in the order in which the examples lie."""
        sources, references = self.task.texts("test")
        return pd.DataFrame({"source": sources, "reference": references, "written": written, **self.columns()})

    def predict(self, model: Model) -> pd.DataFrame:
        model.eval()
        loader = self.task.loader("test")
        assert isinstance(loader, Batches)
        batches = progress(loader, f"{self.task.spec.task}: writing for the test part")
        found = [text for batch in batches for text in self.write(model, batch)]
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
        if self.task.measures[0] == "exact_match":
            return 1.0 - exact(predictions)
        if self.task.measures[0] in ("bleu", "chrf"):
            from sacrebleu.metrics.chrf import CHRF

            score = CHRF().sentence_score
            return np.array(
                [1 - score(text, [true]).score / 100 for text, true in zip(written, reference, strict=True)]
            )
        rate = _character_error_rate if self.task.measures[0] == "character_error_rate" else _word_error_rate
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
        for measure in self.task.measures:
            result[measure] = self._measure(measure, written, reference)
            if measure == "exact_match":
                result["exact_match_low"], result["exact_match_high"] = proportion_interval(exact(predictions), 1)
        return result

    def _measure(self, measure: str, written: list[str], reference: list[str]) -> float:
        if measure == "exact_match":
            return float(np.mean([text == true for text, true in zip(written, reference, strict=True)]))
        if measure == "character_error_rate":
            return _character_error_rate(written, reference)
        if measure == "word_error_rate":
            return _word_error_rate(written, reference)
        from sacrebleu.metrics.bleu import BLEU
        from sacrebleu.metrics.chrf import CHRF

        if measure == "bleu":
            # force: texts made of words with spaces between them are as they should be
            bleu = BLEU(tokenize="13a" if self.task.separator else "char", lowercase=True, force=True)
            return float(bleu.corpus_score(written, [reference]).score)
        return float(CHRF().corpus_score(written, [reference]).score)

    def plot_rows(self, predictions: list[pd.DataFrame]) -> pd.DataFrame:
        """The measure that ranks, by part."""
        whole = pd.concat(predictions, ignore_index=True)
        rows = []
        for part, table in whole.groupby(self.part(whole), sort=True, observed=True):
            score = self._measure(self.task.measures[0], table["written"].tolist(), table["reference"].tolist())
            rows.append({"part": str(part), "score": score, "examples": len(table) // len(predictions)})
        return pd.DataFrame(rows)

    def samples(self, model: Model) -> dict[str, str | bytes]:
        """Some examples of the validation part, what is written beside what should be."""
        loader = self.task.loader("validation")
        assert isinstance(loader, Batches)
        sources, references = self.task.texts("validation")
        indices = spread(len(sources), SAMPLES)
        written = self.write(model, loader.take(torch.from_numpy(indices)))
        return {
            "written.txt": "\n".join(
                f"source     {sources[index]}\nreference  {references[index]}\nwritten    {text}\n"
                for index, text in zip(indices, written, strict=True)
            )
        }


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


def exact(predictions: pd.DataFrame) -> Array:
    """1 for a text written without any error, else 0."""
    return np.asarray(predictions["written"] == predictions["reference"], np.float64)


def _character_error_rate(written: list[str], reference: list[str]) -> float:
    from torchmetrics.functional.text import char_error_rate

    return float(char_error_rate(written, reference))


def _word_error_rate(written: list[str], reference: list[str]) -> float:
    from torchmetrics.functional.text import word_error_rate

    return float(word_error_rate(written, reference))


def spread(size: int, count: int) -> NDArray[np.int64]:
    """`count` indices from the first to the last of `size`, at even distances; all where there are fewer."""
    return np.linspace(0, size - 1, min(count, size)).astype(np.int64)
