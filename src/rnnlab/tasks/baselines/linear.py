"""Linear models that several tasks stand beside their cells."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.output import progress
from rnnlab.tasks.baselines.classifiers import Answer, Classify, Score, best_answer, best_classifier, classify_by
from rnnlab.tasks.task import Array

PENALTIES = (0.01, 0.1, 1.0)

RIDGE_PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)

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


def ridge_regression(x: Any, y: Array, x_validation: Any, y_validation: Array) -> Callable[[Any], Array]:
    """Ridge regression, fitted: from features, dense or sparse, a number for each example.

    Its penalty is the one of `RIDGE_PENALTIES` with the smallest mean absolute error on the validation part.
    """
    from sklearn.linear_model import Ridge

    models = (Ridge(alpha=penalty).fit(x, y) for penalty in progress(RIDGE_PENALTIES, "ridge"))
    return _nearest((model.predict for model in models), x_validation, y_validation)


def linear_svr(x: Any, y: Array, x_validation: Any, y_validation: Array) -> Callable[[Any], Array]:
    """A linear support vector machine for regression, with the absolute loss, fitted, see `ridge_regression`.

    The inverse of its penalty is the one of `SVM_PENALTIES` that is best on the validation part.
    """
    from sklearn.svm import LinearSVR

    models = (
        LinearSVR(C=inverse, random_state=0, max_iter=5000).fit(x, y)
        for inverse in progress(SVM_PENALTIES, "linear SVR")
    )
    return _nearest((model.predict for model in models), x_validation, y_validation)


def _nearest(
    candidates: Iterable[Callable[[Any], Array]], x_validation: Any, y_validation: Array
) -> Callable[[Any], Array]:
    """The first of those with the smallest mean absolute error on the validation part."""
    return min(candidates, key=lambda predict: float(np.abs(predict(x_validation) - y_validation).mean()))


def discriminant_analysis(x: Any, y: NDArray[np.integer], classes: int) -> Classify:
    """Linear discriminant analysis: a Gaussian for each class, all of one covariance, fitted.

    The covariance is shrunk towards a multiple of the identity as Ledoit and Wolf (2004) have it, so that there may be
    more features than examples.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    return classify_by(LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(x, y), classes)
