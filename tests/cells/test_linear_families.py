"""The linear cells, those of xLSTM and those from continuous time: their equations, their scans, their peers."""

import runpy
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from typing import Any
from unittest import mock

import ncps.torch as ncps
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ncps import wirings
from scipy.signal import cont2discrete
from torch import Tensor

from rnnlab.cells import scan
from rnnlab.cells.cell import Cell, Shared, State
from rnnlab.cells.continuous import CfCCell, LTCCell, legendre_delay
from rnnlab.cells.linear import LRUCell, hippo_normal
from rnnlab.cells.xlstm import MLSTMCell, SLSTMCell
from rnnlab.errors import UserError
from rnnlab.unroll.loop import loop
from tests.cells.families import Example
from tests.cells.families.continuous import EXAMPLES as CONTINUOUS
from tests.cells.families.linear import EXAMPLES as LINEAR
from tests.cells.families.xlstm import EXAMPLES as XLSTM
from tests.conftest import CHECKOUT

EXAMPLES = LINEAR | XLSTM | CONTINUOUS
ALL = pytest.mark.parametrize("name", EXAMPLES)
SCANNED = pytest.mark.parametrize(
    "name", [name for name, it in EXAMPLES.items() if it.cell_class.recurrence == "linear"]
)
TOLERANCE = 1e-10
CELLS = CHECKOUT / "conf" / "cell"


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def cell_of(example: Example, inputs: int = 3, hidden: int = 6) -> Cell:
    """In double precision, no parameter at zero or equal to its neighbour."""
    cell = example.cell_class(inputs, hidden, **example.options).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return cell


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def carried(cell: Cell, batch: int) -> State:
    """A state as it is after a few timesteps: nowhere zero."""
    with torch.no_grad():
        _, state = loop(
            cell.step, cell.project(normal(4, batch, cell.input_size)), cell.initial_state(batch), cell.prepare()
        )
    return type(state)(*(part.clone().requires_grad_() for part in state))


def scanned(cell: Cell, projected: Tensor, state: State, shared: Shared) -> tuple[Tensor, State]:
    """Outputs and the last state, in the manner of the loop."""
    output, states = cell.scan(projected, state, shared)
    return output, type(states)._make(part[-1] for part in states)


def close(ours: Tensor, theirs: Tensor, tolerance: float = TOLERANCE) -> bool:
    """To within the tolerance, in units of the largest number where that is above one."""
    return bool((ours - theirs).abs().max() <= tolerance * theirs.abs().max().clamp(min=1))


@SCANNED
@pytest.mark.parametrize("batch", [2, 300])  # on a CPU narrow and wide sequences take different ways
@pytest.mark.parametrize("time", [1, 7, 70])
def test_the_scan_is_the_loop_in_outputs_states_and_gradients(name: str, batch: int, time: int) -> None:
    cell = cell_of(EXAMPLES[name])
    state, x = carried(cell, batch), normal(time, batch, 3).requires_grad_()
    weights = [normal(time, batch, cell.output_size) / batch, *(normal(*part.shape) / batch for part in state)]
    results = []
    with mock.patch.object(scan, "BLOCK", 20000):  # several blocks in the longest sequence
        for unroll in (lambda *arguments: loop(cell.step, *arguments), partial(scanned, cell)):
            output, last = unroll(cell.project(x), state, cell.prepare())
            loss = sum((value * weight).sum() for value, weight in zip((output, *last), weights, strict=True))
            results.append([output, *last, *torch.autograd.grad(loss, [x, *state, *cell.parameters()])])
    for expected, ours in zip(*results, strict=True):
        assert expected.shape == ours.shape
        assert close(ours, expected)


@SCANNED
def test_the_scan_tells_the_states_of_all_timesteps_or_the_last(name: str) -> None:
    cell = cell_of(EXAMPLES[name])
    projected, state, shared = cell.project(normal(9, 2, 3)), carried(cell, 2), cell.prepare()
    _, states = cell.scan(projected, state, shared)
    assert {len(part) for part in states} == ({1} if name.startswith(("s4d", "mlstm")) else {9})
    for t in range(9 - len(states[0]), 9):
        _, expected = loop(cell.step, projected[: t + 1], state, shared)
        for part, value in zip(states, expected, strict=True):
            assert close(part[t - 9], value)


