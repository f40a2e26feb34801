"""Each scheme draws what it says, gate by gate, and leaves the rest alone."""

import math

import pytest
import torch
from torch import Tensor, nn

from rnnlab.cells.cell import Cell
from rnnlab.cells.feedforward import FeedforwardCell
from rnnlab.cells.gru import GRUCell
from rnnlab.cells.initialization import SCHEMES, initialize
from rnnlab.cells.lstm import LSTMCell
from rnnlab.cells.rnn import RNNCell
from rnnlab.errors import UserError

GATED = pytest.mark.parametrize(("cell_class", "gates"), [(RNNCell, 1), (GRUCell, 3), (LSTMCell, 4)])
HIDDEN = 16


class NamedLSTMCell(LSTMCell):
    gate_names = ("input", "forget", "candidate", "output")


class ForgetOnlyCell(RNNCell):
    """A forget gate and a candidate, in this order."""

    gates = 2
    gate_names = ("forget", "candidate")


class VectorCell(Cell):
    """A recurrent weight for each unit and no matrix."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.weight_hh = nn.Parameter(torch.ones(hidden_size))


def changed(cell: Cell, name: str, **options: float) -> set[str]:
    """Initialise, and tell which parameters are no longer what they were."""
    before = {key: parameter.detach().clone() for key, parameter in cell.named_parameters()}
    initialize(cell, name, **options)
    return {key for key, parameter in cell.named_parameters() if not torch.equal(parameter, before[key])}


def blocks(weight: Tensor) -> Tensor:
    return weight.detach().reshape(-1, HIDDEN, weight.shape[1])


@GATED
def test_the_default_changes_nothing(cell_class: type[Cell], gates: int) -> None:
    assert changed(cell_class(3, HIDDEN), "default") == set()


@GATED
def test_orthogonal_blocks_keep_every_length(cell_class: type[Cell], gates: int) -> None:
    cell = cell_class(3, HIDDEN).double()
    assert changed(cell, "orthogonal", gain=0.5) == {"weight_hh"}
    found = blocks(cell.weight_hh)
    assert len(found) == gates
    for block in found:
        assert torch.allclose(block.T @ block, 0.25 * torch.eye(HIDDEN, dtype=torch.float64), rtol=0, atol=1e-12)
    assert len({block[0, 0].item() for block in found}) == gates, "each gate draws its own"


@GATED
def test_identity_blocks(cell_class: type[Cell], gates: int) -> None:
    cell = cell_class(3, HIDDEN)
    assert changed(cell, "identity", scale=0.25) == {"weight_hh"}
    assert torch.equal(blocks(cell.weight_hh), 0.25 * torch.eye(HIDDEN).expand(gates, -1, -1))


@GATED
def test_glorot_bounds_are_those_of_one_gate(cell_class: type[Cell], gates: int) -> None:
    """A packed weight taken as one matrix would have narrower bounds."""
    torch.manual_seed(0)
    cell = cell_class(400, HIDDEN)
    assert changed(cell, "glorot") == {"weight_ih", "weight_hh"}
    for weight, columns in ((cell.weight_ih, 400), (cell.weight_hh, HIDDEN)):
        bound = math.sqrt(6 / (HIDDEN + columns))
        for block in blocks(weight):
            assert 0.9 * bound < block.abs().max() <= bound
            assert abs(block.mean()) < 0.15 * bound


def test_glorot_reaches_a_net_without_recurrence() -> None:
    cell = FeedforwardCell(3, HIDDEN, window=4)
    assert changed(cell, "glorot") == {"weight"}


def test_chrono_gives_units_time_constants_up_to_the_longest() -> None:
    torch.manual_seed(0)
    cell = NamedLSTMCell(3, 1000)
    assert changed(cell, "chrono", timesteps=101) == {"bias_ih", "bias_hh"}
    total = (cell.bias_ih + cell.bias_hh).detach().view(4, 1000)
    spans = total[1].exp()
    assert 1 <= spans.min() < 2
    assert 99 < spans.max() <= 100
    assert spans.mean() == pytest.approx(50.5, abs=3), "spans are uniform, not their logarithms"
    assert torch.equal(total[0], -total[1])


def test_chrono_leaves_the_other_gates() -> None:
    cell = NamedLSTMCell(3, HIDDEN)
    before = (cell.bias_ih + cell.bias_hh).detach().view(4, HIDDEN)
    initialize(cell, "chrono", timesteps=50)
    after = (cell.bias_ih + cell.bias_hh).detach().view(4, HIDDEN)
    assert torch.equal(after[2:], before[2:])


def test_chrono_without_an_input_gate_sets_the_forget_gate_alone() -> None:
    cell = ForgetOnlyCell(3, HIDDEN)
    before = (cell.bias_ih + cell.bias_hh).detach().view(2, HIDDEN)
    initialize(cell, "chrono", timesteps=50)
    after = (cell.bias_ih + cell.bias_hh).detach().view(2, HIDDEN)
    assert (after[0] >= 0).all()
    assert torch.equal(after[1], before[1])


def test_the_same_seed_draws_the_same() -> None:
    drawn = []
    for _ in range(2):
        torch.manual_seed(3)
        cell = NamedLSTMCell(3, HIDDEN)
        for name in ("orthogonal", "glorot"):
            initialize(cell, name)
        initialize(cell, "chrono", timesteps=9)
        drawn.append([parameter.detach().clone() for parameter in cell.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*drawn, strict=True))


@pytest.mark.parametrize(
    ("cell", "name", "options", "message"),
    [
        (RNNCell(3, 4), "orthgonal", {}, f"name must be one of {', '.join(SCHEMES)}, got orthgonal"),
        (RNNCell(3, 4), "orthogonal", {"scale": 1.0}, "orthogonal: .*'scale'"),
        (NamedLSTMCell(3, 4), "chrono", {}, "chrono: .*'timesteps'"),
        (NamedLSTMCell(3, 4), "chrono", {"timesteps": 2}, "cell.initialization.timesteps must be a number > 2, got 2"),
        (RNNCell(3, 4), "chrono", {"timesteps": 9}, "RNNCell has no forget gate"),
        (FeedforwardCell(3, 4), "orthogonal", {}, "FeedforwardCell has no recurrent weight matrix"),
        (VectorCell(3, 4), "identity", {}, "VectorCell has no recurrent weight matrix"),
        (VectorCell(3, 4), "glorot", {}, "VectorCell has no weight matrix"),
    ],
)
def test_what_does_not_apply_is_refused(cell: Cell, name: str, options: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        changed(cell, name, **options)


def test_blocks_that_are_not_square_have_no_identity() -> None:
    cell = NamedLSTMCell(3, 4)
    cell.weight_hh = nn.Parameter(torch.zeros(16, 2))  # as with a projection
    with pytest.raises(UserError, match="4 x 2"):
        initialize(cell, "identity")
    initialize(cell, "orthogonal")
    assert torch.allclose(cell.weight_hh[:4].T @ cell.weight_hh[:4], torch.eye(2), atol=1e-6)
