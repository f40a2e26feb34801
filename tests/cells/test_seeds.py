"""The nets of the documents the project grew from, written out as they are there, against the project's cells.

Where those documents disagree with each other or with themselves:

- GRU: the equation resets the input, W [h, r ⊙ x], the code beside it the state, W [x, r ⊙ h]; the code is Cho et al.
  (2014) and is followed. Both open z to let the candidate in, `torch.nn` and this project's GRU to keep the state.
- LSTM: in the code, the input gate is stored under the name of the input, so the last layer, meant to read [x, h],
  reads [i, h]. The equations have no such layer; they are followed. An unused matrix i2h stands beside the gates.
- LSTM: one text calls the candidate C and goes on to h = o ⊙ tanh(C) without c = f ⊙ c + i ⊙ C, the update of the cell
  that the others have.
- LSTM, the example in numbers: the candidate is squashed, shown, and then used without that.
- RNN: the equation has a tanh, the code beside it none; its output reads [x, hₜ₋₁], where the equation has hₜ.
- RNN: another text has φ the identity, in its words, and tanh everywhere else.
- What one text calls an RNN in NumPy has no recurrence: four examples of XOR, one hidden layer.
- BPTT: the recursion is written with dL/dhₜ on both of its sides, where the right one must be dL/dhₜ₊₁, and continues
  with a derivative of hₜ by the output at t - 1, which does not enter hₜ.

Outputs printed there from weights drawn without a seed cannot be had again: here the equations are checked, with their
inputs and shapes. What is printed from given numbers is checked to its last digit.
"""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rnnlab.cells.gru import GRUCell, OriginalGRUCell
from rnnlab.cells.lstm import LSTMCell, LSTMState
from rnnlab.cells.rnn import RNNCell
from rnnlab.diagnosis.gradients import gradient_by_timestep
from rnnlab.unroll.recurrent import Recurrent
from tests.cells.oracle import Weights, loss_and_gradients

TOLERANCE = 1e-10
UNROLLS = pytest.mark.parametrize("unroll", ["loop", "fused"])


def close(ours: Tensor, theirs: Tensor) -> bool:
    return ours.shape == theirs.shape and torch.allclose(ours, theirs, rtol=0, atol=TOLERANCE)


def randn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def rnn_of(input_weights: Tensor, recurrent_weights: Tensor, bias: Tensor, **options: str) -> Recurrent:
    """Our RNN with the weights of x·Wx + h·Wy + b: (inputs, neurons), (neurons, neurons), (1, neurons)."""
    recurrent = Recurrent(RNNCell, *input_weights.shape, **options).double()
    (cell,) = recurrent
    with torch.no_grad():
        cell.weight_ih.copy_(input_weights.T)
        cell.weight_hh.copy_(recurrent_weights.T)
        cell.bias_ih.copy_(bias[0])
        cell.bias_hh.zero_()
    return recurrent


# the two batches of the documents: four instances at t = 0, the same four at t = 1
ONE_NEURON = [
    [[0, 1, 2, 0], [3, 4, 5, 0], [6, 7, 8, 0], [9, 0, 1, 0]],
    [[9, 8, 7, 0], [0, 0, 0, 0], [6, 5, 4, 0], [3, 2, 1, 0]],
]
FIVE_NEURONS = [[row[:3] for row in batch] for batch in ONE_NEURON]


@UNROLLS
@pytest.mark.parametrize(("batches", "neurons"), [(ONE_NEURON, 1), (FIVE_NEURONS, 5)])
def test_one_layer_over_two_timesteps(batches: list[list[list[int]]], neurons: int, unroll: str) -> None:
    x = torch.tensor(batches, dtype=torch.float64)
    w_x, w_y, b = randn(x.shape[2], neurons), randn(neurons, neurons), torch.zeros(1, neurons, dtype=torch.float64)
    y0 = torch.tanh(torch.mm(x[0], w_x) + b)
    y1 = torch.tanh(torch.mm(y0, w_y) + torch.mm(x[1], w_x) + b)

    outputs, (state,) = rnn_of(w_x, w_y, b, unroll=unroll)(x)
    assert outputs.shape == (2, 4, neurons)
    assert close(outputs[0], y0)
    assert close(outputs[1], y1)
    assert close(state.hidden, y1)


