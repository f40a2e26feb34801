"""What recognises digits without recurrence."""

import numpy as np
from numpy.typing import NDArray

from rnnlab.tasks.baselines.baselines import Predict
from rnnlab.tasks.baselines.images import deskewed, edge_features, ink_of
from rnnlab.tasks.baselines.linear import logistic_regression
from rnnlab.tasks.baselines.neighbours import nearest_neighbours
from rnnlab.tasks.baselines.svm import rbf_svm
from rnnlab.tasks.classification.baselines import ClassificationBaselines
from rnnlab.tasks.classification.digits.data import DigitsData
from rnnlab.tasks.images import Images
from rnnlab.tasks.task import SPLITS

BASELINE_DIGITS = 10_000
"""Training digits that a kernel or neighbours are asked about, at most: what they take grows with their number, and a
support vector machine's fit with its square."""

PART = 4
"""Pixels on each side of the parts of an image in which the directions of edges are counted."""


class DigitsBaselines(ClassificationBaselines):
    """edges: a support vector machine on the directions of edges in each of 7 x 7 parts of the upright digit. svm: the
    same on the 784 pixels as they are. nearest: the votes of the nearest neighbours, on pixels. linear: multinomial
    logistic regression on pixels. frequency: each class as often as in training.

    None sees the order in which nets read the pixels. The first three learn from `BASELINE_DIGITS` training digits at
    most, at even distances if there are more.
    """

    task: DigitsData

    def fitted(self) -> dict[str, Predict]:
        images = self.task.images
        kept = slice(None, None, -(-len(images["train"]) // BASELINE_DIGITS))
        few = {**images, "train": images["train"][kept]}
        edges = {split: edge_features(deskewed(few[split]), PART) for split in SPLITS}
        pixels = {split: _pixels(few[split]) for split in SPLITS}
        return {
            "edges": self.answered(rbf_svm, edges, kept),
            "svm": self.answered(rbf_svm, pixels, kept),
            "nearest": self.classified(nearest_neighbours, pixels, kept),
            "linear": self.classified(logistic_regression, {**pixels, "train": _pixels(images["train"])}),
            **super().fitted(),
        }


def _pixels(images: Images) -> NDArray[np.float32]:
    return ink_of(images).reshape(len(images), -1)
