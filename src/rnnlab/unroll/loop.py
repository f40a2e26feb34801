"""The reference unrolling: the cell's equations in a Python loop. All other unrollings are tested against it."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from rnnlab.cells.cell import Projected, Shared, State, matmul_of

Step = Callable[..., tuple[Tensor, State]]
"""`Cell.step`: (projected, state, matmul, shared) -> output, new state."""


def loop(step: Step, projected: Projected, state: State, shared: Shared) -> tuple[Tensor, State]:
    """projected: of the whole sequence, time first -> outputs, time first, and the state after the last timestep."""
    outputs = []
    matmul = matmul_of(shared)
    for timestep in timesteps(projected):
        output, state = step(timestep, state, matmul, shared)
        outputs.append(output)
    return torch.stack(outputs), state


def timesteps(projected: Projected) -> Iterator[Projected]:
    # unbind, not x[t]: the backward of each slice would fill a tensor as long as the sequence, quadratic in time
    if isinstance(projected, Tensor):
        yield from projected.unbind(0)
        return
    make = getattr(type(projected), "_make", tuple)
    for parts in zip(*(part.unbind(0) for part in projected), strict=True):
        yield make(parts)
