"""Examples that a task draws by rule: there is nothing to fetch, and no licence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from rnnlab.datasets.dataset import Dataset, File

SEED = 0


@dataclass(frozen=True)
class Generated(Dataset):
    """The random numbers that examples are drawn from: the same whatever the seed of a training.

    Its folder holds a record alone, that nothing was fetched.
    """

    worded: ClassVar[tuple[str, ...]] = ("source",)

    source: Literal["generated"] = "generated"

    def in_words(self, facts: Mapping[str, Any]) -> Sequence[str]:
        return []  # what is drawn, the task says

    def files(self) -> list[File]:
        return []

    def generator(self, *key: int) -> np.random.Generator:
        """Random numbers of their own for each key."""
        return np.random.default_rng([SEED, *key])
