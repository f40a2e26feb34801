"""What all tasks share whose sequences are drawn by rule: what does a cell remember, and for how long?"""

from abc import abstractmethod
from pathlib import Path
from string import ascii_uppercase
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnlab.arguments import Positive, Range, refusal
from rnnlab.data.batches import Batch, Batches, ByLength
from rnnlab.data.ragged import Ragged
from rnnlab.data.vocabulary import IGNORED
from rnnlab.datasets.generated import Generated
from rnnlab.errors import UserError
from rnnlab.losses import CrossEntropy
from rnnlab.spec import TaskSpec
from rnnlab.tasks.classification.data import METRICS, ClassificationData
from rnnlab.tasks.raw_input import Column, refuse, sequences, tokens
from rnnlab.tasks.task import SPLITS, Split, Task

ROUNDS = 100
"""How often sequences that another part has already are drawn again before there are taken to be too few of them."""

Several = Annotated[int, Range(at_least=2)]

Letters = Annotated[int, Range(at_least=2, at_most=len(ascii_uppercase))]
"""How many different symbols: each has a letter of its own."""

Drawn = tuple[NDArray[Any], NDArray[Any]]
"""Inputs (sequences, time, ...) and targets, (sequences, ...) or (sequences, time)."""


class SyntheticData(Task):
    """Sequences drawn by rule, once. A task that derives from it gives `draw`; `parts` says what `length` counts.

    length: of the sequences to train and to validate on, and of those that rank. shortest: train on all lengths from
        this one to `length`; None: on `length` alone. test_lengths: what is tested beside `length`.
    train, validation, test: how many sequences; of `test`, for each length.

    The test part is drawn first; what it holds is drawn for no other part, nor the validation part's for training.
    """

    layout: ClassVar[Literal["many_to_one", "many_to_many"]]
    parts: ClassVar[str]

    def __init__(
        self,
        name: str,
        length: Positive,
        shortest: Positive | None = None,
        test_lengths: tuple[Positive, ...] = (),
        train: Several = 20_000,
        validation: Several = 1_000,
        test: Several = 1_000,
        batch_size: Positive = 64,
    ) -> None:
        super().__init__()
        self.task_name = name
        self.length = length
        self.shortest = length if shortest is None else shortest
        self.test_lengths = test_lengths
        self.sizes: dict[Split, int] = {"train": train, "validation": validation, "test": test}
        self.batch_size = batch_size

    @abstractmethod
    def draw(self, rng: np.random.Generator, size: int, length: int) -> Drawn:
        """`size` sequences of one length. Targets of `many_to_many` are `IGNORED` where nothing is asked."""

    def options(self) -> dict[str, Any]:
        return super().options() | dict[str, Any](self.sizes.items())

    def check(self) -> None:
        super().check()
        for key, lengths in (
            ("length", [self.length]),
            ("shortest", [self.shortest]),
            ("test_lengths", self.test_lengths),
        ):
            for length in lengths:
                self.check_length(key, length)
        if self.shortest > self.length:
            raise UserError(refusal("task.shortest", f"at most task.length={self.length}", self.shortest))

    def check_length(self, key: str, length: int) -> None:
        """Raises: `UserError` for a length that no sequence can have under the task's other options."""

    @property
    def lengths(self) -> list[int]:
        """All lengths that are tested, ascending."""
        return sorted({self.length, *self.test_lengths})

    def _counts(self, split: Split) -> dict[int, int]:
        """How many sequences of each length a part has."""
        size = self.sizes[split]
        if split == "test":
            return dict.fromkeys(self.lengths, size)
        if split == "validation":
            return {self.length: size}
        lengths = range(self.shortest, self.length + 1)
        share, rest = divmod(size, len(lengths))
        return {length: share + (number < rest) for number, length in enumerate(lengths)}

    def prepare(self, dataset: Generated, raw: Path, folder: Path) -> dict[str, Any]:
        dataset.fetched(raw)
        seen: set[bytes] = set()
        for split in reversed(SPLITS):
            drawn = [
                self._draw_unseen(dataset.generator(SPLITS.index(split), length), size, length, seen)
                for length, size in self._counts(split).items()
            ]
            if split != "train":
                seen.update(row.tobytes() for inputs, _ in drawn for row in inputs)
            rows = [row for inputs, _ in drawn for row in inputs]
            Ragged.write(folder, f"{split}_inputs", rows, drawn[0][0].dtype)
            targets = [row for _, targets in drawn for row in targets]
            if self.layout == "many_to_many":
                Ragged.write(folder, f"{split}_targets", targets, drawn[0][1].dtype)
            else:
                np.save(folder / f"{split}_targets.npy", np.stack(targets))
        trained = f"{self.shortest} to {self.length}" if self.shortest < self.length else f"{self.length}"
        return {
            "report": {
                "train": f"{self.sizes['train']} sequences of {trained} {self.parts}",
                "validation": f"{self.sizes['validation']} sequences of {self.length} {self.parts}",
                "test": f"{self.sizes['test']} sequences of each of {', '.join(map(str, self.lengths))} {self.parts}",
            }
        }

    def _draw_unseen(self, rng: np.random.Generator, size: int, length: int, seen: set[bytes]) -> Drawn:
        inputs, targets = self.draw(rng, size, length)
        for _ in range(ROUNDS):
            again = np.flatnonzero([row.tobytes() in seen for row in inputs])
            if not len(again):
                return inputs, targets
            inputs[again], targets[again] = self.draw(rng, len(again), length)
        raise UserError(
            f"There are too few different sequences of {length} {self.parts} for {size} that no other part has: give a "
            f"larger task.length (or task.test_lengths, task.shortest), or smaller parts than {self.sizes}."
        )

    def open(self, folder: Path, meta: dict[str, Any], seed: int) -> None:
        self.restore(meta)
        self.seed = seed
        self.inputs = {split: Ragged.open(folder, f"{split}_inputs") for split in SPLITS}
        self.targets: dict[Split, Any] = {
            split: Ragged.open(folder, f"{split}_targets")
            if self.layout == "many_to_many"
            else torch.from_numpy(np.load(folder / f"{split}_targets.npy"))
            for split in SPLITS
        }
        counts = {split: self._counts(split) for split in SPLITS}
        self.length_of: dict[Split, NDArray[np.int64]] = {
            split: np.repeat([*each.keys()], [*each.values()]) for split, each in counts.items()
        }

    def take(self, split: Split, indices: Tensor) -> Batch:
        inputs, lengths = self.inputs[split].take(indices)
        targets = self.targets[split]
        uneven = bool((lengths != inputs.shape[1]).any())
        return Batch(
            inputs,
            targets.take(indices, padding=IGNORED)[0] if isinstance(targets, Ragged) else targets[indices],
            lengths if uneven else None,  # all cells are faster where no sequence ends before the others
        )

    def loader(self, split: Split) -> Batches:
        order = ByLength(self.inputs[split].lengths, self.seed if split == "train" else None)
        return Batches(lambda indices: self.take(split, indices), order, self.batch_size)


