"""Handwritten digits read row by row or pixel by pixel."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnlab.arguments import OneOf, Part, Positive
from rnnlab.data.batches import Batch, Batches, Order
from rnnlab.data.splits import split_by_class, with_training
from rnnlab.datasets.mnist import SIDE, Mnist
from rnnlab.losses import CrossEntropy
from rnnlab.spec import TaskSpec
from rnnlab.tasks.classification.data import METRICS, ClassificationData
from rnnlab.tasks.raw_input import Column, images, unlabelled
from rnnlab.tasks.task import SPLITS, Split, check_parts

ORDERS = ("rows", "pixels", "permuted")

PERMUTATION_SEED = 0
"""The one permutation of the pixels that all runs share, as in Le, Jaitly and Hinton (2015)."""


class DigitsData(ClassificationData):
    """An image of a digit as a sequence, 0 paper and 1 ink:

        order=rows      input    28 timesteps of 28 pixels, top to bottom       target   7
        order=pixels    input    784 timesteps of 1 pixel, row after row        target   7
        order=permuted  input    the same 784 in one fixed random order         target   7

    The full set keeps its official test split; of the sample, a share is drawn for it, the same of each digit, and the
    same whatever the seed. So is the validation part, from the rest. Pixels are not scaled by anything learnt.
    """

    def __init__(
        self,
        name: str,
        order: Annotated[str, OneOf(ORDERS)] = "rows",
        validation: Part = 0.1,
        test: Part = 0.2,
        train: Positive | None = None,
        batch_size: Positive = 64,
    ) -> None:
        super().__init__()
        self.task_name = name
        self.order = order
        self.validation = validation
        self.test = test
        self.train = train
        self.batch_size = batch_size

    def check(self) -> None:
        super().check()
        check_parts(self.validation, self.test)

    def prepare(self, dataset: Mnist, raw: Path, folder: Path) -> dict[str, Any]:
        digits = dataset.read(raw)
        splits = split_by_class(digits.labels, self.validation, self.test, digits.is_test)
        splits = with_training(splits, self.train, digits.labels)
        for split, indices in splits.items():
            np.save(folder / f"{split}_images.npy", digits.images[indices])
            np.save(folder / f"{split}_labels.npy", digits.labels[indices])
        kind = "official" if digits.is_test.any() else "drawn"
        return {
            "order": self.order,
            "report": {
                **{split: f"{len(indices)} digits" for split, indices in splits.items()},
                "test split": kind,
                "ink": f"{(digits.images > 0).mean():.1%} of the pixels",
            },
        }

    def open(self, folder: Path, meta: dict[str, Any], seed: int) -> None:
        self.restore(meta)
        self.seed = seed
        self.images = {split: np.load(folder / f"{split}_images.npy", mmap_mode="r") for split in SPLITS}
        self.labels = {split: np.load(folder / f"{split}_labels.npy") for split in SPLITS}

    def restore(self, learnt: dict[str, Any]) -> None:
        self.meta = learnt
        self.classes = [str(digit) for digit in range(10)]
        pixels = SIDE * SIDE
        self._permutation = np.random.default_rng(PERMUTATION_SEED).permutation(pixels)
        self.spec = TaskSpec(
            task=self.task_name,
            layout="many_to_one",
            input_size=SIDE if self.order == "rows" else 1,
            output_size=10,
            loss=CrossEntropy(),
            metrics=METRICS,
            rank_by="accuracy",
            unit="digit",
        )

    def _take(self, split: Split, indices: Tensor) -> Batch:
        pixels = self.images[split][indices.numpy()]
        labels = torch.from_numpy(self.labels[split])[indices]
        return Batch(torch.from_numpy(self._ordered(pixels)).float().div_(255), labels)

    def _ordered(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """(images, time, input_size)"""
        if self.order == "permuted":
            pixels = pixels.reshape(len(pixels), -1)[:, self._permutation]
        return pixels.reshape(len(pixels), -1, self.spec.input_size)

    def raw_columns(self) -> dict[str, Column]:
        return {"image": Column("integer", "784 pixels row by row, 0 paper to 255 ink", 1, (SIDE, SIDE))}

    def raw_example(self) -> pd.DataFrame:
        image = np.zeros((SIDE, SIDE), np.int64)
        image[4:24, 13:16] = 255
        return pd.DataFrame({"image": [image.ravel().tolist()]})

    def encode(self, table: pd.DataFrame) -> Batch:
        return unlabelled(torch.from_numpy(self._ordered(images(table, "image", SIDE, SIDE))))

    def loader(self, split: Split) -> Batches:
        order = Order(len(self.labels[split]), self.seed if split == "train" else None)
        return Batches(lambda indices: self._take(split, indices), order, self.batch_size)
