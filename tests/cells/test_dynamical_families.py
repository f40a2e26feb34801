"""Cells with elementwise recurrence, and dynamical systems: their equations, and what their papers prove of them."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from rnnlab.cells.cell import Cell, HiddenState, matmul_of
from rnnlab.cells.dynamical import (
    AntisymmetricRNNCell,
    CoRNNCell,
    ExpRNNCell,
    LEMCell,
    LEMState,
    LipschitzRNNCell,
    OscillatorState,
    UnICORNNCell,
)
from rnnlab.cells.independent import IndRNNCell, QRNNCell, SRUCell
from rnnlab.errors import UserError
from rnnlab.unroll.loop import loop
from tests.cells.families import Example, dynamical, independent
from tests.conftest import CHECKOUT

CONF = CHECKOUT / "conf"
EXAMPLES = {**independent.EXAMPLES, **dynamical.EXAMPLES}
ALL = pytest.mark.parametrize("name", EXAMPLES)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def scrambled(cell: Cell) -> Cell:
    """In float64, with every parameter drawn anew, so that a bias that starts at zero counts as well."""
    for parameter in cell.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return cell.double()


def make(example: Example, input_size: int, hidden_size: int) -> Cell:
    return scrambled(example.cell_class(input_size, hidden_size, **example.options))


def random_state(cell: Cell, batch: int) -> tuple[Tensor, ...]:
    return type(cell.initial_state(1))(*(torch.randn_like(part) for part in cell.initial_state(batch)))


def step(cell: Cell, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
    shared = cell.prepare()
    return cell.step(cell.project(x), state, matmul_of(shared), shared)


@pytest.mark.parametrize(
    ("cell_class", "options"),
    [
        (IndRNNCell, {"activation": "sine"}),
        (AntisymmetricRNNCell, {"epsilon": 0.0}),
        (AntisymmetricRNNCell, {"gamma": -0.1}),
        (AntisymmetricRNNCell, {"init_std": -1.0}),
        (CoRNNCell, {"dt": 0.0}),
        (CoRNNCell, {"gamma": -1.0}),
        (CoRNNCell, {"epsilon": -1.0}),
        (UnICORNNCell, {"dt": -0.1}),
        (UnICORNNCell, {"alpha": -1.0}),
        (LEMCell, {"dt": 0.0}),
        (LipschitzRNNCell, {"epsilon": 0.0}),
        (LipschitzRNNCell, {"beta": 1.1}),
        (LipschitzRNNCell, {"gamma": math.nan}),
        (LipschitzRNNCell, {"init_std": -1.0}),
        (ExpRNNCell, {"init": "zeros"}),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else next(iter(value)),
)
def test_options_that_cannot_work_are_named(cell_class: type[Cell], options: dict[str, object]) -> None:
    ((option, value),) = options.items()
    with pytest.raises(UserError, match=f"cell.{option} must be .*, got {value}"):
        cell_class(3, 4, **options)


# what the papers prove


@pytest.mark.parametrize("name", ["indrnn", "sru", "qrnn", "unicornn"])
def test_an_independent_cell_takes_no_product_in_a_step(name: str) -> None:
    cell = make(EXAMPLES[name], 3, 4)
    cell.step(cell.project(torch.randn(2, 3).double()), random_state(cell, 2), unused, cell.prepare())
    assert cell.multiply_adds == cell.weight_ih.numel()


def unused(name: str, h: Tensor) -> Tensor:
    raise AssertionError(f"a product with {name}")


@pytest.mark.parametrize("name", ["indrnn", "sru", "unicornn"])
def test_the_numbers_of_an_independent_cell_never_meet(name: str) -> None:
    cell = make(EXAMPLES[name], 3, 4)
    state, x = random_state(cell, 1), torch.randn(1, 3, dtype=torch.float64)

    def run(*parts: Tensor) -> Tensor:
        return step(cell, x, type(state)(*parts))[0][0]

    for jacobian in torch.autograd.functional.jacobian(run, tuple(state)):
        jacobian = jacobian[:, 0]
        assert jacobian.diagonal().abs().max() > 0
        assert torch.equal(jacobian, jacobian.diagonal().diag())


def test_a_closed_reset_gate_of_the_sru_lets_the_scaled_input_through() -> None:
    cell = scrambled(SRUCell(4, 4, highway_bias=-1.0))
    with torch.no_grad():
        cell.bias[4:] = -100.0
    x = torch.randn(2, 4, dtype=torch.float64)
    output, _ = step(cell, x, random_state(cell, 2))
    torch.testing.assert_close(output, math.sqrt(1 + 2 / math.e) * x, rtol=0, atol=1e-12)


@pytest.mark.parametrize("highway_bias", [0.0, -2.0])
def test_the_sru_starts_with_the_variances_of_its_authors(highway_bias: float) -> None:
    """As in the authors' code: a candidate of variance 1, gates of two halves, a highway scaled by α."""
    cell = SRUCell(300, 400, highway_bias=highway_bias)
    candidate, forget, reset, highway = (rows.var().item() * 300 for rows in cell.weight_ih.detach().chunk(4))
    assert candidate == pytest.approx(1, rel=0.02)
    assert forget == pytest.approx(0.5, rel=0.02)
    assert reset == pytest.approx(0.5, rel=0.02)
    assert highway == pytest.approx(1 + 2 * math.exp(highway_bias), rel=0.02)
    assert cell.peephole.var().item() == pytest.approx(0.5, rel=0.15)
    assert cell.bias.tolist() == [0.0] * 400 + [highway_bias] * 400


