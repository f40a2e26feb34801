"""States and gates as a net reads: those of a stepwise run, for every cell, without a trace on the net."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import get_class
from torch import Tensor

from rnnlab.cells.gru import GRUCell
from rnnlab.cells.lstm import LSTMCell
from rnnlab.cells.rnn import RNNCell
from rnnlab.cells.xlstm import SLSTMCell
from rnnlab.config.fingerprint import plain
from rnnlab.config.stages import compose_task
from rnnlab.diagnosis.activations import activations, draw_activations
from rnnlab.errors import UserError
from rnnlab.results.paths import CONF
from rnnlab.unroll.recurrent import Recurrent

CELLS = sorted(path.stem for path in (CONF / "cell").glob("*.yaml") if path.stem != "torchrecurrent")
TIME, BATCH, INPUTS, HIDDEN = 7, 2, 3, 4
X = torch.randn(TIME, BATCH, INPUTS, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def recurrent_of(name: str, **changes: Any) -> Recurrent:
    options = plain(compose_task("digits", f"cell={name}").cell) | {"hidden_size": HIDDEN} | changes
    torch.manual_seed(0)
    cell_class = get_class(options.pop("_target_")).cell_class
    options.pop("name")
    return Recurrent(cell_class, INPUTS, **options).double().eval()


@pytest.mark.parametrize("name", CELLS)
def test_states_are_those_of_a_stepwise_run_and_gates_are_shares(name: str) -> None:
    recurrent = recurrent_of(name, num_layers=2)
    found = activations(recurrent, X)
    state = None
    for t, x in enumerate(X):
        _, state = recurrent.step(x, state)
        for one, after in zip(found, state, strict=True):
            assert list(one.states) == list(after._fields)
            for field, part in zip(one.states.values(), after, strict=True):
                torch.testing.assert_close(field[t], part, rtol=0, atol=1e-12)
    for one in found:
        for gate in one.gates:
            assert gate.shape[:2] == (TIME, BATCH)
            assert gate.min() > 0
            assert gate.max() < 1


@pytest.mark.parametrize("name", ["lstm", "minlstm", "mlstm", "lmu", "feedforward"])
def test_a_picture_has_a_panel_for_each_field_and_one_for_the_gates(name: str, tmp_path: Path) -> None:
    (found,) = activations(recurrent_of(name, hidden_size=64), X)
    figure = draw_activations(found, list("a line "), name)
    figure.savefig(tmp_path / "activations.png")
    panels = [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]
    (bar,) = set(figure.axes) - set(panels)
    assert bar.get_ylabel() == "standard deviations from the unit's mean"
    if found.gates:
        assert [label.get_text() for label in panels[-1].get_legend().get_texts()] == found.names
    assert len(panels) == len(found.states) + bool(found.gates)
    assert [label.get_text() for label in panels[-1].get_xticklabels()] == list("a line ")
    for axes in panels[: len(found.states)]:
        (picture,) = axes.images
        units, time = picture.get_array().shape
        assert time == TIME
        assert 1 <= units <= 40


def products(cell: Any, states: Tensor) -> Tensor:
    """W x + b + W h of all timesteps, h being the state before each."""
    before = torch.cat([torch.zeros_like(states[:1]), states[:-1]])
    return cell.project(X) + before @ cell.weight_hh.T


def test_an_lstm_s_gates_are_its_forget_input_and_output_gate() -> None:
    recurrent = Recurrent(LSTMCell, INPUTS, HIDDEN).double()
    (found,) = activations(recurrent, X)
    (cell,) = recurrent
    inputs, forget, _, output = products(cell, found.states["hidden"]).sigmoid().chunk(4, dim=-1)
    assert len(found.gates) == 3
    assert found.names == ["forget", "input", "output"], "in the order in which a step opens them"
    for ours, expected in zip(found.gates, (forget, inputs, output), strict=True):
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lstm_peephole", ["forget", "input", "output"]),
        ("lstm_layer_norm", ["forget", "input", "output"]),
        ("lstm_coupled", ["forget", "output"]),
        ("janet", ["forget", "gate 2"]),
        ("minlstm", ["gate 1", "gate 2", "gate 3", "gate 4"]),
    ],
)
def test_a_gate_has_the_name_that_its_cell_gives_it(name: str, expected: list[str]) -> None:
    (found,) = activations(recurrent_of(name), X)
    assert found.names == expected


@pytest.mark.parametrize("name", ["gru", "gru_original", "gru_layer_norm"])
def test_a_gru_s_gates_are_its_reset_and_its_update_gate(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recurrent = recurrent_of(name)
    (cell,) = recurrent
    monkeypatch.setattr(type(cell), "gate_names", ("reset", "update", "candidate"))
    assert activations(recurrent, X)[0].names == ["reset", "update"]


def test_gates_that_one_sigmoid_opens_are_told_apart_and_ln_σ_counts() -> None:
    assert len(activations(recurrent_of("gru_original"), X)[0].gates) == 2
    assert len(activations(Recurrent(GRUCell, INPUTS, HIDDEN).double(), X)[0].gates) == 2
    assert activations(Recurrent(RNNCell, INPUTS, HIDDEN).double(), X)[0].gates == []
    assert len(activations(Recurrent(SLSTMCell, INPUTS, HIDDEN).double(), X)[0].gates) == 2, "forget and output gate"


def test_what_a_net_reads_from_its_end_stands_in_the_order_of_time() -> None:
    recurrent = Recurrent(LSTMCell, INPUTS, HIDDEN, bidirectional=True).double()
    outputs, _ = recurrent(X)
    forward, backward = activations(recurrent, X)
    torch.testing.assert_close(
        torch.cat([forward.states["hidden"], backward.states["hidden"]], dim=-1), outputs, rtol=0, atol=1e-12
    )
    again = activations(recurrent, X[3:])[1]
    torch.testing.assert_close(backward.gates[0][3:], again.gates[0], rtol=0, atol=1e-12)


def test_a_state_to_start_from_is_gone_on_with() -> None:
    recurrent = recurrent_of("lstm")
    (whole,) = activations(recurrent, X)
    _, state = recurrent(X[:3])
    (rest,) = activations(recurrent, X[3:], state)
    for field, values in rest.states.items():
        torch.testing.assert_close(values, whole.states[field][3:], rtol=0, atol=1e-12)


def test_the_net_is_left_as_it_was() -> None:
    recurrent = Recurrent(LSTMCell, INPUTS, HIDDEN).double()
    before, unroll = recurrent(X)[0], recurrent.unroll
    (found,) = activations(recurrent, X)
    assert not found.states["hidden"].requires_grad
    assert recurrent.unroll == unroll != "loop"
    assert recurrent.step_hook is None
    assert torch.equal(recurrent(X)[0], before)
    with pytest.raises(UserError, match="one state for each"):
        activations(recurrent, X, [])
    assert recurrent.unroll == unroll != "loop"
