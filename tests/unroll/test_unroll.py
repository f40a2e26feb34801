"""Every way of running every cell gives the numbers of the loop, and gradients too."""

import copy
import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch._dynamo.utils import counters
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils.flop_counter import FlopCounterMode

from rnnlab.cells.cell import Cell, HiddenState, Shared, State
from rnnlab.cells.gru import GRUCell
from rnnlab.cells.rnn import RNNCell
from rnnlab.errors import UserError
from rnnlab.unroll.buffers import Division
from rnnlab.unroll.compiled import Compiled
from rnnlab.unroll.expression import NotRowwise
from rnnlab.unroll.loop import loop
from rnnlab.unroll.masks import detached
from rnnlab.unroll.recompute import Chunks
from rnnlab.unroll.recurrent import Recurrent
from rnnlab.unroll.stream import Stream
from tests.cells.families.catalogue import EXAMPLES, close, scrambled, some_state

ALL = pytest.mark.parametrize("name", EXAMPLES)
OPEN = pytest.mark.parametrize("name", [name for name in EXAMPLES if scrambled(name).traceable])
LINEAR = pytest.mark.parametrize("name", [n for n in EXAMPLES if scrambled(n).recurrence != "nonlinear"])
SOME = pytest.mark.parametrize("name", ["rnn", "lstm", "gru_original", "lem"])
MATRICES = ("mlstm", "ltc")
"""Cells whose state or step is no row of numbers, so that they run in chunks."""

Unrolling = Callable[[Any, State, Shared], tuple[Tensor, State]]


def everything(cell: Cell, x: Tensor, state: State, unroll: Unrolling) -> dict[str, Tensor]:
    """Outputs, last state and the gradients of a loss that weighs each number of both differently."""
    inputs = {"x": x} | {f"initial {i}": part for i, part in enumerate(state)} | dict(cell.named_parameters())
    inputs = {key: tensor.requires_grad_() for key, tensor in inputs.items() if tensor.numel()}
    output, last = unroll(cell.project(x), state, cell.prepare())
    parts = [output, *last]
    loss = sum((part * torch.arange(1, part.numel() + 1).view_as(part).cos()).sum() for part in parts)
    gradients = torch.autograd.grad(loss, list(inputs.values()), allow_unused=True)
    return (
        {"output": output}
        | {f"last {i}": part for i, part in enumerate(last)}
        | {f"d {key}": gradient for key, gradient in zip(inputs, gradients, strict=True) if gradient is not None}
    )


def compare(name: str, unroll: Callable[[Cell], Unrolling], time: int = 11, tolerance: float = 1e-10) -> None:
    cell = scrambled(name)
    x, state = torch.randn(time, 5, 3, dtype=torch.float64), some_state(cell, 5)
    ours = everything(cell, x, state, unroll(cell))
    expected = everything(cell, x, state, lambda *inputs: loop(cell.step, *inputs))
    assert ours.keys() == expected.keys()
    for key, value in expected.items():
        assert close(ours[key], value, tolerance * max(1, value.abs().max().item() if value.numel() else 0)), key


@OPEN
def test_the_compiled_kernel_is_the_loop(name: str) -> None:
    if name.split()[0] in MATRICES:
        with pytest.raises(NotRowwise):
            compare(name, lambda cell: Compiled(cell.step))
    else:
        compare(name, lambda cell: Compiled(cell.step))


@OPEN
def test_chunks_are_the_loop(name: str) -> None:
    compare(name, lambda cell: Chunks(cell.step, compile=False))


@LINEAR
def test_the_scan_is_the_loop(name: str) -> None:
    def scan(cell: Cell) -> Unrolling:
        def run(projected: Any, state: State, shared: Shared) -> tuple[Tensor, State]:
            outputs, states = cell.scan(projected, state, shared)
            return outputs, type(states)._make(part[-1] for part in states)

        return run

    compare(name, scan)
    compare(name, scan, time=1)


def test_chunks_compiled_by_torch_are_the_loop() -> None:
    """Inductor's real thing, once: its first compilation takes a quarter of a minute, and serves all batches."""
    cell = scrambled("gru_original")
    chunks = Chunks(cell.step, compile=True)
    graphs = []
    for time, batch in ((9, 5), (20, 3), (8, 6)):
        x, state = torch.randn(time, batch, 3, dtype=torch.float64), some_state(cell, batch)
        ours = everything(cell, x, state, chunks)
        expected = everything(cell, x, state, lambda *inputs: loop(cell.step, *inputs))
        assert all(close(ours[key], value) for key, value in expected.items())
        graphs.append(counters["stats"]["unique_graphs"])
    assert graphs[0] == graphs[1] == graphs[2]


