"""The GRU (Cho et al. 2014) in the form of cuDNN and `torch.nn`: the reset gate after the recurrent product."""

from typing import ClassVar

import torch
from torch import Tensor

from rnnlab.cells.cell import Cell, GatedCell, HiddenState, Matmul, Shared
from rnnlab.module import SequenceModule


class GRUCell(GatedCell):
    """Each line with its own rows of W_ih, W_hh, b_ih and b_hh, in this order:

        rₜ = σ(W_ih xₜ + b_ih + W_hh hₜ₋₁ + b_hh)              reset gate
        zₜ = σ(...)                                            update gate
        nₜ = tanh(W_ih xₜ + b_ih + rₜ ⊙ (W_hh hₜ₋₁ + b_hh))    candidate
        yₜ = hₜ = (1 - zₜ) ⊙ nₜ + zₜ ⊙ hₜ₋₁

    Parameters: 3 · hidden_size · (input_size + hidden_size + 2). State: hidden_size.
    """

    gates = 3

    def prepare(self) -> dict[str, Tensor]:
        return {"weight_hh": self.weight_hh, "candidate_bias": self.bias_hh[2 * self.hidden_size :]}

    def project(self, x: Tensor) -> Tensor:
        # the candidate's b_hh stands inside the product with the reset gate, so it waits for `step`
        bias_hh = torch.cat([self.bias_hh[: 2 * self.hidden_size], self.bias_hh.new_zeros(self.hidden_size)])
        return torch.nn.functional.linear(x, self.weight_ih, self.bias_ih + bias_hh)

    def step(self, projected: Tensor, state: HiddenState, matmul: Matmul, shared: Shared) -> tuple[Tensor, HiddenState]:
        reset_input, update_input, candidate_input = projected.chunk(3, dim=-1)
        reset_hidden, update_hidden, candidate_hidden = matmul("weight_hh", state.hidden).chunk(3, dim=-1)
        reset = (reset_input + reset_hidden).sigmoid()
        update = (update_input + update_hidden).sigmoid()
        candidate = (candidate_input + reset * (candidate_hidden + shared["candidate_bias"])).tanh()
        hidden = candidate + update * (state.hidden - candidate)
        return hidden, HiddenState(hidden)

    @property
    def has_fused_kernel(self) -> bool:
        return True

    def fused(self, x: Tensor, state: HiddenState) -> tuple[Tensor, HiddenState]:
        output, hidden = torch.gru(
            x, state.hidden[None], self.fused_weights, True, 1, 0.0, self.training, False, batch_first=False
        )
        return output, HiddenState(hidden[0])


class GRU(SequenceModule):
    """The GRU on any task."""

    cell_class: ClassVar[type[Cell]] = GRUCell
