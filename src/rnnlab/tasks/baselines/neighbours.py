"""The nearest training examples, which vote."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.output import progress
from rnnlab.tasks.baselines.classifiers import Classify, Score, best_classifier, classify_by

NEIGHBOURS = (1, 3, 5, 9)


def nearest_neighbours(
    x: Any,
    y: NDArray[np.integer],
    x_validation: Any,
    y_validation: NDArray[np.integer],
    classes: int,
    score: Score | None = None,
) -> Classify:
    """Shares of the votes of the nearest training examples (Euclid), near ones counting more, fitted.

    How many vote is the one of `NEIGHBOURS` that is the best on the validation part: see `best_classifier`.
    """
    from sklearn.neighbors import KNeighborsClassifier

    def fitted() -> Iterator[Classify]:
        for count in progress([count for count in NEIGHBOURS if count <= len(x)], "nearest neighbours"):
            yield classify_by(KNeighborsClassifier(count, weights="distance").fit(x, y), classes)

    return best_classifier(fitted(), x_validation, y_validation, score)
