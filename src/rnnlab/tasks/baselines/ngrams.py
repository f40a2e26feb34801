"""Which n-grams occur in sequences of tokens: what methods without recurrence know of their order."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from rnnlab.data.ragged import Ragged
from rnnlab.output import progress
from rnnlab.tasks.baselines.classifiers import Classify, Score, best_classifier, classify_by
from rnnlab.tasks.baselines.linear import logistic_regression

SMOOTHING = (0.1, 0.3, 1.0, 3.0)


class NGrams:
    """The n-grams that stand in at least `at_least` places of the training sequences, for each of the `sizes`.

    Of "a b a" with sizes (1, 2): a, b, ab, ba. A token is a whole number below `tokens`; tokens^n must fit 63 bits.
    """

    def __init__(self, training: Ragged, tokens: int, sizes: Sequence[int], at_least: int = 2) -> None:
        self.tokens = tokens
        self.sizes = tuple(sizes)
        self._known = []
        for _, numbers in self._found(training):
            known, counts = np.unique(numbers, return_counts=True)
            self._known.append(known[counts >= at_least])

    def features(self, sequences: Ragged) -> Any:
        """A sparse matrix (sequences, n-grams): 1 where it occurs, however often."""
        blocks = []
        for (rows, numbers), known in zip(self._found(sequences), self._known, strict=True):
            columns = np.searchsorted(known, numbers)
            met = np.isin(numbers, known)
            shape = (len(sequences), len(known))
            block = sparse.csr_matrix((np.ones(met.sum(), np.float32), (rows[met], columns[met])), shape=shape)
            block.data[:] = 1
            blocks.append(block)
        return sparse.hstack(blocks, format="csr")

    def _found(self, sequences: Ragged) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """For each size, every n-gram as one number, with the sequence that it stands in."""
        rows = np.repeat(np.arange(len(sequences)), sequences.lengths.numpy())
        for size in self.sizes:
            places = max(0, len(rows) - size + 1)
            numbers = np.zeros(places, np.int64)
            for offset in range(size):
                numbers = numbers * self.tokens + sequences.values[offset : offset + places]
            inside = rows[:places] == rows[len(rows) - places :]
            yield rows[:places][inside], numbers[inside]


def complement_naive_bayes(
    x: Any,
    y: NDArray[np.integer],
    x_validation: Any,
    y_validation: NDArray[np.integer],
    classes: int,
    score: Score | None = None,
) -> Classify:
    """Complement naive Bayes (Rennie et al. 2003), fitted: each class by the features of all others.

    Of two classes it is naive Bayes with both as likely beforehand. x: counts, sparse. What is added to each count is
    the one of `SMOOTHING` that is the best on the validation part: see `best_classifier`.
    """
    from sklearn.naive_bayes import ComplementNB

    def fitted() -> Iterator[Classify]:
        for alpha in progress(SMOOTHING, "naive Bayes"):
            yield classify_by(ComplementNB(alpha=alpha).fit(x, y), classes)

    return best_classifier(fitted(), x_validation, y_validation, score)


def nb_svm(
    x: Any, y: NDArray[np.integer], x_validation: Any, y_validation: NDArray[np.integer], classes: int = 2
) -> Classify:
    """NB-SVM (Wang and Manning 2012), with the logistic loss in place of the hinge, fitted.

    A linear model of x ⊙ r, r = ln((p / |p|₁) / (q / |q|₁)), p = 1 + Σ over the examples of class 1 of x, q the same
    of class 0: features that distinguish the classes are penalised less. Of more than two classes, one such model
    separates each from all others, and their probabilities are divided by their sum. x: 0 and 1, sparse.
    """
    if classes == 2:
        return _nb_svm_of_two(x, y, x_validation, y_validation)
    each = [
        _nb_svm_of_two(x, (y == label).astype(np.int64), x_validation, (y_validation == label).astype(np.int64))
        for label in progress(range(classes), "NB-SVM")
    ]

    def classify(x: Any) -> NDArray[np.float64]:
        found = np.stack([one(x)[:, 1] for one in each], axis=1)
        shares: NDArray[np.float64] = found / found.sum(axis=1, keepdims=True)
        return shares

    return classify


def _nb_svm_of_two(x: Any, y: NDArray[np.integer], x_validation: Any, y_validation: NDArray[np.integer]) -> Classify:
    p, q = (1.0 + np.asarray(x[y == label].sum(axis=0)).ravel() for label in (1, 0))
    ratio = sparse.diags(np.log((p / p.sum()) / (q / q.sum())).astype(np.float32))

    def scaled(x: Any) -> Any:
        return (x @ ratio).tocsr()

    classify = logistic_regression(scaled(x), y, scaled(x_validation), y_validation, 2)
    return lambda x: classify(scaled(x))
