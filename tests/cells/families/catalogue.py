"""Every cell of every family."""

import importlib
import pkgutil

import torch
from torch import Tensor

import tests.cells.families as families
from rnnlab.cells.cell import Cell, State
from tests.cells.families import Example

EXAMPLES: dict[str, Example] = {}
for module in pkgutil.iter_modules(families.__path__):
    EXAMPLES |= getattr(importlib.import_module(f"tests.cells.families.{module.name}"), "EXAMPLES", {})


def scrambled(name: str, input_size: int = 3, hidden_size: int = 4) -> Cell:
    """The cell in float64 with every parameter moved, so that none stands at zero or at another's value."""
    example = EXAMPLES[name]
    torch.manual_seed(0)
    cell = example.cell_class(input_size, hidden_size, **example.options).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return cell


def some_state(cell: Cell, batch: int) -> State:
    """A state that is not the initial one, positive, as normalisers are."""
    state = cell.initial_state(batch)
    return type(state)._make(part + 0.2 * torch.rand_like(part) for part in state)


def close(ours: Tensor, theirs: Tensor, tolerance: float = 1e-10) -> bool:
    return ours.shape == theirs.shape and torch.allclose(ours, theirs, rtol=0, atol=tolerance)
