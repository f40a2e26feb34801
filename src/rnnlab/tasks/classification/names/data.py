"""Which language or country does a surname come from?"""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from rnnlab.data.batches import Batch, Batches, ByLength
from rnnlab.data.ragged import Ragged
from rnnlab.data.splits import SPLIT_SEED, split_by_class
from rnnlab.data.vocabulary import END, START, Vocabulary
from rnnlab.datasets.surnames import Surnames, plain_name
from rnnlab.losses import CrossEntropy
from rnnlab.spec import TaskSpec
from rnnlab.tasks.baselines.linear import class_frequencies, logistic_regression
from rnnlab.tasks.baselines.ngrams import NGrams
from rnnlab.tasks.classification.base import METRICS, Classification, f1_by_class
from rnnlab.tasks.raw_input import Column, sequences, texts
from rnnlab.tasks.task import SPLITS, Array, Split, check_parts, check_whole

AT_LEAST = 2
"""A letter met once in training stays unknown, so that training shows what an unknown letter is worth."""


class NamesData(Classification):
    """A surname as a sequence of letters, and its class:

        input    k  o  w  a  l  s  k  i        target   Polish

    Each name is in the data once, so that none of the test part was seen in training. Shares of each class are drawn
    for the test and the validation part, the same whatever the seed; the vocabulary of letters is learnt from the
    training part. Classes are of very unlike sizes, hence the ranking by macro F1.
    """

    reference: ClassVar[str] = "ngrams"
    learnt: ClassVar[tuple[str, ...]] = ("vocabulary", "classes")

    def __init__(
        self,
        name: str,
        per_class: int | None = None,
        validation: float = 0.1,
        test: float = 0.2,
        batch_size: int = 64,
    ) -> None:
        super().__init__()
        self.task_name = name
        self.per_class = per_class
        self.validation = validation
        self.test = test
        self.batch_size = batch_size

    def check(self) -> None:
        if self.per_class is not None:
            check_whole("per_class", self.per_class)
        check_parts(self.validation, self.test)
        check_whole("batch_size", self.batch_size)

    def prepare(self, dataset: Surnames, raw: Path, folder: Path) -> dict[str, Any]:
        surnames = dataset.read(raw)
        kept = self._drawn(surnames.labels)
        names, labels = [surnames.names[index] for index in kept], surnames.labels[kept]
        splits = split_by_class(labels, self.validation, self.test, names=surnames.classes)
        vocabulary = Vocabulary.fit((names[index] for index in splits["train"]), at_least=AT_LEAST)
        for split, indices in splits.items():
            Ragged.write(folder, split, (vocabulary.encode(names[index]) for index in indices), np.int32)
            np.save(folder / f"{split}_labels.npy", labels[indices])
        counts = np.bincount(labels, minlength=len(surnames.classes))
        return {
            "vocabulary": vocabulary.as_list(),
            "classes": surnames.classes,
            "report": {
                **{split: f"{len(indices)} names" for split, indices in splits.items()},
                "classes": ", ".join(f"{surnames.classes[label]} {counts[label]}" for label in np.argsort(-counts)),
                "longest": f"{max(map(len, names))} letters",
                "letters": "".join(vocabulary.as_list()[END + 2 :]),
                "notes": surnames.notes,
            },
        }

    def _drawn(self, labels: NDArray[np.int64]) -> NDArray[np.int64]:
        """The indices of at most `per_class` names of each class."""
        rng = np.random.default_rng(SPLIT_SEED)
        parts = [rng.permutation(np.flatnonzero(labels == label))[: self.per_class] for label in np.unique(labels)]
        return np.sort(np.concatenate(parts))

    def open(self, folder: Path, meta: dict[str, Any], seed: int) -> None:
        self.restore(meta)
        self.seed = seed
        self._names = {split: Ragged.open(folder, split) for split in SPLITS}
        self._labels = {split: torch.from_numpy(np.load(folder / f"{split}_labels.npy")) for split in SPLITS}
        self.test_labels = self._labels["test"].numpy()

    def restore(self, learnt: dict[str, Any]) -> None:
        self.meta = learnt
        self.vocabulary = Vocabulary.from_list(learnt["vocabulary"])
        self.classes = list(learnt["classes"])
        self.spec = TaskSpec(
            task=self.task_name,
            layout="many_to_one",
            input_size=len(self.vocabulary),
            output_size=len(self.classes),
            loss=CrossEntropy(),
            metrics=METRICS,
            rank_by="macro_f1",
            tokens=True,
        )

    def raw_columns(self) -> dict[str, Column]:
        return {"name": Column("text", "a surname")}

    def raw_example(self) -> pd.DataFrame:
        return pd.DataFrame({"name": ["kowalski", "okonkwo"]})

    def encode(self, table: pd.DataFrame) -> Batch:
        return sequences([self.vocabulary.encode(name) for name in map(plain_name, texts(table, "name"))])

    def loader(self, split: Split) -> Batches:
        names, labels = self._names[split], self._labels[split]

        def take(indices: Tensor) -> Batch:
            inputs, lengths = names.take(indices)
            return Batch(inputs, labels[indices], lengths)

        return Batches(take, ByLength(names.lengths, self.seed if split == "train" else None), self.batch_size)

    def columns(self) -> dict[str, Any]:
        """name: in letters, those unknown to training as <unknown>."""
        names = self._names["test"]
        return {"name": ["".join(self.vocabulary.decode(names[index])) for index in range(len(names))]}

    def losses(self, predictions: pd.DataFrame) -> Array:
        """A wrong answer costs n / (classes · names of its class), so that the mean is 1 - the mean recall."""
        label = predictions["label"].to_numpy()
        counts = np.bincount(label, minlength=len(self.classes))
        losses: Array = super().losses(predictions) * len(label) / ((counts > 0).sum() * counts[label])
        return losses

    def baselines(self) -> dict[str, pd.DataFrame]:
        """ngrams: multinomial logistic regression on which one to four letters stand side by side, the name's two ends
        counted as letters. frequency: each class as often as in training.
        """
        whole = {split: _with_ends(self._names[split]) for split in SPLITS}
        ngrams = NGrams(whole["train"], len(self.vocabulary), sizes=(1, 2, 3, 4))
        x = {split: ngrams.features(names) for split, names in whole.items()}
        y, y_validation = (self._labels[split].numpy() for split in ("train", "validation"))
        count = len(self.classes)
        return {
            "ngrams": self.table(logistic_regression(x["train"], y, x["validation"], y_validation, x["test"], count)),
            "frequency": self.table(class_frequencies(y, len(self.test_labels), count)),
        }

    def plot_rows(self, predictions: list[pd.DataFrame]) -> pd.DataFrame:
        """F1 of each class, mean of the tables, with how many names of it are judged."""
        score = np.mean([f1_by_class(table, len(self.classes)) for table in predictions], axis=0)
        names = np.bincount(self.test_labels, minlength=len(self.classes))
        return pd.DataFrame({"part": self.classes, "score": score, "names": names})

    def figures(self, predictions: list[pd.DataFrame], name: str) -> dict[str, Figure]:
        return {**super().figures(predictions, name), "f1_by_class": draw_f1(self.plot_rows(predictions), name)}


def _with_ends(names: Ragged) -> Ragged:
    """START before each name and END behind it."""
    parts = [np.concatenate([[START], names[index], [END]]) for index in range(len(names))]
    offsets = names.offsets.numpy()
    return Ragged(np.concatenate(parts), offsets + 2 * np.arange(len(offsets)))


def draw_f1(rows: pd.DataFrame, name: str) -> Figure:
    """F1 by class, the largest class on top."""
    rows = rows.sort_values("names", kind="stable")
    figure = Figure(figsize=(6.5, 1.2 + 0.24 * len(rows)), layout="constrained")
    axes = figure.subplots()
    axes.barh([f"{row.part} ({row.names})" for row in rows.itertuples()], rows["score"], color="C1")
    axes.axvline(rows["score"].mean(), color="black", linewidth=1, linestyle="--")
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel("F1; dashed: the mean over the classes")
    axes.set_title(f"{name}: F1 by class (names of it in the test part)", fontsize=10)
    return figure