def test_a_cell_called_in_a_loop_from_a_state_of_its_own() -> None:
    x, start = torch.tensor(FIVE_NEURONS, dtype=torch.float64), randn(4, 5)
    recurrent = Recurrent(RNNCell, 3, 5).double()
    theirs = nn.RNNCell(3, 5).double()
    theirs.load_state_dict(recurrent.cells[0].state_dict())

    hx, state = start, [recurrent.initial_state(4)[0]._replace(hidden=start)]
    expected, output = [], []
    for i in range(2):
        hx = theirs(x[i], hx)
        expected.append(hx)
        y, state = recurrent.step(x[i], state)
        output.append(y)
    assert close(torch.stack(output), torch.stack(expected))
    assert close(state[0].hidden, hx)


def test_a_step_with_a_matrix_for_the_output() -> None:
    """h = tanh(W_hh h + W_xh x), y = W_hy h: the state is ours, the output a matrix more."""

    class Rnn:
        def __init__(self) -> None:
            self.w_hh, self.w_xh, self.w_hy = (randn(*shape).numpy() for shape in ((4, 4), (4, 3), (2, 4)))
            self.h = np.zeros(4)

        def step(self, x: np.ndarray) -> np.ndarray:
            self.h = np.tanh(np.dot(self.w_hh, self.h) + np.dot(self.w_xh, x))
            return np.dot(self.w_hy, self.h)

    theirs = Rnn()
    w_hy = torch.from_numpy(theirs.w_hy)
    recurrent = rnn_of(torch.from_numpy(theirs.w_xh.T), torch.from_numpy(theirs.w_hh.T), torch.zeros(1, 4))
    state = None
    for x in randn(5, 3):
        hidden, state = recurrent.step(x[None], state)
        assert close((hidden @ w_hy.T)[0], torch.from_numpy(theirs.step(x.numpy())))


def test_two_layers_are_one_step_after_another() -> None:
    """y = rnn2.step(rnn1.step(x))"""
    both = Recurrent(RNNCell, 3, 4, 2).double()
    rnn1, rnn2 = Recurrent(RNNCell, 3, 4).double(), Recurrent(RNNCell, 4, 4).double()
    for layer, single in enumerate((rnn1, rnn2)):
        single.cells[0].load_state_dict(both.cells[layer].state_dict())
    x = randn(6, 2, 3)
    state = state1 = state2 = None
    for t in range(6):
        y1, state1 = rnn1.step(x[t], state1)
        y, state2 = rnn2.step(y1, state2)
        ours, state = both.step(x[t], state)
        assert close(ours, y)
    assert close(both(x)[0][-1], y)


@pytest.mark.parametrize("activation", ["tanh", "identity"])
def test_an_rnn_of_one_matrix_on_input_and_state_side_by_side(activation: str) -> None:
    """hidden = φ(i2h(cat(input, hidden))); φ is tanh in one document and left out in another."""
    i2h = nn.Linear(3 + 4, 4).double()
    weight = i2h.weight.detach()
    recurrent = rnn_of(weight[:, :3].T, weight[:, 3:].T, i2h.bias.detach()[None], activation=activation)
    x = randn(5, 2, 3)
    hidden, expected = randn(2, 4).zero_(), []
    for t in range(5):
        hidden = i2h(torch.cat((x[t], hidden), 1))
        if activation == "tanh":
            hidden = torch.tanh(hidden)
        expected.append(hidden)
    assert close(recurrent(x)[0], torch.stack(expected))


def pack(cell: nn.Module, gates: list[nn.Linear], signs: list[int]) -> None:
    """Matrices on [h, x], the state first, one for each gate, into the packed weights of `cell`, in the order given."""
    hidden_size = gates[0].out_features
    with torch.no_grad():
        for name, columns in (("weight_hh", slice(None, hidden_size)), ("weight_ih", slice(hidden_size, None))):
            packed = [sign * gate.weight[:, columns] for gate, sign in zip(gates, signs, strict=True)]
            getattr(cell, name).copy_(torch.cat(packed))
        cell.bias_ih.copy_(torch.cat([sign * gate.bias for gate, sign in zip(gates, signs, strict=True)]))
        cell.bias_hh.zero_()


@UNROLLS
def test_an_lstm_of_four_matrices_is_the_packed_one(unroll: str) -> None:
    w_f, w_i, w_o, w_g = (nn.Linear(4 + 3, 4).double() for _ in range(4))
    recurrent = Recurrent(LSTMCell, 3, 4, unroll=unroll).double()
    pack(recurrent.cells[0], [w_i, w_f, w_g, w_o], [1, 1, 1, 1])
    x = randn(6, 2, 3)
    h, c = randn(2, 4).zero_(), randn(2, 4).zero_()
    outputs, (state,) = recurrent(x)
    for t in range(6):
        combined = torch.cat((h, x[t]), 1)
        f, i, o = (torch.sigmoid(gate(combined)) for gate in (w_f, w_i, w_o))
        g = torch.tanh(w_g(combined))
        c = f * c + i * g
        h = o * torch.tanh(c)
        assert close(outputs[t], h)
    assert close(state.cell, c)


