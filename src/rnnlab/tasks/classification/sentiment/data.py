"""Is a review for or against what it speaks of?"""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from torch import Tensor

from rnnlab.data.batches import Batch, Batches, ByLength
from rnnlab.data.ragged import Ragged
from rnnlab.data.splits import split_by_class
from rnnlab.data.vocabulary import SPECIAL, UNKNOWN, Vocabulary
from rnnlab.data.words import words
from rnnlab.datasets.reviews import LabelledTexts, Reviews
from rnnlab.errors import UserError
from rnnlab.losses import CrossEntropy
from rnnlab.spec import TaskSpec
from rnnlab.statistics import proportion_interval
from rnnlab.tasks.baselines.linear import class_frequencies
from rnnlab.tasks.baselines.ngrams import NGrams, nb_svm
from rnnlab.tasks.classification.base import METRICS, Classification
from rnnlab.tasks.raw_input import Column, refuse, sequences, texts
from rnnlab.tasks.task import SPLITS, Array, Model, Split, check_parts, check_whole

CLASSES = ("negative", "positive")

AT_LEAST = 2
"""A word met once in training stays unknown, so that training shows what an unknown word is worth."""

BUCKETS = 5
"""Of about as many test reviews each, by length."""

SHOWN = 3
"""Reviews of each class that are shown word by word."""
SHOWN_WORDS = 16
LINE = 100  # characters


