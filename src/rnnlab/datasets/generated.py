"""Examples that a task draws by rule: there is nothing to fetch, and no licence."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from rnnlab.datasets.dataset import Dataset, File

SEED = 0


@dataclass(frozen=True)
class Generated(Dataset):
    """The random numbers that examples are drawn from: the same whatever the seed of a training.

    Its folder holds a record alone, that nothing was fetched.
    """

    source: Literal["generated"] = "generated"

    def files(self) -> list[File]:
        return []

    def generator(self, *key: int) -> np.random.Generator:
        """Random numbers of their own for each key."""
        return np.random.default_rng([SEED, *key])
