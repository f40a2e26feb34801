"""Dynamic time warping: how far one sequence is from another when either may be stretched."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from rnnlab.output import progress
from rnnlab.tasks.baselines.classifiers import Classify
from rnnlab.tasks.task import Array

log = logging.getLogger("rnnlab")

QUERIES = 16
"""Compared with all references at once: enough to fill a vectorised step, few enough to stay in the cache."""


def warped_distances(
    queries: list[NDArray[np.float32]], references: list[NDArray[np.float32]], squared: bool = False
) -> Array:
    """g(I, J) / (I + J) of each query and each reference, (queries, references), in the symmetric form of Sakoe and
    Chiba (1978):

        g(i, j) = min(g(i - 1, j) + d(i, j), g(i - 1, j - 1) + 2 d(i, j), g(i, j - 1) + d(i, j))

    d(i, j) is the Euclidean distance of timestep i of the query, of I, and j of the reference, of J. All have the form
    (time, size).

    squared: g(I, J), as nearest neighbours among labelled sequences are usually found (Bagnall et al. 2017), where

        g(i, j) = min(g(i - 1, j), g(i - 1, j - 1), g(i, j - 1)) + d(i, j)²
    """
    by_length = np.argsort([len(query) for query in queries], kind="stable")
    # the longest first: those that have a timestep j are then the first of all
    reference_order = np.argsort([-len(reference) for reference in references], kind="stable")
    padded, lengths = _side_by_side([references[number] for number in reference_order])
    result = np.empty((len(queries), len(references)))
    for first in progress(range(0, len(queries), QUERIES), "dynamic time warping"):
        rows = by_length[first : first + QUERIES]
        result[np.ix_(rows, reference_order)] = _distances([queries[row] for row in rows], padded, lengths, squared)
    return result


def _side_by_side(sequences: list[NDArray[np.float32]]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """(time, sequences, size), zero behind the end of each, and their lengths."""
    lengths = np.array([len(sequence) for sequence in sequences])
    padded = np.zeros((lengths.max(), len(sequences), sequences[0].shape[1]), np.float32)
    for number, sequence in enumerate(sequences):
        padded[: len(sequence), number] = sequence
    return padded, lengths


def _distances(
    queries: list[NDArray[np.float32]],
    references: NDArray[np.float32],
    reference_lengths: NDArray[np.int64],
    of_squares: bool,
) -> Array:
    """g(I, J) / (I + J), or g(I, J), cell by cell of the grid of timesteps, each for all pairs at once that have it."""
    padded, lengths = _side_by_side(queries)
    shape = (len(queries), references.shape[1])
    squares = np.square(padded).sum(axis=-1)
    reference_squares = np.square(references).sum(axis=-1)
    long_enough = [int((reference_lengths > j).sum()) for j in range(len(references))]
    result = np.empty(shape)
    # g of the row before and of this one, at each timestep of the references; outside of the grid it is infinite
    before = np.full((len(references) + 1, *shape), np.inf, np.float32)
    row = np.full_like(before, np.inf)
    for i, query in enumerate(padded):
        for j, (reference, count) in enumerate(zip(references, long_enough, strict=True)):
            square = squares[i][:, None] + reference_squares[j, :count] - 2 * (query @ reference[:count].T)
            d = np.maximum(square, 0) if of_squares else np.sqrt(np.maximum(square, 0))
            if i == j == 0:
                row[1] = d if of_squares else 2 * d
                continue
            up, left, corner = before[j + 1, :, :count], row[j, :, :count], before[j, :, :count]
            row[j + 1, :, :count] = np.minimum(np.minimum(up, left), corner if of_squares else corner + d) + d
        for number in np.flatnonzero(lengths == i + 1):
            g = row[reference_lengths, number, np.arange(shape[1])]
            result[number] = g if of_squares else g / (i + 1 + reference_lengths)
        before, row = row, before
    return result


TEMPERATURES = 2.0 ** np.arange(-10, 3)
FITTED = 100
"""Sequences of the validation part, at most, that the temperature is chosen on."""


def nearest_by_warping(
    training: list[NDArray[np.float32]],
    y: NDArray[np.integer],
    validation: list[NDArray[np.float32]],
    y_validation: NDArray[np.integer],
    classes: int,
    squared: bool = False,
) -> Classify:
    """The class of the training sequence that is nearest, fitted: a softmax of the distances to the nearest one of each
    class, whose temperature is the one of `TEMPERATURES` under which the validation part is the likeliest.

    squared: see `warped_distances`; temperatures are then multiples of the median of these distances.
    """

    def by_class(sequences: list[NDArray[np.float32]]) -> Array:
        """The distance to the nearest training sequence of each class, (sequences, classes)."""
        distances = warped_distances(sequences, training, squared)
        nearest = np.full((len(sequences), classes), np.inf)
        for label in np.unique(y):
            nearest[:, label] = distances[:, y == label].min(axis=1)
        return nearest

    chosen = np.unique(np.linspace(0, len(y_validation) - 1, FITTED).astype(int))
    known = by_class([validation[index] for index in chosen.tolist()])
    unit = max(float(np.median(known[np.isfinite(known)])), 1e-12) if squared else 1.0

    def surprise(temperature: float) -> float:
        likely = softmax(-known / temperature, axis=1)[np.arange(len(chosen)), y_validation[chosen]]
        return -float(np.log(likely.clip(1e-12)).mean())

    best = min((TEMPERATURES * unit).tolist(), key=surprise)

    def probabilities(sequences: list[NDArray[np.float32]]) -> Array:
        found: Array = softmax(-by_class(sequences) / best, axis=1)
        return found

    return probabilities


BUDGET = 20.0
"""Seconds, about, that a core may spend on the distances of a task."""
PER_STEP, PER_PAIR = 30e-6, 4e-8
"""Seconds of a cell of the grid of timesteps: for `QUERIES` at once, and for each of their pairs."""
FEWEST_REFERENCES = 500


@dataclass(frozen=True)
class Thinning:
    """What of sequences is compared, where all of it would take too long: means of `factor` timesteps in a row, and
    `references` of the training part, those at even distances when it is sorted by label."""

    factor: int
    references: NDArray[np.int64]

    @classmethod
    def of(
        cls, training: Sequence[NDArray[np.float32]], queries: Sequence[NDArray[np.float32]], y: NDArray[Any]
    ) -> "Thinning":
        """queries: all that will be compared with the training part. y: labels or numbers of that."""
        time = float(np.mean([len(each) for each in training])) * float(np.mean([len(each) for each in queries]))
        count, factor = len(training), 1

        def seconds() -> float:
            return len(queries) / QUERIES * time / factor**2 * (PER_STEP + PER_PAIR * QUERIES * count)

        while seconds() > BUDGET:
            if count > FEWEST_REFERENCES:
                count = max(FEWEST_REFERENCES, count // 2)
            else:
                factor += 1
        by_label = np.argsort(y, kind="stable")
        references = np.sort(by_label[np.linspace(0, len(training) - 1, count).astype(int)])
        if factor > 1 or count < len(training):
            log.info(
                "dynamic time warping compares means of %d timesteps with %d of %d training sequences, for time",
                factor, count, len(training),
            )  # fmt: skip
        return cls(factor, references)

    def thin(self, sequences: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        if self.factor == 1:
            return list(sequences)
        return [self._means(each) for each in sequences]

    def _means(self, sequence: NDArray[np.float32]) -> NDArray[np.float32]:
        edges = np.arange(0, len(sequence), self.factor)
        sizes = np.diff(np.append(edges, len(sequence)))
        return (np.add.reduceat(sequence, edges, axis=0) / sizes[:, None]).astype(np.float32)
