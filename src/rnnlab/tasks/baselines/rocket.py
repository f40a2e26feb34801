"""MiniRocket: how often convolutions with a few fixed kernels are above a threshold (Dempster, Schmidt, Webb 2021)."""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlab.output import progress
from rnnlab.tasks.baselines.classifiers import Answer
from rnnlab.tasks.task import Array

LENGTH = 9
"""Of a kernel: six weights of -1 and three of 2, whose sum is 0."""
PLACES = np.array(list(combinations(range(LENGTH), 3)))
"""Where the weights of 2 stand, (84, 3)."""
FEATURES = 9_996
MOST_DILATIONS = 32
MOST_CHANNELS = 9
BLOCK = 1 << 22
"""Numbers of a convolution that are in memory at a time."""
PENALTIES = np.logspace(-3, 3, 10)

Series = Sequence[NDArray[np.float32]]


class _Kernel(NamedTuple):
    """One of the 84 under a dilation. channels: whose convolutions are added; biases: (features,); padded: whether the
    ends count, where the kernel reaches beyond the sequence."""

    places: NDArray[np.int64]
    channels: NDArray[np.int64]
    biases: NDArray[np.float32]
    padded: bool


class MiniRocket:
    """Each feature is the share of timesteps at which x * w > b, for a kernel w under some dilation:

        (x * w)ₜ = Σⱼ wⱼ x at t + (j - 4) d,  j = 0 ... 8

    Dilations d grow exponentially until a kernel spans the longest training sequence. The biases b are quantiles of the
    convolution of a training sequence drawn at random. Every other kernel counts only timesteps at which it lies
    within the sequence. Of several channels a random few are added up. Each sequence is counted over its own length,
    and zeros, the mean of training, stand beside it: so lengths may differ, and be below 9.

    Nothing is drawn that is not the same each time.
    """

    def __init__(self, features: int = FEATURES) -> None:
        self.features_per_kernel = max(1, features // len(PLACES))
        self._plan: dict[int, list[_Kernel]] = {}

    def fit(self, sequences: Series) -> "MiniRocket":
        """sequences: each (time, channels), of the training part."""
        rng = np.random.default_rng(0)
        dilations, counts = self._dilations(max(map(len, sequences)))
        channels = sequences[0].shape[1]
        golden = (np.sqrt(5) + 1) / 2
        quantiles = np.arange(1, len(PLACES) * self.features_per_kernel + 1) * golden % 1
        used = 0
        for number, (dilation, count) in enumerate(zip(dilations.tolist(), counts.tolist(), strict=True)):
            drawn = rng.integers(len(sequences), size=len(PLACES))
            kernels = []
            for index, places in enumerate(PLACES):
                several = int(2 ** rng.uniform(0, np.log2(min(channels, MOST_CHANNELS) + 1)))
                chosen = np.sort(rng.choice(channels, max(1, several), replace=False))
                padded = (number + index) % 2 == 0
                x, lengths = _side_by_side([sequences[drawn[index]]])
                found = _Shifted(x, dilation).convolved(places, chosen)
                biases = np.quantile(found[0, : lengths[0]], quantiles[used : used + count])
                used += count
                kernels.append(_Kernel(places, chosen, biases.astype(np.float32), padded))
            self._plan[dilation] = kernels
        return self

    def _dilations(self, longest: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Dilations, and how many features a kernel has under each."""
        most = min(self.features_per_kernel, MOST_DILATIONS)
        last = np.log2(max(1.0, (longest - 1) / (LENGTH - 1)))
        dilations, counts = np.unique(np.logspace(0, last, most, base=2).astype(np.int64), return_counts=True)
        counts = (counts * (self.features_per_kernel / most)).astype(np.int64)
        left = self.features_per_kernel - int(counts.sum())
        counts[np.arange(left) % len(counts)] += 1
        return dilations, counts

    def features(self, sequences: Series) -> NDArray[np.float32]:
        """(sequences, features), from 0 to 1."""
        longest = max(map(len, sequences))
        size = max(1, BLOCK // (longest * sequences[0].shape[1]))
        blocks = [sequences[first : first + size] for first in range(0, len(sequences), size)]
        return np.concatenate([self._of_block(block) for block in progress(blocks, "convolutions")])

    def _of_block(self, sequences: Series) -> NDArray[np.float32]:
        x, lengths = _side_by_side(sequences)
        timesteps = np.arange(x.shape[1])
        inside = timesteps < lengths[:, None]
        columns = []
        for dilation, kernels in self._plan.items():
            margin = dilation * (LENGTH // 2)
            within = (timesteps >= margin) & (timesteps < lengths[:, None] - margin)
            shifted = _Shifted(x, dilation)
            for kernel in kernels:
                found = shifted.convolved(kernel.places, kernel.channels)
                counted = inside if kernel.padded else within
                total = np.maximum(counted.sum(axis=1), 1)
                masked = np.where(counted, found, -np.inf)
                columns += [np.count_nonzero(masked > bias, axis=1) / total for bias in kernel.biases]
        return np.stack(columns, axis=1).astype(np.float32)


class _Shifted:
    """What each place of a kernel meets at each timestep, under a dilation. x: (sequences, time, channels)."""

    def __init__(self, x: NDArray[np.float32], dilation: int) -> None:
        margin = dilation * (LENGTH // 2)
        padded = np.pad(x, ((0, 0), (margin, margin), (0, 0)))
        self.met = [padded[:, j * dilation : j * dilation + x.shape[1]] for j in range(LENGTH)]
        self.total = np.sum(self.met, axis=0)

    def convolved(self, places: NDArray[np.int64], channels: NDArray[np.int64]) -> NDArray[np.float32]:
        """(x * w), summed over channels, (sequences, time)."""
        # weights of 2 and -1 are three times ones at three places, less ones everywhere
        three = self.met[places[0]] + self.met[places[1]] + self.met[places[2]]
        result: NDArray[np.float32] = (3 * three - self.total)[:, :, channels].sum(axis=2)
        return result


def _side_by_side(sequences: Series) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """(sequences, time, channels), zeros behind the end of each, and their lengths."""
    lengths = np.array([len(sequence) for sequence in sequences])
    x = np.zeros((len(sequences), int(lengths.max()), sequences[0].shape[1]), np.float32)
    for number, sequence in enumerate(sequences):
        x[number, : len(sequence)] = sequence
    return x, lengths


def ridge_on_kernels(sequences: Series, y: NDArray[np.integer]) -> Answer:
    """A ridge classifier on the features, fitted: it knows no probabilities.

    The penalty is the one of `PENALTIES` that leaves the smallest error when each training sequence is left out once,
    for which no further fit is needed; a validation part may be smaller than the number of classes.
    """
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rocket = MiniRocket().fit(sequences)
    model = make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=PENALTIES)).fit(rocket.features(sequences), y)
    return lambda others: model.predict(rocket.features(others))


def ridge_numbers_on_kernels(sequences: Series, y: Array) -> Callable[[Series], Array]:
    """As `ridge_on_kernels`, of numbers, (sequences,)."""
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rocket = MiniRocket().fit(sequences)
    model = make_pipeline(StandardScaler(), RidgeCV(alphas=PENALTIES)).fit(rocket.features(sequences), y)
    return lambda others: np.asarray(model.predict(rocket.features(others)), np.float64)