@SOME
@settings(max_examples=8, deadline=None)
@given(time=st.integers(1, 9), batch=st.integers(1, 70), threads=st.sampled_from([1, 2, 3]))
def test_one_kernel_serves_all_lengths_batches_and_threads(name: str, time: int, batch: int, threads: int) -> None:
    cell = scrambled(name)
    kernel = Compiled(cell.step)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for steps in (time, time + 1):
            x, state = torch.randn(steps, batch, 3, dtype=torch.float64), some_state(cell, batch)
            ours = everything(cell, x, state, kernel)
            expected = everything(cell, x, state, lambda *inputs: loop(cell.step, *inputs))
            for key, value in expected.items():
                assert close(ours[key], value, 1e-10 * max(1, value.abs().max().item())), key
    finally:
        torch.set_num_threads(before)
    assert len(kernel.kernels) == 1


@SOME
@pytest.mark.parametrize("hidden", [1, 7, 16, 33])
def test_the_kernel_in_single_precision(name: str, hidden: int) -> None:
    """Its own exponential and tanh, in vectors whole and cut off, and wide ranges of what goes into them."""
    example = EXAMPLES[name]
    cell = example.cell_class(3, hidden, **example.options)
    x, state = 3 * torch.randn(20, 4, 3), some_state(cell, 4)
    ours = everything(cell, x, state, Compiled(cell.step))
    exact = copy.deepcopy(cell).double()
    doubles = type(state)._make(part.detach().double() for part in state)
    expected = everything(exact, x.detach().double(), doubles, lambda *inputs: loop(exact.step, *inputs))
    single = everything(cell, x, state, lambda *inputs: loop(cell.step, *inputs))
    for key, value in expected.items():
        torchs = (single[key] - value).abs().max().item()
        # no worse than torch's own float32 by more than a few roundings
        assert (ours[key] - value).abs().max().item() <= 4 * torchs + 1e-6 * max(1, value.abs().max().item()), key


