"""Support vector machines with a kernel: strong where examples are few, without probabilities."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.output import progress
from rnnlab.tasks.baselines.classifiers import Answer, Score, best_answer

INVERSES = (3.0, 10.0)

WIDTHS = (1.0, 2.0)
"""γ in units of 1 / (features · variance of all numbers of x)."""


def rbf_svm(x: Any, y: NDArray[np.integer], x_validation: Any, score: Score) -> Answer:
    """A support vector machine with the kernel exp(-γ |x - x'|²) for each pair of classes, which vote, fitted.

    x: (examples, features), on scales that may be compared. The inverse of its penalty and γ are those of `INVERSES`
    and `WIDTHS` that are the best on the validation part.
    """
    from sklearn.svm import SVC

    unit = 1 / max(x.shape[1] * float(x.var()), np.finfo(np.float32).tiny)

    def fitted() -> Iterator[Answer]:
        for inverse, width in progress(list(product(INVERSES, WIDTHS)), "SVM"):
            yield SVC(C=inverse, gamma=width * unit, cache_size=500).fit(x, y).predict

    return best_answer(fitted(), x_validation, score)
