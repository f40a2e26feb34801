"""The reference unrolling: the cell's equations in a Python loop. All other unrollings are tested against it."""

import torch
from torch import Tensor

from rnnlab.cells.cell import Cell, State


def loop(cell: Cell, x: Tensor, state: State) -> tuple[Tensor, State]:
    """x: (time, batch, input_size) -> outputs (time, batch, hidden_size), the state after the last timestep."""
    outputs = []
    # unbind, not x[t]: the backward of each slice would fill a tensor as long as the sequence, quadratic in time
    for projected in cell.project(x).unbind(0):
        output, state = cell.step(projected, state, cell.recurrent_product)
        outputs.append(output)
    return torch.stack(outputs), state
