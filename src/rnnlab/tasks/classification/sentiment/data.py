"""Is a review for or against what it speaks of? Or, of a user's own texts, which class is each?"""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnlab.arguments import Part, Positive
from rnnlab.data.batches import Batch, Batches, ByLength
from rnnlab.data.ragged import Ragged
from rnnlab.data.splits import Splits, split_by_class, with_training
from rnnlab.data.tables.labelled import TEXTS
from rnnlab.data.vocabulary import SPECIAL, UNKNOWN, Vocabulary
from rnnlab.data.words import words
from rnnlab.datasets.reviews import CLASSES, LabelledTexts, Reviews
from rnnlab.errors import UserError
from rnnlab.losses import CrossEntropy
from rnnlab.output import progress
from rnnlab.spec import TaskSpec
from rnnlab.tasks.classification.data import METRICS, ClassificationData
from rnnlab.tasks.raw_input import Column, refuse, sequences, texts
from rnnlab.tasks.task import SPLITS, Split, check_parts

SHOWN_CLASSES = 6
"""The most frequent ones, of many, whose shares are reported."""

AT_LEAST = 2
"""A word met once in training stays unknown, so that training shows what an unknown word is worth."""


class SentimentData(ClassificationData):
    """A review as a sequence of words, and whether it is negative (0) or positive (1):

        input    effective  but  too  tepid  biopic        target   0

    A user's own texts may have any number of classes, which keep their names.

    An official test split is kept, as IMDB has one; of other sources, where each text counts once, a share is drawn for
    it, the same of each class and the same whatever the seed. So is the validation part, from the rest. The vocabulary
    is learnt from the training part. Of a review with more than `longest` words the last ones are kept, for there the
    verdict stands; the baseline reads the same.
    """

    learnt: ClassVar[tuple[str, ...]] = ("vocabulary", "longest", "classes", "columns")

    def __init__(
        self,
        name: str,
        vocabulary: Positive = 20000,
        longest: Positive = 400,
        validation: Part = 0.1,
        test: Part = 0.2,
        train: Positive | None = None,
        batch_size: Positive = 32,
    ) -> None:
        super().__init__()
        self.task_name = name
        self.vocabulary_size = vocabulary
        self.longest = longest
        self.validation = validation
        self.test = test
        self.train = train
        self.batch_size = batch_size

    def options(self) -> dict[str, Any]:
        return {**super().options(), "vocabulary": self.vocabulary_size}

    def check(self) -> None:
        super().check()
        check_parts(self.validation, self.test)

    def prepare(self, dataset: Reviews, raw: Path, folder: Path) -> dict[str, Any]:
        reviews = dataset.read(raw)
        notes: list[str | None] = [*reviews.notes]
        if not reviews.is_test.any():
            given = reviews
            reviews, contradicted = _each_once(given)
            repeated = len(given.texts) - len(reviews.texts)
            notes.append(f"left out: {repeated} reviews whose text came before" if repeated else None)
            if contradicted:
                several = "both" if len(reviews.classes) == 2 else "several"
                notes.append(f"of {contradicted} texts that stand under {several} labels, the first label is kept")
        splits = self.splits(reviews)
        # words twice, once to learn and once to write: to keep them all would take many times the memory of the text
        training = (
            words(reviews.texts[index]) for index in progress(splits["train"], f"{self.task_name}: learning the words")
        )
        vocabulary = Vocabulary.fit(training, self.vocabulary_size, AT_LEAST)
        if len(vocabulary) < len(SPECIAL) + 2:
            raise UserError(
                f"The training part has {len(vocabulary) - len(SPECIAL)} words that occur at least {AT_LEAST} times; "
                "two are needed: give more reviews, or a larger task.vocabulary."
            )
        lengths, unknown = {}, {}
        for split, indices in splits.items():
            reading = f"{self.task_name}: reading the {split} part"
            found = [self._numbers(reviews, index, vocabulary) for index in progress(indices, reading)]
            lengths[split] = np.array([len(numbers) for numbers in found])
            unknown[split] = np.mean([(numbers == UNKNOWN).mean() for numbers in found])
            Ragged.write(folder, split, [numbers[-self.longest :] for numbers in found], np.int32)
        return {
            "vocabulary": vocabulary.as_list(),
            "longest": self.longest,
            **({} if reviews.columns is None else {"columns": list(reviews.columns)}),
            **self.write_labels(reviews, splits, folder),
            "report": {
                **{split: self._described(reviews, indices, lengths[split]) for split, indices in splits.items()},
                "test split": "official" if reviews.is_test.any() else "drawn",
                "longer than task.longest": f"{np.mean(np.concatenate(list(lengths.values())) > self.longest):.1%}",
                "vocabulary": f"{len(vocabulary) - len(SPECIAL)} words",
                "unknown words": f"{unknown['train']:.1%} in training, {unknown['test']:.1%} in the test part",
                "notes": [*notes, _known(reviews, splits)],
            },
        }

    def splits(self, reviews: LabelledTexts) -> Splits:
        """The official parts, as far as there are any; the others are drawn, the same share of each class.

        Raises: `UserError` where training lacks a class, or a part is empty.
        """
        held_out = reviews.is_test if reviews.is_validation is None else reviews.is_test | reviews.is_validation
        for label, name in enumerate(reviews.classes):
            of_class = np.flatnonzero(reviews.labels == label)
            if held_out[of_class].all():
                raise UserError(
                    f"{reviews.places[of_class[0]]}: the label '{name}' is in no row of the training part, so that "
                    "nothing can learn it; give such rows, or leave these out."
                )
        splits = official_parts(reviews) or split_by_class(
            reviews.labels, self.validation, self.test, reviews.is_test, reviews.classes
        )
        return with_training(splits, self.train, reviews.labels)

    def write_labels(self, reviews: LabelledTexts, splits: Splits, folder: Path) -> dict[str, Any]:
        """Those of each part into a file; and what is learnt of them."""
        for split, indices in splits.items():
            np.save(folder / f"{split}_labels.npy", reviews.labels[indices])
        return {} if reviews.classes == CLASSES else {"classes": list(reviews.classes)}

    def labels_in_words(self, reviews: LabelledTexts, indices: NDArray[np.int64]) -> str:
        """The share of each class in a part; of many, of the most frequent ones."""
        counts = np.bincount(reviews.labels[indices], minlength=len(reviews.classes))
        shown = [1] if len(counts) == 2 else np.argsort(-counts, kind="stable")[:SHOWN_CLASSES]
        return ", ".join(f"{counts[label] / len(indices):.1%} {reviews.classes[label]}" for label in shown)

    def _described(self, reviews: LabelledTexts, indices: NDArray[np.int64], lengths: NDArray[np.int64]) -> str:
        return (
            f"{len(indices)} reviews, {self.labels_in_words(reviews, indices)}, of {lengths.min()} to {lengths.max()} "
            f"words, in the median {np.median(lengths):.0f}"
        )

    def _numbers(self, reviews: LabelledTexts, index: int, vocabulary: Vocabulary) -> NDArray[np.int32]:
        found = words(reviews.texts[index])
        if not found:
            raise UserError(f"{reviews.places[index]}: the review has no word in it; fix or delete it.")
        return vocabulary.encode(found)

    def open(self, folder: Path, meta: dict[str, Any], seed: int) -> None:
        self.restore(meta)
        self.seed = seed
        self.reviews = {split: Ragged.open(folder, split) for split in SPLITS}
        self.open_labels(folder)

    def open_labels(self, folder: Path) -> None:
        """What `write_labels` wrote."""
        self.labels = {split: np.load(folder / f"{split}_labels.npy") for split in SPLITS}

    def restore(self, learnt: dict[str, Any]) -> None:
        self.meta = {"classes": list(CLASSES), "columns": ["text", "label"], **learnt}
        self.vocabulary = Vocabulary.from_list(learnt["vocabulary"])
        self.classes = list(self.meta["classes"])
        self.spec = TaskSpec(
            task=self.task_name,
            layout="many_to_one",
            input_size=len(self.vocabulary),
            output_size=len(self.classes),
            loss=CrossEntropy(),
            metrics=METRICS,
            rank_by="accuracy",
            tokens=True,
            unit="review",
        )

    def raw_columns(self) -> dict[str, Column]:
        return {"text": Column("text", "a review", names=(self.meta["columns"][0], *TEXTS))}

    def raw_timestep(self) -> Column:
        return Column("text", "a word")

    def raw_example(self) -> pd.DataFrame:
        return pd.DataFrame({"text": ["A warm, funny and engaging film.", "Not even the actors seem to care."]})

    def encode(self, table: pd.DataFrame) -> Batch:
        found = [words(text) for text in texts(table, "text")]
        for row, each in zip(table.index, found, strict=True):
            if not each:
                refuse(row, "text", "there is no word in it")
        longest = self.meta["longest"]
        return sequences([self.vocabulary.encode(each)[-longest:] for each in found])

    def targets_of(self, split: Split) -> Tensor:
        """What the loss compares the net's outputs with, for each example of the split."""
        return torch.from_numpy(self.labels[split])

    def loader(self, split: Split) -> Batches:
        reviews, labels = self.reviews[split], self.targets_of(split)

        def take(indices: Tensor) -> Batch:
            inputs, lengths = reviews.take(indices)
            return Batch(inputs, labels[indices], lengths)

        return Batches(take, ByLength(reviews.lengths, self.seed if split == "train" else None), self.batch_size)


