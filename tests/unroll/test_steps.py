"""Steps that no shipped cell has, written as users might: kernels and chunks give what the loop gives."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from rnnlab.cells.cell import Cell, HiddenState
from rnnlab.cells.gru import GRUCell
from rnnlab.cells.rnn import RNNCell
from rnnlab.unroll.compiled import Compiled
from rnnlab.unroll.cpp.workspace import Workspace
from rnnlab.unroll.expression import NotRowwise
from rnnlab.unroll.loop import loop
from rnnlab.unroll.recompute import Chunks
from rnnlab.unroll.recurrent import Recurrent
from tests.cells.families.catalogue import close

SIZE = 5


class Two(NamedTuple):
    hidden: Tensor
    cell: Tensor


def shared_tensors() -> dict[str, Tensor]:
    torch.manual_seed(2)
    shapes = {"w": (SIZE, SIZE), "u": (SIZE, SIZE), "b": (SIZE,), "c": (2 * SIZE,), "row": (1, SIZE)}
    shared = {name: (0.4 * torch.randn(shape, dtype=torch.float64)).requires_grad_() for name, shape in shapes.items()}
    return shared | {"whole": torch.tensor([1, 0, 2, 1, 0]), "truth": torch.tensor([True, False, True, True, False])}


def agree(step: Any, kernel: bool | None = True, batch: int = 37) -> None:
    """In outputs, last states and all gradients. kernel: whether one can be made; None: either."""
    x = torch.randn(11, batch, SIZE, dtype=torch.float64, requires_grad=True)
    state = Two(*(0.3 * torch.randn(batch, SIZE, dtype=torch.float64).requires_grad_() for _ in range(2)))
    shared = shared_tensors()
    inputs = [x, *state, *(tensor for tensor in shared.values() if tensor.requires_grad)]

    def run(unroll: Callable[..., Any]) -> list[Tensor]:
        output, last = unroll(x, state, shared)
        parts = [output, *last]
        loss = sum((part * torch.arange(1, part.numel() + 1).view_as(part).cos()).sum() for part in parts)
        gradients = torch.autograd.grad(loss, inputs, allow_unused=True)
        zeros = (torch.zeros_like(tensor) for tensor in inputs)
        return parts + [zero if given is None else given for zero, given in zip(zeros, gradients, strict=True)]

    expected = run(lambda *given: loop(step, *given))
    ways = [Chunks(step, compile=False)]
    try:
        run(Compiled(step))
        assert kernel is not False
        ways.append(Compiled(step))
    except NotRowwise:
        assert kernel is not True
    for way in ways:
        for ours, theirs in zip(run(way), expected, strict=True):
            assert close(ours, theirs, 1e-9 * max(1.0, theirs.abs().max().item()))


def two_products_of_one_sum(p: Any, s: Any, m: Any, w: Any) -> Any:
    q = s.hidden + s.cell
    hidden = (p + m("w", q)).tanh()
    return hidden, Two(hidden, (s.cell + m("u", q)).sin())


def one_weight_three_times(p: Any, s: Any, m: Any, w: Any) -> Any:
    a = m("w", s.hidden).tanh()
    b = m("w", a + s.cell)
    hidden = (p + m("w", b)).tanh()
    return hidden, Two(hidden, b.sigmoid())


def a_product_is_the_state(p: Any, s: Any, m: Any, w: Any) -> Any:
    h = m("w", s.hidden)
    return h * p, Two(h, s.cell * 0.5)


def half_of_a_vector(p: Any, s: Any, m: Any, w: Any) -> Any:
    hidden = (p + m("w", s.hidden) + w["c"][:SIZE] + w["row"]).tanh()
    return hidden, Two(hidden, hidden * w["b"].exp())


def states_change_places(p: Any, s: Any, m: Any, w: Any) -> Any:
    return s.hidden * 1.0, Two(s.cell, (p + m("w", s.hidden)).tanh())


def constants_of_other_types(p: Any, s: Any, m: Any, w: Any) -> Any:
    hidden = torch.where(w["truth"], (p + m("w", s.hidden)).tanh(), s.cell) * w["whole"]
    return hidden, Two(hidden, torch.logical_and(p > 0, s.cell).to(p.dtype) + s.cell * 0.3)


def softmax_and_norms(p: Any, s: Any, m: Any, w: Any) -> Any:
    weights = torch.cat([p, s.cell], -1).softmax(-1)
    hidden = nn.functional.layer_norm(m("u", weights[:, 2 : 2 + SIZE]) + p, (SIZE,), w["b"], w["row"].squeeze(0))
    return hidden, Two(hidden, s.cell * weights.amax(-1, keepdim=True))


def a_weight_used_in_both_ways(p: Any, s: Any, m: Any, w: Any) -> Any:
    hidden = torch.tanh(m("w", s.hidden) + p + s.hidden * w["w"].diagonal())
    return hidden, Two(hidden, s.cell)


def whole_numbers(p: Any, s: Any, m: Any, w: Any) -> Any:
    hidden = ((3 * p).int().to(p.dtype) + torch.div(p, 0.3, rounding_mode="floor") + m("w", s.hidden)).tanh()
    return hidden, Two(hidden, p.bool().to(p.dtype) * s.cell)


def order_of_columns(p: Any, s: Any, m: Any, w: Any) -> Any:
    hidden = (p + m("w", s.hidden))[:, w["whole"]].tanh()
    return hidden, Two(hidden, s.cell - s.cell.mean())


@pytest.mark.parametrize(
    "step",
    [
        two_products_of_one_sum,
        one_weight_three_times,
        a_product_is_the_state,
        half_of_a_vector,
        states_change_places,
        constants_of_other_types,
        softmax_and_norms,
    ],
)
def test_a_kernel_takes(step: Any) -> None:
    agree(step)


@pytest.mark.parametrize("step", [a_weight_used_in_both_ways, whole_numbers, order_of_columns])
def test_a_kernel_leaves_to_chunks(step: Any) -> None:
    agree(step, kernel=False)


def random_step(seed: int) -> Any:
    """Some ten operations on whatever is there, two of them products, the last ones the new state."""

    def step(p: Any, s: Any, m: Any, w: Any) -> Any:
        draw = random.Random(seed)
        pool = [p, s.hidden, s.cell]
        for _ in range(10):
            x, y = draw.choice(pool), draw.choice(pool)
            cut = draw.randrange(1, SIZE)
            pool.append(
                draw.choice(
                    [
                        lambda x=x, y=y: x + y,
                        lambda x=x, y=y: x * y,
                        lambda x=x, y=y: x - 0.5 * y,
                        lambda x=x: x.tanh(),
                        lambda x=x: nn.functional.softplus(x),
                        lambda x=x: m("w", x),
                        lambda x=x: m("u", x.sin()),
                        lambda x=x: x * w["b"],
                        lambda x=x: x + w["c"][SIZE:],
                        lambda x=x, y=y: torch.where(x > y, x, y * w["row"]),
                        lambda x=x, y=y, cut=cut: torch.cat([x[:, :cut], y[:, cut:]], -1),
                        lambda x=x: x.softmax(-1),
                        lambda x=x: x - x.mean(-1, keepdim=True),
                        lambda x=x: torch.maximum(x, x.sum(-1, keepdim=True)),
                    ]
                )()
            )
        hidden, cell = pool[-1].tanh(), 0.5 * (pool[-2] + s.cell).sin()
        return (hidden if seed % 2 else hidden * p), Two(hidden, cell)

    return step


@pytest.mark.parametrize("seed", range(12))
def test_random_steps(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # every buffer, however small, from the workspace
    monkeypatch.setattr("rnnlab.unroll.cpp.workspace.LARGE", 0)
    agree(random_step(seed))


def test_lent_memory_is_not_lent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnlab.unroll.cpp.workspace.LARGE", 0)
    workspace = Workspace()
    whole = workspace.take(4, 3, dtype=torch.float64)
    whole.fill_(1.0)
    address, part, array = whole.data_ptr(), whole[1:2], whole.numpy()
    assert address % 64 == 0
    del whole
    assert workspace.take(4, 3, dtype=torch.float64).fill_(2.0).data_ptr() != address
    del part
    assert workspace.take(4, 3, dtype=torch.float64).fill_(3.0).data_ptr() != address
    assert (array == 1.0).all()
    del array
    again = [workspace.take(4, 3, dtype=torch.float64) for _ in range(2)]
    assert address in {tensor.data_ptr() for tensor in again}
    assert not workspace.free
    del again
    assert len({buffer.ctypes.data for buffer in workspace.returned}) == 2
    workspace.clear()
    assert not workspace.free
    assert not workspace.returned


def test_a_graph_holds_what_it_saved_of_lent_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnlab.unroll.cpp.workspace.LARGE", 0)
    workspace = Workspace()
    weight = torch.ones(4, 3, dtype=torch.float64, requires_grad=True)
    lent = workspace.take(4, 3, dtype=torch.float64).fill_(2.0)
    address, loss = lent.data_ptr(), (weight * lent).sum()
    del lent
    others = [workspace.take(4, 3, dtype=torch.float64).fill_(5.0) for _ in range(2)]
    assert address not in {tensor.data_ptr() for tensor in others}
    loss.backward()
    assert (weight.grad == 2.0).all()
    del loss, others
    assert address in {workspace.take(4, 3, dtype=torch.float64).data_ptr() for _ in range(3)}


def test_memory_of_another_size_is_given_back_and_each_thread_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnlab.unroll.cpp.workspace.LARGE", 0)
    workspace = Workspace()
    workspace.take(100, dtype=torch.float64)
    workspace.take(1000, dtype=torch.float64)
    assert not workspace.free
    assert [buffer.nbytes for buffer in workspace.returned] == [8064]

    def use(number: int) -> bool:
        lent = [workspace.take(50, dtype=torch.float64).fill_(number) for _ in range(20)]
        return all((tensor == number).all() for tensor in lent)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(200)))


def test_two_graphs_at_once_and_one_backward_twice() -> None:
    net = Recurrent(GRUCell, 64, 64, unroll="compiled")
    first, second = (torch.randn(100, 64, 64, requires_grad=True) for _ in range(2))
    apart = [torch.autograd.grad(net(x)[0].square().sum(), x)[0] for x in (first, second)]
    outputs = [net(x)[0] for x in (first, second)]
    held = outputs[0][1:3]
    for _ in range(2):
        for x, output, expected in zip((first, second), outputs, apart, strict=True):
            (gradient,) = torch.autograd.grad(output.square().sum(), x, retain_graph=True)
            assert torch.equal(gradient, expected)
    before = held.detach().clone()
    del outputs
    net(second)
    assert torch.equal(held, before)


def test_a_replaced_cell_is_heeded() -> None:
    net, x = Recurrent(RNNCell, 3, 4, unroll="compiled"), torch.randn(5, 2, 3)
    net(x)
    net.cells[0] = RNNCell(3, 4, activation="relu")
    assert (net(x)[0] >= 0).all()


def test_inference_first_does_not_hide_a_lost_gradient() -> None:
    class Careless(RNNCell):
        def step(self, projected: Any, state: Any, matmul: Any, shared: Any) -> Any:
            hidden = torch.tanh(projected + matmul("weight_hh", state.hidden) * self.bias_hh)
            return hidden, type(state)(hidden)

    net = Recurrent(Careless, 3, 4, unroll="compiled")
    with torch.inference_mode():
        net(torch.zeros(2, 2, 3))
    with pytest.raises(Exception, match="prepare"):
        net(torch.zeros(2, 2, 3))


def test_within_checkpointing_and_functional_transforms() -> None:
    net, x = Recurrent(GRUCell, 3, 4, unroll="compiled").double(), torch.randn(5, 2, 3, dtype=torch.float64)
    x.requires_grad_()
    output = torch.utils.checkpoint.checkpoint(lambda x: net(x)[0], x, use_reentrant=False)
    (gradient,) = torch.autograd.grad(output.sum(), x)
    assert close(torch.func.grad(lambda x: net(x)[0].sum())(x), gradient)


def test_a_complex_state_is_the_loop_s() -> None:
    class Turning(Cell):
        def __init__(self, input_size: int, hidden_size: int) -> None:
            super().__init__(input_size, hidden_size)
            self.weight = nn.Parameter(torch.randn(hidden_size, input_size))
            self.angle = nn.Parameter(torch.randn(hidden_size))

        def initial_state(self, batch_size: int) -> HiddenState:
            return HiddenState(torch.zeros(batch_size, self.hidden_size, dtype=torch.complex128))

        def project(self, x: Tensor) -> Tensor:
            return nn.functional.linear(x, self.weight)

        def prepare(self) -> dict[str, Tensor]:
            return {"turn": torch.polar(torch.ones_like(self.angle), self.angle)}

        def step(self, projected: Any, state: Any, matmul: Any, shared: Any) -> Any:
            hidden = state.hidden * shared["turn"] + projected
            return hidden.real, HiddenState(hidden)

    net, x = Recurrent(Turning, 3, 4, unroll="compiled").double(), torch.randn(11, 2, 3, dtype=torch.float64)
    ours = torch.autograd.grad(net(x)[0].square().sum(), list(net.parameters()))
    net.unroll = "loop"
    expected = torch.autograd.grad(net(x)[0].square().sum(), list(net.parameters()))
    assert all(close(one, other) for one, other in zip(ours, expected, strict=True))
