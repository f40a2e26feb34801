"""Handwriting: the path of a pen, and what it wrote."""

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnlab.arguments import Part, Positive, Range
from rnnlab.data.batches import Batch, Batches, ByLength
from rnnlab.data.ragged import Ragged
from rnnlab.data.splits import split_by_class
from rnnlab.datasets.strokes import SIDE, Kanji, Points, drawn
from rnnlab.errors import UserError
from rnnlab.losses import CrossEntropy
from rnnlab.output import progress
from rnnlab.spec import TaskSpec
from rnnlab.tasks.classification.data import METRICS, ClassificationData
from rnnlab.tasks.raw_input import Column, refuse, sequences, tokens
from rnnlab.tasks.task import SPLITS, Split, check_parts


class HandwritingData(ClassificationData):
    """Which radical a Chinese character has, the part under which dictionaries file it: for 休, the man on its left.

        input    (Δx, Δy, 0) (Δx, Δy, 1) (Δx, Δy, 1) (Δx, Δy, 0) (Δx, Δy, 1) ...     a timestep for each move of the pen
        target   man

    Δx to the right and Δy down, in units of `spacing`; 1: the pen is on the paper; 0: it goes to where the next stroke
    begins, at first from the middle of the square. Strokes come in the order in which they are written, and are cut
    into pieces of equal length, about one unit. No number is scaled by anything learnt.

    A character has one drawing, all by one hand, and belongs to one split; what is learnt must hold for characters
    never seen. The radical may stand at any side of it, be squeezed there into another shape, and have look-alikes
    among the other parts; which part it is follows tradition, so no method is right every time.

    classes: how many radicals: those with the most characters. spacing: of the square's 109 units.
    """

    learnt: ClassVar[tuple[str, ...]] = ("classes",)

    def __init__(
        self,
        name: str,
        classes: Annotated[int, Range(at_least=2)] = 20,
        spacing: Annotated[float, Range(at_least=1, at_most=SIDE)] = 8.0,
        validation: Part = 0.1,
        test: Part = 0.2,
        batch_size: Positive = 32,
    ) -> None:
        super().__init__()
        self.task_name = name
        self.class_count = classes
        self.spacing = spacing
        self.validation = validation
        self.test = test
        self.batch_size = batch_size

    def options(self) -> dict[str, Any]:
        return {**super().options(), "classes": self.class_count}

    def check(self) -> None:
        super().check()
        check_parts(self.validation, self.test)

    def prepare(self, dataset: Kanji, raw: Path, folder: Path) -> dict[str, Any]:
        characters = dataset.read(raw)
        counts = Counter(character.radical for character in characters)
        if len(counts) < self.class_count:
            raise UserError(f"task.classes={self.class_count}: the data has {len(counts)} radicals only.")
        classes = [radical for radical, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
        classes = classes[: self.class_count]
        kept = [character for character in characters if character.radical in classes]
        labels = np.array([classes.index(character.radical) for character in kept])
        strokes = progress(kept, f"{self.task_name}: drawing characters")
        moves = [pen_moves(drawn(character.strokes, self.spacing), self.spacing) for character in strokes]
        report: dict[str, Any] = {}
        splits = split_by_class(labels, self.validation, self.test, names=classes)
        for split, indices in splits.items():
            Ragged.write(folder, split, [moves[index] for index in indices], np.float32)
            np.save(folder / f"{split}_labels.npy", labels[indices])
            np.save(folder / f"{split}_texts.npy", np.array([ord(kept[index].text) for index in indices]))
            report[split] = f"{len(indices)} characters"
        lengths = [len(sequence) for sequence in moves]
        report["timesteps"] = f"{min(lengths)} to {max(lengths)}, {np.mean(lengths):.0f} on the average"
        report["radicals"] = ", ".join(f"{name} {counts[name]}" for name in classes)
        return {"classes": classes, "report": report}

    def open(self, folder: Path, meta: dict[str, Any], seed: int) -> None:
        self.restore(meta)
        self.seed = seed
        self.moves = {split: Ragged.open(folder, split) for split in SPLITS}
        self.labels = {split: np.load(folder / f"{split}_labels.npy") for split in SPLITS}
        self.texts = {split: list(map(chr, np.load(folder / f"{split}_texts.npy").tolist())) for split in SPLITS}

    def restore(self, learnt: dict[str, Any]) -> None:
        self.meta = learnt
        self.classes = learnt["classes"]
        self.spec = TaskSpec(
            task=self.task_name,
            layout="many_to_one",
            input_size=3,
            output_size=len(self.classes),
            loss=CrossEntropy(),
            metrics=METRICS,
            rank_by="accuracy",
            unit="character",
        )

    def raw_columns(self) -> dict[str, Column]:
        held = f'strokes in their order, on a square of {SIDE} units: SVG paths, or points as "12,30 14,28 20,31"'
        return {"strokes": Column("text", held, 1)}

    def raw_example(self) -> pd.DataFrame:
        return pd.DataFrame({"strokes": [["12,30 54,28 97,29", "54,10 54,55 53,99"]]})

    def encode(self, table: pd.DataFrame) -> Batch:
        found = []
        for row, strokes in zip(table.index, tokens(table, "strokes"), strict=True):
            try:
                paths = [svg_path(stroke) for stroke in strokes]
                found.append(pen_moves(drawn(paths, self.spacing), self.spacing))
            except (UserError, ValueError):
                refuse(row, "strokes", f"found {strokes!r:.80}, {self.raw_columns()['strokes'].holds} are needed")
        return sequences(found)

    def _take(self, split: Split, indices: Tensor) -> Batch:
        moves, lengths = self.moves[split].take(indices)
        return Batch(moves, torch.from_numpy(self.labels[split])[indices], lengths)

    def loader(self, split: Split) -> Batches:
        order = ByLength(self.moves[split].lengths, self.seed if split == "train" else None)
        return Batches(lambda indices: self._take(split, indices), order, self.batch_size)

    def characters(self, split: Split) -> list[NDArray[np.float32]]:
        """The moves of each character, (moves, 3)."""
        return [self.moves[split][index] for index in range(len(self.moves[split]))]


def svg_path(stroke: str) -> str:
    """A stroke as an SVG path; points "x,y x,y ..." become straight curves between them."""
    if stroke.lstrip()[:1] in ("M", "m"):
        return stroke
    points = [tuple(float(number) for number in point.split(",")) for point in stroke.split()]
    if any(len(point) != 2 for point in points):
        raise ValueError(stroke)
    points = points if len(points) > 1 else 2 * points
    curves = " ".join(f"C{x},{y} {u},{v} {u},{v}" for (x, y), (u, v) in pairwise(points))
    return f"M{points[0][0]},{points[0][1]} {curves}"


def pen_moves(strokes: list[Points], spacing: float) -> NDArray[np.float32]:
    """(moves, 3): Δx and Δy in units of `spacing`, and whether the pen was on the paper."""
    points = np.concatenate(strokes)
    is_drawn = np.ones(len(points))
    is_drawn[np.cumsum([0, *(len(stroke) for stroke in strokes[:-1])])] = 0
    offsets = np.diff(points, axis=0, prepend=[[SIDE / 2, SIDE / 2]])
    return np.column_stack([offsets / spacing, is_drawn]).astype(np.float32)
