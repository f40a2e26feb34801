"""Cells derived from continuous time: liquid networks and the Legendre memory unit, one unit of time a timestep."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnlab.arguments import Positive, PositiveNumber, check_arguments
from rnnlab.cells.cell import Cell, HiddenState, Matmul, Shared


class CfCCell(Cell):
    """A backbone of `backbone_layers` layers of backbone_units each, a(u) = 1.7159 tanh(0.666 u),

        uₜ = a(W_ih xₜ + b_ih + W_hh hₜ₋₁), and for each layer more uₜ ← a(W_backbone uₜ + b_backbone)

    and its heads, each with its own rows of W_head and b_head; yₜ = hₜ. In the modes "default" and "no_gate", in this
    order, with Δt = 1:

        gₜ = tanh(W_head uₜ + b_head), kₜ = tanh(...)
        sₜ = σ(αₜ Δt + βₜ), αₜ = W_head uₜ + b_head, βₜ = ...
        hₜ = (1 - sₜ) ⊙ gₜ + sₜ ⊙ kₜ              "no_gate": hₜ = gₜ + sₜ ⊙ kₜ

    In the mode "pure", the solution itself: fₜ = W_head uₜ + b_head, hₜ = A - A ⊙ exp(-(|w_τ| + |fₜ|) Δt) ⊙ fₜ.

    Hasani et al., "Closed-form continuous-time neural networks" (Nature Machine Intelligence 2022), fully connected.
    Parameters: backbone_units · (input_size + hidden_size + 1) + (backbone_layers - 1) · backbone_units ·
    (backbone_units + 1) + 4 · hidden_size · (backbone_units + 1), the last term in the mode "pure" hidden_size ·
    (backbone_units + 3). State: hidden_size.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        mode: Literal["default", "pure", "no_gate"] = "default",
        backbone_units: Positive = 128,
        backbone_layers: Positive = 1,
    ) -> None:
        check_arguments(CfCCell, locals(), "cell.")
        super().__init__(input_size, hidden_size)
        self.mode = mode
        self.further_layers = backbone_layers - 1
        heads = hidden_size if mode == "pure" else 4 * hidden_size
        self.weight_ih = nn.Parameter(torch.empty(backbone_units, input_size))
        self.weight_hh = nn.Parameter(torch.empty(backbone_units, hidden_size))
        self.bias_ih = nn.Parameter(torch.empty(backbone_units))
        for layer in range(self.further_layers):
            weight, bias = torch.empty(backbone_units, backbone_units), torch.empty(backbone_units)
            self.register_parameter(f"weight_backbone_{layer}", nn.Parameter(weight))
            self.register_parameter(f"bias_backbone_{layer}", nn.Parameter(bias))
        self.weight_head = nn.Parameter(torch.empty(heads, backbone_units))
        self.bias_head = nn.Parameter(torch.empty(heads))
        if mode == "pure":
            self.rate = nn.Parameter(torch.empty(hidden_size))  # w_τ
            self.rest = nn.Parameter(torch.empty(hidden_size))  # A
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Glorot and Bengio's uniform weights, those of x and h as the one matrix they are; biases and w_τ 0, A 1."""
        for name, parameter in self.named_parameters():
            if name.startswith("bias"):
                nn.init.zeros_(parameter)
            elif name.startswith("weight_backbone"):
                nn.init.xavier_uniform_(parameter)
        bound = (6 / (self.input_size + self.hidden_size + len(self.weight_ih))) ** 0.5
        for weight in (self.weight_ih, self.weight_hh):
            nn.init.uniform_(weight, -bound, bound)
        for head in torch.split(self.weight_head, self.hidden_size):
            nn.init.xavier_uniform_(head)
        if self.mode == "pure":
            nn.init.zeros_(self.rate)
            nn.init.ones_(self.rest)

    def prepare(self) -> dict[str, Tensor]:
        return {name: parameter for name, parameter in super().prepare().items() if not name.endswith("_ih")}

    def project(self, x: Tensor) -> Tensor:
        """W_ih x + b_ih: (..., backbone_units)."""
        return functional.linear(x, self.weight_ih, self.bias_ih)

    def step(self, projected: Tensor, state: HiddenState, matmul: Matmul, shared: Shared) -> tuple[Tensor, HiddenState]:
        units = _lecun_tanh(projected + matmul("weight_hh", state.hidden))
        for layer in range(self.further_layers):
            units = _lecun_tanh(matmul(f"weight_backbone_{layer}", units) + shared[f"bias_backbone_{layer}"])
        heads = matmul("weight_head", units) + shared["bias_head"]
        if self.mode == "pure":
            hidden = shared["rest"] - shared["rest"] * (-(shared["rate"].abs() + heads.abs())).exp() * heads
            return hidden, HiddenState(hidden)
        now, later, slope, offset = heads.chunk(4, dim=-1)
        now, later, share = now.tanh(), later.tanh(), (slope + offset).sigmoid()
        hidden = now + share * (later if self.mode == "no_gate" else later - now)
        return hidden, HiddenState(hidden)


