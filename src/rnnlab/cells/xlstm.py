"""The two cells of xLSTM (Beck et al. 2024), with exponential gates and a state that keeps them in range."""

import math
from typing import Annotated, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnlab.arguments import OneOf, Positive, check_arguments, refusal
from rnnlab.cells.cell import Cell, Matmul, Shared
from rnnlab.errors import UserError

FORGET_BIAS = {"sigmoid": (3.0, 6.0), "exponential": (0.0, 0.0)}
"""The forget gate's bias at the start, in equal steps over its rows: it keeps nearly all, or all."""
ForgetGate = Annotated[str, OneOf(FORGET_BIAS)]
CHUNK = 64
"""Timesteps of the mLSTM taken at once: longer costs more products of queries and keys, shorter more memories."""
NOTHING_YET = -1e30
"""ln of the scale of a state that holds nothing: whatever comes first sets the scale."""


class _XLSTMCell(Cell):
    separable = False  # the stabilizer is the scale of the rest of the state

    def __init__(self, input_size: int, hidden_size: int, num_heads: int, forget_gate: str) -> None:
        super().__init__(input_size, hidden_size)
        if hidden_size % num_heads:
            raise UserError(refusal("cell.num_heads", f"a divisor of hidden_size={hidden_size}", num_heads))
        self.num_heads = num_heads
        self.forget_gate = forget_gate

    def _log_forget(self, forget: Tensor) -> Tensor:
        return functional.logsigmoid(forget) if self.forget_gate == "sigmoid" else forget


class SLSTMState(NamedTuple):
    """`hidden`, `cell`, `normalizer`, `stabilizer`: (batch, hidden_size)."""

    hidden: Tensor
    cell: Tensor
    normalizer: Tensor
    stabilizer: Tensor