def test_a_gru_of_three_matrices_is_the_packed_one() -> None:
    """An open z lets the candidate in there and keeps the state here: σ(-a) = 1 - σ(a), so z's weights change sign."""
    w_z, w_r, w_h = (nn.Linear(4 + 3, 4).double() for _ in range(3))
    recurrent = Recurrent(OriginalGRUCell, 3, 4).double()
    pack(recurrent.cells[0], [w_r, w_z, w_h], [1, -1, 1])
    x, h = randn(6, 2, 3), randn(2, 4).zero_()
    outputs, _ = recurrent(x)
    for t in range(6):
        combined = torch.cat((h, x[t]), 1)
        update, reset = torch.sigmoid(w_z(combined)), torch.sigmoid(w_r(combined))
        new = torch.tanh(w_h(torch.cat((reset * h, x[t]), 1)))
        h = (1 - update) * h + update * new
        assert close(outputs[t], h)


def test_the_gru_of_torch_is_another_net_unless_its_candidate_mixes_no_units() -> None:
    """r ⊙ (W h) is W (r ⊙ h) where W is diagonal, and only there."""
    x = randn(6, 2, 3)
    before, after = (Recurrent(cell, 3, 4, unroll="loop").double() for cell in (OriginalGRUCell, GRUCell))
    with torch.no_grad():
        before.cells[0].bias_hh.zero_()  # the candidate's stands within the reset of the one, outside that of the other
    after.load_state_dict(before.state_dict())
    assert not close(before(x)[0], after(x)[0])
    for net in (before, after):
        with torch.no_grad():
            net.cells[0].weight_hh[8:] = torch.diag(net.cells[0].weight_hh[8:].diagonal())
    assert close(before(x)[0], after(x)[0])


# the documents' example of an LSTM in numbers, as they print it
GATES = {"input": (0.7, 0.6681877721681662), "forget": (0.3, 0.574442516811659), "output": (0.5, 0.6224593312018546)}
PREVIOUS_CELL = [0.2, 0.1, 0.4]
CANDIDATE = [0.6, 0.3, -0.2]
SQUASHED_CANDIDATE = [0.53704957, 0.29131261, -0.19737532]
UPDATED_CELL = [0.51580117, 0.25790058, 0.09613945]
HIDDEN = [0.2953276, 0.15706568, 0.05965921]
PRINTED = 5e-9  # half of the last digit


def example_step(candidate: list[float], previous_cell: list[float]) -> LSTMState:
    """One step of our LSTM whose gates are open as in the example. candidate: before its tanh."""
    recurrent = Recurrent(LSTMCell, 1, 3).double()
    (cell,) = recurrent
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.zero_()
        rows = cell.bias_ih.view(4, 3)
        for row, gate in ((0, "input"), (1, "forget"), (3, "output")):
            rows[row] = GATES[gate][0]
        rows[2] = torch.tensor(candidate, dtype=torch.float64)
    previous = torch.tensor([previous_cell], dtype=torch.float64)
    output, (state,) = recurrent.step(torch.zeros(1, 1).double(), [LSTMState(torch.zeros_like(previous), previous)])
    assert torch.equal(output, state.hidden)
    return state


def test_the_lstm_s_gates_in_numbers() -> None:
    """Each gate alone: the cell forgets a cell of 1 to f, takes in a candidate of 1/2 as i / 2, and lets out o."""
    assert example_step([0.0] * 3, [1.0] * 3).cell[0].tolist() == pytest.approx([GATES["forget"][1]] * 3, abs=1e-15)
    state = example_step([math.atanh(0.5)] * 3, [0.0] * 3)
    assert (2 * state.cell[0]).tolist() == pytest.approx([GATES["input"][1]] * 3, abs=1e-15)
    opened = (state.hidden / state.cell.tanh())[0].tolist()
    assert opened == pytest.approx([GATES["output"][1]] * 3, abs=1e-15)


def test_the_lstm_in_numbers() -> None:
    """The example uses its candidate as it is: the one before the tanh is then its inverse."""
    state = example_step([math.atanh(value) for value in CANDIDATE], PREVIOUS_CELL)
    assert state.cell[0].tolist() == pytest.approx(UPDATED_CELL, abs=PRINTED)
    assert state.hidden[0].tolist() == pytest.approx(HIDDEN, abs=PRINTED)