def _lecun_tanh(x: Tensor) -> Tensor:
    # 0.666 and not 2/3, as in the authors' code
    return 1.7159 * (0.666 * x).tanh()


class LTCCell(Cell):
    """`solver_steps` steps of the fused solver, each of 1 / solver_steps of a timestep; from v = hₜ₋₁ to hₜ = v:

        v_j ← (c_j v_j + g_j e_j + Σᵢ w_ij s_ij(v_i) E_ij + Σᵢ W_ij S_ij(u_i) E'_ij)
              / (c_j + g_j + Σᵢ w_ij s_ij(v_i) + Σᵢ W_ij S_ij(u_i)),   c = capacitance · solver_steps
        s_ij(v) = σ(steepness_ij (v - threshold_ij)), S_ij likewise with the sensory steepness and threshold
        u = input_scale ⊙ xₜ + input_offset,   yₜ = output_scale ⊙ hₜ + output_offset

    v: (hidden_size,), potentials of neurons; w, its steepness, threshold and E (reversal potentials): (hidden_size,
    hidden_size), from neuron i to neuron j; those from the senses: (input_size, hidden_size); leak g, its reversal
    potential e, capacitance: (hidden_size,). w, W, g and the capacitance are softplus of their parameters: positive.

    Hasani et al., "Liquid time-constant networks" (AAAI 2021), all neurons joined with all. Work and memory of a step
    grow with batch · hidden_size².
    Parameters: 4 · hidden_size · (hidden_size + input_size) + 5 · hidden_size + 2 · input_size. State: hidden_size.
    """

    weight: Tensor
    steepness: Tensor
    threshold: Tensor
    reversal: Tensor
    sensory_weight: Tensor
    sensory_steepness: Tensor
    sensory_threshold: Tensor
    sensory_reversal: Tensor
    leak: Tensor
    leak_reversal: Tensor
    capacitance: Tensor
    output_scale: Tensor
    output_offset: Tensor

    rowwise = False

    def __init__(self, input_size: int, hidden_size: int, solver_steps: Positive = 6) -> None:
        check_arguments(LTCCell, locals(), "cell.")
        super().__init__(input_size, hidden_size)
        self.solver_steps = solver_steps
        for prefix, senders in (("", hidden_size), ("sensory_", input_size)):
            for name in ("weight", "steepness", "threshold", "reversal"):
                self.register_parameter(prefix + name, nn.Parameter(torch.empty(senders, hidden_size)))
        for name in ("leak", "leak_reversal", "capacitance", "output_scale", "output_offset"):
            self.register_parameter(name, nn.Parameter(torch.empty(hidden_size)))
        self.input_scale = nn.Parameter(torch.empty(input_size))
        self.input_offset = nn.Parameter(torch.empty(input_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The authors' ranges, for what is positive those of its softplus; two of three synapses excite."""
        for prefix in ("", "sensory_"):
            self._draw_positive(prefix + "weight", 0.001, 1.0)
            nn.init.uniform_(self.get_parameter(prefix + "steepness"), 3.0, 8.0)
            nn.init.uniform_(self.get_parameter(prefix + "threshold"), 0.3, 0.8)
            with torch.no_grad():
                reversal = self.get_parameter(prefix + "reversal")
                reversal.copy_(torch.where(torch.rand_like(reversal) < 1 / 3, -1.0, 1.0))
        self._draw_positive("leak", 0.001, 1.0)
        self._draw_positive("capacitance", 0.4, 0.6)
        nn.init.uniform_(self.leak_reversal, -0.2, 0.2)
        for scale, offset in ((self.input_scale, self.input_offset), (self.output_scale, self.output_offset)):
            nn.init.ones_(scale)
            nn.init.zeros_(offset)

    def _draw_positive(self, name: str, low: float, high: float) -> None:
        parameter = self.get_parameter(name)
        with torch.no_grad():
            parameter.copy_(parameter.uniform_(low, high).expm1().log())

    def prepare(self) -> dict[str, Tensor]:
        weight, leak = functional.softplus(self.weight), functional.softplus(self.leak)
        capacitance = functional.softplus(self.capacitance) * self.solver_steps
        return {
            "weight": weight,
            "driving_weight": weight * self.reversal,
            "steepness": self.steepness,
            "threshold": self.threshold,
            "capacitance": capacitance,
            "leak_drive": leak * self.leak_reversal,
            "conductance": capacitance + leak,
            "output_scale": self.output_scale,
            "output_offset": self.output_offset,
        }

    def project(self, x: Tensor) -> Tensor:
        """What the senses add above and below: (..., 2 · hidden_size)."""
        senses = (self.input_scale * x + self.input_offset)[..., None]
        opened = (self.sensory_steepness * (senses - self.sensory_threshold)).sigmoid()
        weight = functional.softplus(self.sensory_weight)
        return torch.cat([(weight * self.sensory_reversal * opened).sum(-2), (weight * opened).sum(-2)], dim=-1)

    def step(self, projected: Tensor, state: HiddenState, matmul: Matmul, shared: Shared) -> tuple[Tensor, HiddenState]:
        sensory_drive, sensory_conductance = projected.chunk(2, dim=-1)
        drive = shared["leak_drive"] + sensory_drive
        conductance = shared["conductance"] + sensory_conductance
        hidden = state.hidden
        for _ in range(self.solver_steps):
            opened = (shared["steepness"] * (hidden[..., None] - shared["threshold"])).sigmoid()
            above = shared["capacitance"] * hidden + drive + (shared["driving_weight"] * opened).sum(-2)
            hidden = above / (conductance + (shared["weight"] * opened).sum(-2))
        return shared["output_scale"] * hidden + shared["output_offset"], HiddenState(hidden)


class LMUState(NamedTuple):
    """`hidden`: (batch, hidden_size). `memory`: (batch, memory_size)."""

    hidden: Tensor
    memory: Tensor


class LMUCell(Cell):
    """A memory of the last `theta` timesteps of one signal, in Legendre polynomials, and a hidden state that reads it:

        uₜ = e_x · xₜ + e_h · hₜ₋₁ + e_m · mₜ₋₁
        mₜ = Ā mₜ₋₁ + B̄ uₜ
        yₜ = hₜ = tanh(W_x xₜ + W_h hₜ₋₁ + W_m mₜ)

    u: a number; m: (memory_size,); Ā, B̄: the zero-order hold of θ m' = A m + B u over a timestep, not trained, with
    A_ij = (2i + 1) · (-1 if i < j else (-1)^(i-j+1)) and B_i = (2i + 1) (-1)^i, i and j from 0.

    Voelker, Kajić and Eliasmith, "Legendre memory units" (NeurIPS 2019). At the start e_m is zero.
    Parameters: (hidden_size + 1) · (input_size + hidden_size + memory_size). State: hidden_size + memory_size.
    """

    memory_transition: Tensor
    memory_drive: Tensor

    def __init__(
        self, input_size: int, hidden_size: int, memory_size: Positive = 32, theta: PositiveNumber = 100.0
    ) -> None:
        check_arguments(LMUCell, locals(), "cell.")
        super().__init__(input_size, hidden_size)
        self.memory_size = memory_size
        self.weight_ih = nn.Parameter(torch.empty(hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.weight_mh = nn.Parameter(torch.empty(hidden_size, memory_size))
        self.encoder_input = nn.Parameter(torch.empty(input_size))
        self.encoder_hidden = nn.Parameter(torch.empty(hidden_size))
        self.encoder_memory = nn.Parameter(torch.empty(memory_size))
        transition, drive = legendre_delay(memory_size, theta)
        self.register_buffer("memory_transition", transition.to(self.weight_ih.dtype))
        self.register_buffer("memory_drive", drive.to(self.weight_ih.dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        for weight in (self.weight_ih, self.weight_hh, self.weight_mh):
            nn.init.xavier_normal_(weight)
        for encoder in (self.encoder_input, self.encoder_hidden):
            bound = (3 / len(encoder)) ** 0.5  # LeCun's uniform
            nn.init.uniform_(encoder, -bound, bound)
        nn.init.zeros_(self.encoder_memory)

    def initial_state(self, batch_size: int) -> LMUState:
        return LMUState(self.zeros(batch_size, self.hidden_size), self.zeros(batch_size, self.memory_size))

    def prepare(self) -> dict[str, Tensor]:
        # the encoders are one row more of the matrices that meet the same vectors
        return {
            "weight_hidden": torch.cat([self.weight_hh, self.encoder_hidden[None]]),
            "weight_memory": torch.cat([self.memory_transition, self.encoder_memory[None]]),
            "weight_readout": self.weight_mh,
            "memory_drive": self.memory_drive,
        }

    def project(self, x: Tensor) -> Tensor:
        """W_x x, e_x · x: (..., hidden_size + 1)."""
        return functional.linear(x, torch.cat([self.weight_ih, self.encoder_input[None]]))

    def step(self, projected: Tensor, state: LMUState, matmul: Matmul, shared: Shared) -> tuple[Tensor, LMUState]:
        kept, from_memory = torch.split(matmul("weight_memory", state.memory), [self.memory_size, 1], dim=-1)
        driven, signal = torch.split(projected + matmul("weight_hidden", state.hidden), [self.hidden_size, 1], dim=-1)
        memory = kept + shared["memory_drive"] * (signal + from_memory)
        hidden = (driven + matmul("weight_readout", memory)).tanh()
        return hidden, LMUState(hidden, memory)


def legendre_delay(order: int, theta: float) -> tuple[Tensor, Tensor]:
    """Ā (order, order) and B̄ (order,) of `LMUCell`, in float64."""
    index = torch.arange(order, dtype=torch.float64)
    below, beside = index[:, None], index
    sign = torch.where(below < beside, -1.0, (-1.0) ** (below - beside + 1))
    # the exponential of both side by side: B̄ without the inverse of A, which is badly conditioned
    joint = torch.zeros(order + 1, order + 1, dtype=torch.float64)
    joint[:order, :order] = (2 * below + 1) * sign / theta
    joint[:order, order] = (2 * index + 1) * (-1.0) ** index / theta
    joint = torch.linalg.matrix_exp(joint)
    return joint[:order, :order], joint[:order, order]
