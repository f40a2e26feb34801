"""Dynamic time warping: how far one sequence is from another when either may be stretched."""

import numpy as np
from numpy.typing import NDArray

from rnnlab.output import progress
from rnnlab.tasks.task import Array

QUERIES = 16
"""Compared with all references at once: enough to fill a vectorised step, few enough to stay in the cache."""


def warped_distances(queries: list[NDArray[np.float32]], references: list[NDArray[np.float32]]) -> Array:
    """g(I, J) / (I + J) of each query and each reference, (queries, references), in the symmetric form of Sakoe and
    Chiba (1978):

        g(i, j) = min(g(i - 1, j) + d(i, j), g(i - 1, j - 1) + 2 d(i, j), g(i, j - 1) + d(i, j))

    d(i, j) is the Euclidean distance of timestep i of the query, of I, and j of the reference, of J. All have the form
    (time, size).
    """
    by_length = np.argsort([len(query) for query in queries], kind="stable")
    # the longest first: those that have a timestep j are then the first of all
    reference_order = np.argsort([-len(reference) for reference in references], kind="stable")
    padded, lengths = _side_by_side([references[number] for number in reference_order])
    result = np.empty((len(queries), len(references)))
    for first in progress(range(0, len(queries), QUERIES), "dynamic time warping"):
        rows = by_length[first : first + QUERIES]
        result[np.ix_(rows, reference_order)] = _distances([queries[row] for row in rows], padded, lengths)
    return result


def _side_by_side(sequences: list[NDArray[np.float32]]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """(time, sequences, size), zero behind the end of each, and their lengths."""
    lengths = np.array([len(sequence) for sequence in sequences])
    padded = np.zeros((lengths.max(), len(sequences), sequences[0].shape[1]), np.float32)
    for number, sequence in enumerate(sequences):
        padded[: len(sequence), number] = sequence
    return padded, lengths


def _distances(
    queries: list[NDArray[np.float32]], references: NDArray[np.float32], reference_lengths: NDArray[np.int64]
) -> Array:
    """g(I, J) / (I + J), cell by cell of the grid of timesteps, each for all pairs at once that have it."""
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
            d = np.sqrt(np.maximum(square, 0))
            if i == j == 0:
                row[1] = 2 * d
                continue
            up, left, corner = before[j + 1, :, :count], row[j, :, :count], before[j, :, :count]
            row[j + 1, :, :count] = np.minimum(np.minimum(up, left), corner + d) + d
        for number in np.flatnonzero(lengths == i + 1):
            g = row[reference_lengths, number, np.arange(shape[1])]
            result[number] = g / (i + 1 + reference_lengths)
        before, row = row, before
    return result
