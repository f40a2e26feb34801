"""The LSTM (Hochreiter and Schmidhuber 1997; its forget gate: Gers, Schmidhuber and Cummins 2000) and its variants."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from rnnlab.arguments import Positive, check_arguments, refusal
from rnnlab.cells.cell import GatedCell, HiddenState, Matmul, Shared, State
from rnnlab.errors import UserError


class LSTMState(NamedTuple):
    """`hidden`: (batch, output_size), `cell`: (batch, hidden_size)."""

    hidden: Tensor
    cell: Tensor


class LongShortTermCell(GatedCell):
    """What the cells below share: their state, and the forget gate's bias at the start.

    `forget_bias` is added to the forget gate's bias at the start (Jozefowicz et al. 2015 recommend 1).
    """

    forget_block = 1
    """Which block of `hidden_size` rows is the forget gate's."""

    def __init__(
        self, input_size: int, hidden_size: int, forget_bias: float = 0.0, recurrent_size: int | None = None
    ) -> None:
        self.forget_bias = forget_bias  # before the parameters, which are drawn with it
        super().__init__(input_size, hidden_size, recurrent_size)

    def reset_parameters(self) -> None:
        super().reset_parameters()
        self._add_forget_bias()

    def _add_forget_bias(self) -> None:
        start = self.forget_block * self.hidden_size
        with torch.no_grad():
            self.bias_ih[start : start + self.hidden_size] += self.forget_bias

    def initial_state(self, batch_size: int) -> State:
        return LSTMState(self.zeros(batch_size, self.output_size), self.zeros(batch_size, self.hidden_size))


class LSTMCell(LongShortTermCell):
    """Gates, each with its own rows of W_ih, W_hh, b_ih and b_hh, in this order:

        iₜ = σ(W_ih xₜ + b_ih + W_hh hₜ₋₁ + b_hh)      input gate
        fₜ = σ(...)                                    forget gate
        gₜ = tanh(...)                                 candidate
        oₜ = σ(...)                                    output gate
        cₜ = fₜ ⊙ cₜ₋₁ + iₜ ⊙ gₜ
        yₜ = hₜ = oₜ ⊙ tanh(cₜ)

    `forget_bias` is added to the forget gate's bias at the start.
    Parameters: 4 · hidden_size · (input_size + hidden_size + 2). State: 2 · hidden_size.
    """

    fuses_on_cpu = True
    gates = 4
    gate_names = ("input", "forget", "candidate", "output")

    def step(self, projected: Tensor, state: LSTMState, matmul: Matmul, shared: Shared) -> tuple[Tensor, LSTMState]:
        gates = projected + matmul("weight_hh", state.hidden)
        input_gate, forget_gate, candidate, output_gate = gates.chunk(4, dim=-1)
        cell = forget_gate.sigmoid() * state.cell + input_gate.sigmoid() * candidate.tanh()
        hidden = output_gate.sigmoid() * cell.tanh()
        return hidden, LSTMState(hidden, cell)

    @property
    def has_fused_kernel(self) -> bool:
        return True

    def fused(self, x: Tensor, state: LSTMState, batch_sizes: Tensor | None = None) -> tuple[Tensor, LSTMState]:
        start = (state.hidden[None], state.cell[None])
        output, hidden, cell = self.run_kernel(torch.lstm, x, start, batch_sizes)
        return output, LSTMState(hidden[0], cell[0])


class LSTM1997Cell(LongShortTermCell):
    """The first LSTM, which cannot forget. Rows as in `LSTMCell`, without the forget gate's:

        iₜ = σ(W_ih xₜ + b_ih + W_hh hₜ₋₁ + b_hh)      input gate
        gₜ = tanh(...)                                 candidate
        oₜ = σ(...)                                    output gate
        cₜ = cₜ₋₁ + iₜ ⊙ gₜ
        yₜ = hₜ = oₜ ⊙ tanh(cₜ)

    The paper squashes the candidate to (-2, 2) with 4σ - 2, and the cell to (-1, 1) with 2σ - 1: the same net, its
    candidate's weights twice as large and its cell twice as large. There the gradient went back in time through the
    cell alone; here it is whole.
    Hochreiter, Schmidhuber, "Long short-term memory", Neural Computation 9, 1997.
    Parameters: 3 · hidden_size · (input_size + hidden_size + 2). State: 2 · hidden_size.
    """

    gates = 3
    gate_names = ("input", "candidate", "output")

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)  # without `forget_bias`: there is no such gate

    def step(self, projected: Tensor, state: LSTMState, matmul: Matmul, shared: Shared) -> tuple[Tensor, LSTMState]:
        input_gate, candidate, output_gate = (projected + matmul("weight_hh", state.hidden)).chunk(3, dim=-1)
        cell = state.cell + input_gate.sigmoid() * candidate.tanh()
        hidden = output_gate.sigmoid() * cell.tanh()
        return hidden, LSTMState(hidden, cell)


