"""Linear classifiers that several tasks stand beside their cells."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.output import progress
from rnnlab.tasks.baselines.classifiers import Answer, Classify, Score, best_answer, best_classifier, classify_by

PENALTIES = (0.01, 0.1, 1.0)

SVM_PENALTIES = (0.02, 0.05, 0.1, 0.2, 0.5)


def logistic_regression(
    x: Any,
    y: NDArray[np.integer],
    x_validation: Any,
    y_validation: NDArray[np.integer],
    classes: int,
    score: Score | None = None,
) -> Classify:
    """Multinomial logistic regression on the features x (dense or sparse), fitted.

    The inverse of its penalty is the one of `PENALTIES` that is the best on the validation part: see `best_classifier`.
    """
    from sklearn.linear_model import LogisticRegression

    def fitted() -> Iterator[Classify]:
        for inverse in progress(PENALTIES, "logistic regression"):
            yield classify_by(LogisticRegression(C=inverse, max_iter=200, tol=1e-3).fit(x, y), classes)

    return best_classifier(fitted(), x_validation, y_validation, score)


def linear_svm(x: Any, y: NDArray[np.integer], x_validation: Any, score: Score) -> Answer:
    """A linear support vector machine for each class against all others, with the squared hinge loss, fitted.

    x: dense or sparse. The inverse of its penalty is the one of `SVM_PENALTIES` that is best on the validation part.
    """
    from sklearn.svm import LinearSVC

    def fitted() -> Iterator[Answer]:
        for inverse in progress(SVM_PENALTIES, "linear SVM"):
            yield LinearSVC(C=inverse, random_state=0).fit(x, y).predict

    return best_answer(fitted(), x_validation, score)


def discriminant_analysis(x: Any, y: NDArray[np.integer], classes: int) -> Classify:
    """Linear discriminant analysis: a Gaussian for each class, all of one covariance, fitted.

    The covariance is shrunk towards a multiple of the identity as Ledoit and Wolf (2004) have it, so that there may be
    more features than examples.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    return classify_by(LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(x, y), classes)