@pytest.mark.parametrize("function", ["exp", "expm1", "log", "log1p", "sigmoid", "tanh", "sqrt", "rsqrt", "abs"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_functions_of_kernels_over_all_numbers(function: str, dtype: torch.dtype) -> None:
    def step(projected: Tensor, state: Any, matmul: Any, shared: Shared) -> tuple[Tensor, Any]:
        output = getattr(torch, function)(projected)
        return output, type(state)(output)

    tiny = torch.finfo(dtype).tiny
    ends = [0.0, -0.0, torch.inf, -torch.inf, torch.nan, 1.0, -1.0, tiny, -tiny, 88.0, 89.0, -88.0, -104.0, 1e-9, -1e-9]
    ends += [1e-42, 1e-40]
    x = torch.cat([torch.tensor(ends), torch.logspace(-30, 30, 4001), -torch.logspace(-30, 30, 4001)]).to(dtype)
    x = torch.cat([x, torch.linspace(-20, 20, 8001, dtype=dtype), torch.linspace(-100, 100, 8001, dtype=dtype)])
    state = HiddenState(torch.zeros(1, len(x), dtype=dtype))
    ours, _ = Compiled(step)(x[None, None], state, {})
    expected = getattr(torch, function)(x.double()).to(dtype).double()
    ours = ours[0, 0].double()
    assert torch.equal(ours.isnan(), expected.isnan())
    real = ~expected.isnan()
    error = (ours - expected)[real & (ours != expected)].abs()
    scale = expected[real & (ours != expected)].abs()
    # four units in the last place; what is smaller than any normal number may be zero
    assert (error <= 4 * torch.finfo(dtype).eps * scale + 10 * tiny).all()


def recurrent(name: str, **options: Any) -> Recurrent:
    example = EXAMPLES[name]
    torch.manual_seed(1)
    return Recurrent(example.cell_class, 3, 4, **{**example.options, **options}).double()


@ALL
def test_whole_is_chunked_is_stepwise(name: str) -> None:
    net = recurrent(name, num_layers=2).eval()
    x = torch.randn(7, 2, 3, dtype=torch.float64)
    whole, last = net(x)
    first, state = net(x[:4])
    second, chunked_last = net(x[4:], state)
    assert close(torch.cat([first, second]), whole)
    stream = Stream(net)
    assert close(torch.stack([stream.step(timestep) for timestep in x]), whole)
    for expected, chunked, stepped in zip(last, chunked_last, stream.state, strict=True):
        for part, other, another in zip(expected, chunked, stepped, strict=True):
            assert close(part, other)
            assert close(part, another)
    stream.reset()
    assert close(stream.step(x[0]), whole[0])


def ways(name: str) -> list[str]:
    cell = scrambled(name)
    found = ["loop"] + (["compiled"] if cell.traceable else [])
    found += ["scan"] if cell.recurrence != "nonlinear" else []
    return found + (["fused"] if cell.has_fused_kernel else [])


MASKED = (
    "rnn",
    "lstm",
    "gru_original",
    "lstm_projection",
    "qrnn",
    "lem",
    "slstm",
    "mlstm",
    "ltc",
    "feedforward",
    "lru",
)
"""What is done around a step is the same for all cells: these stand for them where each takes kernels of its own."""

PAIRS = pytest.mark.parametrize(
    ("name", "unroll"),
    [(name, way) for name in EXAMPLES if " " not in name for way in ways(name) if way != "compiled" or name in MASKED],
)


def _alone(x: Tensor, lengths: Tensor) -> list[Tensor]:
    rows = enumerate(lengths.tolist())
    return [x[:length, row : row + 1].clone().requires_grad_() for row, length in rows]


@PAIRS
def test_padding_and_order_of_the_batch_change_nothing(name: str, unroll: str) -> None:
    """Each sequence by itself gives what it gives in a batch with longer ones, whatever stands in its padding."""
    net = recurrent(name, unroll=unroll, bidirectional=True)
    lengths = torch.tensor([4, 1, 6, 3])
    x = torch.randn(6, 4, 3, dtype=torch.float64)
    if unroll == "scan" and not net.cells[0].scans_all_states:
        with pytest.raises(UserError, match="does not support lengths"):
            net(x, lengths=lengths)
        return
    outputs, last = net(x, lengths=lengths)
    spoilt = x.clone()
    for row, length in enumerate(lengths.tolist()):
        spoilt[length:, row] = torch.nan
        alone, alone_last = net(x[:length, row : row + 1])
        assert close(outputs[:length, row : row + 1], alone)
        assert not outputs[length:, row].any()
        for state, expected in zip(last, alone_last, strict=True):
            for part, wanted in zip(state, expected, strict=True):
                assert close(part[row : row + 1], wanted)
    assert close(net(spoilt, lengths=lengths)[0], outputs)
    spoilt.requires_grad_()
    (gradient,) = torch.autograd.grad(net(spoilt, lengths=lengths)[0].square().sum(), spoilt)
    expected = torch.cat([torch.autograd.grad(net(y)[0].square().sum(), y)[0] for y in _alone(x, lengths)], dim=0)
    assert close(torch.cat([gradient[:length, row] for row, length in enumerate(lengths.tolist())]), expected[:, 0])
    order = torch.tensor([2, 0, 3, 1])
    assert close(net(x[:, order], lengths=lengths[order])[0], outputs[:, order])


@pytest.mark.parametrize("unroll", ["loop", "compiled"])
@pytest.mark.parametrize("name", ["lstm", "gru_original", "mingru", "slstm", "feedforward"])
@pytest.mark.parametrize("initial_state", ["zeros", "learned"])
def test_a_reset_begins_a_new_sequence(name: str, unroll: str, initial_state: str) -> None:
    net = recurrent(name, unroll=unroll, bidirectional=True, initial_state=initial_state)
    with torch.no_grad():
        for parameter in net.learned_state:
            parameter += 0.3 * torch.rand_like(parameter)
    x = torch.randn(7, 2, 3, dtype=torch.float64)
    reset = torch.zeros(7, 2, dtype=torch.bool)
    reset[3, 0] = reset[5, 1] = True
    outputs, _ = net(x, reset=reset)
    for row, at in ((0, 3), (1, 5)):
        apart = [net(piece)[0] for piece in (x[:at, row : row + 1], x[at:, row : row + 1])]
        assert close(outputs[:, row : row + 1], torch.cat(apart))
    gradients = torch.autograd.grad(outputs.square().sum(), list(net.parameters()))
    again = [net(piece)[0] for r, at in ((0, 3), (1, 5)) for piece in (x[:at, r : r + 1], x[at:, r : r + 1])]
    expected = torch.autograd.grad(sum(piece.square().sum() for piece in again), list(net.parameters()))
    assert all(close(one, other) for one, other in zip(gradients, expected, strict=True))


@SOME
@pytest.mark.parametrize("unroll", ["loop", "compiled"])
def test_truncated_bptt_carries_the_state_and_no_gradient(name: str, unroll: str) -> None:
    whole, cut = recurrent(name, unroll=unroll), recurrent(name, unroll=unroll, truncate=3)
    x = torch.randn(8, 2, 3, dtype=torch.float64, requires_grad=True)
    outputs, _ = cut(x)
    assert close(outputs, whole(x)[0])
    (gradient,) = torch.autograd.grad(outputs[7].sum(), x)
    assert not gradient[:6].any()
    assert gradient[6:].abs().min() > 0
    by_hand, state = [], None
    for piece in x.split(3):
        output, state = whole(piece, state if state is None else detached(state))
        by_hand.append(output)
    (expected,) = torch.autograd.grad(torch.cat(by_hand)[7].sum(), x)
    assert close(gradient, expected)


@pytest.mark.parametrize("unroll", ["loop", "compiled"])
def test_zoneout_keeps_some_of_the_state_in_training_and_its_mean_after(unroll: str) -> None:
    net = recurrent("lstm", unroll=unroll, zoneout=0.4)
    x = torch.randn(6, 2000, 3, dtype=torch.float64)
    start = net.initial_state(2000)
    _, (after,) = net(x[:1], start)
    for part in after:
        assert 0.35 < (part == 0).double().mean() < 0.45
    net.eval()
    _, (full,) = recurrent("lstm", unroll="loop").eval()(x[:1], start)
    _, (mean,) = net(x[:1], start)
    assert all(close(part, 0.6 * other) for part, other in zip(mean, full, strict=True))
    assert close(net(x)[0], net(x)[0])


@pytest.mark.parametrize("unroll", ["loop", "compiled"])
def test_recurrent_dropout_is_one_mask_for_the_sequence(unroll: str) -> None:
    """With a recurrent weight of ones, what a unit hears tells how many others were heard."""
    net = recurrent("rnn identity", unroll=unroll, recurrent_dropout=0.5, truncate=1)
    (cell,) = net
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        cell.weight_hh.fill_(1.0)
        cell.bias_ih.fill_(1.0)
    outputs, _ = net(torch.zeros(4, 500, 3, dtype=torch.float64))
    heard = (outputs[1] - 1)[:, 0] / 2  # of four units, each scaled by two
    assert set(heard.unique().tolist()) == {0.0, 1.0, 2.0, 3.0, 4.0}
    assert close(outputs[2][:, 0], 1 + 2 * heard * outputs[1][:, 0])
    net.eval()
    assert close(net(torch.zeros(2, 1, 3, dtype=torch.float64))[0][1], torch.full((1, 4), 5.0, dtype=torch.float64))


def test_layer_norm_residual_and_dropout_between_layers() -> None:
    x = torch.randn(5, 3, 3, dtype=torch.float64)
    plain = recurrent("gru", num_layers=2)
    dressed = recurrent("gru", num_layers=2, layer_norm=True, residual=True)
    dressed.load_state_dict(plain.state_dict(), strict=False)
    first, second = (Recurrent(GRUCell, size, 4).double() for size in (3, 4))
    for layer, net in enumerate((first, second)):
        net.cells[0].load_state_dict(plain.cells[layer].state_dict())
    hidden = nn.functional.layer_norm(first(x)[0], (4,))
    expected = nn.functional.layer_norm(second(hidden)[0], (4,)) + hidden
    assert close(dressed(x)[0], expected)
    stream = Stream(dressed)
    assert close(torch.stack([stream.step(timestep) for timestep in x]), expected)


@pytest.mark.parametrize("initial_state", ["learned", "random"])
def test_initial_states(initial_state: str) -> None:
    net = recurrent("lstm", initial_state=initial_state, num_layers=2)
    x = torch.randn(3, 5, 3, dtype=torch.float64)
    if initial_state == "learned":
        net(x)[0].sum().backward()
        assert len(net.learned_state) == 4
        assert all(parameter.grad.abs().sum() > 0 for parameter in net.learned_state)
    else:
        assert not close(net(x)[0], net(x)[0])
        state = net.initial_state(1000)[0]
        assert 0.09 < state.hidden.std() < 0.11
        net.eval()
        assert close(net(x)[0], net(x)[0])


@SOME
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("unroll", ["loop", "compiled"])
def test_types_of_numbers(name: str, dtype: torch.dtype, unroll: str) -> None:
    exact = recurrent(name, unroll="loop")
    net = recurrent(name, unroll=unroll).to(dtype)
    x = torch.randn(5, 3, 3, dtype=torch.float64)
    outputs, last = net(x.to(dtype))
    assert outputs.dtype == last[0][0].dtype == dtype
    assert close(outputs.double(), exact(x)[0], 20 * torch.finfo(dtype).eps)
    outputs.float().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.dtype == dtype for parameter in net.parameters())


@SOME
@pytest.mark.parametrize("unroll", ["loop", "compiled"])
def test_autocast(name: str, unroll: str) -> None:
    net = recurrent(name, unroll=unroll).float()
    x = torch.randn(5, 3, 3)
    expected = net(x)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = net(x)[0]
    assert close(outputs.float(), expected, 0.05)
    outputs.float().sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


@pytest.mark.parametrize("name", [name for name in EXAMPLES if " " not in name])
def test_a_step_can_be_exported(name: str) -> None:
    net = recurrent(name, num_layers=2).eval()

    class Step(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor, state: list[State]) -> tuple[Tensor, list[State]]:
            return self.net.step(x, state)

    x, state = torch.randn(2, 3, dtype=torch.float64), [some_state(cell, 2) for cell in net]
    with torch.no_grad():
        program = torch.export.export(Step(), (x, state))
        ours, after = program.module()(x, state)
        expected, expected_after = net.step(x, state)
    assert close(ours, expected)
    for part, other in zip(after[1], expected_after[1], strict=True):
        assert close(part, other)


def test_auto_takes_what_was_measured_to_be_fastest() -> None:
    chosen = {
        name: recurrent(name)
        for name in ("lstm", "gru", "lstm_peephole", "lstm_projection", "mingru", "mlstm", "ltc", "feedforward")
    }
    for net in chosen.values():
        net(torch.randn(3, 2, 3, dtype=torch.float64))
    assert {name: "+".join(net.chosen) for name, net in chosen.items()} == {
        "lstm": "fused",
        "gru": "compiled",
        "lstm_peephole": "compiled",
        "lstm_projection": "compiled",
        "mingru": "compiled",
        "mlstm": "scan",
        "ltc": "loop",
        "feedforward": "scan",
    }
    lstm = recurrent("lstm")
    x = torch.randn(500, 500, 3, dtype=torch.float64)
    with torch.no_grad():
        lstm(x)
        lstm(x[:2], lengths=torch.ones(500, dtype=torch.long))
        recurrent("lstm", zoneout=0.1)(x[:2])
    assert lstm.chosen == {"compiled"}


def test_a_net_can_be_copied_and_a_second_derivative_is_refused() -> None:
    net = recurrent("lstm", unroll="compiled")
    x = torch.randn(3, 2, 3, dtype=torch.float64, requires_grad=True)
    outputs = net(x)[0]
    assert close(copy.deepcopy(net)(x)[0], outputs)
    (gradient,) = torch.autograd.grad((outputs**2).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_frozen_parts_get_no_gradient_and_inference_keeps_nothing() -> None:
    net = recurrent("lstm", unroll="compiled")
    net.cells[0].weight_ih.requires_grad_(False)
    x = torch.randn(3, 2, 3, dtype=torch.float64)
    expected = net(x)[0]
    expected.sum().backward()
    assert net.cells[0].weight_ih.grad is None
    assert net.cells[0].weight_hh.grad.any()
    with torch.no_grad():
        assert close(net(x)[0], expected)
        assert net(x)[0].grad_fn is None


def test_a_step_that_bypasses_what_it_is_given_is_refused() -> None:
    class Careless(RNNCell):
        def step(self, projected: Any, state: Any, matmul: Any, shared: Any) -> Any:
            hidden = torch.tanh(projected + matmul("weight_hh", state.hidden) * self.bias_hh)
            return hidden, type(state)(hidden)

    with pytest.raises(UserError, match=r"Careless.*prepare"):
        Recurrent(Careless, 3, 4, unroll="compiled")(torch.zeros(2, 2, 3))


class Plain(RNNCell):
    """To be spoilt in one way or another."""

    factor = 1.0

    def prepare(self) -> dict[str, Tensor]:
        return {"weight_hh": self.weight_hh, "scale": torch.tensor([2, 1, 0, 1])}

    def step(self, projected: Any, state: Any, matmul: Any, shared: Any) -> Any:
        hidden = nn.functional.silu(projected + matmul("weight_hh", state.hidden)) * shared["scale"] * self.factor
        return hidden, type(state)(hidden)


def test_a_kernel_knows_the_numbers_of_its_cell_and_constants_of_any_type() -> None:
    net = Recurrent(Plain, 3, 4, unroll="compiled").double()
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    for factor in (1.0, 0.1):
        (cell,) = net
        cell.factor = factor
        net.unroll = "compiled"
        ours = net(x)[0]
        net.unroll = "loop"
        assert close(ours, net(x)[0])


class Odd(RNNCell):
    """Computes `hidden` of what a plain cell would: in some way that a kernel of another batch or day may not know."""

    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)
        self.act, self.hard = nn.Tanh(), nn.Hardtanh()
        self.scale, self.ends = [1.0], {"low": None, "high": 0.5}
        self.bias = nn.Parameter(torch.randn(self.hidden_size))
        self.gain = nn.Parameter(torch.randn(1))

    def step(self, projected: Any, state: Any, matmul: Any, shared: Any) -> Any:
        hidden = self.hidden(projected + matmul("weight_hh", state[0]), state[0], shared)
        return hidden, type(state)(hidden, *(part + 1 for part in state[1:]))

    def hidden(self, z: Tensor, before: Tensor, shared: Any) -> Tensor:
        return self.act(z)


def same_as_the_loop(net: Recurrent, batch: int = 5) -> None:
    x = torch.randn(6, batch, 3, dtype=torch.float64)
    found = []
    for unroll in ("compiled", "loop"):
        net.unroll = unroll
        output, (last,) = net(x)
        gradients = torch.autograd.grad(output.square().sum(), list(net.parameters()), allow_unused=True)
        found.append([output, *last, *(gradient for gradient in gradients if gradient is not None and gradient.any())])
    assert [tensor.dtype for tensor in found[0]] == [tensor.dtype for tensor in found[1]]
    assert all(torch.allclose(ours, theirs) for ours, theirs in zip(*found, strict=True))


@pytest.mark.parametrize(
    "change",
    [
        lambda cell: setattr(cell, "act", nn.Sigmoid()),
        lambda cell: setattr(cell.hard, "max_val", 0.1),
        lambda cell: cell.scale.__setitem__(0, 0.2),
        lambda cell: cell.ends.update(low=-0.5, high=None),
    ],
)
def test_a_kernel_knows_all_that_its_cell_holds(change: Any) -> None:
    class Holding(Odd):
        def hidden(self, z: Tensor, before: Tensor, shared: Any) -> Tensor:
            return self.act(z) + self.hard(z) * self.scale[0] + z.clamp(self.ends["low"], self.ends["high"])

    net = Recurrent(Holding, 3, 4).double()
    same_as_the_loop(net)
    change(next(iter(net)))
    same_as_the_loop(net)


@pytest.mark.parametrize("batch", [2, 5])
@pytest.mark.parametrize(
    "hidden",
    [
        lambda self, z, before, shared: z.tanh() / len(before),
        lambda self, z, before, shared: z.tanh() if before.shape[0] < 4 else z.tanh() * 0.5,
        lambda self, z, before, shared: z.tanh() * ((before > -9).logical_not() + (before > -5) + (before > -7)),
        lambda self, z, before, shared: z.tanh() * (shared["bias"] * shared["gain"]),
    ],
)
def test_what_a_kernel_cannot_say_runs_in_chunks(hidden: Any, batch: int) -> None:
    same_as_the_loop(Recurrent(type("Unusual", (Odd,), {"hidden": hidden}), 3, 4).double(), batch)


class Counted(NamedTuple):
    hidden: Tensor
    steps: Tensor


@pytest.mark.parametrize("dtype", [torch.int64, torch.float32])
def test_a_state_of_several_types_of_numbers(dtype: torch.dtype) -> None:
    class Counting(Odd):
        def initial_state(self, batch_size: int) -> Any:
            return Counted(self.zeros(batch_size, self.hidden_size), torch.zeros(batch_size, 1, dtype=dtype))

    same_as_the_loop(Recurrent(Counting, 3, 4).double())


def test_nothing_is_compiled_on_the_meta_device() -> None:
    with torch.device("meta"):
        assert Recurrent(RNNCell, 3, 4)(torch.zeros(6, 5, 3))[0].shape == (6, 5, 4)


def test_a_step_that_draws_random_numbers_is_refused() -> None:
    class Noisy(RNNCell):
        def step(self, projected: Any, state: Any, matmul: Any, shared: Any) -> Any:
            hidden = nn.functional.dropout(projected + matmul("weight_hh", state.hidden), 0.5)
            return hidden, type(state)(hidden)

    with pytest.raises(UserError, match=r"Noisy.step draws random numbers"):
        Recurrent(Noisy, 3, 4, unroll="compiled")(torch.zeros(2, 2, 3))


def test_a_step_that_decides_by_values_runs_in_chunks() -> None:
    class Deciding(RNNCell):
        def step(self, projected: Any, state: Any, matmul: Any, shared: Any) -> Any:
            hidden = projected + matmul("weight_hh", state.hidden)
            hidden = hidden.tanh() if hidden.abs().max() > 1e9 else hidden.sin()
            return hidden, type(state)(hidden)

    net, x = Recurrent(Deciding, 3, 4, unroll="compiled").double(), torch.randn(11, 2, 3, dtype=torch.float64)
    ours = net(x)[0]
    net.unroll = "loop"
    assert close(ours, net(x)[0])


def test_random_numbers_of_another_thread_are_no_fault_of_the_cell() -> None:
    class Interrupted(RNNCell):
        def step(self, *inputs: Any) -> Any:
            other = threading.Thread(target=torch.rand, args=(1,))
            other.start()
            other.join()
            return super().step(*inputs)

    Recurrent(Interrupted, 3, 4, unroll="compiled")(torch.zeros(2, 2, 3))


@pytest.mark.parametrize("name", ["gru", "lstm_peephole", "mlstm"])
def test_first_use_by_several_threads_at_once(name: str) -> None:
    x = torch.randn(6, 4, 3, dtype=torch.float64)
    for _ in range(2):
        net = recurrent(name, unroll="compiled")
        gate = threading.Barrier(8)

        def use(net: Recurrent = net, gate: threading.Barrier = gate) -> Tensor:
            gate.wait()
            return net(x)[0].detach()

        with ThreadPoolExecutor(8) as pool:
            found = [future.result() for future in [pool.submit(use) for _ in range(8)]]
        net.unroll = "loop"
        expected = net(x)[0]
        assert all(close(output, expected) for output in found)


class Traced(nn.Module):
    """A net with one output for a sequence, as it would be exported."""

    def __init__(self, recurrent: Recurrent) -> None:
        super().__init__()
        self.recurrent, self.head = recurrent, nn.Linear(recurrent.output_size, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.recurrent(x)[0][:, -1])


@pytest.mark.parametrize("name", [name for name in EXAMPLES if " " not in name])
def test_what_is_traced_answers_for_other_inputs_too(name: str) -> None:
    net = Traced(recurrent(name, batch_first=True)).double().eval()
    shown, other = torch.randn(2, 2, 3, 3, dtype=torch.float64)
    file = io.BytesIO()
    torch.jit.save(torch.jit.trace(net, (shown,), check_trace=False), file)
    file.seek(0)
    assert close(torch.jit.load(file)(other), net(other))


def test_within_other_modes_of_torch_nothing_is_compiled() -> None:
    net = Traced(recurrent("gru", batch_first=True)).double().eval()
    shown, other = torch.randn(2, 2, 3, 3, dtype=torch.float64)
    assert close(make_fx(net)(shown)(other), net(other))
    with FlopCounterMode(display=False) as counter:
        net(shown)
    assert counter.get_total_flops() == 2 * 2 * (3 * net.recurrent.multiply_adds + 4)


@pytest.mark.parametrize(
    ("name", "unroll"), [("gru", "auto"), ("lstm_peephole", "compiled"), ("mingru", "auto"), ("mingru", "scan")]
)
def test_an_onnx_file_by_tracing_answers_for_other_inputs_too(name: str, unroll: str) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    net = Traced(recurrent(name, batch_first=True, unroll=unroll)).float().eval()
    shown, other = torch.randn(2, 2, 6, 3)
    file = io.BytesIO()
    torch.onnx.export(net, (shown,), file, dynamo=False, input_names=["x"])
    (answer,) = onnxruntime.InferenceSession(file.getvalue()).run(None, {"x": other.numpy()})
    assert close(torch.as_tensor(answer), net(other), 1e-5)


def test_a_kernel_takes_no_memory_of_another_size() -> None:
    cell = scrambled("lstm")
    net = Compiled(cell.step)
    projected, state, shared = cell.project(torch.randn(5, 2, 3).double()), cell.initial_state(2), cell.prepare()
    net(projected, state, shared)
    (made,) = next(iter(net.kernels.values())).values()
    places: dict[str, Tensor] = {}
    for name, (of, width) in zip(made.names["forward_only"], made.sizes["forward_only"], strict=True):
        shape = {"timestep": (5, 2, width), "pair": (2, 2, width), "sequence": (2, width), "once": (width,)}[of]
        places[name] = torch.zeros(shape, dtype=torch.float64)
    division = Division(time=5, batch=2, workers=1, tile=2)
    made.run("forward_only", places, division)
    for name, tensor in places.items():
        for wrong in (tensor[..., :-1], tensor.float(), torch.zeros(*tensor.shape, 2, dtype=tensor.dtype)[..., 0]):
            with pytest.raises(RuntimeError, match=f"buffer {name} is"):
                made.run("forward_only", {**places, name: wrong}, division)


def test_a_weight_that_is_not_given_is_named() -> None:
    class Forgetful(RNNCell):
        def prepare(self) -> dict[str, Tensor]:
            return {"weight": self.weight_hh}

    for unroll in ("loop", "compiled"):
        with pytest.raises(UserError, match="multiplies by weight_hh"):
            Recurrent(Forgetful, 3, 4, unroll=unroll)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"colour": "red"}, "RNNCell.*colour"),
        ({"hidden_size": 0}, "hidden_size must be an integer >= 1, got 0"),
        ({"num_layers": 0}, "num_layers must be an integer >= 1, got 0"),
        ({"truncate": 0}, "truncate must be an integer >= 1 or null, got 0"),
        ({"dropout": 1.0}, "dropout must be a number >= 0 and < 1, got 1.0"),
        ({"zoneout": -0.1}, "zoneout must be a number >= 0 and < 1, got -0.1"),
        ({"recurrent_dropout": 1.5}, "recurrent_dropout must be a number >= 0 and < 1, got 1.5"),
        ({"unroll": "fast"}, "unroll must be one of auto, .*, got fast"),
        ({"unroll": "scan"}, "RNNCell is not linear"),
        ({"unroll": "fused", "activation": "identity"}, "no kernel for RNNCell"),
        ({"unroll": "fused", "zoneout": 0.1}, "does not support zoneout"),
        ({"initial_state": "ones"}, "initial_state must be one of zeros, random, learned, got ones"),
        ({"initialization": "best"}, "initialization must be one of default, .*, got best"),
        ({"activation": "sine"}, "activation must be one of tanh, relu, identity, got sine"),
    ],
)
def test_options_that_cannot_work_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Recurrent(RNNCell, 3, **{"hidden_size": 4, **options})


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("indrnn", {"recurrent_dropout": 0.1}, "no product"),
        ("mlstm", {"zoneout": 0.1}, "belong together"),
        ("slstm", {"initial_state": "random"}, "cannot be drawn number by number"),
    ],
)
def test_options_that_a_cell_cannot_have(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        recurrent(name, **options)


X = torch.zeros(5, 2, 3)


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        (torch.zeros(5, 2), {}, r"\(5, 2\)"),
        (torch.zeros(5, 2, 4), {}, "size 3"),
        (torch.zeros(0, 2, 3), {}, "no timesteps"),
        (torch.zeros(5, 0, 3), {}, "batch is empty"),
        (X.double(), {}, "float64"),
        (X.to("meta"), {}, "meta"),
        (X, {"state": []}, "1 cells"),
        (X, {"state": [HiddenState(torch.zeros(3, 4))]}, r"\(2, 4\)"),
        (X, {"state": [torch.zeros(2, 4)]}, "HiddenState"),
        (X, {"state": [HiddenState(torch.zeros(2, 4).double())]}, "float64"),
        (X, {"lengths": torch.tensor([5, 0])}, "from 0 to 5"),
        (X, {"lengths": torch.tensor([6, 5])}, "from 5 to 6"),
        (X, {"lengths": torch.tensor([5])}, "2 integers are needed"),
        (X, {"lengths": torch.tensor([5.0, 5.0])}, "2 integers are needed"),
        (X, {"reset": torch.zeros(2, 5, dtype=torch.bool)}, "5 timesteps"),
    ],
)
@pytest.mark.parametrize("unroll", ["loop", "compiled"])
def test_inputs_that_cannot_be_run_are_refused(inputs: Tensor, options: Any, message: str, unroll: str) -> None:
    net = Recurrent(RNNCell, 3, 4, unroll=unroll)
    with pytest.raises(UserError, match=message):
        net(inputs, **options)


def test_a_bidirectional_net_cannot_be_streamed() -> None:
    with pytest.raises(UserError, match="bidirectional"):
        Stream(Recurrent(RNNCell, 3, 4, bidirectional=True)).step(torch.zeros(2, 3))
