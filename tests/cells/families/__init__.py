"""Every cell with what its docstring claims of it, each family in a file of its own, for the tests of all cells."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rnnlab.cells.cell import Cell

Array = np.ndarray
Weights = dict[str, Array]
"""All parameters and buffers of a cell, by name, in float64."""


@dataclass(frozen=True)
class Example:
    """A cell as it is tested.

    parameters: of (input_size, hidden_size), the formula of the docstring. state_size: of hidden_size.
    transcription: the docstring's equations in NumPy, written from them alone: (weights, x (time, batch, input_size),
    state before, one array (batch, ...) for each field) -> outputs (time, batch, output_size), state after.
    """

    cell_class: Callable[..., Cell]
    parameters: Callable[[int, int], int]
    state_size: Callable[[int], int]
    transcription: Callable[[Weights, Array, tuple[Array, ...]], tuple[Array, tuple[Array, ...]]]
    options: dict[str, Any] = field(default_factory=dict)
