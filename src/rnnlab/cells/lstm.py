"""The LSTM (Hochreiter and Schmidhuber 1997) with the forget gate of Gers, Schmidhuber and Cummins (2000)."""

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from rnnlab.cells.cell import Cell, GatedCell, Matmul, Shared
from rnnlab.module import SequenceModule


class LSTMState(NamedTuple):
    """`hidden`, `cell`: (batch, hidden_size)."""

    hidden: Tensor
    cell: Tensor


class LSTMCell(GatedCell):
    """Gates, each with its own rows of W_ih, W_hh, b_ih and b_hh, in this order:

        iₜ = σ(W_ih xₜ + b_ih + W_hh hₜ₋₁ + b_hh)      input gate
        fₜ = σ(...)                                    forget gate
        gₜ = tanh(...)                                 candidate
        oₜ = σ(...)                                    output gate
        cₜ = fₜ ⊙ cₜ₋₁ + iₜ ⊙ gₜ
        yₜ = hₜ = oₜ ⊙ tanh(cₜ)

    `forget_bias` is added to the forget gate's bias at the start (Jozefowicz et al. 2015 recommend 1).
    Parameters: 4 · hidden_size · (input_size + hidden_size + 2). State: 2 · hidden_size.
    """

    gates = 4

    def __init__(self, input_size: int, hidden_size: int, forget_bias: float = 0.0) -> None:
        super().__init__(input_size, hidden_size)
        with torch.no_grad():
            self.bias_ih[hidden_size : 2 * hidden_size] += forget_bias

    def initial_state(self, batch_size: int) -> LSTMState:
        zeros = self.zeros(batch_size, self.hidden_size)
        return LSTMState(zeros, zeros)

    def step(self, projected: Tensor, state: LSTMState, matmul: Matmul, shared: Shared) -> tuple[Tensor, LSTMState]:
        gates = projected + matmul("weight_hh", state.hidden)
        input_gate, forget_gate, candidate, output_gate = gates.chunk(4, dim=-1)
        cell = forget_gate.sigmoid() * state.cell + input_gate.sigmoid() * candidate.tanh()
        hidden = output_gate.sigmoid() * cell.tanh()
        return hidden, LSTMState(hidden, cell)

    @property
    def has_fused_kernel(self) -> bool:
        return True

    def fused(self, x: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
        start = (state.hidden[None], state.cell[None])
        output, hidden, cell = torch.lstm(
            x, start, self.fused_weights, True, 1, 0.0, self.training, False, batch_first=False
        )
        return output, LSTMState(hidden[0], cell[0])


class LSTM(SequenceModule):
    """The LSTM on any task."""

    cell_class: ClassVar[type[Cell]] = LSTMCell
