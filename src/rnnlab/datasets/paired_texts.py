"""Texts and what they become: what every data set of such pairs reads."""

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlab.datasets.dataset import Dataset


class Pairs(NamedTuple):
    """Texts and what they become, one of each for every pair.

    groups: pairs of one group stay on one side of a split. kinds: what the pairs differ in, where they do.
    splits: 0 train, 1 validation, 2 test, where the data has its own; else None.
    """

    sources: list[str]
    targets: list[str]
    groups: list[str]
    kinds: list[str] | None = None
    splits: NDArray[np.int8] | None = None


@dataclass(frozen=True)
class PairedTexts(Dataset):
    """A data set of one source that reads `Pairs`."""

    @abstractmethod
    def read(self, folder: Path) -> Pairs:
        """Raises: `UserError` for files of another content than expected."""
