"""Sequences of unlike lengths in two arrays: all their timesteps one after the other, and where each begins."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Ragged:
    """Opened by memory map: what `take` does not ask for is not read.

    values: (all timesteps, ...); offsets: (sequences + 1,), sequence i being values[offsets[i]:offsets[i + 1]].
    """

    def __init__(self, values: NDArray[Any], offsets: NDArray[np.int64]) -> None:
        self.values = values
        self.offsets = torch.from_numpy(np.ascontiguousarray(offsets))
        self.lengths = self.offsets.diff()

    @staticmethod
    def write(folder: Path, name: str, sequences: Iterable[NDArray[Any]], dtype: Any) -> None:
        """Write <name>.npy and <name>_offsets.npy."""
        arrays = [np.asarray(sequence, dtype) for sequence in sequences]
        offsets = np.zeros(len(arrays) + 1, np.int64)
        np.cumsum([len(array) for array in arrays], out=offsets[1:])
        np.save(folder / f"{name}.npy", np.concatenate(arrays) if arrays else np.empty(0, dtype))
        np.save(folder / f"{name}_offsets.npy", offsets)

    @classmethod
    def of(cls, sequences: Sequence[NDArray[Any]]) -> "Ragged":
        """Sequences that lie in memory."""
        return cls(np.concatenate(sequences), np.cumsum([0, *map(len, sequences)]))

    @classmethod
    def open(cls, folder: Path, name: str) -> "Ragged":
        return cls(np.load(folder / f"{name}.npy", mmap_mode="r"), np.load(folder / f"{name}_offsets.npy"))

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> NDArray[Any]:
        result: NDArray[Any] = self.values[int(self.offsets[index]) : int(self.offsets[index + 1])]
        return result

    def take(self, indices: Tensor, longest: int | None = None, padding: int = 0) -> tuple[Tensor, Tensor]:
        """The named sequences side by side, (batch, time, ...), and their lengths; each cut off after `longest`."""
        lengths = self.lengths[indices]
        if longest is not None:
            lengths = lengths.clamp(max=longest)
        steps = torch.arange(int(lengths.max()))
        real = steps < lengths[:, None]
        places = torch.where(real, self.offsets[indices][:, None] + steps, 0)
        batch = torch.from_numpy(np.asarray(self.values[places.numpy()]))
        batch = batch.float() if batch.is_floating_point() else batch.long()
        batch[~real] = padding
        return batch, lengths
