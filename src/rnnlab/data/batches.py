"""Batches that are ready when they are asked for, in an order that is a function of the seed and the epoch alone."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnlab.data.vocabulary import IGNORED

POOL = 64
"""Batches' worth of examples that are sorted by length together: little padding, and still another order each epoch."""


class Batch(NamedTuple):
    """Examples, the batch first in every tensor.

    inputs: (batch, time, input_size) or, of tokens, (batch, time); where nothing is read over time, no time.
    targets: (batch, ...), whole numbers for classes, `IGNORED` where there is none (padding, or no label here).
    lengths: (batch,), how many timesteps of each input are real; None: all.
    starts: whether each sequence begins here, and does not go on from the batch before.
    """

    inputs: Tensor
    targets: Tensor
    lengths: Tensor | None = None
    starts: bool = True

    def to(self, device: torch.device) -> "Batch":
        lengths = None if self.lengths is None else self.lengths.to(device)
        return Batch(self.inputs.to(device), self.targets.to(device), lengths, self.starts)


class Order:
    """The order of the examples: as they lie without a seed, else a new permutation for each epoch."""

    def __init__(self, size: int, seed: int | None) -> None:
        self.size = size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning at the start of each epoch, also of a resumed one."""
        self.epoch = epoch

    def generator(self) -> torch.Generator:
        """The epoch's own random numbers."""
        assert self.seed is not None
        # both numbers in one seed without a clash: epochs stay below 2**20
        return torch.Generator().manual_seed((self.seed << 20) + self.epoch)

    def batches(self, batch_size: int) -> list[Tensor]:
        """The indices of each batch of the epoch."""
        if self.seed is None:
            indices = torch.arange(self.size)
        else:
            indices = torch.randperm(self.size, generator=self.generator())
        return list(torch.split(indices, batch_size))


class ByLength(Order):
    """Examples of like length together, so that little of a batch is padding.

    With a seed: in a new permutation for each epoch, pools of `POOL` batches are sorted by length, cut into batches,
    and all batches shuffled. Without: sorted by length; `Batches` tells what lies where.
    """

    def __init__(self, lengths: Tensor, seed: int | None) -> None:
        super().__init__(len(lengths), seed)
        self.lengths = lengths

    def batches(self, batch_size: int) -> list[Tensor]:
        if self.seed is None:
            return list(torch.split(torch.argsort(self.lengths, stable=True), batch_size))
        generator = self.generator()
        batches: list[Tensor] = []
        for pool in torch.split(torch.randperm(self.size, generator=generator), POOL * batch_size):
            by_length = pool[torch.argsort(self.lengths[pool], stable=True)]
            batches += torch.split(by_length, batch_size)
        return [batches[index] for index in torch.randperm(len(batches), generator=generator).tolist()]


class Batches:
    """`take(indices)` for each batch of the order; the last batch is the rest, never dropped.

    A loader of one line: for examples that lie in memory, workers and per-example collation cost more than a step.
    Lightning finds `sampler` and tells it the epoch, as it does for a `DataLoader`.
    """

    batch_sampler = None

    def __init__(self, take: Callable[[Tensor], Batch], order: Order, batch_size: int) -> None:
        self.take = take
        self.batch_size = batch_size
        self.sampler = order

    def __len__(self) -> int:
        return -(-self.sampler.size // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        for indices in self.sampler.batches(self.batch_size):
            yield self.take(indices)

    def positions(self) -> Tensor:
        """The example that stands at each place of all batches one after the other."""
        return torch.cat(self.sampler.batches(self.batch_size))


class Streams:
    """A long sequence, cut into `batch_size` streams that are read side by side, from their beginning to their end.

    values: the whole sequence, (time,), whole numbers; span: the part [first, end) of it to read. The target of each
    timestep is the next one. Each batch goes on where the one before ended, so that the state can be carried: only the
    first of an epoch `starts`.

    Without a seed, every timestep of the span but its first is a target exactly once, and each stream is read from
    `warm_up` timesteps before it, whose targets do not count, so that its first prediction has a past as well.

    With a seed, each epoch begins at a place of its own, and goes on at the beginning of the span behind its end. It
    has `at_most` so many batches: of a very long sequence, it reads a part.
    """

    batch_sampler = None

    def __init__(
        self,
        values: NDArray[Any],
        span: tuple[int, int],
        timesteps: int,
        batch_size: int,
        seed: int | None = None,
        warm_up: int = 0,
        at_most: int | None = None,
    ) -> None:
        self.values = values
        self.first, end = span
        self.targets = end - self.first - 1
        self.timesteps = timesteps
        self.batch_size = max(1, min(batch_size, self.targets // timesteps))
        self.stream_length = -(-self.targets // self.batch_size)
        if seed is None:
            self.begin, self.end = -warm_up, self.stream_length
        else:
            self.begin, self.end = 0, min(self.stream_length, (at_most or self.stream_length) * timesteps)
        self.sampler = Order(self.targets, seed)

    def __len__(self) -> int:
        return -(-(self.end - self.begin) // self.timesteps)

    def __iter__(self) -> Iterator[Batch]:
        for number, (places, counted) in enumerate(self.places()):
            inputs, targets = (torch.from_numpy(self.values[p].astype(np.int64)) for p in (places, places + 1))
            yield Batch(inputs, targets.masked_fill(~torch.from_numpy(counted), IGNORED), starts=number == 0)

    def places(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.bool_]]]:
        """For each batch: where its inputs lie in `values`, (batch, time), and which of their targets count."""
        starts = self.stream_length * np.arange(self.batch_size)[:, None]
        shift = self._shift()
        for offset in range(self.begin, self.end, self.timesteps):
            steps = np.arange(offset, min(offset + self.timesteps, self.end))
            read = starts + steps
            # the last streams may reach beyond the end, by less than a timestep for each stream
            counted = (steps >= 0) & (read < self.targets)
            if self.sampler.seed is None:
                read = read.clip(-self.first, self.targets - 1)
            else:
                read = (read + shift) % self.targets
            yield self.first + read, counted

    def _shift(self) -> int:
        if self.sampler.seed is None:
            return 0
        return int(torch.randint(self.targets, (), generator=self.sampler.generator()))