class SLSTMCell(_XLSTMCell):
    """Gates, each with its own rows of W_ih, b and, head by head, R, in this order:

        ĩₜ = W_ih xₜ + R hₜ₋₁ + b                  input gate, in the logarithm
        f̃ₜ = ...                                  forget gate; ln fₜ = ln σ(f̃ₜ), or f̃ₜ where it is exponential
        zₜ = tanh(...)                            candidate
        oₜ = σ(...)                               output gate
        mₜ = max(ln fₜ + mₜ₋₁, ĩₜ)                 stabilizer
        cₜ = exp(ln fₜ + mₜ₋₁ - mₜ) ⊙ cₜ₋₁ + exp(ĩₜ - mₜ) ⊙ zₜ
        nₜ = exp(ln fₜ + mₜ₋₁ - mₜ) ⊙ nₜ₋₁ + exp(ĩₜ - mₜ)
        yₜ = hₜ = oₜ ⊙ cₜ / nₜ

    R is block diagonal: each head sees its own hidden_size / num_heads units only, weight_hh: (num_heads,
    4 · hidden_size / num_heads, hidden_size / num_heads). The first mₜ is ĩₜ: a state that holds nothing has no scale.
    The forget gate's bias starts between 3 and 6, at 0 where the gate is exponential.

    Beck et al., "xLSTM: extended long short-term memory" (2024), without the convolution and the norm of its block.
    Parameters: 4 · hidden_size · (input_size + hidden_size / num_heads + 1). State: 4 · hidden_size.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_heads: Positive = 1,
        forget_gate: ForgetGate = "sigmoid",
    ) -> None:
        check_arguments(SLSTMCell, locals(), "cell.")
        super().__init__(input_size, hidden_size, num_heads, forget_gate)
        head = hidden_size // num_heads
        self.weight_ih = nn.Parameter(torch.empty(4 * hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(num_heads, 4 * head, head))
        self.bias = nn.Parameter(torch.empty(4 * hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        super().reset_parameters()
        with torch.no_grad():
            self.bias[self.hidden_size : 2 * self.hidden_size] = torch.linspace(
                *FORGET_BIAS[self.forget_gate], self.hidden_size
            )

    def initial_state(self, batch_size: int) -> SLSTMState:
        zeros = self.zeros(batch_size, self.hidden_size)
        return SLSTMState(zeros, zeros, zeros, torch.full_like(zeros, NOTHING_YET))

    def prepare(self) -> dict[str, Tensor]:
        return {f"weight_hh_{head}": weight for head, weight in enumerate(self.weight_hh)}

    def project(self, x: Tensor) -> Tensor:
        """W_ih x + b: (..., 4 · hidden_size)."""
        return functional.linear(x, self.weight_ih, self.bias)

    def step(self, projected: Tensor, state: SLSTMState, matmul: Matmul, shared: Shared) -> tuple[Tensor, SLSTMState]:
        heads = [
            matmul(f"weight_hh_{head}", hidden).chunk(4, dim=-1)
            for head, hidden in enumerate(state.hidden.chunk(self.num_heads, dim=-1))
        ]
        recurrent = heads[0] if self.num_heads == 1 else [torch.cat(gate, dim=-1) for gate in zip(*heads, strict=True)]
        log_input, forget, candidate, output = (
            theirs + ours for theirs, ours in zip(projected.chunk(4, dim=-1), recurrent, strict=True)
        )
        log_kept = self._log_forget(forget) + state.stabilizer
        stabilizer = torch.maximum(log_kept, log_input)
        kept, taken = (log_kept - stabilizer).exp(), (log_input - stabilizer).exp()
        cell = kept * state.cell + taken * candidate.tanh()
        normalizer = kept * state.normalizer + taken
        hidden = output.sigmoid() * cell / normalizer
        return hidden, SLSTMState(hidden, cell, normalizer, stabilizer)


class MLSTMState(NamedTuple):
    """With head = hidden_size / num_heads, `cell`: (batch, num_heads, head, head), its rows those of the values;
    `normalizer`: (batch, num_heads, head); `stabilizer`: (batch, num_heads)."""

    cell: Tensor
    normalizer: Tensor
    stabilizer: Tensor


class MLSTMCell(_XLSTMCell):
    """For each head, with d = hidden_size / num_heads, each line with its own rows of W and b, in this order:

        qₜ = W xₜ + b, kₜ = (W xₜ + b) / √d, vₜ = W xₜ + b      query, key, value: (d,)
        oₜ = σ(W xₜ + b)                                       output gate: (d,)
        ĩₜ = W xₜ + b                                          input gate, in the logarithm: a number
        f̃ₜ = W xₜ + b                                          forget gate: a number; ln fₜ = ln σ(f̃ₜ), or f̃ₜ
        mₜ = max(ln fₜ + mₜ₋₁, ĩₜ)                              stabilizer
        Cₜ = exp(ln fₜ + mₜ₋₁ - mₜ) Cₜ₋₁ + exp(ĩₜ - mₜ) vₜ kₜᵀ
        nₜ = exp(ln fₜ + mₜ₋₁ - mₜ) nₜ₋₁ + exp(ĩₜ - mₜ) kₜ
        yₜ = oₜ ⊙ Cₜ qₜ / max(|nₜᵀ qₜ|, exp(-mₜ))

    At the start W is zero for both gates, the forget gate's b between 3 and 6, or 0 where it is exponential, the input
    gate's of deviation 0.1.

    Beck et al., "xLSTM: extended long short-term memory" (2024), without the convolution and the norm of its block.
    Parameters: (4 · hidden_size + 2 · num_heads) · (input_size + 1).
    State: hidden_size² / num_heads + hidden_size + num_heads.
    """

    recurrence = "linear"
    scans_all_states = False
    rowwise = False

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_heads: Positive = 1,
        forget_gate: ForgetGate = "sigmoid",
    ) -> None:
        check_arguments(MLSTMCell, locals(), "cell.")
        super().__init__(input_size, hidden_size, num_heads, forget_gate)
        rows = 4 * hidden_size + 2 * num_heads
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size))
        self.bias = nn.Parameter(torch.empty(rows))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        super().reset_parameters()
        gates = 4 * self.hidden_size
        with torch.no_grad():
            self.weight_ih[gates:] = 0
            self.bias[gates : gates + self.num_heads].normal_(std=0.1)
            self.bias[gates + self.num_heads :] = torch.linspace(*FORGET_BIAS[self.forget_gate], self.num_heads)

    def initial_state(self, batch_size: int) -> MLSTMState:
        head = self.hidden_size // self.num_heads
        return MLSTMState(
            self.zeros(batch_size, self.num_heads, head, head),
            self.zeros(batch_size, self.num_heads, head),
            self.zeros(batch_size, self.num_heads),
        )

    def prepare(self) -> dict[str, Tensor]:
        return {}

    def project(self, x: Tensor) -> Tensor:
        """W x + b: (..., 4 · hidden_size + 2 · num_heads)."""
        return functional.linear(x, self.weight_ih, self.bias)

    def step(self, projected: Tensor, state: MLSTMState, matmul: Matmul, shared: Shared) -> tuple[Tensor, MLSTMState]:
        head = self.hidden_size // self.num_heads
        wide, gates = torch.split(projected, [4 * self.hidden_size, 2 * self.num_heads], dim=-1)
        query, key, value, output = torch.unflatten(wide, -1, (4, self.num_heads, head)).unbind(-3)
        log_input, forget = gates.chunk(2, dim=-1)
        key = key / math.sqrt(head)
        log_kept = self._log_forget(forget) + state.stabilizer
        stabilizer = torch.maximum(log_kept, log_input)
        kept, taken = (log_kept - stabilizer).exp()[..., None], (log_input - stabilizer).exp()[..., None]
        cell = kept[..., None] * state.cell + (taken * value)[..., None] * key[..., None, :]
        normalizer = kept * state.normalizer + taken * key
        read = (cell @ query[..., None])[..., 0]
        norm = torch.maximum((normalizer * query).sum(-1).abs(), (-stabilizer).exp())
        hidden = output.sigmoid() * read / norm[..., None]
        return hidden.flatten(-2), MLSTMState(cell, normalizer, stabilizer)

    def scan(self, projected: Tensor, state: MLSTMState, shared: Shared) -> tuple[Tensor, MLSTMState]:
        """In chunks: within one, attention of each timestep to those before it; matrix memories only between chunks.

        Returns: all outputs, and the last state alone, one timestep long: all would not fit the memory.
        """
        outputs = []
        for chunk in torch.split(projected, CHUNK):
            output, state = self._attend(chunk, state)
            outputs.append(output)
        return torch.cat(outputs), MLSTMState(*(part[None] for part in state))

    def _attend(self, projected: Tensor, state: MLSTMState) -> tuple[Tensor, MLSTMState]:
        time, head = len(projected), self.hidden_size // self.num_heads
        wide, gates = torch.split(projected, [4 * self.hidden_size, 2 * self.num_heads], dim=-1)
        # (batch, heads, time, head), gates (batch, heads, time)
        query, key, value, output = torch.unflatten(wide, -1, (4, self.num_heads, head)).permute(2, 1, 3, 0, 4)
        log_input, forget = torch.unflatten(gates, -1, (2, self.num_heads)).permute(2, 1, 3, 0)
        key = key / math.sqrt(head)
        log_forget = self._log_forget(forget)

        # ln of what timestep t still holds of timestep s: sums over s < r ≤ t; differences of sums would lose digits
        later = torch.ones(time, time, dtype=torch.bool, device=projected.device).tril(-1)
        log_held = torch.where(later, log_forget[..., None], 0).cumsum(-2) + log_input[..., None, :]
        log_held = log_held.masked_fill(later.mT, -math.inf)
        log_entering = log_forget.cumsum(-1) + state.stabilizer[..., None]
        stabilizer = torch.maximum(log_held.amax(-1), log_entering)
        held, entering = (log_held - stabilizer[..., None]).exp(), (log_entering - stabilizer).exp()[..., None]

        scores = held * (query @ key.mT)
        read = scores @ value + entering * (query @ state.cell.mT)
        norm = scores.sum(-1) + (entering * query * state.normalizer[..., None, :]).sum(-1)
        norm = torch.maximum(norm.abs(), (-stabilizer).exp())
        hidden = output.sigmoid() * read / norm[..., None]

        last = held[..., -1, :, None]
        cell = entering[..., -1:, :] * state.cell + (last * value).mT @ key
        normalizer = entering[..., -1, :] * state.normalizer + (last * key).sum(-2)
        return hidden.permute(2, 0, 1, 3).flatten(-2), MLSTMState(cell, normalizer, stabilizer[..., -1])
