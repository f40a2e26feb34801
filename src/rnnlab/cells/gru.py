"""The GRU (Cho et al. 2014), in the form of cuDNN and in its own, and what was made of it by leaving gates out."""

import torch
from torch import Tensor, nn

from rnnlab.cells.cell import GatedCell, HiddenState, Matmul, Shared


class GRUCell(GatedCell):
    """The GRU of cuDNN and `torch.nn`, the reset gate after the recurrent product.

    Each line with its own rows of W_ih, W_hh, b_ih and b_hh, in this order:

        rₜ = σ(W_ih xₜ + b_ih + W_hh hₜ₋₁ + b_hh)              reset gate
        zₜ = σ(...)                                            update gate
        nₜ = tanh(W_ih xₜ + b_ih + rₜ ⊙ (W_hh hₜ₋₁ + b_hh))    candidate
        yₜ = hₜ = (1 - zₜ) ⊙ nₜ + zₜ ⊙ hₜ₋₁

    Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine translation", 2014,
    in its first version.
    Parameters: 3 · hidden_size · (input_size + hidden_size + 2). State: hidden_size.
    """

    gates = 3
    gate_names = ("reset", "update", "candidate")

    def prepare(self) -> dict[str, Tensor]:
        return {"weight_hh": self.weight_hh, "candidate_bias": self.bias_hh[2 * self.hidden_size :]}

    def project(self, x: Tensor) -> Tensor:
        # the candidate's b_hh stands inside the product with the reset gate, so it waits for `step`
        bias_hh = torch.cat([self.bias_hh[: 2 * self.hidden_size], self.bias_hh.new_zeros(self.hidden_size)])
        return nn.functional.linear(x, self.weight_ih, self.bias_ih + bias_hh)

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

    def fused(self, x: Tensor, state: HiddenState, batch_sizes: Tensor | None = None) -> tuple[Tensor, HiddenState]:
        output, hidden = self.run_kernel(torch.gru, x, state.hidden[None], batch_sizes)
        return output, HiddenState(hidden[0])


class OriginalGRUCell(GatedCell):
    """The GRU of the paper, the reset gate before the recurrent product; rows as in `GRUCell`, the GRU of cuDNN:

        rₜ = σ(W_ih xₜ + b_ih + W_hh hₜ₋₁ + b_hh)              reset gate
        zₜ = σ(...)                                            update gate
        nₜ = tanh(W_ih xₜ + b_ih + W_hh (rₜ ⊙ hₜ₋₁) + b_hh)    candidate
        yₜ = hₜ = (1 - zₜ) ⊙ nₜ + zₜ ⊙ hₜ₋₁

    Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine translation", 2014,
    in its last version.
    Parameters: 3 · hidden_size · (input_size + hidden_size + 2). State: hidden_size.
    """

    gates = 3
    gate_names = ("reset", "update", "candidate")

    def prepare(self) -> dict[str, Tensor]:
        gates, candidate = torch.split(self.weight_hh, [2 * self.hidden_size, self.hidden_size])
        return {"gates": gates, "candidate": candidate}

    def step(self, projected: Tensor, state: HiddenState, matmul: Matmul, shared: Shared) -> tuple[Tensor, HiddenState]:
        gates_input, candidate_input = torch.split(projected, [2 * self.hidden_size, self.hidden_size], dim=-1)
        reset, update = (gates_input + matmul("gates", state.hidden)).sigmoid().chunk(2, dim=-1)
        candidate = (candidate_input + matmul("candidate", reset * state.hidden)).tanh()
        hidden = candidate + update * (state.hidden - candidate)
        return hidden, HiddenState(hidden)


class MGUCell(GatedCell):
    """The minimal gated unit: one gate both resets and updates. Rows in this order:

        fₜ = σ(W_ih xₜ + b_ih + W_hh hₜ₋₁ + b_hh)              forget gate
        nₜ = tanh(W_ih xₜ + b_ih + W_hh (fₜ ⊙ hₜ₋₁) + b_hh)    candidate
        yₜ = hₜ = (1 - fₜ) ⊙ hₜ₋₁ + fₜ ⊙ nₜ

    The gate has the paper's name and sense: open, it lets the candidate in, the other way round than an LSTM's.
    Zhou, Wu, Zhang, Zhou, "Minimal gated unit for recurrent neural networks", 2016.
    Parameters: 2 · hidden_size · (input_size + hidden_size + 2). State: hidden_size.
    """

    gates = 2

    def prepare(self) -> dict[str, Tensor]:
        gate, candidate = self.weight_hh.chunk(2)
        return {"gate": gate, "candidate": candidate}

    def step(self, projected: Tensor, state: HiddenState, matmul: Matmul, shared: Shared) -> tuple[Tensor, HiddenState]:
        gate_input, candidate_input = projected.chunk(2, dim=-1)
        gate = (gate_input + matmul("gate", state.hidden)).sigmoid()
        candidate = (candidate_input + matmul("candidate", gate * state.hidden)).tanh()
        hidden = state.hidden + gate * (candidate - state.hidden)
        return hidden, HiddenState(hidden)