@SCANNED
@pytest.mark.parametrize("batch", [2, 300])
def test_the_scan_in_chunks_is_the_whole(name: str, batch: int) -> None:
    cell = cell_of(EXAMPLES[name])
    projected, shared = cell.project(normal(75, batch, 3)), cell.prepare()
    state = carried(cell, batch)
    whole, last = scanned(cell, projected, state, shared)
    outputs = []
    for part in projected.split([1, 40, 34]):
        output, state = scanned(cell, part, state, shared)
        outputs.append(output)
    assert close(torch.cat(outputs), whole)
    assert all(close(part, expected) for part, expected in zip(state, last, strict=True))


# measured: 1e-7 to 2e-7 for minGRU, minLSTM; to 6e-7 for LRU; to 1.3e-6 for S5; to 4e-6 for S4D; to 3e-7 for mLSTM, but
# to 3e-4 where its forget gate is exponential: an exponent far from zero then takes the digits
@pytest.mark.slow
@SCANNED
@pytest.mark.parametrize("batch", [1, 200])
def test_single_precision_after_ten_thousand_timesteps(name: str, batch: int) -> None:
    example = EXAMPLES[name]
    cell = example.cell_class(3, 8, **example.options)
    # a matrix for each row makes the mLSTM slow, and ten rows as good as 200
    batch = min(batch, 10) if name.startswith("mlstm") else batch
    x = torch.randn(10_000, batch, 3)
    with torch.no_grad():
        single, _ = cell.scan(cell.project(x), cell.initial_state(batch), cell.prepare())
        cell = cell.double()
        double, _ = cell.scan(cell.project(x.double()), cell.initial_state(batch), cell.prepare())
    error = (single - double).abs().max() / double.abs().max()
    assert error < (1e-3 if name == "mlstm heads" else 2e-5)


# measured: 7e-6
@pytest.mark.parametrize("batch", [1, 2000])
def test_single_precision_where_hardly_anything_is_forgotten(batch: int) -> None:
    decay, drive = 1 - 1e-4 * torch.rand(10_000, batch, 1), torch.rand(10_000, batch, 1)
    single = scan.linear_recurrence(decay, drive, torch.ones(batch, 1))
    double = scan.linear_recurrence(decay.double(), drive.double(), torch.ones(batch, 1).double())
    assert (single - double).abs().max() / double.abs().max() < 3e-5


def reference(decay: Tensor, drive: Tensor, initial: Tensor) -> Tensor:
    state, states = initial, []
    for t, addend in enumerate(drive):
        state = (decay if decay.dim() == 1 else decay[t]) * state + addend
        states.append(state)
    return torch.stack(states)


SPECIAL = torch.tensor([0.0, 1.0, -1.0, -0.5, 1e-300, 0.9], dtype=torch.float64)


