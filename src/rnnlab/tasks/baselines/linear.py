"""Methods without a recurrent net that several tasks stand beside their cells."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.output import progress
from rnnlab.tasks.task import Array

PENALTIES = (0.01, 0.1, 1.0)

Classify = Callable[[Any], Array]
"""A fitted classifier: from features (examples, ...), the probability of each class, (examples, classes)."""


def logistic_regression(
    x: Any, y: NDArray[np.integer], x_validation: Any, y_validation: NDArray[np.integer], classes: int
) -> Classify:
    """Multinomial logistic regression on the features x (dense or sparse), fitted.

    The inverse of its penalty is the one of `PENALTIES` under which the validation part is the likeliest.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss

    def probabilities(model: LogisticRegression, x: Any) -> Array:
        """Of all classes, those that training lacks included."""
        found = np.zeros((x.shape[0], classes))
        found[:, model.classes_] = model.predict_proba(x)
        # of features in float32 the sums are off 1 by more than scikit-learn allows for in float64
        found /= found.sum(axis=1, keepdims=True)
        return found

    best, lowest = None, np.inf
    for inverse in progress(PENALTIES, "logistic regression"):
        model = LogisticRegression(C=inverse, max_iter=200, tol=1e-3).fit(x, y)
        loss = log_loss(y_validation, probabilities(model, x_validation), labels=np.arange(classes))
        if loss < lowest:
            best, lowest = model, loss
    assert best is not None
    return partial(probabilities, best)
