"""Texts with a number each."""

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnlab.data.scaler import Scaler
from rnnlab.data.splits import SPLIT_SEED, Splits, split_at_random, with_training
from rnnlab.datasets.reviews import LabelledTexts
from rnnlab.errors import UserError
from rnnlab.losses import AbsoluteError
from rnnlab.tasks.classification.sentiment import data
from rnnlab.tasks.classification.sentiment.data import official_parts
from rnnlab.tasks.task import SPLITS, Array, Split

METRICS: dict[str, Any] = {"mae": "min", "rmse": "min", "r2": "max"}


class SentimentData(data.SentimentData):
    """A text as a sequence of words, and the number that belongs to it:

        input    effective  but  too  tepid  biopic        target   -0.6

    All is as for classes, but that parts are drawn from all texts alike, and numbers are scaled to mean 0 and standard
    deviation 1 over the training part.
    """

    learnt: ClassVar[tuple[str, ...]] = ("vocabulary", "longest", "columns", "target")

    def splits(self, reviews: LabelledTexts) -> Splits:
        """Raises: `UserError` where a part is empty."""
        splits = official_parts(reviews)
        if splits is None and reviews.is_test.any():
            rest = np.random.default_rng(SPLIT_SEED).permutation(np.flatnonzero(~reviews.is_test))
            count = round(self.validation * len(rest))
            splits = {
                "train": np.sort(rest[count:]),
                "validation": np.sort(rest[:count]),
                "test": np.flatnonzero(reviews.is_test),
            }
        splits = splits or split_at_random(len(reviews.texts), self.validation, self.test)
        for split, indices in splits.items():
            if not len(indices):
                raise UserError(f"No text is left for the {split} part: give more, or other shares.")
        return with_training(splits, self.train)

    def write_labels(self, reviews: LabelledTexts, splits: Splits, folder: Path) -> dict[str, Any]:
        for split, indices in splits.items():
            np.save(folder / f"{split}_targets.npy", reviews.labels[indices])
        return {"target": Scaler.fit(reviews.labels[splits["train"], None]).as_dict()}

    def labels_in_words(self, reviews: LabelledTexts, indices: NDArray[np.int64]) -> str:
        numbers = reviews.labels[indices]
        return f"numbers from {numbers.min():.4g} to {numbers.max():.4g}, {numbers.mean():.4g} on the average"

    def open_labels(self, folder: Path) -> None:
        self.targets: dict[Split, Array] = {split: np.load(folder / f"{split}_targets.npy") for split in SPLITS}

    def restore(self, learnt: dict[str, Any]) -> None:
        super().restore({**learnt, "classes": []})
        self.target_scaler = Scaler.from_dict(learnt["target"])
        self.spec = replace(self.spec, output_size=1, loss=AbsoluteError(), metrics=METRICS, rank_by="mae", unit="text")

    def targets_of(self, split: Split) -> Tensor:
        """Scaled, (texts, 1)."""
        return torch.from_numpy(self.target_scaler.scale(self.targets[split][:, None])).float()
