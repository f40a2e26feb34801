"""Batches that are ready when they are asked for, in an order that is a function of the seed and the epoch alone."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor


class Order:
    """The order of the examples: as they lie without a seed, else a new permutation for each epoch."""

    def __init__(self, size: int, seed: int | None) -> None:
        self.size = size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning at the start of each epoch, also of a resumed one."""
        self.epoch = epoch

    def indices(self) -> Tensor:
        if self.seed is None:
            return torch.arange(self.size)
        # both numbers in one seed without a clash: epochs stay below 2**20
        generator = torch.Generator().manual_seed((self.seed << 20) + self.epoch)
        return torch.randperm(self.size, generator=generator)


class Batches:
    """`take(indices)` for each `batch_size` of the `size` examples; the last batch is the rest, never dropped.

    A loader of one line: for examples that lie in memory, workers and per-example collation cost more than a step.
    Lightning finds `sampler` and tells it the epoch, as it does for a `DataLoader`.
    """

    batch_sampler = None

    def __init__(self, take: Callable[[Tensor], Any], size: int, batch_size: int, seed: int | None = None) -> None:
        self.take = take
        self.batch_size = batch_size
        self.sampler = Order(size, seed)

    def __len__(self) -> int:
        return -(-self.sampler.size // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        for indices in torch.split(self.sampler.indices(), self.batch_size):
            yield self.take(indices)
