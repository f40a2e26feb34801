"""What finds the radical of a character without recurrence."""

from itertools import product

import numpy as np
from numpy.typing import NDArray

from rnnlab.datasets.strokes import SIDE
from rnnlab.output import progress
from rnnlab.tasks.baselines.baselines import Predict
from rnnlab.tasks.baselines.linear import logistic_regression
from rnnlab.tasks.baselines.neighbours import nearest_neighbours
from rnnlab.tasks.baselines.svm import rbf_svm
from rnnlab.tasks.classification.baselines import ClassificationBaselines
from rnnlab.tasks.classification.handwriting.data import HandwritingData
from rnnlab.tasks.task import SPLITS, Array, Split

PATH_POINTS = 64
"""Points that stand for a whole character where all must have as many."""

PARTS, DIRECTIONS = 5, 8
"""The square is cut into 5 x 5 parts, a turn into 8 directions."""


class HandwritingBaselines(ClassificationBaselines):
    """svm: a support vector machine on how far the pen goes in each of 8 directions in each of 5 x 5 parts of the
    square (Kimura et al. 1987), on the paper and above it. linear: logistic regression on the same. nearest: the votes
    of the nearest neighbours, a character being 64 points at equal distances along the pen's whole path. frequency:
    each class as often as in training."""

    task: HandwritingData

    def fitted(self) -> dict[str, Predict]:
        directions = {split: self._directions(split) for split in SPLITS}
        paths = {split: np.array([path_points(moves) for moves in self.task.characters(split)]) for split in SPLITS}
        return {
            "svm": self.answered(rbf_svm, directions),
            "linear": self.classified(logistic_regression, directions),
            "nearest": self.classified(nearest_neighbours, paths),
            **super().fitted(),
        }

    def _directions(self, split: Split) -> Array:
        characters = progress(self.task.characters(split), f"{self.task.spec.task}: directions")
        return np.array([direction_features(moves, self.task.spacing) for moves in characters])


def direction_features(moves: NDArray[np.float32], spacing: float) -> Array:
    """(2 · PARTS² · DIRECTIONS,): square roots of how far the pen goes above the paper, then on it, in each part of the
    square in each direction, in units of `spacing`.

    A move counts where its middle is, and is shared out between the parts and the directions that it stands between,
    so that nothing hangs on a border.
    """
    steps = moves[:, :2].astype(np.float64)
    middles = (np.cumsum(steps, axis=0) - steps / 2) * spacing / SIDE + 0.5
    places = np.clip(middles * PARTS - 0.5, 0, PARTS - 1)
    turns = np.arctan2(steps[:, 1], steps[:, 0]) / (2 * np.pi) * DIRECTIONS
    found = np.zeros((2, PARTS, PARTS, DIRECTIONS))
    positions = np.column_stack([places[:, ::-1], turns])  # down, to the right, direction
    lower = np.floor(positions).astype(np.int64)
    upper_share = positions - lower
    is_drawn, lengths = moves[:, 2].astype(np.int64), np.linalg.norm(steps, axis=1)
    for corner in product((0, 1), repeat=3):
        row, column, direction = (lower + corner).T
        share = np.where(corner, upper_share, 1 - upper_share).prod(axis=1)
        # beyond the last part there is none, and its share is 0
        cell = (is_drawn, np.minimum(row, PARTS - 1), np.minimum(column, PARTS - 1), direction % DIRECTIONS)
        np.add.at(found, cell, share * lengths)
    return np.sqrt(found).ravel()


def path_points(moves: NDArray[np.float32]) -> Array:
    """The pen's whole path from its first touch on, as coordinates of `PATH_POINTS` points at equal distances."""
    points = np.cumsum(moves[:, :2], axis=0, dtype=np.float64)
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    places = np.linspace(0, along[-1], PATH_POINTS)
    return np.concatenate([np.interp(places, along, points[:, axis]) for axis in range(2)])
