"""Exclusive or: the smallest problem that no linear model solves."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from rnnlab.arguments import Positive
from rnnlab.data.batches import Batch, Batches, Order
from rnnlab.datasets.generated import Generated
from rnnlab.losses import CrossEntropy
from rnnlab.spec import TaskSpec
from rnnlab.tasks.classification.data import METRICS, ClassificationData
from rnnlab.tasks.raw_input import Column, arrays, unlabelled
from rnnlab.tasks.task import SPLITS, Split

ROWS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
LABELS = np.array([0, 1, 1, 0])


class XorData(ClassificationData):
    """Two bits in, whether they differ out; no time, no memory, one step of the cell from its initial state:

        input    00  01  10  11
        target   0   1   1   0

    These four rows are all there are: the net is trained, chosen and judged on the same ones, and what is reported is
    whether it can learn them (Minsky and Papert 1969: a perceptron without a hidden layer cannot), not whether it
    generalises. Four rows are too few for any test of a difference.

    repeats: how often an epoch shows each row.
    """

    def __init__(self, name: str, repeats: Positive = 20, batch_size: Positive = 4) -> None:
        super().__init__()
        self.task_name = name
        self.repeats = repeats
        self.batch_size = batch_size

    def prepare(self, dataset: Generated, raw: Path, folder: Path) -> dict[str, Any]:
        dataset.fetched(raw)
        np.save(folder / "inputs.npy", ROWS)
        np.save(folder / "labels.npy", LABELS)
        return {"report": {"train, validation and test": "the same four rows"}}

    def open(self, folder: Path, meta: dict[str, Any], seed: int) -> None:
        self.restore(meta)
        self.seed = seed
        self.inputs = torch.from_numpy(np.load(folder / "inputs.npy"))
        self.labels = dict.fromkeys(SPLITS, np.load(folder / "labels.npy"))

    def restore(self, learnt: dict[str, Any]) -> None:
        self.meta = learnt
        self.classes = ["0", "1"]
        self.spec = TaskSpec(
            task=self.task_name,
            layout="one_to_one",
            input_size=2,
            output_size=2,
            loss=CrossEntropy(),
            metrics=METRICS,
            rank_by="accuracy",
            unit="row",
            solved=1.0,
        )

    def raw_columns(self) -> dict[str, Column]:
        return {"bits": Column("integer", "two bits", 1)}

    def raw_example(self) -> pd.DataFrame:
        return pd.DataFrame({"bits": ROWS.astype(int).tolist()})

    def encode(self, table: pd.DataFrame) -> Batch:
        return unlabelled(torch.from_numpy(np.stack(arrays(table, "bits", (2,))).astype(np.float32)))

    def _take(self, indices: Tensor) -> Batch:
        rows = indices % len(ROWS)
        return Batch(self.inputs[rows], torch.from_numpy(self.labels["train"])[rows])

    def loader(self, split: Split) -> Batches:
        repeats = self.repeats if split == "train" else 1
        order = Order(repeats * len(ROWS), self.seed if split == "train" else None)
        return Batches(self._take, order, self.batch_size)
