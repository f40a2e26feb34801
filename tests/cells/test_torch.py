"""The cells of `torch.nn`: same weights, same numbers, same gradients, however they are run."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from rnnlab.cells.cell import Cell
from rnnlab.cells.gru import GRUCell
from rnnlab.cells.lstm import LSTMCell
from rnnlab.cells.rnn import RNNCell
from rnnlab.unroll.convert import from_torch, to_torch
from rnnlab.unroll.recurrent import Recurrent

TORCH = {
    "rnn": (RNNCell, {}, lambda *sizes, **options: nn.RNN(*sizes, **options)),
    "rnn relu": (
        RNNCell,
        {"activation": "relu"},
        lambda *sizes, **options: nn.RNN(*sizes, nonlinearity="relu", **options),
    ),
    "lstm": (LSTMCell, {}, lambda *sizes, **options: nn.LSTM(*sizes, **options)),
    "gru": (GRUCell, {}, lambda *sizes, **options: nn.GRU(*sizes, **options)),
}
CELLS = pytest.mark.parametrize("name", TORCH)
UNROLLS = pytest.mark.parametrize("unroll", ["loop", "fused", "compiled"])
TOLERANCE = 1e-10


def double(cell_class: type[Cell], *sizes: int, **options: object) -> Recurrent:
    return Recurrent(cell_class, *sizes, **options).double()


def close(ours: Tensor, theirs: Tensor) -> bool:
    return torch.allclose(ours, theirs, rtol=0, atol=TOLERANCE)


@CELLS
@UNROLLS
@settings(max_examples=10, deadline=None)
@given(
    layers=st.integers(1, 3),
    bidirectional=st.booleans(),
    batch=st.integers(1, 4),
    steps=st.integers(1, 6),
    hidden=st.integers(1, 5),
    batch_first=st.booleans(),
)
def test_same_weights_same_numbers_and_gradients_as_torch(
    name: str, unroll: str, layers: int, bidirectional: bool, batch: int, steps: int, hidden: int, batch_first: bool
) -> None:
    cell_class, options, make = TORCH[name]
    reference = make(3, hidden, layers, bidirectional=bidirectional, batch_first=batch_first).double()
    ours = double(
        cell_class, 3, hidden, layers, bidirectional=bidirectional, batch_first=batch_first, unroll=unroll, **options
    )
    ours.load_state_dict(from_torch(reference))
    x = torch.randn((batch, steps, 3) if batch_first else (steps, batch, 3), dtype=torch.float64, requires_grad=True)
    output, state = ours(x)
    expected, expected_state = reference(x)
    assert close(output, expected)
    hidden_states = expected_state[0] if isinstance(expected_state, tuple) else expected_state
    for one, theirs in zip(state, hidden_states, strict=True):
        assert close(one.hidden, theirs)

    weights = torch.randn_like(output)
    (gradient,) = torch.autograd.grad((output * weights).sum(), x, retain_graph=True)
    (expected_gradient,) = torch.autograd.grad((expected * weights).sum(), x, retain_graph=True)
    assert close(gradient, expected_gradient)
    (output * weights).sum().backward()
    (expected * weights).sum().backward()
    theirs = dict(reference.named_parameters())
    for weight_name, weight in to_torch_gradients(ours).items():
        assert close(weight, theirs[weight_name].grad), weight_name


def to_torch_gradients(recurrent: Recurrent) -> dict[str, Tensor]:
    names = dict(zip(recurrent.state_dict(), to_torch(recurrent), strict=True))
    return {names[name]: parameter.grad for name, parameter in recurrent.named_parameters()}


@CELLS
def test_weights_travel_to_torch_and_back_bit_for_bit(name: str) -> None:
    cell_class, options, make = TORCH[name]
    recurrent = Recurrent(cell_class, 3, 4, 2, bidirectional=True, **options)
    reference = make(3, 4, 2, bidirectional=True)
    reference.load_state_dict(to_torch(recurrent))
    back = from_torch(reference)
    assert back.keys() == recurrent.state_dict().keys()
    assert all(torch.equal(back[key], weight) for key, weight in recurrent.state_dict().items())
