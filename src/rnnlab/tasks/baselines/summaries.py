"""A sequence in a few numbers, whatever its length."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rnnlab.tasks.task import Array


def summaries(sequences: Sequence[NDArray[np.float32]]) -> Array:
    """(sequences, 9 channels + 1): of each channel its mean, standard deviation, least and largest value, first and
    last one, the slope of a line through it, its mean absolute change, and how it correlates with itself one timestep
    later; then the logarithm of the length. sequences: each (time, channels)."""
    return np.stack([_summary(np.asarray(sequence, np.float64)) for sequence in sequences])


def _summary(x: Array) -> Array:
    time = np.linspace(-1, 1, len(x)) if len(x) > 1 else np.zeros(1)
    mean = x.mean(axis=0)
    from_mean = x - mean
    changes = np.abs(np.diff(x, axis=0)).mean(axis=0) if len(x) > 1 else np.zeros(x.shape[1])
    power = np.square(from_mean).sum(axis=0)
    lagged = (from_mean[1:] * from_mean[:-1]).sum(axis=0)
    correlation = np.divide(lagged, power, out=np.zeros_like(power), where=power > 0)
    slope = time @ x / max(float(time @ time), 1.0)
    each = [mean, x.std(axis=0), x.min(axis=0), x.max(axis=0), x[0], x[-1], slope, changes, correlation]
    return np.append(np.concatenate(each), np.log(len(x)))
