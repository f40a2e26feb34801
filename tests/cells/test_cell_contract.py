"""A cell whose methods give something else than they declare is refused when a net is made of it, however it is run."""

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from rnnlab.cells.cell import GatedCell, HiddenState
from rnnlab.cells.rnn import RNNCell
from rnnlab.errors import UserError
from rnnlab.unroll.compiled import Compiled
from rnnlab.unroll.recurrent import Recurrent


class Pair(NamedTuple):
    hidden: Tensor
    slow: Tensor


class Swapped(NamedTuple):
    slow: Tensor
    hidden: Tensor


class Wide(GatedCell):
    """The slip of a beginner: two gates, and `chunk` forgotten."""

    gates = 2

    def step(self, projected: Any, state: Any, matmul: Any, shared: Any) -> Any:
        h = (projected + matmul("weight_hh", state.hidden)).tanh()
        return h, HiddenState(h)


class WideOutput(Wide):
    def step(self, projected: Any, state: Any, matmul: Any, shared: Any) -> Any:
        h = (projected + matmul("weight_hh", state.hidden)).tanh()
        return h, HiddenState(h.chunk(2, -1)[0])


class OfTwo(RNNCell):
    """Two fields of eight and four numbers; what `step` makes of them says `made`."""

    def initial_state(self, batch_size: int) -> Any:
        return Pair(self.zeros(batch_size, 8), self.zeros(batch_size, 4))

    def step(self, projected: Any, state: Any, matmul: Any, shared: Any) -> Any:
        h = (projected + matmul("weight_hh", state.hidden)).tanh()
        return self.made(h, state)

    def made(self, h: Tensor, state: Any) -> Any:
        return h, Pair(h, state.slow)


class Exchanged(OfTwo):
    def made(self, h: Tensor, state: Any) -> Any:
        return h, Pair(state.slow, h)


class Narrow(OfTwo):
    def made(self, h: Tensor, state: Any) -> Any:
        return h, Pair(h[:, :4], state.slow)


class OneField(OfTwo):
    def made(self, h: Tensor, state: Any) -> Any:
        return h, HiddenState(h)


class OtherOrder(OfTwo):
    def made(self, h: Tensor, state: Any) -> Any:
        return h, Swapped(state.slow, h)


class PlainTuple(OfTwo):
    def made(self, h: Tensor, state: Any) -> Any:
        return h, (h, state.slow)


class NoState(OfTwo):
    def made(self, h: Tensor, state: Any) -> Any:
        return h


class OneRow(OfTwo):
    def made(self, h: Tensor, state: Any) -> Any:
        return h, Pair(h[:1], state.slow)


class ListState(RNNCell):
    def initial_state(self, batch_size: int) -> Any:
        return [self.zeros(batch_size, self.hidden_size)]


class StateOfOne(RNNCell):
    def initial_state(self, batch_size: int) -> Any:
        return HiddenState(self.zeros(1, self.hidden_size))


class NoTime(RNNCell):
    def project(self, x: Tensor) -> Any:
        return super().project(x), self.bias_ih[None]

    def step(self, projected: Any, state: Any, matmul: Any, shared: Any) -> Any:
        return super().step(projected[0], state, matmul, shared)


@pytest.mark.parametrize("unroll", ["auto", "compiled", "loop"])
@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (Wide, r"Wide.step returns a state `hidden` of \(..., 16\); initial_state has \(..., 8\)"),
        (WideOutput, r"WideOutput.step returns an output of \(..., 16\); output_size is 8"),
        (Exchanged, r"state `hidden` of \(..., 4\); initial_state has \(..., 8\)"),
        (Narrow, r"state `hidden` of \(..., 4\); initial_state has \(..., 8\)"),
        (
            OneField,
            "returns HiddenState with the fields hidden as its state; initial_state has the fields hidden, slow",
        ),
        (OtherOrder, "returns Swapped with the fields slow, hidden as its state"),
        (PlainTuple, "returns a tuple of 2 as its state"),
        (NoState, r"returns a tensor of \(3, 8\); an output and a state are needed"),
        (OneRow, r"state `hidden` of \(1, 8\); initial_state has \(..., 8\)"),
        (ListState, "ListState.initial_state gives a list of 1; a NamedTuple of tensors is needed"),
        (StateOfOne, r"initial_state\(3\) gives a state `hidden` of \(1, 8\)"),
        (NoTime, r"NoTime.project gives \(1, 8\) for an input of \(2, 3, 3\)"),
    ],
)
def test_a_slip_in_a_cell_is_named(cell: Any, message: str, unroll: Any) -> None:
    with pytest.raises(UserError, match=message):
        Recurrent(cell, 3, 8, unroll=unroll)


@pytest.mark.parametrize("cell", [Wide, Exchanged, Narrow, OneField])
def test_no_kernel_is_built_of_a_step_that_changes_its_state_s_shape(cell: Any) -> None:
    made = cell(3, 8)
    with pytest.raises(UserError, match=r"step returns a state|as its state"):
        Compiled(made.step)(made.project(torch.randn(12, 4, 3)), made.initial_state(4), made.prepare())


@pytest.mark.parametrize("method", ["initial_state", "project", "prepare"])
@pytest.mark.parametrize("value", [(), None, {"n": 3}])
def test_what_is_no_tensor_is_named(method: str, value: Any) -> None:
    careless = type("Careless", (RNNCell,), {method: lambda self, *_: value})
    with pytest.raises(UserError, match=rf"Careless.{method} gives a .* needed"):
        Recurrent(careless, 3, 8)


def test_making_a_net_leaves_a_batch_norm_as_it_is() -> None:
    class Normalised(RNNCell):
        def __init__(self, *sizes: int) -> None:
            super().__init__(*sizes)
            self.norm = nn.BatchNorm1d(self.hidden_size)

        def project(self, x: Tensor) -> Any:
            return self.norm(super().project(x).movedim(-1, 1)).movedim(1, -1)

    norm = next(iter(Recurrent(Normalised, 3, 8))).norm
    assert norm.training
    assert norm.num_batches_tracked == 0
    assert torch.equal(norm.running_var, torch.ones(8))


def test_a_cell_that_returns_what_it_declares_is_taken() -> None:
    output, (state,) = Recurrent(OfTwo, 3, 8)(torch.randn(5, 2, 3))
    assert output.shape == (5, 2, 8)
    assert [part.shape for part in state] == [(2, 8), (2, 4)]


def test_making_a_net_draws_no_random_numbers_for_the_comparison() -> None:
    class Noisy(RNNCell):
        def project(self, x: Tensor) -> Tensor:
            projected = super().project(x)
            return projected + torch.randn_like(projected)

    after = []
    for cell in (RNNCell, Noisy):
        torch.manual_seed(0)
        Recurrent(cell, 3, 4)
        after.append(torch.rand(1))
    assert torch.equal(*after)
