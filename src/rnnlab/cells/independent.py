"""Cells whose state meets itself elementwise only, so that no step needs a matrix product: IndRNN, SRU, QRNN."""

import math
from typing import Annotated, NamedTuple

import torch
from torch import Tensor, nn

from rnnlab.arguments import OneOf, check_arguments
from rnnlab.cells.cell import Cell, HiddenState, Matmul, Shared

ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh}
Activation = Annotated[str, OneOf(ACTIVATIONS)]


class IndRNNCell(Cell):
    """hₜ = φ(W_ih xₜ + b + w_hh ⊙ hₜ₋₁), yₜ = hₜ; φ is relu or tanh.

    weight_ih: (hidden_size, input_size); weight_hh, bias: (hidden_size). At the start W_ih is U(±1/√input_size), w_hh
    U(0, 1) and b zero, as in the authors' code; their bound on |w_hh|, which needs the length of the sequences, is not
    imposed.

    Li et al., "Independently recurrent neural network (IndRNN): building a longer and deeper RNN", CVPR 2018.
    Parameters: hidden_size · (input_size + 2). State: hidden_size.
    """

    def __init__(self, input_size: int, hidden_size: int, activation: Activation = "relu") -> None:
        check_arguments(IndRNNCell, locals(), "cell.")
        super().__init__(input_size, hidden_size)
        self.activation = activation
        self.weight_ih = nn.Parameter(torch.empty(hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(hidden_size))
        self.bias = nn.Parameter(torch.empty(hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        bound = self.input_size**-0.5
        nn.init.uniform_(self.weight_ih, -bound, bound)
        nn.init.uniform_(self.weight_hh)
        nn.init.zeros_(self.bias)

    def project(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight_ih, self.bias)

    def step(self, projected: Tensor, state: HiddenState, matmul: Matmul, shared: Shared) -> tuple[Tensor, HiddenState]:
        hidden = ACTIVATIONS[self.activation](projected + shared["weight_hh"] * state.hidden)
        return hidden, HiddenState(hidden)


class CellState(NamedTuple):
    """`cell`: (batch, hidden_size)."""

    cell: Tensor


class SRUInput(NamedTuple):
    """`gates`: (..., 3 · hidden_size), candidate, forget and reset gate; `highway`: (..., hidden_size)."""

    gates: Tensor
    highway: Tensor


class SRUCell(Cell):
    """Each line with its own rows of W_ih, in this order; v and b hold the forget gate's half, then the reset gate's:

        uₜ = W_ih xₜ                                    candidate
        fₜ = σ(W_ih xₜ + v_f ⊙ cₜ₋₁ + b_f)              forget gate
        rₜ = σ(W_ih xₜ + v_r ⊙ cₜ₋₁ + b_r)              reset gate
        cₜ = fₜ ⊙ cₜ₋₁ + (1 - fₜ) ⊙ uₜ
        yₜ = rₜ ⊙ cₜ + (1 - rₜ) ⊙ x̃ₜ

    The highway x̃ₜ is α xₜ with α = √(1 + 2 exp(highway_bias)), which keeps the variance over many layers; where
    input_size is not hidden_size it is W_ih xₜ with `hidden_size` further rows of W_ih, drawn α times as large.

    weight_ih: (3 or 4 · hidden_size, input_size); peephole (v), bias: (2 · hidden_size). b_r starts at `highway_bias`,
    b_f at zero; W_ih and v start uniform, with the variances of the authors' code.

    Lei et al., "Simple recurrent units for highly parallelizable recurrence", EMNLP 2018.
    Parameters: hidden_size · (3 · input_size + 4), and hidden_size · input_size more where the sizes differ.
    State: hidden_size.
    """

    def __init__(self, input_size: int, hidden_size: int, highway_bias: float = 0.0) -> None:
        super().__init__(input_size, hidden_size)
        self.highway_bias = highway_bias
        self.highway_scale = math.sqrt(1 + 2 * math.exp(highway_bias))
        self.projects_highway = input_size != hidden_size
        rows = (4 if self.projects_highway else 3) * hidden_size
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size))
        self.peephole = nn.Parameter(torch.empty(2 * hidden_size))
        self.bias = nn.Parameter(torch.empty(2 * hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        bound = math.sqrt(3 / self.input_size)
        nn.init.uniform_(self.weight_ih, -bound, bound)
        # a gate's two terms, each of half the variance, are together as large as the candidate
        nn.init.uniform_(self.peephole, -math.sqrt(1.5), math.sqrt(1.5))
        nn.init.zeros_(self.bias)
        with torch.no_grad():
            self.weight_ih[self.hidden_size : 3 * self.hidden_size] *= math.sqrt(0.5)
            self.weight_ih[3 * self.hidden_size :] *= self.highway_scale
            self.bias[self.hidden_size :] = self.highway_bias

    def initial_state(self, batch_size: int) -> CellState:
        return CellState(self.zeros(batch_size, self.hidden_size))

    def project(self, x: Tensor) -> SRUInput:
        zeros = self.bias.new_zeros(self.hidden_size)
        if not self.projects_highway:
            gates = nn.functional.linear(x, self.weight_ih, torch.cat([zeros, self.bias]))
            return SRUInput(gates, self.highway_scale * x)
        projected = nn.functional.linear(x, self.weight_ih, torch.cat([zeros, self.bias, zeros]))
        return SRUInput(projected[..., : 3 * self.hidden_size], projected[..., 3 * self.hidden_size :])

    def step(self, projected: SRUInput, state: CellState, matmul: Matmul, shared: Shared) -> tuple[Tensor, CellState]:
        candidate, forget_input, reset_input = projected.gates.chunk(3, dim=-1)
        forget_peephole, reset_peephole = shared["peephole"].chunk(2, dim=-1)
        forget = (forget_input + forget_peephole * state.cell).sigmoid()
        reset = (reset_input + reset_peephole * state.cell).sigmoid()
        cell = candidate + forget * (state.cell - candidate)
        return projected.highway + reset * (cell - projected.highway), CellState(cell)


class QRNNInput(NamedTuple):
    """`now`, `next`, (..., 3 · hidden_size) each: what xₜ gives to this timestep and to the one after it."""

    now: Tensor
    next: Tensor


class QRNNState(NamedTuple):
    """`cell`: (batch, hidden_size); `previous`: (batch, 3 · hidden_size), W₁ xₜ₋₁."""

    cell: Tensor
    previous: Tensor


class QRNNCell(Cell):
    """fo-pooling over a convolution of width 2, each line with its own rows of W₀, W₁ and b, in this order:

        zₜ = tanh(W₀ xₜ + W₁ xₜ₋₁ + b)                  candidate
        fₜ = σ(...)                                     forget gate
        oₜ = σ(...)                                     output gate
        cₜ = fₜ ⊙ cₜ₋₁ + (1 - fₜ) ⊙ zₜ
        yₜ = oₜ ⊙ cₜ

    with x₀ = 0. The state carries W₁ xₜ₋₁ and not xₜ₋₁, so that a step needs no product.

    weight_ih: (6 · hidden_size, input_size), W₀ over W₁; bias: (3 · hidden_size). They start as those of the authors'
    code, U(±1/√(2 · input_size)).

    Bradbury et al., "Quasi-recurrent neural networks", ICLR 2017 (without b, which their code has).
    Parameters: 3 · hidden_size · (2 · input_size + 1). State: 4 · hidden_size.
    """

    separable = False

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.weight_ih = nn.Parameter(torch.empty(6 * hidden_size, input_size))
        self.bias = nn.Parameter(torch.empty(3 * hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        bound = (2 * self.input_size) ** -0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def initial_state(self, batch_size: int) -> QRNNState:
        return QRNNState(self.zeros(batch_size, self.hidden_size), self.zeros(batch_size, 3 * self.hidden_size))

    def project(self, x: Tensor) -> QRNNInput:
        bias = torch.cat([self.bias, torch.zeros_like(self.bias)])
        return QRNNInput(*nn.functional.linear(x, self.weight_ih, bias).chunk(2, dim=-1))

    def step(self, projected: QRNNInput, state: QRNNState, matmul: Matmul, shared: Shared) -> tuple[Tensor, QRNNState]:
        candidate, forget_gate, output_gate = (projected.now + state.previous).chunk(3, dim=-1)
        candidate = candidate.tanh()
        cell = candidate + forget_gate.sigmoid() * (state.cell - candidate)
        return output_gate.sigmoid() * cell, QRNNState(cell, projected.next)