def test_the_qrnn_is_a_convolution_of_width_two() -> None:
    """The gates at t depend on xₜ and xₜ₋₁ alone: with a forget gate that is shut, so does the output."""
    cell = scrambled(QRNNCell(3, 4))
    with torch.no_grad():
        cell.bias[4:8] = -1000.0
    x = torch.randn(5, 1, 3, dtype=torch.float64)

    def run(x: Tensor) -> Tensor:
        return loop(cell.step, cell.project(x), cell.initial_state(1), cell.prepare())[0][3, 0]

    reach = torch.autograd.functional.jacobian(run, x).abs().amax(dim=(0, 2, 3))
    assert (reach > 0).tolist() == [False, False, True, True, False]


@pytest.mark.parametrize("gamma", [0.0, 0.3])
def test_eigenvalues_of_the_antisymmetric_weight_have_real_part_minus_gamma(gamma: float) -> None:
    cell = scrambled(AntisymmetricRNNCell(3, 6, gamma=gamma))
    eigenvalues = torch.linalg.eigvals(cell.prepare()["weight_hh"])
    assert (eigenvalues.real + gamma).abs().max() < 1e-12
    assert eigenvalues.imag.abs().max() > 0.1


@pytest.mark.parametrize("gamma", [0.0, 0.3])
def test_the_antisymmetric_equation_neither_explodes_nor_fades(gamma: float) -> None:
    """Chang et al. 2019, proposition 1: the Jacobian of h′ has no real part at γ = 0, and one in [-γ, 0] above."""
    cell = scrambled(AntisymmetricRNNCell(3, 6, gamma=gamma, epsilon=0.5))
    x = torch.randn(1, 3, dtype=torch.float64)

    def derivative(h: Tensor) -> Tensor:
        return (step(cell, x, HiddenState(h[None]))[0][0] - h) / cell.epsilon

    jacobian = torch.autograd.functional.jacobian(derivative, torch.randn(6, dtype=torch.float64))
    real = torch.linalg.eigvals(jacobian).real
    assert real.min() >= -gamma - 1e-12
    assert real.max() <= 1e-12
    assert (real.max() < -1e-4) == (gamma > 0)


@pytest.mark.parametrize(("dt", "gamma", "epsilon"), [(0.042, 2.7, 4.7), (0.3, 1.0, 1.0), (0.1, 5.0, 1.5)])
def test_the_oscillators_of_the_cornn_stay_within_their_energy(dt: float, gamma: float, epsilon: float) -> None:
    """γ hₙ² + vₙ² <= n dt hidden_size / (ε - γ dt) from rest, whatever the weights, if γ dt < ε <= 1 / dt.

    That is proposition 1 of Rusch and Mishra (2021), for γ and ε other than 1 and the damping at vₜ₋₁: by the same
    steps, the energy of one oscillator grows by at most 2 dt |v| - dt (ε - γ dt) v² in a step.
    """
    cell = scrambled(CoRNNCell(3, 4, dt=dt, gamma=gamma, epsilon=epsilon))
    state = cell.initial_state(8)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter *= 10
        for n in range(1, 400):
            _, state = step(cell, torch.randn(8, 3, dtype=torch.float64), state)
            energy = (gamma * state.hidden**2 + state.velocity**2).sum(dim=-1)
            assert energy.max() <= n * dt * 4 / (epsilon - gamma * dt)
    assert energy.max() > 0.01