def test_the_lstm_in_numbers_with_the_candidate_squashed() -> None:
    """What the example shows of the tanh, and what would have come of it."""
    state = example_step(CANDIDATE, PREVIOUS_CELL)
    forget, admit = GATES["forget"][1], GATES["input"][1]
    cells = [forget * c + admit * g for c, g in zip(PREVIOUS_CELL, SQUASHED_CANDIDATE, strict=True)]
    assert state.cell[0].tolist() == pytest.approx(cells, abs=PRINTED)
    assert state.hidden[0].tolist() != pytest.approx(HIDDEN, abs=1e-3)


TEXT = "hello world"
CHARACTERS = sorted(set(TEXT))


@pytest.mark.parametrize(("activation", "unroll"), [("tanh", "loop"), ("tanh", "fused"), ("identity", "loop")])
def test_backpropagation_through_time_by_hand_is_autograd(activation: str, unroll: str) -> None:
    """Loss, states, the gradient of every weight, of the first state, and of every state on the way."""
    size, hidden_size = len(CHARACTERS), 5
    text = [CHARACTERS.index(character) for character in TEXT]
    inputs, targets = text[:-1], text[1:]
    recurrent = Recurrent(RNNCell, size, hidden_size, activation=activation, unroll=unroll).double()
    (cell,) = recurrent
    head = nn.Linear(hidden_size, size).double()
    with torch.no_grad():
        cell.bias_hh.zero_()
    start = randn(1, hidden_size).requires_grad_()
    weights = Weights(
        *(weight.detach().numpy() for weight in (cell.weight_ih, cell.weight_hh, head.weight)),
        *(bias.detach().numpy()[:, None] for bias in (cell.bias_ih, head.bias)),
    )
    by_hand = loss_and_gradients(inputs, targets, start.detach().numpy().T, weights, activation)

    def total_loss(outputs: Tensor) -> Tensor:
        return nn.functional.cross_entropy(head(outputs[:, 0]), torch.tensor(targets), reduction="sum")

    x = torch.eye(size, dtype=torch.float64)[inputs][:, None]
    outputs, _ = recurrent(x, [recurrent.initial_state(1)[0]._replace(hidden=start)])
    loss = total_loss(outputs)
    loss.backward()
    assert loss.item() == pytest.approx(by_hand.loss, abs=TOLERANCE)
    assert close(outputs[:, 0].detach(), torch.from_numpy(np.hstack(by_hand.hidden).T))
    for ours, theirs in (
        (cell.weight_ih.grad, by_hand.weights.xh),
        (cell.weight_hh.grad, by_hand.weights.hh),
        (head.weight.grad, by_hand.weights.hy),
        (cell.bias_ih.grad[:, None], by_hand.weights.bh),
        (cell.bias_hh.grad[:, None], by_hand.weights.bh),
        (head.bias.grad[:, None], by_hand.weights.by),
        (start.grad.T, by_hand.start_gradient),
    ):
        assert close(ours, torch.from_numpy(theirs))


@pytest.mark.parametrize("activation", ["tanh", "identity"])
def test_the_gradient_of_every_state_by_hand_is_the_one_that_is_logged(activation: str) -> None:
    size, hidden_size = len(CHARACTERS), 5
    text = [CHARACTERS.index(character) for character in TEXT]
    inputs, targets = text[:-1], torch.tensor(text[1:])
    recurrent = Recurrent(RNNCell, size, hidden_size, activation=activation).double()
    (cell,) = recurrent
    head = nn.Linear(hidden_size, size).double()
    weights = Weights(
        *(weight.detach().numpy() for weight in (cell.weight_ih, cell.weight_hh, head.weight)),
        *(bias.detach().numpy()[:, None] for bias in (cell.bias_ih + cell.bias_hh, head.bias)),
    )
    by_hand = loss_and_gradients(inputs, targets.tolist(), np.zeros((hidden_size, 1)), weights, activation)
    x = torch.eye(size, dtype=torch.float64)[inputs][:, None]
    (norms,) = gradient_by_timestep(
        recurrent, x, lambda outputs: nn.functional.cross_entropy(head(outputs[:, 0]), targets, reduction="sum")
    )
    expected = [float(np.linalg.norm(gradient)) for gradient in by_hand.hidden_gradients]
    assert norms["hidden"] == pytest.approx(expected, abs=TOLERANCE)