class SyntheticClassificationData(SyntheticData, ClassificationData):
    """Answers with one of a few classes, to the whole sequence or at some of its timesteps.

    sequence, position: of each answer of a split the number of its sequence, and its place among the answers of that
    one, from 1.
    """

    solved: ClassVar[float | None] = 0.99
    """The accuracy from which on the task counts as solved; None where the inputs do not say all answers."""

    @abstractmethod
    def names(self) -> tuple[list[str], list[str]]:
        """Of the input's tokens and of the answers, by their numbers."""

    def prepare(self, dataset: Generated, raw: Path, folder: Path) -> dict[str, Any]:
        facts = super().prepare(dataset, raw, folder)
        targets = {split: set(np.load(folder / f"{split}_targets.npy").tolist()) for split in SPLITS}
        unknown = (targets["validation"] | targets["test"]) - targets["train"]
        if unknown:
            classes = self.names()[1]
            raise UserError(
                f"task.train={self.sizes['train']}: no training sequence has the answer "
                f"{', '.join(classes[number] for number in sorted(unknown))}: give more of them."
            )
        return facts

    def open(self, folder: Path, meta: dict[str, Any], seed: int) -> None:
        super().open(folder, meta, seed)
        self.labels, self.sequence, self.position = {}, {}, {}
        for split in SPLITS:
            targets = self.targets[split]
            if isinstance(targets, Ragged):
                asked = targets.values != IGNORED
                counts = np.add.reduceat(asked, targets.offsets[:-1].numpy(), dtype=np.int64)
                self.labels[split] = targets.values[asked].astype(np.int64)
            else:
                counts = np.ones(len(targets), np.int64)
                self.labels[split] = targets.numpy()
            self.sequence[split] = np.repeat(np.arange(len(counts)), counts)
            before = np.repeat(np.cumsum(counts) - counts, counts)
            self.position[split] = np.arange(len(before)) - before + 1

    def restore(self, learnt: dict[str, Any]) -> None:
        self.meta = learnt
        self.tokens, self.classes = self.names()
        several = {"exact": "max"} if self.layout == "many_to_many" else {}
        self.spec = TaskSpec(
            task=self.task_name,
            layout=self.layout,
            input_size=len(self.tokens),
            output_size=len(self.classes),
            loss=CrossEntropy(),
            metrics=METRICS | several,
            rank_by="accuracy",
            tokens=True,
            parts=self.parts,
            unit="sequence",
            solved=self.solved,
        )

    def raw_columns(self) -> dict[str, Column]:
        return {"sequence": Column("text", f"a list of tokens, of {' '.join(self.tokens)}", 1)}

    def raw_timestep(self) -> Column:
        return Column("text", f"a token, of {' '.join(self.tokens)}")

    def raw_example(self) -> pd.DataFrame:
        inputs, _ = self.draw(np.random.default_rng(0), 1, self.length)
        return pd.DataFrame({"sequence": [[self.tokens[number] for number in inputs[0].tolist()]]})

    def encode(self, table: pd.DataFrame) -> Batch:
        number_of = {token: number for number, token in enumerate(self.tokens)}
        found = []
        for row, given in zip(table.index, tokens(table, "sequence"), strict=True):
            unknown = [token for token in given if token not in number_of]
            if unknown:
                refuse(row, "sequence", f"found {unknown[0]!r}, which is none of {' '.join(self.tokens)}")
            found.append(np.array([number_of[token] for token in given]))
        return sequences(found)