class SentimentData(Classification):
    """A review as a sequence of words, and whether it is negative (0) or positive (1):

        input    effective  but  too  tepid  biopic        target   0

    Of IMDB the official test split is kept; of the other sources, where each text counts once, a share is drawn for it,
    the same of each class and the same whatever the seed. So is the validation part, from the rest. The vocabulary is
    learnt from the training part. Of a review with more than `longest` words the last ones are kept, for there the
    verdict stands; the baseline reads the same.
    """

    reference: ClassVar[str] = "nb_svm"
    learnt: ClassVar[tuple[str, ...]] = ("vocabulary", "longest")

    def __init__(
        self,
        name: str,
        vocabulary: int = 20000,
        longest: int = 400,
        validation: float = 0.1,
        test: float = 0.2,
        batch_size: int = 32,
    ) -> None:
        super().__init__()
        self.task_name = name
        self.vocabulary_size = vocabulary
        self.longest = longest
        self.validation = validation
        self.test = test
        self.batch_size = batch_size

    def check(self) -> None:
        for key, value in (("vocabulary", self.vocabulary_size), ("longest", self.longest)):
            check_whole(key, value)
        check_parts(self.validation, self.test)
        check_whole("batch_size", self.batch_size)

    def prepare(self, dataset: Reviews, raw: Path, folder: Path) -> dict[str, Any]:
        reviews = dataset.read(raw)
        notes = []
        if not reviews.is_test.any():
            given = reviews
            reviews, contradicted = _each_once(given)
            repeated = len(given.texts) - len(reviews.texts)
            notes.append(f"left out: {repeated} reviews whose text came before" if repeated else None)
            if contradicted:
                notes.append(f"of {contradicted} texts that stand under both labels, the first label is kept")
        splits = split_by_class(reviews.labels, self.validation, self.test, reviews.is_test, dataset.classes)
        # words twice, once to learn and once to write: to keep them all would take many times the memory of the text
        training = (words(reviews.texts[index]) for index in splits["train"])
        vocabulary = Vocabulary.fit(training, self.vocabulary_size, AT_LEAST)
        if len(vocabulary) < len(SPECIAL) + 2:
            raise UserError(
                f"The training part has {len(vocabulary) - len(SPECIAL)} words that occur at least {AT_LEAST} times; "
                "two are needed: give more reviews, or a larger task.vocabulary."
            )
        lengths, unknown = {}, {}
        for split, indices in splits.items():
            found = [self._numbers(reviews, index, vocabulary) for index in indices]
            lengths[split] = np.array([len(numbers) for numbers in found])
            unknown[split] = np.mean([(numbers == UNKNOWN).mean() for numbers in found])
            Ragged.write(folder, split, [numbers[-self.longest :] for numbers in found], np.int32)
            np.save(folder / f"{split}_labels.npy", reviews.labels[indices])
        return {
            "vocabulary": vocabulary.as_list(),
            "longest": self.longest,
            "report": {
                **{split: _described(reviews.labels[indices], lengths[split]) for split, indices in splits.items()},
                "test split": "official" if reviews.is_test.any() else "drawn",
                "longer than task.longest": f"{np.mean(np.concatenate(list(lengths.values())) > self.longest):.1%}",
                "vocabulary": f"{len(vocabulary) - len(SPECIAL)} words",
                "unknown words": f"{unknown['train']:.1%} in training, {unknown['test']:.1%} in the test part",
                "notes": [*notes, _known(reviews, splits)],
            },
        }

    def _numbers(self, reviews: LabelledTexts, index: int, vocabulary: Vocabulary) -> NDArray[np.int32]:
        found = words(reviews.texts[index])
        if not found:
            raise UserError(f"{reviews.places[index]}: the review has no word in it; mend or delete it.")
        return vocabulary.encode(found)

    def open(self, folder: Path, meta: dict[str, Any], seed: int) -> None:
        self.restore(meta)
        self.seed = seed
        self._reviews = {split: Ragged.open(folder, split) for split in SPLITS}
        self._labels = {split: torch.from_numpy(np.load(folder / f"{split}_labels.npy")) for split in SPLITS}
        self.test_labels = self._labels["test"].numpy()

    def restore(self, learnt: dict[str, Any]) -> None:
        self.meta = learnt
        self.vocabulary = Vocabulary.from_list(learnt["vocabulary"])
        self.classes = list(CLASSES)
        self.spec = TaskSpec(
            task=self.task_name,
            layout="many_to_one",
            input_size=len(self.vocabulary),
            output_size=2,
            loss=CrossEntropy(),
            metrics=METRICS,
            rank_by="accuracy",
            tokens=True,
        )

    def raw_columns(self) -> dict[str, Column]:
        return {"text": Column("text", "a review")}

    def raw_example(self) -> pd.DataFrame:
        return pd.DataFrame({"text": ["A warm, funny and engaging film.", "Not even the actors seem to care."]})

    def encode(self, table: pd.DataFrame) -> Batch:
        found = [words(text) for text in texts(table, "text")]
        for row, each in zip(table.index, found, strict=True):
            if not each:
                refuse(row, "text", "there is no word in it")
        longest = self.meta["longest"]
        return sequences([self.vocabulary.encode(each)[-longest:] for each in found])

    def loader(self, split: Split) -> Batches:
        reviews, labels = self._reviews[split], self._labels[split]

        def take(indices: Tensor) -> Batch:
            inputs, lengths = reviews.take(indices)
            return Batch(inputs, labels[indices], lengths)

        return Batches(take, ByLength(reviews.lengths, self.seed if split == "train" else None), self.batch_size)

    def columns(self) -> dict[str, Any]:
        """length: of the review, in words."""
        return {"length": self._reviews["test"].lengths.numpy()}

    def baselines(self) -> dict[str, pd.DataFrame]:
        """nb_svm: NB-SVM on words and pairs of neighbouring words. frequency: each class as often as in training."""
        y, y_validation = (self._labels[split].numpy() for split in ("train", "validation"))
        ngrams = NGrams(self._reviews["train"], len(self.vocabulary), sizes=(1, 2))
        x = {split: ngrams.features(self._reviews[split]) for split in SPLITS}
        return {
            "nb_svm": self.table(nb_svm(x["train"], y, x["validation"], y_validation, x["test"])),
            "frequency": self.table(class_frequencies(y, len(self.test_labels), 2)),
        }

    def plot_rows(self, predictions: list[pd.DataFrame]) -> pd.DataFrame:
        """Accuracy by length: `part` in words, with how many reviews and its 95 % interval."""
        return by_length(predictions)

    def figures(self, predictions: list[pd.DataFrame], name: str) -> dict[str, Figure]:
        return {**super().figures(predictions, name), "by_length": draw_by_length(by_length(predictions), name)}

    def look(self, model: Model) -> dict[str, Figure]:
        """What the net would have said after each word of some short test reviews, the same for every net."""
        model.eval()
        reviews, shown = self._reviews["test"], []
        order = np.argsort(np.abs(reviews.lengths.numpy() - SHOWN_WORDS), kind="stable")
        for label in (1, 0):
            for index in order[self.test_labels[order] == label][:SHOWN]:
                tokens = [_shown(self.vocabulary.tokens[number]) for number in reviews[index]]
                shown.append((tokens, p_positive_by_word(model, reviews[index]), self.classes[label]))
        return {"word_by_word": draw_word_by_word(shown)}