class PeepholeLSTMCell(LongShortTermCell):
    """The LSTM whose gates see the cell, each unit its own; rows as in `LSTMCell`:

        iₜ = σ(W_ih xₜ + b_ih + W_hh hₜ₋₁ + b_hh + p_i ⊙ cₜ₋₁)      input gate
        fₜ = σ(... + p_f ⊙ cₜ₋₁)                                    forget gate
        gₜ = tanh(...)                                              candidate
        cₜ = fₜ ⊙ cₜ₋₁ + iₜ ⊙ gₜ
        oₜ = σ(... + p_o ⊙ cₜ)                                      output gate, which sees the new cell
        yₜ = hₜ = oₜ ⊙ tanh(cₜ)

    p_i, p_f, p_o: (hidden_size). The paper of 2002 leaves out the last tanh; it is here, as in all later ones.
    `forget_bias` is added to the forget gate's bias at the start.
    Gers, Schmidhuber, "Recurrent nets that time and count", 2000; Gers, Schraudolph, Schmidhuber, "Learning precise
    timing with LSTM recurrent networks", JMLR 3, 2002.
    Parameters: 4 · hidden_size · (input_size + hidden_size + 2) + 3 · hidden_size. State: 2 · hidden_size.
    """

    gates = 4
    gate_names = ("input", "forget", "candidate", "output")

    def __init__(self, input_size: int, hidden_size: int, forget_bias: float = 0.0) -> None:
        super().__init__(input_size, hidden_size, forget_bias)
        self.peephole_input = nn.Parameter(torch.empty(hidden_size))
        self.peephole_forget = nn.Parameter(torch.empty(hidden_size))
        self.peephole_output = nn.Parameter(torch.empty(hidden_size))
        self.reset_parameters()

    def step(self, projected: Tensor, state: LSTMState, matmul: Matmul, shared: Shared) -> tuple[Tensor, LSTMState]:
        gates = projected + matmul("weight_hh", state.hidden)
        input_gate, forget_gate, candidate, output_gate = gates.chunk(4, dim=-1)
        forget = (forget_gate + shared["peephole_forget"] * state.cell).sigmoid()
        update = (input_gate + shared["peephole_input"] * state.cell).sigmoid()
        cell = forget * state.cell + update * candidate.tanh()
        hidden = (output_gate + shared["peephole_output"] * cell).sigmoid() * cell.tanh()
        return hidden, LSTMState(hidden, cell)


class CoupledLSTMCell(LongShortTermCell):
    """The LSTM that writes as much as it forgets (CIFG): iₜ = 1 - fₜ. Rows in this order:

        fₜ = σ(W_ih xₜ + b_ih + W_hh hₜ₋₁ + b_hh)      forget gate
        gₜ = tanh(...)                                 candidate
        oₜ = σ(...)                                    output gate
        cₜ = fₜ ⊙ cₜ₋₁ + (1 - fₜ) ⊙ gₜ
        yₜ = hₜ = oₜ ⊙ tanh(cₜ)

    `forget_bias` is added to the forget gate's bias at the start.
    Greff et al., "LSTM: a search space odyssey", 2015, there with peepholes; here without.
    Parameters: 3 · hidden_size · (input_size + hidden_size + 2). State: 2 · hidden_size.
    """

    gates = 3
    gate_names = ("forget", "candidate", "output")
    forget_block = 0

    def step(self, projected: Tensor, state: LSTMState, matmul: Matmul, shared: Shared) -> tuple[Tensor, LSTMState]:
        forget_gate, candidate, output_gate = (projected + matmul("weight_hh", state.hidden)).chunk(3, dim=-1)
        candidate = candidate.tanh()
        cell = candidate + forget_gate.sigmoid() * (state.cell - candidate)
        hidden = output_gate.sigmoid() * cell.tanh()
        return hidden, LSTMState(hidden, cell)


