"""Which language or country does a surname come from?"""

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
from rnnlab.data.splits import SPLIT_SEED, split_by_class
from rnnlab.data.vocabulary import END, Vocabulary
from rnnlab.datasets.surnames import NAMES, Surnames, plain_name
from rnnlab.losses import CrossEntropy
from rnnlab.spec import TaskSpec
from rnnlab.tasks.classification.data import METRICS, ClassificationData
from rnnlab.tasks.raw_input import Column, sequences, texts
from rnnlab.tasks.task import SPLITS, Split, check_parts

AT_LEAST = 2
"""A letter met once in training stays unknown, so that training shows what an unknown letter is worth."""


class NamesData(ClassificationData):
    """A surname as a sequence of letters, and its class:

        input    k  o  w  a  l  s  k  i        target   Polish

    Each name is in the data once, so that none of the test part was seen in training. Shares of each class are drawn
    for the test and the validation part, the same whatever the seed; the vocabulary of letters is learnt from the
    training part. Classes are of very unlike sizes, hence the ranking by macro F1.
    """

    learnt: ClassVar[tuple[str, ...]] = ("vocabulary", "classes", "column")

    def __init__(
        self,
        name: str,
        per_class: Positive | None = None,
        validation: Part = 0.1,
        test: Part = 0.2,
        batch_size: Positive = 64,
    ) -> None:
        super().__init__()
        self.task_name = name
        self.per_class = per_class
        self.validation = validation
        self.test = test
        self.batch_size = batch_size

    def check(self) -> None:
        super().check()
        check_parts(self.validation, self.test)

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
            **({} if surnames.column is None else {"column": surnames.column}),
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
        self.names = {split: Ragged.open(folder, split) for split in SPLITS}
        self.labels = {split: np.load(folder / f"{split}_labels.npy") for split in SPLITS}

    def restore(self, learnt: dict[str, Any]) -> None:
        self.meta = {"column": NAMES[0], **learnt}
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
            unit="name",
        )

    def raw_columns(self) -> dict[str, Column]:
        return {"name": Column("text", "a surname", names=(self.meta["column"], *NAMES))}

    def raw_timestep(self) -> Column:
        return Column("text", "a letter")

    def raw_example(self) -> pd.DataFrame:
        return pd.DataFrame({"name": ["kowalski", "okonkwo"]})

    def encode(self, table: pd.DataFrame) -> Batch:
        return sequences([self.vocabulary.encode(name) for name in map(plain_name, texts(table, "name"))])

    def loader(self, split: Split) -> Batches:
        names, labels = self.names[split], torch.from_numpy(self.labels[split])

        def take(indices: Tensor) -> Batch:
            inputs, lengths = names.take(indices)
            return Batch(inputs, labels[indices], lengths)

        return Batches(take, ByLength(names.lengths, self.seed if split == "train" else None), self.batch_size)
