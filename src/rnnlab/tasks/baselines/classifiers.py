"""Fitted classifiers of scikit-learn, and which of several serves best on the validation part."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.tasks.task import Array

Classify = Callable[[Any], Array]
"""A fitted classifier: from features (examples, ...), the probability of each class, (examples, classes)."""

Answer = Callable[[Any], NDArray[np.integer]]
"""A fitted classifier that knows no probabilities: from features (examples, ...), a class for each, (examples,)."""

Score = Callable[[NDArray[np.integer]], float]
"""The metric that ranks, higher being better, of a class for each example of the validation part, (examples,)."""


def classify_by(model: Any, classes: int) -> Classify:
    """The probabilities of a fitted model of scikit-learn, of all classes, those that training lacks included."""

    def probabilities(x: Any) -> Array:
        found = np.zeros((x.shape[0], classes))
        found[:, model.classes_] = model.predict_proba(x)
        # of features in float32 the sums are off 1 by more than scikit-learn allows for in float64
        found /= found.sum(axis=1, keepdims=True)
        return found

    return probabilities


def best_answer(candidates: Iterable[Answer], x_validation: Any, score: Score) -> Answer:
    """The first of the best on the validation part."""
    return max(candidates, key=lambda answer: score(answer(x_validation)))


def best_classifier(
    candidates: Iterable[Classify], x_validation: Any, y_validation: NDArray[np.integer], score: Score | None = None
) -> Classify:
    """The best on the validation part; of several as good the one under which that part is the likeliest.

    score: None is the share of right answers.
    """
    from sklearn.metrics import log_loss

    def merit(classify: Classify) -> tuple[float, float]:
        found = classify(x_validation)
        answers = found.argmax(axis=1)
        value = float((answers == y_validation).mean()) if score is None else score(answers)
        return value, -float(log_loss(y_validation, found, labels=np.arange(found.shape[1])))

    return max(candidates, key=merit)