def official_parts(reviews: LabelledTexts) -> Splits | None:
    """Where all three parts are known; None where some are to be drawn.

    Raises: `UserError` where only the test part is missing.
    """
    if reviews.is_validation is None or not reviews.is_validation.any():
        return None
    if not reviews.is_test.any():
        raise UserError(f"{reviews.places[0].rsplit(', ', 1)[0]} has a validation part and no test part; give one.")
    train = ~(reviews.is_validation | reviews.is_test)
    parts = {"train": train, "validation": reviews.is_validation, "test": reviews.is_test}
    return {split: np.flatnonzero(inside) for split, inside in parts.items()}


def _each_once(reviews: LabelledTexts) -> tuple[LabelledTexts, int]:
    """Each text where it comes first, so that none of the test part was seen in training; how many have both labels."""
    first: dict[str, int] = {}
    contradicted = set()
    for index, (text, label) in enumerate(zip(reviews.texts, reviews.labels, strict=True)):
        if label != reviews.labels[first.setdefault(text, index)]:
            contradicted.add(text)
    kept = list(first.values())
    once = reviews._replace(
        texts=list(first),
        labels=reviews.labels[kept],
        is_test=reviews.is_test[kept],
        places=[reviews.places[index] for index in kept],
        is_validation=None if reviews.is_validation is None else reviews.is_validation[kept],
    )
    return once, len(contradicted)


def _known(reviews: LabelledTexts, splits: dict[str, NDArray[np.int64]]) -> str | None:
    """Of an official test split, which is kept as it is."""
    training = {reviews.texts[index] for index in splits["train"]}
    count = sum(reviews.texts[index] in training for index in splits["test"])
    return f"{count} texts of the test part stand in the training part, too" if count else None
