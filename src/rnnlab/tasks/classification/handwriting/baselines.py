"""What finds the radical of a character without recurrence."""

import numpy as np
from numpy.typing import NDArray

from rnnlab.datasets.strokes import SIDE
from rnnlab.output import progress
from rnnlab.tasks.baselines.baselines import Predict
from rnnlab.tasks.baselines.linear import Classify, logistic_regression
from rnnlab.tasks.classification.baselines import ClassificationBaselines
from rnnlab.tasks.classification.handwriting.data import HandwritingData
from rnnlab.tasks.task import SPLITS, Array, Split

PATH_POINTS = 64
"""Points that stand for a whole character where all must have as many."""

PARTS, DIRECTIONS = 4, 8
"""The square is cut into 4 x 4 parts, a turn into 8 directions."""

NEIGHBOURS = (1, 3, 5, 9)


class HandwritingBaselines(ClassificationBaselines):
    """linear: logistic regression on how often the pen goes in each of 8 directions in each of 4 x 4 parts of the
    square (Kimura et al. 1987). nearest: the votes of the nearest neighbours, a character being 64 points at equal
    distances along the pen's whole path. frequency: each class as often as in training."""

    task: HandwritingData

    def fitted(self) -> dict[str, Predict]:
        y, count = self.task.labels, len(self.task.classes)
        x = {split: self._features(split) for split in SPLITS}
        paths = {split: np.array([path_points(moves) for moves in self.task.characters(split)]) for split in SPLITS}
        linear = logistic_regression(x["train"], y["train"], x["validation"], y["validation"], count)
        nearest = nearest_neighbours(paths["train"], y["train"], paths["validation"], y["validation"], count)
        return {
            "linear": self.predict_by(linear, x),
            "nearest": self.predict_by(nearest, paths),
            **super().fitted(),
        }

    def _features(self, split: Split) -> Array:
        characters = progress(self.task.characters(split), f"{self.task.spec.task}: directions")
        return np.array([direction_features(moves, self.task.spacing) for moves in characters])


def direction_features(moves: NDArray[np.float32], spacing: float) -> Array:
    """(PARTS² · DIRECTIONS,): square roots of how often the pen goes in each direction in each part of the square."""
    places = np.cumsum(moves[:, :2], axis=0) * spacing / SIDE + 0.5
    cells = np.clip(np.floor(places * PARTS), 0, PARTS - 1).astype(np.int64)
    turns = np.rint(np.arctan2(moves[:, 1], moves[:, 0]) / (2 * np.pi) * DIRECTIONS).astype(np.int64) % DIRECTIONS
    feature = (cells[:, 1] * PARTS + cells[:, 0]) * DIRECTIONS + turns
    counts = np.bincount(feature[moves[:, 2] == 1], minlength=PARTS**2 * DIRECTIONS)
    return np.sqrt(counts)


def path_points(moves: NDArray[np.float32]) -> Array:
    """The pen's whole path from its first touch on, as coordinates of `PATH_POINTS` points at equal distances."""
    points = np.cumsum(moves[:, :2], axis=0, dtype=np.float64)
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    places = np.linspace(0, along[-1], PATH_POINTS)
    return np.concatenate([np.interp(places, along, points[:, axis]) for axis in range(2)])


def nearest_neighbours(
    x: Array, y: NDArray[np.integer], x_validation: Array, y_validation: NDArray[np.integer], classes: int
) -> Classify:
    """Shares of the votes of the nearest training examples (Euclid), near ones counting more, fitted.

    How many vote is the one of `NEIGHBOURS` that is right most often on the validation part.
    """
    from sklearn.neighbors import KNeighborsClassifier

    models = [KNeighborsClassifier(count, weights="distance").fit(x, y) for count in NEIGHBOURS if count <= len(x)]
    best = max(models, key=lambda model: model.score(x_validation, y_validation))

    def probabilities(x: Array) -> Array:
        """Of all classes, those that training lacks included."""
        found = np.zeros((len(x), classes))
        found[:, best.classes_] = best.predict_proba(x)
        return found

    return probabilities