def test_a_step_of_the_unicornn_is_symplectic() -> None:
    """Rusch and Mishra 2021 b: Jᵀ Ω J = Ω, so the volume of the states is kept and gradients cannot all fade."""
    cell = scrambled(UnICORNNCell(3, 4))
    x, state = torch.randn(1, 3, dtype=torch.float64), torch.cat(random_state(cell, 1), dim=-1)[0]

    def run(state: Tensor) -> Tensor:
        _, after = step(cell, x, OscillatorState(*state[None].chunk(2, dim=-1)))
        return torch.cat(after, dim=-1)[0]

    jacobian = torch.autograd.functional.jacobian(run, state)
    omega = torch.kron(torch.tensor([[0.0, 1.0], [-1.0, 0.0]]), torch.eye(4)).double()
    assert (jacobian.T @ omega @ jacobian - omega).abs().max() < 1e-12
    assert (jacobian - torch.eye(8)).abs().max() > 0.1


def test_the_states_of_the_lem_stay_within_one() -> None:
    """Each is a mean of itself and a tanh, at dt = 1; the bound is nearly reached."""
    cell = scrambled(LEMCell(3, 6))
    state = cell.initial_state(8)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter *= 20
        for _ in range(50):
            _, state = step(cell, torch.randn(8, 3, dtype=torch.float64), state)
            assert max(part.abs().max() for part in state) <= 1
    assert min(part.abs().max() for part in state) > 0.99


@pytest.mark.parametrize(("part", "rows"), [("matrix_a", slice(0, 6)), ("matrix_w", slice(6, 12))])
def test_the_weights_of_the_lipschitz_rnn_are_as_damped_as_said(part: str, rows: slice) -> None:
    damped = scrambled(LipschitzRNNCell(3, 6, beta=1.0, gamma=0.3))
    assert (torch.linalg.eigvals(damped.prepare()["weight_hh"][rows]).real + 0.3).abs().max() < 1e-12
    cell = scrambled(LipschitzRNNCell(3, 6, beta=0.75, gamma=0.3))
    weight, source = cell.prepare()["weight_hh"][rows], getattr(cell, part)
    symmetric = 0.25 * (source + source.T) - 0.3 * torch.eye(6).double()
    torch.testing.assert_close((weight + weight.T) / 2, symmetric, rtol=0, atol=1e-12)


@pytest.mark.parametrize("hidden_size", [1, 6, 7])
def test_the_weight_of_the_exprnn_is_a_rotation_and_keeps_the_norm(hidden_size: int) -> None:
    """With b = 0, modrelu is the identity: without input, the state turns and keeps its length."""
    cell = scrambled(ExpRNNCell(3, hidden_size))
    with torch.no_grad():
        cell.bias.zero_()
    weight = cell.prepare()["weight_hh"].detach()
    assert (weight @ weight.T - torch.eye(hidden_size)).abs().max() < 1e-12
    assert torch.linalg.det(weight).item() == pytest.approx(1, abs=1e-12)
    start = random_state(cell, 2)
    _, last = loop(cell.step, cell.project(torch.zeros(100, 2, 3, dtype=torch.float64)), start, cell.prepare())
    torch.testing.assert_close(last.hidden.norm(dim=-1), start.hidden.norm(dim=-1), rtol=0, atol=1e-11)
    assert hidden_size == 1 or not torch.allclose(last.hidden, start.hidden)


@pytest.mark.parametrize(("init", "low", "high"), [("henaff", -math.pi, math.pi), ("cayley", -1.0, 0.0)])
@pytest.mark.parametrize("hidden_size", [200, 201])
def test_the_exprnn_starts_as_rotations_of_planes(init: str, low: float, high: float, hidden_size: int) -> None:
    cell = ExpRNNCell(3, hidden_size, init=init)
    skew = torch.tensor(dynamical.skew(cell.upper.detach().numpy(), hidden_size))
    angles = skew.diagonal(1)[::2]
    assert (skew != 0).sum() == 2 * len(angles) == 200
    assert angles.min() >= low
    assert angles.max() <= high
    assert angles.max() - angles.min() > 0.9 * (high - low)


def test_modrelu_is_odd_and_has_a_dead_zone() -> None:
    cell = ExpRNNCell(1, 1).double()
    with torch.no_grad():
        cell.weight_ih.fill_(1.0)
        cell.bias.fill_(-0.5)
    x = torch.tensor([[-2.0], [-0.4], [0.0], [0.4], [2.0]], dtype=torch.float64)
    output, _ = step(cell, x, cell.initial_state(5))
    assert output.flatten().tolist() == [-1.5, 0.0, 0.0, 0.0, 1.5]


# the same numbers as another package


