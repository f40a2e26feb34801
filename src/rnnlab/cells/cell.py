"""What every recurrent cell is: its equations, told to an unrolling that does not know them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

Matmul = Callable[[str, Tensor], Tensor]
"""`matmul(name, h)` is h · Wᵀ for the cell's recurrent weight called `name`."""


class HiddenState(NamedTuple):
    """The state of a cell that carries nothing but its output. `hidden`: (batch, hidden_size)."""

    hidden: Tensor


State = Any
"""A NamedTuple of tensors, each with the batch as its first dimension."""


class Cell(nn.Module):
    """A recurrent cell: yₜ, sₜ = step(project(xₜ), sₜ₋₁).

    `project` holds all that depends on the input alone, so that a whole sequence takes one matrix product. Every
    product with a recurrent weight goes through the `matmul` that is handed to `step`, so that an unrolling can form
    the gradient of each recurrent weight in one product over all timesteps.
    """

    gates: int
    """Blocks of `hidden_size` rows in each weight."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        rows = self.gates * hidden_size
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size))
        self.weight_hh = nn.Parameter(torch.empty(rows, hidden_size))
        self.bias_ih = nn.Parameter(torch.empty(rows))
        self.bias_hh = nn.Parameter(torch.empty(rows))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """U(-1/√hidden_size, 1/√hidden_size) for all, as in `torch.nn`."""
        bound = self.hidden_size**-0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def initial_state(self, batch_size: int) -> State:
        """The state before the first timestep: zeros."""
        return HiddenState(self.weight_hh.new_zeros(batch_size, self.hidden_size))

    def prepare(self) -> None:
        """Compute what is the same for all timesteps of a sequence. Most cells have nothing of the kind."""

    def project(self, x: Tensor) -> Tensor:
        """All that depends on the input alone. x: (..., input_size) -> (..., gates · hidden_size)."""
        raise NotImplementedError

    def step(self, projected: Tensor, state: State, matmul: Matmul) -> tuple[Tensor, State]:
        """One timestep. projected: (batch, gates · hidden_size) -> output (batch, hidden_size), new state."""
        raise NotImplementedError

    @property
    def has_fused_kernel(self) -> bool:
        """Whether `torch.nn` has a kernel for this very cell, reached by `fused`."""
        return False

    def fused(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """The whole sequence in `torch.nn`'s kernel. x: (time, batch, input_size)."""
        raise NotImplementedError

    @property
    def fused_weights(self) -> list[Tensor]:
        return [self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh]

    @property
    def state_size(self) -> int:
        """Numbers carried from one timestep to the next, for one sequence."""
        return sum(part.numel() for part in self.initial_state(1))

    def recurrent_product(self, name: str, h: Tensor) -> Tensor:
        """The plain `matmul`: h · Wᵀ."""
        return nn.functional.linear(h, getattr(self, name))
