"""Memory for what a kernel writes, used again from one training step to the next.

The C library gives large pieces back to the system as soon as they are free, and each new one costs a page fault for
every 4 KiB of it: for a long sequence a third of the time of a step.
"""

import sys
from math import prod
from threading import Lock

import numpy as np
import torch
from torch import Tensor

LARGE = 1 << 20
"""Bytes from which on it is worth it."""


LINE = 64
"""Bytes of a cache line: a vector that lies across two is read twice."""


class Workspace:
    """Buffers, each lent as a tensor until nobody holds that tensor, a view of it or a graph that saved it."""

    def __init__(self) -> None:
        self.buffers: list[np.ndarray] = []
        self.lock = Lock()
        self._unused = self._references([np.empty(0)], 0)

    @staticmethod
    def _references(buffers: list[np.ndarray], index: int) -> int:
        """Those of the list and of asking; a tensor made of a buffer holds one more."""
        return sys.getrefcount(buffers[index])

    def take(self, *shape: int, dtype: torch.dtype) -> Tensor:
        """An uninitialised tensor on the CPU."""
        count = prod(shape)
        size = count * dtype.itemsize + LINE
        if size < LARGE:
            return torch.empty(shape, dtype=dtype)
        with self.lock:
            free = [i for i in range(len(self.buffers)) if self._references(self.buffers, i) == self._unused]
            fitting = [i for i in free if size <= self.buffers[i].nbytes <= 2 * size]
            if fitting:
                best = min(fitting, key=lambda i: self.buffers[i].nbytes)
            else:
                # what is free and does not fit is given back, so that changing shapes pile nothing up
                self.buffers = [buffer for i, buffer in enumerate(self.buffers) if i not in free]
                self.buffers.append(np.empty(size, dtype=np.uint8))
                best = len(self.buffers) - 1
            skip = -self.buffers[best].ctypes.data % LINE
            # in place: a view would be one more tensor for autograd to tell apart
            return torch.frombuffer(self.buffers[best], dtype=dtype, count=count, offset=skip).resize_(shape)

    def clear(self) -> None:
        """Give back to the system what is not lent."""
        with self.lock:
            free = [i for i in range(len(self.buffers)) if self._references(self.buffers, i) == self._unused]
            self.buffers = [buffer for i, buffer in enumerate(self.buffers) if i not in free]


WORKSPACE = Workspace()