class LayerNormGRUCell(GatedCell):
    """The GRU with layer normalisation of its input's part and of its recurrent part:

        (rₜ, zₜ) = σ(a_ih ⊙ N(W_ih xₜ) + b_ih + a_hh ⊙ N(W_hh hₜ₋₁) + b_hh)         each 2 · hidden_size
        nₜ = tanh(a_ih ⊙ N(W_ih xₜ) + b_ih + rₜ ⊙ (a_hh ⊙ N(W_hh hₜ₋₁) + b_hh))     each hidden_size
        yₜ = hₜ = (1 - zₜ) ⊙ hₜ₋₁ + zₜ ⊙ nₜ

    Each line with its own rows of W, a and b, in this order. N(v) = (v - mean v) / √(var v + 10⁻⁵): over both gates at
    once, over the candidate by itself. The gains a (`gain_ih`, `gain_hh`) are one and the biases zero at the start. As
    in the paper an open z lets the candidate in, the other way round than in `GRUCell`.
    Ba, Kiros, Hinton, "Layer normalization", 2016.
    Parameters: 3 · hidden_size · (input_size + hidden_size + 4). State: hidden_size.
    """

    gates = 3
    gate_names = ("reset", "update", "candidate")

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.gain_ih = nn.Parameter(torch.empty(3 * hidden_size))
        self.gain_hh = nn.Parameter(torch.empty(3 * hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        super().reset_parameters()
        for name, parameter in self.named_parameters():
            if name.startswith("gain"):
                nn.init.ones_(parameter)
            elif name.startswith("bias"):
                nn.init.zeros_(parameter)

    def _parts(self, packed: Tensor) -> tuple[Tensor, Tensor]:
        """Both gates' part, along the last dimension, and the candidate's."""
        gates, candidate = torch.split(packed, [2 * self.hidden_size, self.hidden_size], dim=-1)
        return gates, candidate

    def prepare(self) -> dict[str, Tensor]:
        gates_gain, candidate_gain = self._parts(self.gain_hh)
        candidate_bias = self.bias_hh[2 * self.hidden_size :]
        return {
            "weight_hh": self.weight_hh,
            "gates_gain": gates_gain,
            "candidate_gain": candidate_gain,
            "candidate_bias": candidate_bias,
        }

    def project(self, x: Tensor) -> Tensor:
        gates, candidate = self._parts(nn.functional.linear(x, self.weight_ih))
        gates_gain, candidate_gain = self._parts(self.gain_ih)
        # the gates' b_hh joins b_ih; the candidate's stands inside the product with the reset gate
        gates_bias, candidate_bias = self._parts(self.bias_ih)
        gates_bias = gates_bias + self.bias_hh[: 2 * self.hidden_size]
        return torch.cat(
            [
                nn.functional.layer_norm(gates, gates.shape[-1:], gates_gain, gates_bias),
                nn.functional.layer_norm(candidate, candidate.shape[-1:], candidate_gain, candidate_bias),
            ],
            dim=-1,
        )

    def step(self, projected: Tensor, state: HiddenState, matmul: Matmul, shared: Shared) -> tuple[Tensor, HiddenState]:
        gates_input, candidate_input = self._parts(projected)
        gates_hidden, candidate_hidden = self._parts(matmul("weight_hh", state.hidden))
        gates_hidden = nn.functional.layer_norm(gates_hidden, (2 * self.hidden_size,), shared["gates_gain"])
        candidate_hidden = nn.functional.layer_norm(
            candidate_hidden, (self.hidden_size,), shared["candidate_gain"], shared["candidate_bias"]
        )
        reset, update = (gates_input + gates_hidden).sigmoid().chunk(2, dim=-1)
        candidate = (candidate_input + reset * candidate_hidden).tanh()
        hidden = state.hidden + update * (candidate - state.hidden)
        return hidden, HiddenState(hidden)


class LightGRUCell(GatedCell):
    """The GRU without a reset gate, its candidate a relu (li-GRU). Rows in this order:

        zₜ = σ(W_ih xₜ + b_ih + W_hh hₜ₋₁ + b_hh)              update gate
        nₜ = relu(W_ih xₜ + b_ih + W_hh hₜ₋₁ + b_hh)           candidate
        yₜ = hₜ = (1 - zₜ) ⊙ nₜ + zₜ ⊙ hₜ₋₁

    The paper has batch normalisation on W_ih xₜ, which bounds what the relu does not; here there is none, since its
    statistics would mix sequences and timesteps.
    Ravanelli, Brakel, Omologo, Bengio, "Light gated recurrent units for speech recognition", 2018.
    Parameters: 2 · hidden_size · (input_size + hidden_size + 2). State: hidden_size.
    """

    gates = 2

    def step(self, projected: Tensor, state: HiddenState, matmul: Matmul, shared: Shared) -> tuple[Tensor, HiddenState]:
        update, candidate = (projected + matmul("weight_hh", state.hidden)).chunk(2, dim=-1)
        candidate = candidate.relu()
        hidden = candidate + update.sigmoid() * (state.hidden - candidate)
        return hidden, HiddenState(hidden)


class MinimalRNNCell(GatedCell):
    """One gate between the state and the input, which is brought to the state's size without looking at it:

        zₜ = tanh(W_ih xₜ + b_ih)                      latent input
        uₜ = σ(W_hh hₜ₋₁ + W_zh zₜ + b_hh)             update gate
        yₜ = hₜ = uₜ ⊙ hₜ₋₁ + (1 - uₜ) ⊙ zₜ

    W_hh, W_zh: (hidden_size, hidden_size). Only W_hh is in the recurrence. The paper leaves the map to z open.
    Chen, "MinimalRNN: toward more interpretable and trainable recurrent neural networks", 2017.
    Parameters: hidden_size · (input_size + 2 · hidden_size + 2). State: hidden_size.
    """

    gates = 1

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.weight_zh = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.reset_parameters()

    def project(self, x: Tensor) -> Tensor:
        latent = nn.functional.linear(x, self.weight_ih, self.bias_ih).tanh()
        return torch.cat([latent, nn.functional.linear(latent, self.weight_zh, self.bias_hh)], dim=-1)

    def step(self, projected: Tensor, state: HiddenState, matmul: Matmul, shared: Shared) -> tuple[Tensor, HiddenState]:
        latent, update_input = projected.chunk(2, dim=-1)
        update = (update_input + matmul("weight_hh", state.hidden)).sigmoid()
        hidden = latent + update * (state.hidden - latent)
        return hidden, HiddenState(hidden)


class UGRNNCell(GatedCell):
    """The plain recurrent net with an update gate. Rows in this order:

        gₜ = σ(W_ih xₜ + b_ih + W_hh hₜ₋₁ + b_hh)              update gate
        nₜ = tanh(W_ih xₜ + b_ih + W_hh hₜ₋₁ + b_hh)           candidate
        yₜ = hₜ = gₜ ⊙ hₜ₋₁ + (1 - gₜ) ⊙ nₜ

    `forget_bias` is added to the gate's bias at the start; the paper adds it for good, which is the same cell.
    Collins, Sohl-Dickstein, Sussillo, "Capacity and trainability in recurrent neural networks", 2016.
    Parameters: 2 · hidden_size · (input_size + hidden_size + 2). State: hidden_size.
    """

    gates = 2
    gate_names = ("forget", "candidate")

    def __init__(self, input_size: int, hidden_size: int, forget_bias: float = 0.0) -> None:
        self.forget_bias = forget_bias  # before the parameters, which are drawn with it
        super().__init__(input_size, hidden_size)

    def reset_parameters(self) -> None:
        super().reset_parameters()
        with torch.no_grad():
            self.bias_ih[: self.hidden_size] += self.forget_bias

    def step(self, projected: Tensor, state: HiddenState, matmul: Matmul, shared: Shared) -> tuple[Tensor, HiddenState]:
        update, candidate = (projected + matmul("weight_hh", state.hidden)).chunk(2, dim=-1)
        candidate = candidate.tanh()
        hidden = candidate + update.sigmoid() * (state.hidden - candidate)
        return hidden, HiddenState(hidden)
