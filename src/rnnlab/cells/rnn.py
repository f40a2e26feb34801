"""The Elman network (Elman, "Finding structure in time", Cognitive Science 14, 1990)."""

from typing import ClassVar, Literal

import torch
from torch import Tensor

from rnnlab.cells.cell import Cell, GatedCell, HiddenState, Matmul, Shared
from rnnlab.errors import UserError
from rnnlab.module import SequenceModule

ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu}


class RNNCell(GatedCell):
    """hₜ = φ(W_ih xₜ + b_ih + W_hh hₜ₋₁ + b_hh), yₜ = hₜ; φ is tanh or relu.

    Parameters: hidden_size · (input_size + hidden_size + 2). State: hidden_size.
    """

    gates = 1

    def __init__(self, input_size: int, hidden_size: int, activation: Literal["tanh", "relu"] = "tanh") -> None:
        super().__init__(input_size, hidden_size)
        if activation not in ACTIVATIONS:
            raise UserError(f"cell.activation={activation} is none of {', '.join(ACTIVATIONS)}.")
        self.activation = activation

    def step(self, projected: Tensor, state: HiddenState, matmul: Matmul, shared: Shared) -> tuple[Tensor, HiddenState]:
        hidden = ACTIVATIONS[self.activation](projected + matmul("weight_hh", state.hidden))
        return hidden, HiddenState(hidden)

    @property
    def has_fused_kernel(self) -> bool:
        return True

    def fused(self, x: Tensor, state: HiddenState) -> tuple[Tensor, HiddenState]:
        kernel = torch.rnn_tanh if self.activation == "tanh" else torch.rnn_relu
        output, hidden = kernel(
            x, state.hidden[None], self.fused_weights, True, 1, 0.0, self.training, False, batch_first=False
        )
        return output, HiddenState(hidden[0])


class RNN(SequenceModule):
    """The Elman network on any task."""

    cell_class: ClassVar[type[Cell]] = RNNCell
