"""Cells linear in their state: minimal gated cells and diagonal state space models, run by a parallel scan."""

import math
from typing import Annotated, Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnlab.arguments import PositiveNumber, Range, check_arguments, refusal
from rnnlab.cells.cell import Cell, HiddenState, Matmul, Shared
from rnnlab.cells.scan import gated_recurrence, linear_recurrence
from rnnlab.errors import UserError

Activation = Literal["linear", "gelu", "glu"]
CHUNK = 32
"""Timesteps that S4D's convolution takes at once: longer costs more multiplications, shorter more states to carry."""


class Even:
    """A limit of whole numbers."""

    def admits(self, value: int) -> bool:
        return value % 2 == 0

    def described(self, kind: str) -> str:
        return kind.replace("an integer", "an even integer")


StateSize = Annotated[int, Even(), Range(at_least=2)]
"""Two real numbers for each complex one."""


class _MinimalCell(Cell):
    """hₜ = aₜ ⊙ hₜ₋₁ + bₜ, a and b from the input alone: `gates` says how."""

    recurrence = "linear"
    parts: int
    """Blocks of `hidden_size` rows in the weight."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.weight_ih = nn.Parameter(torch.empty(self.parts * hidden_size, input_size))
        self.bias_ih = nn.Parameter(torch.empty(self.parts * hidden_size))
        self.reset_parameters()

    @staticmethod
    def gates(*parts: Tensor) -> tuple[Tensor, Tensor]:
        """The blocks of W_ih xₜ + b_ih -> aₜ, bₜ."""
        raise NotImplementedError

    def project(self, x: Tensor) -> Tensor:
        """W_ih x + b_ih: (..., parts · hidden_size)."""
        return functional.linear(x, self.weight_ih, self.bias_ih)

    def step(self, projected: Tensor, state: HiddenState, matmul: Matmul, shared: Shared) -> tuple[Tensor, HiddenState]:
        decay, drive = self.gates(*projected.chunk(self.parts, dim=-1))
        hidden = decay * state.hidden + drive
        return hidden, HiddenState(hidden)

    def scan(self, projected: Tensor, state: HiddenState, shared: Shared) -> tuple[Tensor, HiddenState]:
        hidden = gated_recurrence(self.gates, projected, self.parts, state.hidden)
        return hidden, HiddenState(hidden)


def _positive(x: Tensor) -> Tensor:
    """g(x) = x + ½ for x ≥ 0, σ(x) below: the candidates of the log-space forms, never negative."""
    above = x.relu()
    return above + (x - above).sigmoid()


class MinGRUCell(_MinimalCell):
    """Each line with its own rows of W_ih and b_ih, in this order:

        zₜ = σ(W_ih xₜ + b_ih)                  update gate
        h̃ₜ = g(W_ih xₜ + b_ih)                  candidate; g(x) = x + ½ for x ≥ 0, σ(x) below
        yₜ = hₜ = (1 - zₜ) ⊙ hₜ₋₁ + zₜ ⊙ h̃ₜ

    Feng et al., "Were RNNs all we needed?" (2024), with the candidate of their log-space form.
    Parameters: 2 · hidden_size · (input_size + 1). State: hidden_size.
    """

    parts = 2

    @staticmethod
    def gates(*parts: Tensor) -> tuple[Tensor, Tensor]:
        update, candidate = parts[0].sigmoid(), _positive(parts[1])
        return 1 - update, update * candidate


class MinLSTMCell(_MinimalCell):
    """Each line with its own rows of W_ih and b_ih, in this order:

        fₜ = σ(W_ih xₜ + b_ih)                  forget gate
        iₜ = σ(W_ih xₜ + b_ih)                  input gate
        h̃ₜ = g(W_ih xₜ + b_ih)                  candidate; g(x) = x + ½ for x ≥ 0, σ(x) below
        yₜ = hₜ = fₜ / (fₜ + iₜ) ⊙ hₜ₋₁ + iₜ / (fₜ + iₜ) ⊙ h̃ₜ

    Feng et al., "Were RNNs all we needed?" (2024), with the candidate of their log-space form.
    Parameters: 3 · hidden_size · (input_size + 1). State: hidden_size.
    """

    parts = 3

    @staticmethod
    def gates(*parts: Tensor) -> tuple[Tensor, Tensor]:
        # f / (f + i) = σ(ln f - ln i), which is a number also where both gates underflow
        forget = (functional.logsigmoid(parts[0]) - functional.logsigmoid(parts[1])).sigmoid()
        return forget, (1 - forget) * _positive(parts[2])


class ComplexState(NamedTuple):
    """`real`, `imaginary`: (batch, modes)."""

    real: Tensor
    imaginary: Tensor


class _StateSpaceCell(Cell):
    """A diagonal linear recurrence of complex numbers, and what follows its real output.

    `activation`: "linear", v as it is; "gelu", y = GELU(v) in its tanh form; "glu", y = GELU(v) ⊙ σ(W_gate GELU(v) +
    b_gate), one cell's share of the block that the papers put after the recurrence.
    """

    recurrence = "linear"

    def __init__(self, input_size: int, hidden_size: int, state_size: int, activation: str) -> None:
        super().__init__(input_size, hidden_size)
        self.modes = state_size // 2
        self.activation = activation
        if activation == "glu":
            self.weight_gate = nn.Parameter(torch.empty(hidden_size, hidden_size))
            self.bias_gate = nn.Parameter(torch.empty(hidden_size))

    def reset_parameters(self) -> None:
        if self.activation == "glu":
            bound = self.hidden_size**-0.5
            nn.init.uniform_(self.weight_gate, -bound, bound)
            nn.init.uniform_(self.bias_gate, -bound, bound)

    def _shared_gate(self) -> dict[str, Tensor]:
        return {"weight_gate": self.weight_gate, "bias_gate": self.bias_gate} if self.activation == "glu" else {}

    def _activate(self, value: Tensor, matmul: Matmul, shared: Shared) -> Tensor:
        if self.activation == "linear":
            return value
        # GELU written out, as a kernel for `step` needs it; `_activate_all` has torch's, the same function
        value = 0.5 * value * (1 + (math.sqrt(2 / math.pi) * (value + 0.044715 * value * value * value)).tanh())
        if self.activation == "gelu":
            return value
        return value * (matmul("weight_gate", value) + shared["bias_gate"]).sigmoid()

    def _activate_all(self, value: Tensor, shared: Shared) -> Tensor:
        """`_activate` for a whole sequence."""
        if self.activation == "linear":
            return value
        value = functional.gelu(value, approximate="tanh")
        if self.activation == "gelu":
            return value
        return functional.glu(
            torch.cat([value, functional.linear(value, shared["weight_gate"], shared["bias_gate"])], dim=-1)
        )


class _MixingCell(_StateSpaceCell):
    """sₜ = λ ⊙ sₜ₋₁ + β ⊙ (B xₜ), vₜ = `fold` · Re(C sₜ) + D xₜ: one recurrence between two full matrices.

    weight_in: B, (2 · modes, input_size), the real rows above the imaginary ones. weight_out: C, (hidden_size,
    2 · modes), its real columns, then its imaginary columns negated. weight_skip: D, (hidden_size, input_size).
    """

    fold: int
    """2 where each mode stands for itself and its complex conjugate."""

    def __init__(self, input_size: int, hidden_size: int, state_size: int | None, activation: str) -> None:
        even = hidden_size + hidden_size % 2
        super().__init__(input_size, hidden_size, even if state_size is None else state_size, activation)
        self.sizes = [self.modes, self.modes, hidden_size]
        self.weight_in = nn.Parameter(torch.empty(2 * self.modes, input_size))
        self.weight_out = nn.Parameter(torch.empty(hidden_size, 2 * self.modes))
        self.weight_skip = nn.Parameter(torch.empty(hidden_size, input_size))

    def discretized(self) -> tuple[Tensor, Tensor]:
        """λ, β: complex, (modes,)."""
        raise NotImplementedError

    def initial_state(self, batch_size: int) -> ComplexState:
        zeros = self.zeros(batch_size, self.modes)
        return ComplexState(zeros, zeros)

    def prepare(self) -> dict[str, Tensor]:
        decay, _ = self.discretized()
        return {
            "decay_real": decay.real,
            "decay_imaginary": decay.imag,
            "weight_out": self.fold * self.weight_out,
            **self._shared_gate(),
        }

    def project(self, x: Tensor) -> Tensor:
        """Re(β B x), Im(β B x), D x: (..., 2 · modes + hidden_size)."""
        _, scale = self.discretized()
        weight_in = scale[:, None] * torch.complex(*self.weight_in.chunk(2))
        return functional.linear(x, torch.cat([weight_in.real, weight_in.imag, self.weight_skip]))

    def step(
        self, projected: Tensor, state: ComplexState, matmul: Matmul, shared: Shared
    ) -> tuple[Tensor, ComplexState]:
        drive_real, drive_imaginary, skip = torch.split(projected, self.sizes, dim=-1)
        decay_real, decay_imaginary = shared["decay_real"], shared["decay_imaginary"]
        real = decay_real * state.real - decay_imaginary * state.imaginary + drive_real
        imaginary = decay_imaginary * state.real + decay_real * state.imaginary + drive_imaginary
        value = matmul("weight_out", torch.cat([real, imaginary], dim=-1)) + skip
        return self._activate(value, matmul, shared), ComplexState(real, imaginary)

    def scan(self, projected: Tensor, state: ComplexState, shared: Shared) -> tuple[Tensor, ComplexState]:
        drive_real, drive_imaginary, skip = torch.split(projected, self.sizes, dim=-1)
        states = linear_recurrence(
            torch.complex(shared["decay_real"], shared["decay_imaginary"]),
            torch.complex(drive_real, drive_imaginary),
            torch.complex(state.real, state.imaginary),
        )
        # the weight's columns turned to where a complex number has its parts: cheaper than to move the states
        weight = torch.unflatten(shared["weight_out"], 1, (2, self.modes)).transpose(1, 2).flatten(1)
        value = functional.linear(torch.view_as_real(states).flatten(-2), weight) + skip
        return self._activate_all(value, shared), ComplexState(states.real, states.imag)


class LRUCell(_MixingCell):
    """sₜ = λ ⊙ sₜ₋₁ + exp(γ_log) ⊙ (B xₜ), yₜ = GELU(Re(C sₜ) + D xₜ), with

        λ = exp(-exp(ν_log) + i exp(θ_log)), s: (modes,), complex, modes = state_size / 2

    B: (modes, input_size), complex; C: (hidden_size, modes), complex; D: (hidden_size, input_size), full for inputs of
    any size; ν_log, θ_log, γ_log: (modes,). At the start λ is uniform on the ring between the radii `min_radius` and
    `max_radius`, its angle uniform between 0 and `max_phase`, and exp(γ_log) = √(1 - |λ|²). `state_size`: hidden_size
    unless given, one more if that is odd. `activation`: "gelu"; "linear", the recurrence alone; "glu", ⊙ σ(W_gate · +
    b_gate) after GELU.

    Orvieto et al., "Resurrecting recurrent neural networks for long sequences" (2023); GELU, glu: their block.
    Parameters: state_size · (input_size + hidden_size) + hidden_size · input_size + 3 · state_size / 2, with "glu"
    hidden_size · (hidden_size + 1) more. State: state_size.
    """

    fold = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        state_size: StateSize | None = None,
        activation: Activation = "gelu",
        min_radius: Annotated[float, Range(at_least=0, below=1)] = 0.0,
        max_radius: Annotated[float, Range(above=0, at_most=1)] = 1.0,
        max_phase: Annotated[float, Range(above=0, at_most=6.283186)] = 2 * math.pi,  # 2π, rounded up
    ) -> None:
        check_arguments(LRUCell, locals(), "cell.")
        if not min_radius < max_radius:
            raise UserError(refusal("cell.min_radius", f"a number < max_radius={max_radius}", min_radius))
        super().__init__(input_size, hidden_size, state_size, activation)
        self.min_radius, self.max_radius, self.max_phase = min_radius, max_radius, max_phase
        self.nu_log = nn.Parameter(torch.empty(self.modes))
        self.theta_log = nn.Parameter(torch.empty(self.modes))
        self.gamma_log = nn.Parameter(torch.empty(self.modes))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        super().reset_parameters()
        nn.init.normal_(self.weight_in, std=(2 * self.input_size) ** -0.5)
        nn.init.normal_(self.weight_out, std=self.modes**-0.5)
        nn.init.normal_(self.weight_skip, std=self.input_size**-0.5)
        with torch.no_grad():
            # neither end itself: a radius of 0 or 1, or an angle of 0, has no logarithm
            share, turn = torch.rand(2, self.modes).clamp(1e-6, 1 - 1e-6)
            squared_radius = share * (self.max_radius**2 - self.min_radius**2) + self.min_radius**2
            self.nu_log.copy_((-0.5 * squared_radius.log()).log())
            self.theta_log.copy_((self.max_phase * turn).log())
            self.gamma_log.copy_(0.5 * (-squared_radius).log1p())

    def discretized(self) -> tuple[Tensor, Tensor]:
        decay = torch.exp(torch.complex(-self.nu_log.exp(), self.theta_log.exp()))
        return decay, self.gamma_log.exp()


class S5Cell(_MixingCell):
    """sₜ = λ ⊙ sₜ₋₁ + β ⊙ (B xₜ), yₜ = GELU(2 Re(C sₜ) + D xₜ), discretized from s' = Λ s + B x with the steps Δ:

        zoh        λ = exp(Λ Δ),                      β = (λ - 1) / Λ
        bilinear   λ = (1 + Λ Δ / 2) / (1 - Λ Δ / 2), β = Δ / (1 - Λ Δ / 2)

    Λ = -exp(rate_log) + i frequency and Δ = exp(step_log): (modes,), modes = state_size / 2, each mode standing for
    itself and its conjugate; s: (modes,), complex; B: (modes, input_size) and C: (hidden_size, modes), complex; D:
    (hidden_size, input_size). At the start Λ holds the eigenvalues above the real axis of HiPPO-N, the normal part of
    HiPPO-LegS of order state_size, B and C are drawn in its coordinates and turned into those of its eigenvectors, and
    Δ is log-uniform between `min_step` and `max_step`. `state_size`: hidden_size unless given, one more if that is odd.
    `activation`: "gelu"; "linear", the recurrence alone; "glu", ⊙ σ(W_gate · + b_gate) after GELU, the paper's block.

    Smith, Warrington and Linderman, "Simplified state space layers for sequence modeling" (ICLR 2023), with one block
    of HiPPO, a full D for inputs of any size, and modes that decay whatever is learnt.
    Parameters: state_size · (input_size + hidden_size) + hidden_size · input_size + 3 · state_size / 2, with "glu"
    hidden_size · (hidden_size + 1) more. State: state_size.
    """

    fold = 2

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        state_size: StateSize | None = None,
        activation: Activation = "gelu",
        discretization: Literal["zoh", "bilinear"] = "zoh",
        min_step: PositiveNumber = 0.001,
        max_step: PositiveNumber = 0.1,
    ) -> None:
        check_arguments(S5Cell, locals(), "cell.")
        _check_steps(min_step, max_step)
        super().__init__(input_size, hidden_size, state_size, activation)
        self.discretization = discretization
        self.min_step, self.max_step = min_step, max_step
        self.rate_log = nn.Parameter(torch.empty(self.modes))
        self.frequency = nn.Parameter(torch.empty(self.modes))
        self.step_log = nn.Parameter(torch.empty(self.modes))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        super().reset_parameters()
        frequency, vectors = hippo_normal(2 * self.modes)
        weight_in = torch.randn(2 * self.modes, self.input_size, dtype=torch.float64) * self.input_size**-0.5
        weight_out = torch.randn(self.hidden_size, 2 * self.modes, dtype=torch.complex128) * (2 * self.modes) ** -0.5
        turned_in, turned_out = vectors.mH @ weight_in.to(vectors.dtype), weight_out @ vectors
        nn.init.constant_(self.rate_log, math.log(0.5))
        nn.init.normal_(self.weight_skip, std=self.input_size**-0.5)
        with torch.no_grad():
            self.frequency.copy_(frequency)
            self.weight_in.copy_(torch.cat([turned_in.real, turned_in.imag]))
            self.weight_out.copy_(torch.cat([turned_out.real, -turned_out.imag], dim=1))
            self.step_log.uniform_(math.log(self.min_step), math.log(self.max_step))

    def discretized(self) -> tuple[Tensor, Tensor]:
        rate = torch.complex(-self.rate_log.exp(), self.frequency)
        step = self.step_log.exp()
        if self.discretization == "zoh":
            return torch.exp(rate * step), torch.expm1(rate * step) / rate
        half = rate * step / 2
        return (1 + half) / (1 - half), step / (1 - half)


def hippo_normal(order: int) -> tuple[Tensor, Tensor]:
    """The eigenvalues of HiPPO-N with a positive imaginary part, -½ + i frequency, and their eigenvectors.

    Returns: frequency (order / 2,), ascending; vectors (order, order / 2), orthonormal; in float64.
    """
    root = (torch.arange(order, dtype=torch.float64) + 0.5).sqrt()
    # HiPPO-LegS plus the rank-one term that makes it normal: -½ on the diagonal, else antisymmetric
    outer = root[:, None] * root
    antisymmetric = outer.triu(1) - outer.tril(-1)
    frequency, vectors = torch.linalg.eigh(antisymmetric * -1j)
    return frequency[order // 2 :], vectors[:, order // 2 :]


def _check_steps(min_step: float, max_step: float) -> None:
    if min_step > max_step:
        raise UserError(refusal("cell.min_step", f"a number <= max_step={max_step}", min_step))


class S4DCell(_StateSpaceCell):
    """uₜ = W_in xₜ + b_in, and for each of the hidden_size channels of u, of its own modes = state_size / 2:

        sₜ = λ ⊙ sₜ₋₁ + uₜ,  λ = exp(Λ Δ)
        yₜ = GELU(2 Re(Σ C (λ - 1) / Λ ⊙ sₜ) + d uₜ)

    the zero-order hold of s' = Λ s + u with the step Δ, the input's factor (λ - 1) / Λ read out and not carried along.
    Λ = -exp(rate_log) + i frequency and C, complex: (modes, hidden_size); Δ = exp(step_log), d: (hidden_size,); W_in:
    (hidden_size, input_size). At the start S4D-Lin, Λ = -½ + i π n in mode n, C of unit variance, and Δ is log-uniform
    between `min_step` and `max_step`. `activation`: "gelu"; "linear", the recurrence alone; "glu", ⊙ σ(W_gate · +
    b_gate) after GELU. Channels meet in W_in of the next layer, and in W_gate; the paper's block mixes them once more.

    Gu, Gupta, Goel and Ré, "On the parameterization and initialization of diagonal state space models" (2022).
    Parameters: hidden_size · (input_size + 3 + 2 · state_size), with "glu" hidden_size · (hidden_size + 1) more.
    State: hidden_size · state_size. The scan gives the last state alone, one timestep long: all would be state_size
    times as large as the outputs.
    """

    scans_all_states = False

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        state_size: StateSize = 16,
        activation: Activation = "gelu",
        min_step: PositiveNumber = 0.001,
        max_step: PositiveNumber = 0.1,
    ) -> None:
        check_arguments(S4DCell, locals(), "cell.")
        _check_steps(min_step, max_step)
        super().__init__(input_size, hidden_size, state_size, activation)
        self.min_step, self.max_step = min_step, max_step
        self.weight_in = nn.Parameter(torch.empty(hidden_size, input_size))
        self.bias_in = nn.Parameter(torch.empty(hidden_size))
        self.rate_log = nn.Parameter(torch.empty(self.modes, hidden_size))
        self.frequency = nn.Parameter(torch.empty(self.modes, hidden_size))
        self.readout_real = nn.Parameter(torch.empty(self.modes, hidden_size))
        self.readout_imaginary = nn.Parameter(torch.empty(self.modes, hidden_size))
        self.step_log = nn.Parameter(torch.empty(hidden_size))
        self.skip = nn.Parameter(torch.empty(hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        super().reset_parameters()
        bound = self.input_size**-0.5
        nn.init.uniform_(self.weight_in, -bound, bound)
        nn.init.uniform_(self.bias_in, -bound, bound)
        nn.init.constant_(self.rate_log, math.log(0.5))
        nn.init.normal_(self.readout_real, std=0.5**0.5)
        nn.init.normal_(self.readout_imaginary, std=0.5**0.5)
        nn.init.uniform_(self.step_log, math.log(self.min_step), math.log(self.max_step))
        nn.init.normal_(self.skip)
        with torch.no_grad():
            self.frequency.copy_(math.pi * torch.arange(self.modes)[:, None].expand_as(self.frequency))

    def initial_state(self, batch_size: int) -> ComplexState:
        zeros = self.zeros(batch_size, self.modes * self.hidden_size)
        return ComplexState(zeros, zeros)

    def prepare(self) -> dict[str, Tensor]:
        rate = torch.complex(-self.rate_log.exp(), self.frequency)
        exponent = rate * self.step_log.exp()
        decay = exponent.exp().flatten()
        readout = (
            2 * torch.complex(self.readout_real, self.readout_imaginary) * torch.expm1(exponent) / rate
        ).flatten()
        return {
            "decay_real": decay.real,
            "decay_imaginary": decay.imag,
            "readout_real": readout.real,
            "readout_imaginary": readout.imag,
            "skip": self.skip,
            **self._shared_gate(),
        }

    def project(self, x: Tensor) -> Tensor:
        """u: (..., hidden_size)."""
        return functional.linear(x, self.weight_in, self.bias_in)

    def step(
        self, projected: Tensor, state: ComplexState, matmul: Matmul, shared: Shared
    ) -> tuple[Tensor, ComplexState]:
        decay_real, decay_imaginary = shared["decay_real"], shared["decay_imaginary"]
        drive = torch.cat([projected] * self.modes, dim=-1)
        real = decay_real * state.real - decay_imaginary * state.imaginary + drive
        imaginary = decay_imaginary * state.real + decay_real * state.imaginary
        value = shared["skip"] * projected
        for part in (shared["readout_real"] * real - shared["readout_imaginary"] * imaginary).chunk(self.modes, dim=-1):
            value = value + part
        return self._activate(value, matmul, shared), ComplexState(real, imaginary)

    def scan(self, projected: Tensor, state: ComplexState, shared: Shared) -> tuple[Tensor, ComplexState]:
        decay = torch.complex(shared["decay_real"], shared["decay_imaginary"])
        readout = torch.complex(shared["readout_real"], shared["readout_imaginary"])
        last = torch.complex(state.real, state.imaginary)
        whole = len(projected) // CHUNK * CHUNK
        values = []
        for part, chunk in ((projected[:whole], CHUNK), (projected[whole:], len(projected) - whole)):
            if len(part):
                value, last = self._convolve(part, last, decay, readout, shared["skip"], chunk)
                values.append(value)
        value = torch.cat(values) if len(values) > 1 else values[0]
        return self._activate_all(value, shared), ComplexState(last.real[None], last.imag[None])

    def _convolve(
        self, inputs: Tensor, state: Tensor, decay: Tensor, readout: Tensor, skip: Tensor, chunk: int
    ) -> tuple[Tensor, Tensor]:
        """The recurrence in chunks, with one product per channel for each of: inputs to outputs, inputs to the state
        at the end, the state before to outputs. States are formed only between chunks.

        inputs: (chunks · chunk, batch, hidden_size). state, complex: (batch, modes · hidden_size).
        Returns: v, in the shape of the inputs; the last state.
        """
        batch, channels, chunks = inputs.shape[1], self.hidden_size, len(inputs) // chunk
        powers = [torch.ones_like(decay)]  # not cumprod, whose gradient divides by what may have underflowed
        for _ in range(chunk):
            powers.append(powers[-1] * decay)
        # (channels, time in the chunk, modes)
        powers_of = torch.unflatten(torch.stack(powers), 1, (self.modes, channels)).permute(2, 0, 1)
        reading = torch.unflatten(readout, 0, (self.modes, channels)).T[:, None] * powers_of
        kernel = reading[:, :-1].real.sum(-1)
        kernel = torch.cat([kernel[:, :1] + skip[:, None], kernel[:, 1:]], dim=1)
        lag = torch.arange(chunk, device=inputs.device)
        lag = lag[:, None] - lag
        outputs_of_inputs = torch.where(lag >= 0, kernel[:, lag.clamp(min=0)], 0)
        ends_of_inputs = torch.view_as_real(powers_of[:, :-1].flip(1)).flatten(2)
        outputs_of_states = torch.view_as_real(reading[:, 1:].conj().resolve_conj()).flatten(2)

        # runs of (batch, channels) moved first, then a transposed matrix: both far cheaper than one permutation
        inputs = torch.unflatten(inputs, 0, (chunks, chunk)).transpose(0, 1).reshape(-1, channels)
        inputs = _transposed(inputs).view(channels, chunk, chunks * batch)
        ends = ends_of_inputs.mT @ inputs
        ends = ends.view(channels, self.modes, 2, chunks, batch).permute(3, 4, 1, 0, 2).contiguous()
        states = linear_recurrence(powers[-1], torch.view_as_complex(ends).flatten(2), state)
        before = torch.unflatten(torch.cat([state[None], states[:-1]]), 2, (self.modes, channels))
        before = torch.view_as_real(before).permute(3, 2, 4, 0, 1).reshape(channels, 2 * self.modes, chunks * batch)
        value = torch.baddbmm(outputs_of_inputs @ inputs, outputs_of_states, before)
        value = _transposed(value.view(channels, -1)).view(chunk, chunks, batch, channels)
        return value.transpose(0, 1).flatten(0, 1), states[-1]


class _Transposed(torch.autograd.Function):
    """A matrix transposed in memory, its gradient as well: a gradient left as a view is copied anew by each product."""

    @staticmethod
    def forward(_: Any, matrix: Tensor) -> Tensor:
        return matrix.T.contiguous()

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return _transposed(gradient)


def _transposed(matrix: Tensor) -> Tensor:
    turned: Tensor = _Transposed.apply(matrix)  # type: ignore[no-untyped-call]
    return turned
