"""Memory for what a kernel writes, used again from one training step to the next.

The C library gives large pieces back to the system as soon as they are free, and each new one costs a page fault for
every 4 KiB of it: for a long sequence a third of the time of a step.
"""

import weakref
from collections import deque
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
        self.free: list[np.ndarray] = []
        self.returned: deque[np.ndarray] = deque()
        self.lock = Lock()

    def take(self, *shape: int, dtype: torch.dtype) -> Tensor:
        """An uninitialised tensor on the CPU."""
        count = prod(shape)
        size = count * dtype.itemsize + LINE
        if size < LARGE:
            return torch.empty(shape, dtype=dtype)
        with self.lock:
            self._collect()
            fitting = [i for i, buffer in enumerate(self.free) if size <= buffer.nbytes <= 2 * size]
            if fitting:
                buffer = self.free.pop(min(fitting, key=lambda i: self.free[i].nbytes))
            else:
                # what is free and does not fit is given back, so that changing shapes pile nothing up
                self.free.clear()
                buffer = np.empty(size, dtype=np.uint8)
        # the tensor's storage holds this slice: it dies with the last tensor, view or graph that uses the memory
        lease = buffer[:]
        # without a lock, since it may run at any moment, also within this method
        weakref.finalize(lease, self.returned.append, buffer).atexit = False
        # in place: a view would be one more tensor for autograd to keep apart
        return torch.frombuffer(lease, dtype=dtype, count=count, offset=-buffer.ctypes.data % LINE).resize_(shape)

    def clear(self) -> None:
        """Give back to the system what is not lent."""
        with self.lock:
            self._collect()
            self.free.clear()

    def _collect(self) -> None:
        while self.returned:
            self.free.append(self.returned.popleft())


WORKSPACE = Workspace()