def _same_names(cell: Cell) -> dict[str, Tensor]:
    return {"weight_ih": cell.weight_ih, "bias_ih": cell.bias}


def _indrnn(cell: Cell) -> dict[str, Tensor]:
    return {**_same_names(cell), "vector_u": cell.weight_hh}


def _antisymmetric(cell: Cell) -> dict[str, Tensor]:
    upper = torch.tensor(dynamical.skew(cell.upper.detach().numpy(), cell.hidden_size)).triu()
    if not cell.gated:
        return {**_same_names(cell), "weight_hh": upper}
    # theirs has the gate first
    swapped = {name: torch.cat(weight.chunk(2)[::-1]) for name, weight in _same_names(cell).items()}
    return {**swapped, "weight_hh": upper}


def _cornn(cell: Cell) -> dict[str, Tensor]:
    weight_hh, weight_ch = cell.weight_hh.chunk(2, dim=-1)
    return {**_same_names(cell), "weight_hh": weight_hh, "weight_ch": weight_ch}


def _unicornn(cell: Cell) -> dict[str, Tensor]:
    return {**_same_names(cell), "weight_hh": cell.weight_hh, "weight_ch": cell.step_size}


def _lem(cell: Cell) -> dict[str, Tensor]:
    weight_ih, bias = cell.weight_ih, cell.bias
    return {"weight_ih": weight_ih, "bias_ih": bias, "weight_hh": cell.weight_hh, "weight_ch": cell.weight_ch}


Translate = Callable[[Cell], dict[str, Tensor]]
PEERS: dict[str, tuple[str, dict[str, object], Translate]] = {
    "indrnn": ("IndRNNCell", {"nonlinearity": "relu"}, _indrnn),
    "indrnn tanh": ("IndRNNCell", {"nonlinearity": "tanh"}, _indrnn),
    "antisymmetric step": ("AntisymmetricRNNCell", {"epsilon": 0.5, "gamma": 0.2}, _antisymmetric),
    "antisymmetric gated": ("GatedAntisymmetricRNNCell", {"epsilon": 0.1, "gamma": 0.01}, _antisymmetric),
    "cornn": ("coRNNCell", {"dt": 0.042, "gamma": 2.7, "epsilon": 4.7, "cell_bias": False}, _cornn),
    "unicornn": ("UnICORNNCell", {"dt": 0.19, "alpha": 30.65}, _unicornn),
}


def peer(name: str, cell: Cell, peer_class: str, options: dict[str, object], translate: Translate) -> torch.nn.Module:
    package = pytest.importorskip("torchrecurrent", reason="the package to compare with is an optional extra")
    theirs = getattr(package, peer_class)(3, 4, recurrent_bias=False, **options).double()
    theirs.load_state_dict({**theirs.state_dict(), **translate(cell)})
    return theirs


@pytest.mark.parametrize("name", PEERS)
def test_same_weights_same_numbers_as_torchrecurrent(name: str) -> None:
    """Without their second bias b_hh, which our cells do not have (in theirs of the gated cell the gate lacks it)."""
    cell = make(EXAMPLES[name], 3, 4)
    theirs = peer(name, cell, *PEERS[name])
    state = random_state(cell, 2)
    their_state = tuple(state) if len(state) > 1 else state[0]
    for x in torch.randn(6, 2, 3, dtype=torch.float64):
        _, state = step(cell, x, state)
        their_state = theirs(x, their_state)
        expected = their_state if isinstance(their_state, tuple) else (their_state,)
        for ours, other in zip(state, expected, strict=True):
            torch.testing.assert_close(ours, other, rtol=0, atol=1e-10)


def test_the_lem_is_that_of_torchrecurrent_once_its_hidden_state_sees_the_new_cell() -> None:
    """torchrecurrent 0.2.5 multiplies W_ch with cₜ₋₁, against the paper, the authors' code and its own documentation.

    So it is called twice, the second time with the cₜ of the first in the place of cₜ₋₁, for hₜ.
    """
    cell = make(EXAMPLES["lem step"], 3, 4)
    theirs = peer("lem", cell, "LEMCell", {"dt": 0.4, "cell_bias": False}, _lem)
    state = random_state(cell, 2)
    for x in torch.randn(6, 2, 3, dtype=torch.float64):
        before = state
        _, state = step(cell, x, before)
        as_published, expected_cell = theirs(x, tuple(before))
        expected_hidden, _ = theirs(x, (before.hidden, expected_cell))
        torch.testing.assert_close(state, LEMState(expected_hidden, expected_cell), rtol=0, atol=1e-10)
        assert (as_published - state.hidden).abs().max() > 1e-3