class JANETCell(LongShortTermCell):
    """The LSTM with its forget gate alone. Rows in this order:

        sₜ = W_ih xₜ + b_ih + W_hh hₜ₋₁ + b_hh         forget gate, before σ
        gₜ = tanh(...)                                 candidate
        yₜ = hₜ = σ(sₜ) ⊙ hₜ₋₁ + (1 - σ(sₜ - β)) ⊙ gₜ

    β (`beta`) is a constant: above 0, more is written than is forgotten. `forget_bias` is added to the forget gate's
    bias at the start; the paper draws that bias with the length of its sequences in mind (Tallec and Ollivier 2018).
    Van der Westhuizen, Lasenby, "The unreasonable effectiveness of the forget gate", 2018.
    Parameters: 2 · hidden_size · (input_size + hidden_size + 2). State: hidden_size.
    """

    gates = 2
    gate_names = ("forget", "candidate")
    forget_block = 0

    def __init__(self, input_size: int, hidden_size: int, forget_bias: float = 0.0, beta: float = 1.0) -> None:
        super().__init__(input_size, hidden_size, forget_bias)
        self.beta = beta

    def initial_state(self, batch_size: int) -> HiddenState:
        return HiddenState(self.zeros(batch_size, self.hidden_size))

    def step(self, projected: Tensor, state: HiddenState, matmul: Matmul, shared: Shared) -> tuple[Tensor, HiddenState]:
        forget_gate, candidate = (projected + matmul("weight_hh", state.hidden)).chunk(2, dim=-1)
        # 1 - σ(s - β) = σ(β - s), which loses no digits where the gate is open
        hidden = forget_gate.sigmoid() * state.hidden + (self.beta - forget_gate).sigmoid() * candidate.tanh()
        return hidden, HiddenState(hidden)


