"""Properties of all cells: every way of running one gives the same numbers."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from rnnlab.cells.cell import Cell
from rnnlab.cells.gru import GRUCell
from rnnlab.cells.lstm import LSTMCell
from rnnlab.cells.rnn import RNNCell
from rnnlab.errors import UserError
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
UNROLLS = pytest.mark.parametrize("unroll", ["loop", "fused"])
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


@CELLS
@UNROLLS
def test_whole_is_chunked_is_stepwise(name: str, unroll: str) -> None:
    cell_class, options, _ = TORCH[name]
    recurrent = double(cell_class, 3, 4, 2, unroll=unroll, **options)
    x = torch.randn(7, 2, 3, dtype=torch.float64)
    whole, last = recurrent(x)
    first, state = recurrent(x[:4])
    second, chunked_last = recurrent(x[4:], state)
    assert close(torch.cat([first, second]), whole)
    state, steps = None, []
    for timestep in x:
        y, state = recurrent.step(timestep, state)
        steps.append(y)
    assert close(torch.stack(steps), whole)
    for expected, chunked, stepped in zip(last, chunked_last, state, strict=True):
        for part, other, another in zip(expected, chunked, stepped, strict=True):
            assert close(part, other)
            assert close(part, another)


@CELLS
@UNROLLS
def test_order_of_the_batch_changes_nothing(name: str, unroll: str) -> None:
    cell_class, options, _ = TORCH[name]
    recurrent = double(cell_class, 3, 4, unroll=unroll, **options)
    x, order = torch.randn(5, 6, 3, dtype=torch.float64), torch.randperm(6)
    assert close(recurrent(x[:, order])[0], recurrent(x)[0][:, order])


@CELLS
def test_gradients_agree_with_finite_differences(name: str) -> None:
    cell_class, options, _ = TORCH[name]
    recurrent = double(cell_class, 2, 3, unroll="loop", **options)
    x = torch.randn(4, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: recurrent(x)[0], (x,))


@pytest.mark.parametrize(("name", "gates", "states"), [("rnn", 1, 1), ("lstm", 4, 2), ("gru", 3, 1)])
def test_parameters_and_state_are_what_the_docstring_says(name: str, gates: int, states: int) -> None:
    cell = TORCH[name][0](7, 5)
    assert sum(parameter.numel() for parameter in cell.parameters()) == gates * 5 * (7 + 5 + 2)
    assert cell.state_size == states * 5


def test_the_forget_bias_is_added_to_the_forget_gate_alone() -> None:
    torch.manual_seed(0)
    plain = LSTMCell(3, 4)
    torch.manual_seed(0)
    biased = LSTMCell(3, 4, forget_bias=1.0)
    difference = biased.bias_ih - plain.bias_ih
    assert torch.allclose(difference, torch.tensor([0.0] * 4 + [1.0] * 4 + [0.0] * 8))


def test_dropout_between_layers_acts_in_training_only() -> None:
    recurrent = double(LSTMCell, 3, 8, 2, dropout=0.5)
    x = torch.randn(4, 2, 3, dtype=torch.float64)
    assert not close(recurrent(x)[0], recurrent(x)[0])
    recurrent.eval()
    assert close(recurrent(x)[0], recurrent(x)[0])
    single = double(LSTMCell, 3, 8, 1, dropout=0.5)
    assert close(single(x)[0], single(x)[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_size": 0}, "hidden_size=0"),
        ({"num_layers": 0}, "num_layers=0"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"dropout": -0.1}, "dropout=-0.1"),
        ({"unroll": "fast"}, "unroll=fast"),
        ({"activation": "sine"}, "activation=sine"),
    ],
)
def test_options_that_cannot_work_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Recurrent(RNNCell, 3, **{"hidden_size": 4, **options})


@pytest.mark.parametrize("shape", [(5, 2), (5, 2, 4), (0, 2, 3)])
def test_inputs_of_a_wrong_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="input"):
        Recurrent(RNNCell, 3, 4)(torch.zeros(shape))


def test_a_bidirectional_net_cannot_be_streamed() -> None:
    with pytest.raises(UserError, match="bidirectional"):
        Recurrent(RNNCell, 3, 4, bidirectional=True).step(torch.zeros(2, 3))