@settings(max_examples=60, deadline=None)
@given(
    time=st.integers(1, 60),
    batch=st.sampled_from([1, 3, 200]),
    width=st.integers(1, 9),
    constant=st.booleans(),
    complex_=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_recurrence_and_its_gradient(
    time: int, batch: int, width: int, constant: bool, complex_: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    shape = (width,) if constant else (time, batch, width)
    decay = torch.where(torch.rand(shape) < 0.5, SPECIAL[torch.randint(len(SPECIAL), shape)], 2 * torch.rand(shape) - 1)
    kind = torch.complex128 if complex_ else torch.float64
    decay = torch.polar(decay.abs(), decay + torch.randn(shape).double()) if complex_ else decay.double()
    drive, initial, weight = (
        torch.randn(*size, dtype=kind) for size in ((time, batch, width), (batch, width), (time, batch, width))
    )
    arguments = [tensor.requires_grad_() for tensor in (decay, drive, initial)]
    results = []
    for recurrence in (scan.linear_recurrence, reference):
        states = recurrence(*arguments)
        results.append([states, *torch.autograd.grad((states * weight).sum().real, arguments)])
    for ours, theirs in zip(*results, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-10, atol=TOLERANCE)


@settings(max_examples=30, deadline=None)
@given(time=st.integers(1, 60), batch=st.sampled_from([1, 200]), width=st.integers(1, 9), block=st.integers(1, 30000))
def test_gates_in_blocks_are_gates_at_once(time: int, batch: int, width: int, block: int) -> None:
    def gates(decay: Tensor, drive: Tensor) -> tuple[Tensor, Tensor]:
        return decay.tanh(), drive * decay.sigmoid()

    projected, initial = normal(time, batch, 2 * width).requires_grad_(), normal(batch, width).requires_grad_()
    weight = normal(time, batch, width)
    results = []
    for recurrence in (
        lambda: scan.gated_recurrence(gates, projected, 2, initial),
        lambda: reference(*gates(*projected.chunk(2, dim=-1)), initial),
    ):
        with mock.patch.object(scan, "BLOCK", block):
            states = recurrence()
            results.append([states, *torch.autograd.grad((states * weight).sum(), [projected, initial])])
    for ours, theirs in zip(*results, strict=True):
        assert close(ours, theirs)


def test_the_gradient_in_use_is_finite_where_the_decay_has_underflowed() -> None:
    cell = LINEAR["s4d"].cell_class(2, 3)
    with torch.no_grad():
        cell.rate_log += 12.0  # λ = exp(-8000 Δ)
    output, _ = cell.scan(cell.project(torch.randn(70, 2, 2)), cell.initial_state(2), cell.prepare())
    output.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in cell.parameters())


def test_lru_starts_on_its_ring() -> None:
    cell = LRUCell(3, 500, min_radius=0.4, max_radius=0.9, max_phase=1.5)
    decay, scale = cell.discretized()
    radius = decay.abs()
    assert 0.4 <= radius.min() < 0.45
    assert 0.88 < radius.max() <= 0.9
    assert decay.angle().min() > 0
    assert 1.4 < decay.angle().max() <= 1.5
    assert close(scale**2, 1 - radius**2, 1e-5)


def test_hippo_n_is_the_normal_part_of_hippo_legs() -> None:
    order = 8
    i = np.arange(order)
    root = np.sqrt(2 * i + 1)
    legs = -np.tril(np.outer(root, root), -1) - np.diag(i + 1.0)
    normal_part = legs + np.outer(np.sqrt(i + 0.5), np.sqrt(i + 0.5))
    frequency, vectors = hippo_normal(order)
    assert frequency.min() > 0
    values = -0.5 + 1j * frequency.numpy()
    assert np.abs(normal_part @ vectors.numpy() - vectors.numpy() * values).max() < 1e-12
    assert np.abs(vectors.numpy().conj().T @ vectors.numpy() - np.eye(order // 2)).max() < 1e-12


@pytest.mark.parametrize(("order", "theta"), [(1, 3.0), (6, 4.0), (32, 100.0)])
def test_the_legendre_memory_is_scipys_zero_order_hold(order: int, theta: float) -> None:
    a = np.array([[(2 * i + 1) * (-1 if i < j else (-1) ** (i - j + 1)) for j in range(order)] for i in range(order)])
    b = np.array([[(2 * i + 1) * (-1) ** i] for i in range(order)])
    expected_a, expected_b, *_ = cont2discrete((a / theta, b / theta, np.eye(order), 0 * b), dt=1.0, method="zoh")
    transition, drive = legendre_delay(order, theta)
    assert np.abs(transition.numpy() - expected_a).max() < TOLERANCE
    assert np.abs(drive.numpy() - expected_b[:, 0]).max() < TOLERANCE


def test_the_legendre_memory_tells_the_signal_of_theta_ago() -> None:
    transition, drive = legendre_delay(12, 50.0)
    signal = torch.sin(torch.arange(300, dtype=torch.float64) / 20)
    state = torch.zeros(12, dtype=torch.float64)
    for value in signal:
        state = transition @ state + drive * value
    # the Legendre polynomials shifted to [0, 1] are all one at its end, the oldest moment of the window
    assert abs(float(state.sum()) - float(signal[-1 - 50])) < 0.05


def test_an_slstm_that_takes_nothing_at_first_is_still_a_number() -> None:
    cell = SLSTMCell(2, 4)
    with torch.no_grad():
        cell.bias[:4] = -200.0
    output, state = loop(cell.step, cell.project(torch.randn(3, 2, 2)), cell.initial_state(2), cell.prepare())
    output.sum().backward()
    assert output.abs().min() > 0
    assert all(part.isfinite().all() for part in state)
    assert all(parameter.grad.isfinite().all() for parameter in cell.parameters())


@pytest.mark.parametrize("name", ["slstm", "mlstm"])
def test_exponential_gates_stay_in_range(name: str) -> None:
    cell = XLSTM[name].cell_class(1, 4, forget_gate="exponential")
    x = torch.linspace(-300, 300, 50)[:, None, None]
    with torch.no_grad():
        cell.weight_ih += 1
        output, state = loop(cell.step, cell.project(x), cell.initial_state(1), cell.prepare())
    assert output.isfinite().all()
    assert all(part.isfinite().all() for part in state)


def refused() -> Iterator[tuple[str, dict[str, object], str]]:
    for name in ("lru", "s4d", "s5"):
        yield name, {"activation": "relu"}, "cell.activation must be .*, got relu"
        yield name, {"state_size": 3}, "cell.state_size must be an even integer >= 2.*, got 3"
        yield name, {"state_size": 0}, "cell.state_size must be an even integer >= 2.*, got 0"
    for name in ("s4d", "s5"):
        yield name, {"min_step": 0.2}, "cell.min_step must be a number <= max_step=0.1, got 0.2"
        yield name, {"min_step": 0.0}, "cell.min_step must be .*, got 0.0"
    yield "s5", {"discretization": "euler"}, "cell.discretization must be .*, got euler"
    yield "lru", {"min_radius": 0.9, "max_radius": 0.5}, "cell.min_radius must be a number < max_radius=0.5, got 0.9"
    yield "lru", {"max_radius": 1.1}, "cell.max_radius must be .*, got 1.1"
    yield "lru", {"max_phase": 7.0}, "cell.max_phase must be .*, got 7.0"
    for name in ("slstm", "mlstm"):
        yield name, {"num_heads": 4}, "cell.num_heads must be a divisor of hidden_size=6, got 4"
        yield name, {"num_heads": 0}, "cell.num_heads must be .*, got 0"
        yield name, {"forget_gate": "tanh"}, "cell.forget_gate must be .*, got tanh"
    yield "cfc", {"mode": "open"}, "cell.mode must be .*, got open"
    yield "cfc", {"backbone_units": 0}, "cell.backbone_units must be .*, got 0"
    yield "cfc", {"backbone_layers": 0}, "cell.backbone_layers must be .*, got 0"
    yield "ltc", {"solver_steps": 0}, "cell.solver_steps must be .*, got 0"
    yield "lmu", {"memory_size": 0}, "cell.memory_size must be .*, got 0"
    yield "lmu", {"theta": 0.0}, "cell.theta must be .*, got 0.0"


@pytest.mark.parametrize(("name", "options", "message"), list(refused()))
def test_options_that_cannot_work_are_named(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        EXAMPLES[name].cell_class(3, 6, **options)


def of_xlstm(file: str, name: str) -> Callable[..., Any]:
    """From one file by itself: imported as a whole, the package sets up CUDA by a call that torch no longer takes."""
    package = find_spec("xlstm")
    assert package is not None, "the development extra is not installed"
    (folder,) = package.submodule_search_locations or []
    found: Callable[..., Any] = runpy.run_path(f"{folder}/{file}")[name]
    return found


def test_slstm_is_that_of_the_xlstm_package() -> None:
    step = of_xlstm("blocks/slstm/src/vanilla/slstm.py", "slstm_forward_pointwise")
    cell = cell_of(XLSTM["slstm"])
    hidden, x = 6, normal(5, 2, 3)
    ours, _ = loop(cell.step, cell.project(x), cell.initial_state(2), cell.prepare())
    states = torch.zeros(4, 2, hidden, dtype=torch.float64)
    for t, timestep in enumerate(x):
        states, _ = step(timestep @ cell.weight_ih.T, states[0] @ cell.weight_hh[0].T, cell.bias, states, {})
        assert close(ours[t], states[0])


def test_mlstm_is_that_of_the_xlstm_package() -> None:
    step = of_xlstm("blocks/mlstm/backends.py", "recurrent_step_stabilized_simple")
    heads, head = 2, 3
    cell = MLSTMCell(3, heads * head, num_heads=heads).double()
    with torch.no_grad():
        cell.weight_ih[4 * heads * head :] = normal(2 * heads, 3)
    x = normal(5, 2, 3)
    ours, _ = loop(cell.step, cell.project(x), cell.initial_state(2), cell.prepare())
    state = (
        torch.zeros(2, heads, head, head, dtype=torch.float64),
        torch.zeros(2, heads, head, 1, dtype=torch.float64),
        torch.zeros(2, heads, 1, 1, dtype=torch.float64),
    )
    for t, rows in enumerate(cell.project(x).detach()):
        query, key, value, output = rows[:, : 4 * heads * head].view(2, 4, heads, 1, head).unbind(1)
        log_input, forget = rows[:, 4 * heads * head :].view(2, 2, heads, 1, 1).unbind(1)
        read, state = step(*state, query.clone(), key.clone(), value.clone(), log_input, forget, eps=0.0)
        assert close(ours[t], (output.sigmoid() * read).flatten(1))


@pytest.mark.parametrize("mode", ["default", "pure", "no_gate"])
def test_cfc_is_that_of_ncps(mode: str) -> None:
    peer = ncps.CfCCell(3, 6, mode, backbone_units=7, backbone_layers=2).double()
    cell = CfCCell(3, 6, mode, backbone_units=7, backbone_layers=2).double()
    with torch.no_grad():
        first, _, second, _ = peer.backbone
        cell.weight_ih.copy_(first.weight[:, :3])
        cell.weight_hh.copy_(first.weight[:, 3:])
        cell.bias_ih.copy_(first.bias)
        cell.weight_backbone_0.copy_(second.weight)
        cell.bias_backbone_0.copy_(second.bias)
        if mode == "pure":
            heads = [peer.ff1]
            cell.rate.copy_(peer.w_tau[0].uniform_())
            cell.rest.copy_(peer.A[0].uniform_())
            peer.w_tau[0], peer.A[0] = cell.rate, cell.rest
        else:
            heads = [peer.ff1, peer.ff2, peer.time_a, peer.time_b]
        cell.weight_head.copy_(torch.cat([head.weight for head in heads]))
        cell.bias_head.copy_(torch.cat([head.bias for head in heads]))
    same_as_steps_of(lambda timestep, state: peer(timestep, state, 1.0), cell)


def test_ltc_is_that_of_ncps() -> None:
    peer = ncps.LTCCell(wirings.FullyConnected(6, 6), in_features=3, implicit_param_constraints=True, epsilon=0.0)
    peer = peer.double()
    cell = LTCCell(3, 6).double()
    names = {"weight": "w", "steepness": "sigma", "threshold": "mu", "reversal": "erev"}
    names |= {f"sensory_{ours}": f"sensory_{theirs}" for ours, theirs in names.items()}
    names |= {"leak": "gleak", "leak_reversal": "vleak", "capacitance": "cm"}
    names |= {"input_scale": "input_w", "input_offset": "input_b"}
    names |= {"output_scale": "output_w", "output_offset": "output_b"}
    assert names.keys() == dict(cell.named_parameters()).keys()
    theirs = dict(peer.named_parameters())
    with torch.no_grad():
        for ours, parameter in cell.named_parameters():
            parameter.copy_(theirs[names[ours]])
    same_as_steps_of(peer, cell)


def same_as_steps_of(peer: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]], cell: Cell) -> None:
    x, state = normal(5, 2, 3), normal(2, 6)
    ours, last = loop(cell.step, cell.project(x), type(cell.initial_state(1))(state), cell.prepare())
    for t, timestep in enumerate(x):
        output, state = peer(timestep, state)
        assert close(ours[t], output)
    assert close(last.hidden, state)