class ProjectionLSTMCell(LSTMCell):
    """The LSTM that feeds back, and puts out, a projection of what leaves its output gate:

        iₜ, fₜ, gₜ, oₜ, cₜ as in `LSTMCell`, W_hh being (4 · hidden_size, projection_size)
        yₜ = hₜ = W_hr (oₜ ⊙ tanh(cₜ))

    `projection_size`, from 1 to hidden_size, is half of hidden_size (rounded down) where it is not given. Without the
    peepholes and the second, not recurrent projection of the paper: the cell of `nn.LSTM(proj_size=...)`.
    `forget_bias` is added to the forget gate's bias at the start.
    Sak, Senior, Beaufays, "Long short-term memory recurrent neural network architectures for large scale acoustic
    modeling", 2014.
    Parameters: 4 · hidden_size · (input_size + projection_size + 2) + hidden_size · projection_size. State:
    hidden_size + projection_size.
    """

    fuses_on_cpu = False  # torch says so itself, in a warning

    def __init__(
        self,
        input_size: int,
        hidden_size: Positive,
        projection_size: Positive | None = None,
        forget_bias: float = 0.0,
    ) -> None:
        check_arguments(ProjectionLSTMCell, locals(), "cell.")
        if projection_size is None:
            projection_size = max(1, hidden_size // 2)
        if projection_size > hidden_size:
            raise UserError(refusal("cell.projection_size", f"at most hidden_size={hidden_size}", projection_size))
        self.projection_size = projection_size
        super().__init__(input_size, hidden_size, forget_bias, projection_size)
        self.weight_hr = nn.Parameter(torch.empty(projection_size, hidden_size))
        self.reset_parameters()

    @property
    def output_size(self) -> int:
        return self.projection_size

    def step(self, projected: Tensor, state: LSTMState, matmul: Matmul, shared: Shared) -> tuple[Tensor, LSTMState]:
        whole, (_, cell) = super().step(projected, state, matmul, shared)
        hidden = matmul("weight_hr", whole)
        return hidden, LSTMState(hidden, cell)

    @property
    def has_fused_kernel(self) -> bool:
        return self.projection_size < self.hidden_size  # the kernel knows a projection by its state's size

    @property
    def fused_weights(self) -> list[Tensor]:
        return [*super().fused_weights, self.weight_hr]


class LayerNormLSTMCell(LongShortTermCell):
    """The LSTM with layer normalisation of its input's part, of its recurrent part and of its cell:

        (iₜ, fₜ, gₜ, oₜ) = a_ih ⊙ N(W_ih xₜ) + b_ih + a_hh ⊙ N(W_hh hₜ₋₁) + b_hh      each 4 · hidden_size
        cₜ = σ(fₜ) ⊙ cₜ₋₁ + σ(iₜ) ⊙ tanh(gₜ)
        yₜ = hₜ = σ(oₜ) ⊙ tanh(a_c ⊙ N(cₜ) + b_c)

    N(v) = (v - mean v) / √(var v + 10⁻⁵): over all four gates at once where it is on W x or W h, as in the paper, not
    gate by gate. The gains a (`gain_ih`, `gain_hh`, `gain_cell`) are one and the biases zero at the start; the paper's
    further bias of the gates is within b_ih. `forget_bias` is added to the forget gate's bias at the start.
    Ba, Kiros, Hinton, "Layer normalization", 2016.
    Parameters: 4 · hidden_size · (input_size + hidden_size + 4) + 2 · hidden_size. State: 2 · hidden_size.
    """

    gates = 4
    gate_names = ("input", "forget", "candidate", "output")

    def __init__(self, input_size: int, hidden_size: int, forget_bias: float = 0.0) -> None:
        super().__init__(input_size, hidden_size, forget_bias)
        self.gain_ih = nn.Parameter(torch.empty(4 * hidden_size))
        self.gain_hh = nn.Parameter(torch.empty(4 * hidden_size))
        self.gain_cell = nn.Parameter(torch.empty(hidden_size))
        self.bias_cell = nn.Parameter(torch.empty(hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        super().reset_parameters()
        for name, parameter in self.named_parameters():
            if name.startswith("gain"):
                nn.init.ones_(parameter)
            elif name.startswith("bias"):
                nn.init.zeros_(parameter)
        self._add_forget_bias()

    def project(self, x: Tensor) -> Tensor:
        product = nn.functional.linear(x, self.weight_ih)
        return nn.functional.layer_norm(product, product.shape[-1:], self.gain_ih, self.bias_ih + self.bias_hh)

    def step(self, projected: Tensor, state: LSTMState, matmul: Matmul, shared: Shared) -> tuple[Tensor, LSTMState]:
        product = matmul("weight_hh", state.hidden)
        gates = projected + nn.functional.layer_norm(product, (4 * self.hidden_size,), shared["gain_hh"])
        input_gate, forget_gate, candidate, output_gate = gates.chunk(4, dim=-1)
        cell = forget_gate.sigmoid() * state.cell + input_gate.sigmoid() * candidate.tanh()
        norm = nn.functional.layer_norm(cell, (self.hidden_size,), shared["gain_cell"], shared["bias_cell"])
        hidden = output_gate.sigmoid() * norm.tanh()
        return hidden, LSTMState(hidden, cell)


class MultiplicativeLSTMCell(LongShortTermCell):
    """The LSTM whose recurrent weights depend on the input:

        mₜ = (W_mx xₜ) ⊙ (W_mh hₜ₋₁)
        iₜ, fₜ, gₜ, oₜ, cₜ, hₜ as in `LSTMCell`, mₜ in the place of hₜ₋₁
        yₜ = hₜ

    W_mx: (hidden_size, input_size), W_mh: (hidden_size, hidden_size).
    `forget_bias` is added to the forget gate's bias at the start.
    Krause, Lu, Murray, Renals, "Multiplicative LSTM for sequence modelling", 2016.
    Parameters: hidden_size · (5 · input_size + 5 · hidden_size + 8). State: 2 · hidden_size.
    """

    gates = 4
    gate_names = ("input", "forget", "candidate", "output")

    def __init__(self, input_size: int, hidden_size: int, forget_bias: float = 0.0) -> None:
        super().__init__(input_size, hidden_size, forget_bias)
        self.weight_mx = nn.Parameter(torch.empty(hidden_size, input_size))
        self.weight_mh = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.reset_parameters()

    def project(self, x: Tensor) -> Tensor:
        bias = torch.cat([self.bias_ih + self.bias_hh, self.bias_ih.new_zeros(self.hidden_size)])
        return nn.functional.linear(x, torch.cat([self.weight_ih, self.weight_mx]), bias)

    def step(self, projected: Tensor, state: LSTMState, matmul: Matmul, shared: Shared) -> tuple[Tensor, LSTMState]:
        gates_input, factor = torch.split(projected, [4 * self.hidden_size, self.hidden_size], dim=-1)
        gates = gates_input + matmul("weight_hh", factor * matmul("weight_mh", state.hidden))
        input_gate, forget_gate, candidate, output_gate = gates.chunk(4, dim=-1)
        cell = forget_gate.sigmoid() * state.cell + input_gate.sigmoid() * candidate.tanh()
        hidden = output_gate.sigmoid() * cell.tanh()
        return hidden, LSTMState(hidden, cell)
