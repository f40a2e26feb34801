"""What all tasks share that answer with a text: letting a net write it, metrics of texts, and samples."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from rnnlab.arguments import Positive, check_arguments
from rnnlab.data.batches import Batch, Batches
from rnnlab.output import progress
from rnnlab.statistics import proportion_interval
from rnnlab.tasks.judging import Judging, Model, losses_of_ratio
from rnnlab.tasks.task import Array, Split
from rnnlab.tasks.transduction.data import TransductionData

if TYPE_CHECKING:
    from sacrebleu.metrics.bleu import BLEU

PARTS = 6
SAMPLES = 12

ERROR_RATES = ("character_error_rate", "word_error_rate")


class TransductionJudging(Judging):
    """The table of predictions has a row for each example: `source`, what was read, as text; the `reference`; what
    was `written`; and what `columns` adds.

    beam: width of the search for the likeliest text, 1: greedy.
    """

    task: TransductionData

    def __init__(self, task: TransductionData, beam: Positive = 1) -> None:
        super().__init__(task)
        check_arguments(type(self), {"beam": beam}, "task.")  # answers to raw input need no package that judges
        self.beam = beam

    def columns(self, split: Split) -> dict[str, Any]:
        """Further columns of the table of predictions: what the errors may depend on, such as a language."""
        return {}

    def unit(self, predictions: pd.DataFrame) -> "pd.Series[Any]":
        """Which `spec.unit` each row belongs to; here, each is one by itself."""
        return pd.Series(np.arange(len(predictions)), predictions.index)

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

    def table(self, written: list[str], split: Split = "test") -> pd.DataFrame:
        """Predictions from a text for each example of the split, in the order in which the examples lie."""
        sources, references = self.task.texts(split)
        return pd.DataFrame({"source": sources, "reference": references, "written": written, **self.columns(split)})

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
        """Of each unit, as the first measure has it: the share of its texts that are wrong, or their edits by their
        length; 100 less its pseudo-value of BLEU (`_pseudo_values`).

        Raises: `ValueError` for chrf, which is linearised by none of these.
        """
        measure = self.task.measures[0]
        written, reference = predictions["written"].tolist(), predictions["reference"].tolist()
        if measure == "bleu":
            return 100 - _pseudo_values(self._bleu(), written, reference, self.unit(predictions))
        if measure == "exact_match":
            return self._by_unit(predictions, 1 - exact(predictions), np.ones(len(predictions)))
        if measure in ERROR_RATES:
            return self._by_unit(predictions, *edits(written, reference, measure))
        raise ValueError(f"{measure} cannot rank: there are no losses whose mean it is")

    def _by_unit(self, predictions: pd.DataFrame, errors: Array, sizes: Array) -> Array:
        """Losses of units, from errors and sizes of texts."""
        table = pd.DataFrame({"errors": errors, "sizes": sizes})
        summed = table.groupby(self.unit(predictions).to_numpy(), observed=True).sum()
        return losses_of_ratio(summed["errors"].to_numpy(), summed["sizes"].to_numpy())

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
                wrong = self._by_unit(predictions, 1 - exact(predictions), np.ones(len(predictions)))
                result["exact_match_low"], result["exact_match_high"] = proportion_interval(1 - wrong)
        return result

    def _measure(self, measure: str, written: list[str], reference: list[str]) -> float:
        if measure == "exact_match":
            return float(np.mean([text == true for text, true in zip(written, reference, strict=True)]))
        if measure in ERROR_RATES:
            errors, sizes = edits(written, reference, measure)
            return float(errors.sum() / sizes.sum())
        if measure == "bleu":
            return float(self._bleu().corpus_score(written, [reference]).score)
        from sacrebleu.metrics.chrf import CHRF

        return float(CHRF().corpus_score(written, [reference]).score)

    def _bleu(self) -> "BLEU":
        from sacrebleu.metrics.bleu import BLEU

        # force: texts made of words with spaces between them are as they should be
        return BLEU(tokenize="13a" if self.task.separator else "char", lowercase=True, force=True)

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


def edits(written: list[str], reference: list[str], measure: str) -> tuple[Array, Array]:
    """Of each text, how many edits make it its reference, and how long that is; measure: of which of `ERROR_RATES`."""
    from rapidfuzz.distance import Levenshtein

    tokens: Callable[[str], list[str]] = str.split if measure == "word_error_rate" else list
    pairs = [(tokens(text), tokens(true)) for text, true in zip(written, reference, strict=True)]
    errors = np.array([Levenshtein.distance(text, true) for text, true in pairs], np.float64)
    return errors, np.array([len(true) for _, true in pairs], np.float64)


def _pseudo_values(bleu: "BLEU", written: list[str], reference: list[str], unit: "pd.Series[Any]") -> Array:
    """The jackknife's n θ - (n - 1) θ₋ᵢ of each unit (Tukey 1958), all moved by the same so that their mean is θ.

    θ: the BLEU of all texts; θ₋ᵢ: that of all but the i-th of n units. The standard error of the mean is that of θ, by
    the jackknife. The counts that BLEU is made of are sums over texts, so that leaving some out is a subtraction.
    """
    scores = [bleu.corpus_score([text], [[true]]) for text, true in zip(written, reference, strict=True)]
    counts = pd.DataFrame([[score.sys_len, score.ref_len, *score.counts, *score.totals] for score in scores])
    whole = counts.sum().to_numpy()
    without = whole - counts.groupby(unit.to_numpy(), observed=True).sum().to_numpy()

    def score_of(counted: NDArray[np.int64]) -> float:
        sys_len, ref_len, *rest = counted.tolist()
        orders = len(rest) // 2
        correct, total = rest[:orders], rest[orders:]
        return float(bleu.compute_bleu(correct, total, sys_len, ref_len, smooth_method=bleu.smooth_method).score)

    score, left_out = score_of(whole), np.array([score_of(each) for each in without])
    values: Array = score - (len(left_out) - 1) * (left_out - left_out.mean())
    return values


def spread(size: int, count: int) -> NDArray[np.int64]:
    """`count` indices from the first to the last of `size`, at even distances; all where there are fewer."""
    return np.linspace(0, size - 1, min(count, size)).astype(np.int64)
