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


class Workspace:
    """Buffers, each lent as a tensor until nobody holds that tensor, a view of it or a graph that saved it."""

    def __init__(self) -> None:
        self.buffers: list[np.ndarray] = []
        self.lock = Lock()

    def take(self, *shape: int, dtype: torch.dtype) -> Tensor:
        """An uninitialised tensor on the CPU."""
        count = prod(shape)
        size = count * dtype.itemsize
        if size < LARGE:
            return torch.empty(shape, dtype=dtype)
        with self.lock:
            # a tensor made of a buffer holds a reference to it
            free = [i for i in range(len(self.buffers)) if sys.getrefcount(self.buffers[i]) == 2]
            fitting = [i for i in free if size <= self.buffers[i].nbytes <= 2 * size]
            if fitting:
                best = min(fitting, key=lambda i: self.buffers[i].nbytes)
            else:
                # what fits nothing now is given back: no more is ever held than one step has used
                self.buffers = [buffer for i, buffer in enumerate(self.buffers) if i not in free]
                self.buffers.append(np.empty(size, dtype=np.uint8))
                best = len(self.buffers) - 1
            # in place: a view would be one more tensor for autograd to tell apart
            return torch.frombuffer(self.buffers[best], dtype=dtype, count=count).resize_(shape)


WORKSPACE = Workspace()
