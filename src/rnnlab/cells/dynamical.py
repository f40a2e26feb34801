"""Differential equations in discrete time, and rotations: what these cells remember neither explodes nor fades."""

import math
from typing import Annotated, Literal, NamedTuple

import torch
from torch import Tensor, nn

from rnnlab.arguments import PositiveNumber, Range, check_arguments
from rnnlab.cells.cell import Cell, HiddenState, Matmul, Shared

NotNegative = Annotated[float, Range(at_least=0)]


def antisymmetric(upper: Tensor, size: int) -> Tensor:
    """The matrix (size, size) with U - Uᵀ, from the entries above the diagonal of U, row by row."""
    rows, columns = torch.triu_indices(size, size, offset=1, device=upper.device)
    matrix = upper.new_zeros(size, size).index_put((rows, columns), upper)
    return matrix - matrix.T


class DrivenCell(Cell):
    """A cell into which the input enters as W_ih xₜ + b. weight_ih: (rows, input_size); bias: (rows)."""

    def __init__(self, input_size: int, hidden_size: int, rows: int) -> None:
        super().__init__(input_size, hidden_size)
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size))
        self.bias = nn.Parameter(torch.empty(rows))

    def project(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight_ih, self.bias)


class AntisymmetricRNNCell(DrivenCell):
    """An Euler method whose matrix A = U - Uᵀ - γI has eigenvalues of real part -γ:

        zₜ = σ(V_z xₜ + b_z + A hₜ₋₁)                   input gate, with `gated`; 1 without
        yₜ = hₜ = hₜ₋₁ + ε zₜ ⊙ tanh(V xₜ + b + A hₜ₋₁)

    weight_ih (V, then V_z): (hidden_size or 2 · hidden_size, input_size); bias (b, then b_z); upper: (hidden_size ·
    (hidden_size - 1) / 2), the entries of U above its diagonal, which are all that U - Uᵀ depends on. ε (`epsilon`) is
    the step of the Euler method, γ (`gamma`) the diffusion that keeps it stable. V starts as N(0, 1/input_size), b as
    zero, A + γI as that of a full U of N(0, init_std²/hidden_size).

    Chang et al., "AntisymmetricRNN: a dynamical system view on recurrent neural networks", ICLR 2019, who choose
    epsilon, gamma and init_std per task.
    Parameters: hidden_size · (hidden_size - 1) / 2 + hidden_size · (input_size + 1), with `gated` hidden_size ·
    (input_size + 1) more. State: hidden_size.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        gated: bool = False,
        epsilon: PositiveNumber = 0.1,
        gamma: NotNegative = 0.01,
        init_std: NotNegative = 1.0,
    ) -> None:
        check_arguments(AntisymmetricRNNCell, locals(), "cell.")
        super().__init__(input_size, hidden_size, (2 if gated else 1) * hidden_size)
        self.gated = gated
        self.epsilon = epsilon
        self.gamma = gamma
        self.init_std = init_std
        self.upper = nn.Parameter(torch.empty(hidden_size * (hidden_size - 1) // 2))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight_ih, std=self.input_size**-0.5)
        # the difference of two independent entries of a full matrix has twice their variance
        nn.init.normal_(self.upper, std=self.init_std * math.sqrt(2 / self.hidden_size))
        nn.init.zeros_(self.bias)

    def prepare(self) -> dict[str, Tensor]:
        identity = torch.eye(self.hidden_size, dtype=self.upper.dtype, device=self.upper.device)
        return {"weight_hh": antisymmetric(self.upper, self.hidden_size) - self.gamma * identity}

    def step(self, projected: Tensor, state: HiddenState, matmul: Matmul, shared: Shared) -> tuple[Tensor, HiddenState]:
        recurrent = matmul("weight_hh", state.hidden)
        if self.gated:
            candidate, gate = projected.chunk(2, dim=-1)
            change = (gate + recurrent).sigmoid() * (candidate + recurrent).tanh()
        else:
            change = (projected + recurrent).tanh()
        hidden = state.hidden + self.epsilon * change
        return hidden, HiddenState(hidden)


class OscillatorState(NamedTuple):
    """`hidden`, where the oscillators are, `velocity`, how fast they move: (batch, hidden_size) each."""

    hidden: Tensor
    velocity: Tensor


class OscillatorCell(DrivenCell):
    """A cell of driven oscillators, with one equation for each."""

    def __init__(self, input_size: int, hidden_size: int, dt: float) -> None:
        super().__init__(input_size, hidden_size, hidden_size)
        self.dt = dt

    def initial_state(self, batch_size: int) -> OscillatorState:
        zeros = self.zeros(batch_size, self.hidden_size)
        return OscillatorState(zeros, zeros)


class CoRNNCell(OscillatorCell):
    """Coupled, damped, driven oscillators: h″ = tanh(W_hh [h, h′] + V x + b) - γh - εh′, in steps of dt:

        vₜ = vₜ₋₁ + dt (tanh(W_hh [hₜ₋₁, vₜ₋₁] + V xₜ + b) - γ hₜ₋₁ - ε vₜ₋₁)
        yₜ = hₜ = hₜ₋₁ + dt vₜ

    weight_ih (V): (hidden_size, input_size); weight_hh: (hidden_size, 2 · hidden_size); bias: (hidden_size); all start
    as U(±1/√(input_size + 2 · hidden_size)). The damping is that of the authors' code, at vₜ₋₁; the paper allows for vₜ
    as well. The defaults are the authors' for sequential MNIST; they choose dt, gamma and epsilon per task.

    Rusch and Mishra, "Coupled oscillatory recurrent neural network (coRNN)", ICLR 2021.
    Parameters: hidden_size · (input_size + 2 · hidden_size + 1). State: 2 · hidden_size.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        dt: PositiveNumber = 0.042,
        gamma: NotNegative = 2.7,
        epsilon: NotNegative = 4.7,
    ) -> None:
        check_arguments(CoRNNCell, locals(), "cell.")
        super().__init__(input_size, hidden_size, dt)
        self.gamma = gamma
        self.epsilon = epsilon
        self.weight_hh = nn.Parameter(torch.empty(hidden_size, 2 * hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        bound = (self.input_size + 2 * self.hidden_size) ** -0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def step(
        self, projected: Tensor, state: OscillatorState, matmul: Matmul, shared: Shared
    ) -> tuple[Tensor, OscillatorState]:
        force = (projected + matmul("weight_hh", torch.cat([state.hidden, state.velocity], dim=-1))).tanh()
        velocity = state.velocity + self.dt * (force - self.gamma * state.hidden - self.epsilon * state.velocity)
        hidden = state.hidden + self.dt * velocity
        return hidden, OscillatorState(hidden, velocity)


class UnICORNNCell(OscillatorCell):
    """Undamped, independent oscillators, each with its own step d = dt σ(c); the scheme is symplectic:

        vₜ = vₜ₋₁ - d ⊙ (tanh(w_hh ⊙ hₜ₋₁ + V xₜ + b) + α hₜ₋₁)
        yₜ = hₜ = hₜ₋₁ + d ⊙ vₜ

    weight_ih (V): (hidden_size, input_size); weight_hh, step_size (c), bias: (hidden_size). V starts as He et al.
    (2015) with slope 8, w_hh as U(0, 1), c as U(±0.1), b as zero, as in the authors' code. The defaults are theirs for
    permuted sequential MNIST; they choose dt and alpha (α) per task.

    Rusch and Mishra, "UnICORNN: a recurrent model for learning very long time dependencies", ICML 2021.
    Parameters: hidden_size · (input_size + 3). State: 2 · hidden_size.
    """

    def __init__(
        self, input_size: int, hidden_size: int, dt: PositiveNumber = 0.19, alpha: NotNegative = 30.65
    ) -> None:
        check_arguments(UnICORNNCell, locals(), "cell.")
        super().__init__(input_size, hidden_size, dt)
        self.alpha = alpha
        self.weight_hh = nn.Parameter(torch.empty(hidden_size))
        self.step_size = nn.Parameter(torch.empty(hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.kaiming_uniform_(self.weight_ih, a=8)
        nn.init.uniform_(self.weight_hh)
        nn.init.uniform_(self.step_size, -0.1, 0.1)
        nn.init.zeros_(self.bias)

    def prepare(self) -> dict[str, Tensor]:
        return {"weight_hh": self.weight_hh, "step_size": self.dt * self.step_size.sigmoid()}

    def step(
        self, projected: Tensor, state: OscillatorState, matmul: Matmul, shared: Shared
    ) -> tuple[Tensor, OscillatorState]:
        force = (projected + shared["weight_hh"] * state.hidden).tanh() + self.alpha * state.hidden
        velocity = state.velocity - shared["step_size"] * force
        hidden = state.hidden + shared["step_size"] * velocity
        return hidden, OscillatorState(hidden, velocity)


class LEMState(NamedTuple):
    """`hidden`, `cell`: (batch, hidden_size) each."""

    hidden: Tensor
    cell: Tensor


class LEMCell(DrivenCell):
    """Two states that move towards their targets, each number with a time scale of its own at each timestep:

        Δ̄ₜ = dt σ(W_hh hₜ₋₁ + V xₜ + b)                the hidden state's step
        Δₜ = dt σ(...)                                 the cell's step
        cₜ = (1 - Δₜ) ⊙ cₜ₋₁ + Δₜ ⊙ tanh(W_hh hₜ₋₁ + V xₜ + b)
        yₜ = hₜ = (1 - Δ̄ₜ) ⊙ hₜ₋₁ + Δ̄ₜ ⊙ tanh(W_ch cₜ + V xₜ + b)

    each line with its own rows of W_hh, V and b, in this order (the last has none of W_hh).

    weight_ih (V): (4 · hidden_size, input_size); weight_hh: (3 · hidden_size, hidden_size); weight_ch: (hidden_size,
    hidden_size); bias: (4 · hidden_size); all start as U(±1/√hidden_size). dt is that of the authors' code.

    Rusch et al., "Long expressive memory for sequence modeling", ICLR 2022.
    Parameters: 4 · hidden_size · (input_size + hidden_size + 1). State: 2 · hidden_size.
    """

    def __init__(self, input_size: int, hidden_size: int, dt: PositiveNumber = 1.0) -> None:
        check_arguments(LEMCell, locals(), "cell.")
        super().__init__(input_size, hidden_size, 4 * hidden_size)
        self.dt = dt
        self.weight_hh = nn.Parameter(torch.empty(3 * hidden_size, hidden_size))
        self.weight_ch = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.reset_parameters()

    def initial_state(self, batch_size: int) -> LEMState:
        zeros = self.zeros(batch_size, self.hidden_size)
        return LEMState(zeros, zeros)

    def step(self, projected: Tensor, state: LEMState, matmul: Matmul, shared: Shared) -> tuple[Tensor, LEMState]:
        gates, hidden_input = projected[..., : 3 * self.hidden_size], projected[..., 3 * self.hidden_size :]
        hidden_gate, cell_gate, cell_target = (gates + matmul("weight_hh", state.hidden)).chunk(3, dim=-1)
        cell = state.cell + self.dt * cell_gate.sigmoid() * (cell_target.tanh() - state.cell)
        hidden_target = (hidden_input + matmul("weight_ch", cell)).tanh()
        hidden = state.hidden + self.dt * hidden_gate.sigmoid() * (hidden_target - state.hidden)
        return hidden, LEMState(hidden, cell)


class LipschitzRNNCell(DrivenCell):
    """h′ = A h + tanh(W h + U x + b), in Euler steps of ε:

        yₜ = hₜ = hₜ₋₁ + ε (A hₜ₋₁ + tanh(W hₜ₋₁ + U xₜ + b))
        A = (1 - β)(M_A + M_Aᵀ) + β (M_A - M_Aᵀ) - γI, and W likewise from M_W

    weight_ih (U): (hidden_size, input_size); bias: (hidden_size); matrix_a (M_A), matrix_w (M_W): (hidden_size,
    hidden_size). U starts as Glorot and Bengio's (2010) normal, b as zero, M_A and M_W as N(0, (init_std /
    hidden_size)²). The defaults are those of the authors' script; they choose epsilon (ε), beta (β), gamma (γ) and
    init_std per task. Where β is 1, the eigenvalues of A and W have real part -γ.

    Erichson et al., "Lipschitz recurrent neural networks", ICLR 2021.
    Parameters: hidden_size · (input_size + 2 · hidden_size + 1). State: hidden_size.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        epsilon: PositiveNumber = 0.05,
        beta: Annotated[float, Range(at_least=0, at_most=1)] = 0.7,
        gamma: NotNegative = 0.001,
        init_std: NotNegative = 6.0,
    ) -> None:
        check_arguments(LipschitzRNNCell, locals(), "cell.")
        super().__init__(input_size, hidden_size, hidden_size)
        self.epsilon = epsilon
        self.beta = beta
        self.gamma = gamma
        self.init_std = init_std
        self.matrix_a = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.matrix_w = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.xavier_normal_(self.weight_ih)
        nn.init.zeros_(self.bias)
        for matrix in (self.matrix_a, self.matrix_w):
            nn.init.normal_(matrix, std=self.init_std / self.hidden_size)

    def prepare(self) -> dict[str, Tensor]:
        return {"weight_hh": torch.cat([self._mixed(self.matrix_a), self._mixed(self.matrix_w)])}

    def _mixed(self, matrix: Tensor) -> Tensor:
        identity = torch.eye(self.hidden_size, dtype=matrix.dtype, device=matrix.device)
        # (1 - β)(M + Mᵀ) + β (M - Mᵀ)
        return matrix + (1 - 2 * self.beta) * matrix.T - self.gamma * identity

    def step(self, projected: Tensor, state: HiddenState, matmul: Matmul, shared: Shared) -> tuple[Tensor, HiddenState]:
        linear, nonlinear = matmul("weight_hh", state.hidden).chunk(2, dim=-1)
        hidden = state.hidden + self.epsilon * (linear + (projected + nonlinear).tanh())
        return hidden, HiddenState(hidden)


class ExpRNNCell(Cell):
    """yₜ = hₜ = modrelu(W_ih xₜ + exp(U - Uᵀ) hₜ₋₁), modrelu(z) = sign(z) max(|z| + b, 0); exp(U - Uᵀ) is orthogonal.

    weight_ih: (hidden_size, input_size); upper: (hidden_size · (hidden_size - 1) / 2), the entries of U above its
    diagonal; bias (b): (hidden_size). U - Uᵀ starts as blocks of two, whose angle is U(±π) with `init=henaff` (Henaff
    et al. 2016) or -tan(u/2) with u of U(0, π/2) with `init=cayley` (Helfrich et al. 2018); W_ih as He et al. (2015),
    b as U(±0.01). The authors train `upper` at a tenth of the learning rate of all else.

    Lezcano-Casado and Martínez-Rubio, "Cheap orthogonal constraints in neural networks", ICML 2019.
    Parameters: hidden_size · (hidden_size - 1) / 2 + hidden_size · (input_size + 1). State: hidden_size.
    """

    def __init__(self, input_size: int, hidden_size: int, init: Literal["henaff", "cayley"] = "henaff") -> None:
        check_arguments(ExpRNNCell, locals(), "cell.")
        super().__init__(input_size, hidden_size)
        self.init = init
        self.weight_ih = nn.Parameter(torch.empty(hidden_size, input_size))
        self.upper = nn.Parameter(torch.empty(hidden_size * (hidden_size - 1) // 2))
        self.bias = nn.Parameter(torch.empty(hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.kaiming_normal_(self.weight_ih, nonlinearity="relu")
        nn.init.uniform_(self.bias, -0.01, 0.01)
        first = torch.arange(0, self.hidden_size - 1, 2)
        share = torch.rand(len(first))
        angles = (2 * share - 1) * math.pi if self.init == "henaff" else -(share * math.pi / 4).tan()
        blocks = torch.zeros(self.hidden_size, self.hidden_size).index_put((first, first + 1), angles)
        rows, columns = torch.triu_indices(self.hidden_size, self.hidden_size, offset=1)
        with torch.no_grad():
            self.upper.copy_(blocks[rows, columns])

    def prepare(self) -> dict[str, Tensor]:
        rotation = torch.linalg.matrix_exp(antisymmetric(self.upper, self.hidden_size))
        return {"weight_hh": rotation, "bias": self.bias}

    def project(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight_ih)

    def step(self, projected: Tensor, state: HiddenState, matmul: Matmul, shared: Shared) -> tuple[Tensor, HiddenState]:
        z = projected + matmul("weight_hh", state.hidden)
        magnitude = (z.abs() + shared["bias"]).relu()
        # z itself, for the zero that it is where neither sign holds
        hidden = torch.where(z > 0, magnitude, torch.where(z < 0, -magnitude, z))
        return hidden, HiddenState(hidden)