def _described(labels: NDArray[np.int64], lengths: NDArray[np.int64]) -> str:
    return (
        f"{len(labels)} reviews, {labels.mean():.1%} positive, of {lengths.min()} to {lengths.max()} words, "
        f"in the median {np.median(lengths):.0f}"
    )


def _each_once(reviews: LabelledTexts) -> tuple[LabelledTexts, int]:
    """Each text where it comes first, so that none of the test part was seen in training; how many have both labels."""
    first: dict[str, int] = {}
    contradicted = set()
    for index, (text, label) in enumerate(zip(reviews.texts, reviews.labels, strict=True)):
        if label != reviews.labels[first.setdefault(text, index)]:
            contradicted.add(text)
    kept = list(first.values())
    places = [reviews.places[index] for index in kept]
    return LabelledTexts(list(first), reviews.labels[kept], reviews.is_test[kept], places), len(contradicted)


def _known(reviews: LabelledTexts, splits: dict[str, NDArray[np.int64]]) -> str | None:
    """Of an official test split, which is kept as it is."""
    training = {reviews.texts[index] for index in splits["train"]}
    count = sum(reviews.texts[index] in training for index in splits["test"])
    return f"{count} texts of the test part stand in the training part, too" if count else None


def p_positive_by_word(model: Model, tokens: NDArray[np.integer]) -> Array:
    """p(positive | the first t words), for each t, (words,)."""
    size = len(tokens)
    prefixes = torch.from_numpy(tokens.astype(np.int64)).expand(size, size).tril()
    batch = Batch(prefixes, torch.zeros(size, dtype=torch.long), torch.arange(1, size + 1))
    with torch.inference_mode():
        found: Tensor = model(batch.to(model.device))
    result: Array = found.double().softmax(dim=1)[:, 1].cpu().numpy()
    return result


def by_length(predictions: list[pd.DataFrame]) -> pd.DataFrame:
    """Accuracy in `BUCKETS` of about as many reviews each, from the shortest to the longest, mean of the tables."""
    length = predictions[0]["length"].to_numpy()
    right = np.mean([table["label"] == table["predicted"] for table in predictions], axis=0)
    edges = np.unique(np.quantile(length, np.linspace(0, 1, BUCKETS + 1)[1:], method="lower"))
    bucket = np.searchsorted(edges, length)
    rows = []
    for number in np.unique(bucket):
        inside = bucket == number
        first, last = length[inside].min(), length[inside].max()
        low, high = proportion_interval(right[inside], 1)
        part = f"{first} to {last}" if first < last else str(first)
        rows.append({"part": part, "score": right[inside].mean(), "low": low, "high": high, "reviews": inside.sum()})
    return pd.DataFrame(rows)


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


def draw_word_by_word(shown: list[tuple[list[str], Array, str]]) -> Figure:
    """Each word on the colour of p(positive) once it has been read; behind the end of each review, what it is."""
    cells = [list(_laid_out(tokens)) for tokens, _, _ in shown]
    lines = [1 + max(line for line, _ in places) for places in cells]
    height = sum(lines) + 0.6 * len(shown)
    figure = Figure(figsize=(11, 1.1 + 0.24 * height), layout="constrained")
    axes = figure.subplots()
    colours = figure.colorbar(
        axes.imshow([[0.0]], cmap="RdBu", vmin=0, vmax=1, visible=False), ax=axes, shrink=0.8, pad=0.01
    )
    colours.set_label("p(positive) after this word")
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
        verdict = f"{p[-1]:.2f}, is {label}"
        axes.text(LINE + 2, top + count / 2, verdict, va="center", fontsize=8)
        top += count + 0.6
    axes.set_xlim(0, LINE + 18)
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
