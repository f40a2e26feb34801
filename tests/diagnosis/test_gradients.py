"""Norms and gradients over time: true numbers, in the history, and without a trace in the training itself."""

import shutil
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hydra.utils import get_class
from omegaconf import OmegaConf
from safetensors.torch import load_file
from torch import Tensor

from rnnlab.cells.feedforward import FeedforwardCell
from rnnlab.cells.gru import GRUCell
from rnnlab.cells.lstm import LSTMCell
from rnnlab.cells.rnn import RNNCell
from rnnlab.config.fingerprint import plain
from rnnlab.config.stages import compose_task
from rnnlab.diagnosis.gradients import gradient_by_timestep
from rnnlab.results.paths import CONF
from rnnlab.unroll.recurrent import Recurrent
from tests.conftest import Run


def last_output(outputs: Tensor) -> Tensor:
    return outputs[-1].sum()


def test_a_linear_net_s_gradient_is_the_power_of_its_weight() -> None:
    """hₜ = w hₜ₋₁ + ..., one unit, L = h₈: dL/dhₜ = w^(8 - t), which vanishes for w = 1/2 and explodes for w = 2."""
    for weight in (0.5, 2.0):
        recurrent = Recurrent(RNNCell, 1, 1, activation="relu").double()
        with torch.no_grad():
            for parameter, value in zip(recurrent.parameters(), (1.0, weight, 0.0, 0.0), strict=True):
                parameter.fill_(value)
        x = torch.rand(8, 1, 1, dtype=torch.float64) + 1  # positive: relu changes nothing
        (norms,) = gradient_by_timestep(recurrent, x, last_output)
        assert norms["hidden"] == pytest.approx([weight ** (7 - t) for t in range(8)], rel=1e-14)


@pytest.mark.parametrize("cell_class", [RNNCell, GRUCell, LSTMCell])
def test_the_gradient_is_that_of_a_small_push_of_the_state(cell_class: type) -> None:
    """Central differences in float64: the loss of the rest of the sequence after sₜ, pushed in every direction."""
    torch.manual_seed(0)
    recurrent = Recurrent(cell_class, 2, 3, unroll="loop").double()
    x, step = torch.randn(5, 2, 2, dtype=torch.float64), 1e-6

    def loss(outputs: Tensor) -> Tensor:
        return (outputs**2).sum()

    (norms,) = gradient_by_timestep(recurrent, x, loss)
    assert set(norms) == set(recurrent.initial_state(1)[0]._fields)
    for t in range(4):  # the last timestep has no rest
        _, (state,) = recurrent(x[: t + 1])
        slopes = []
        for i in range(state.hidden.numel()):
            push = torch.zeros(state.hidden.numel(), dtype=torch.float64)
            push[i] = step
            ends = []
            for sign in (1, -1):
                hidden = state.hidden + sign * push.view_as(state.hidden)
                outputs, _ = recurrent(x[t + 1 :], [state._replace(hidden=hidden)])
                ends.append(loss(outputs) + loss(hidden))  # the output at t is `hidden` itself
            slopes.append((ends[0] - ends[1]) / (2 * step))
        assert norms["hidden"][t] == pytest.approx(torch.stack(slopes).norm().item(), rel=1e-7)


def test_the_lstm_s_cell_carries_the_gradient_when_it_forgets_nothing() -> None:
    """Forget gate 1, no recurrent weights: dL/dcₜ is the same at all times, while `hidden` gets it at the end alone."""
    recurrent = Recurrent(LSTMCell, 1, 1).double()
    (cell,) = recurrent
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.zero_()
        cell.bias_ih[1] = 100.0  # forget gate
    (norms,) = gradient_by_timestep(recurrent, torch.zeros(50, 1, 1, dtype=torch.float64), last_output)
    # o = σ(0) = 1/2 and c = 0: dh/dc = 1/2
    assert norms["cell"] == pytest.approx([0.5] * 50, rel=1e-12)
    assert norms["hidden"] == [0.0] * 49 + [1.0]


def test_both_directions_and_all_layers_stand_in_the_order_of_time() -> None:
    torch.manual_seed(0)
    recurrent = Recurrent(RNNCell, 2, 3, 2, bidirectional=True).double()
    x = torch.randn(6, 1, 2, dtype=torch.float64)
    norms = gradient_by_timestep(recurrent, x, lambda outputs: outputs[2].sum())
    assert len(norms) == 4
    forward, backward = norms[2]["hidden"], norms[3]["hidden"]
    # the output at t = 2 depends on what the forward cell read before and the backward cell read after it
    assert all(forward[:3])
    assert forward[3:] == [0.0] * 3
    assert backward[:2] == [0.0] * 2
    assert all(backward[2:])


def test_a_state_that_keeps_inputs_has_a_gradient_too() -> None:
    recurrent = Recurrent(FeedforwardCell, 2, 3, window=3).double()
    (norms,) = gradient_by_timestep(recurrent, torch.randn(6, 1, 2, dtype=torch.float64), last_output)
    # a window of 3: the last output sees x₃, x₄ and x₅; before it, x₃ was in s₃ and s₄, x₄ in s₄
    assert [value > 0 for value in norms["inputs"]] == [False, False, False, True, True, False]


@pytest.mark.parametrize("name", sorted(path.stem for path in (CONF / "cell").glob("*.yaml")))
def test_every_cell_can_be_looked_into(name: str) -> None:
    torch.manual_seed(0)
    options = plain(compose_task("price", f"cell={name}").cell)
    cell_class = get_class(options.pop("_target_")).cell_class
    shared = OmegaConf.load(CONF / "recurrent.yaml").keys() | {"name"}
    own = {key: value for key, value in options.items() if key not in shared}
    if name == "torchrecurrent":
        pytest.importorskip("torchrecurrent", reason="the extra torchrecurrent is not installed")
    recurrent = Recurrent(cell_class, 3, 4, 2, **own).double()
    norms = gradient_by_timestep(recurrent, torch.randn(5, 2, 3, dtype=torch.float64), last_output)
    for of_cell, state in zip(norms, recurrent.initial_state(1), strict=True):
        assert list(of_cell) == list(state._fields)
        for values in of_cell.values():
            assert len(values) == 5
            assert np.isfinite(values).all()
        assert any(values[-2] > 0 for values in of_cell.values())


def test_the_net_is_left_as_it_was() -> None:
    recurrent = Recurrent(LSTMCell, 2, 3)
    x = torch.randn(4, 1, 2)
    before, unroll = recurrent(x)[0], recurrent.unroll
    gradient_by_timestep(recurrent, x, last_output)
    assert recurrent.unroll == unroll != "loop"
    assert torch.equal(recurrent(x)[0], before)
    assert all(parameter.grad is None for parameter in recurrent.parameters())
    with pytest.raises(RuntimeError, match="no loss"):
        gradient_by_timestep(recurrent, x, failing)
    assert recurrent.unroll == unroll != "loop"
    assert "step" not in recurrent.cells[0].__dict__


def failing(outputs: Tensor) -> Tensor:
    raise RuntimeError("no loss")


SHORT = ("tracking=none", "trainer.max_epochs=3", "cell=lstm", "cell.num_layers=2", "cell.dropout=0.2")
LOGGED = (
    "callbacks=[norms,timestep_gradients]", "callbacks.timestep_gradients.every_n_epochs=2",
    "trainer.log_every_n_steps=10",
)  # fmt: skip


def test_a_training_logs_them_and_ends_in_the_same_weights(run: Run, root: Path) -> None:
    assert run("train", *SHORT, "trainer.log_every_n_steps=10").code == 0
    (folder,) = root.glob("runs/price/*/lstm/*/train/seed=0")
    plain = shutil.copytree(folder, root / "plain")
    history = pd.read_parquet(plain / "history.parquet")
    assert not history["key"].str.contains("norm|gradient").any()

    assert run("train", *SHORT, *LOGGED, "force=true").code == 0
    (logged,) = root.glob("runs/price/*/lstm/*/train/seed=0")
    assert logged == folder, "what looks into a training is no part of its setting"
    history = pd.read_parquet(logged / "history.parquet")
    weights = load_file(plain / "weights.safetensors")
    for name, weight in load_file(logged / "weights.safetensors").items():
        assert weight.equal(weights[name]), "dropout included, nothing drew from the training's random numbers"

    rows = history.pivot_table(index="step", columns="key", values="value")
    names = [name.removeprefix("net.") for name in weights]
    for kind in ("weight", "gradient"):
        of_kind = rows[[f"{kind}_norm/{name}_step" for name in names]].dropna()
        assert list(of_kind.index[:3]) == [0, 10, 20]
        total = rows[f"{kind}_norm/all_step"].dropna()
        assert np.allclose((of_kind**2).sum(axis=1) ** 0.5, total, rtol=1e-5)

    by_time = history[history["key"].str.startswith("timestep_gradient/")]
    series = product(("cells.0", "cells.1"), ("hidden", "cell"), ("epoch_1", "epoch_3"))
    assert set(by_time["key"]) == {f"timestep_gradient/{cell}.{field}/{epoch}_step" for cell, field, epoch in series}
    for _, one in by_time.groupby("key"):
        assert list(one["step"]) == list(range(32))  # the task's window
    top = by_time[by_time["key"] == "timestep_gradient/cells.1.hidden/epoch_1_step"]["value"]
    assert top.iloc[-1] > 10 * top.iloc[0] > 0, "many to one: what was read first is felt least"


def test_running_statistics_do_not_count_what_was_only_looked_at(run: Run, root: Path) -> None:
    """Those of the batch norms in the encoder of images."""
    caption = ("task=caption", "task.images=200", "trainer.max_epochs=2", "tracking=none")
    found = []
    for options in ((), ("callbacks=timestep_gradients", "force=true")):
        assert run("train", *caption, *options).code == 0
        (weights,) = root.glob("runs/caption/*/*/*/train/seed=0/weights.safetensors")
        found.append(load_file(weights))
    one, other = found
    assert any("running_mean" in name for name in one)
    assert all(tensor.equal(other[name]) for name, tensor in one.items())


def test_the_logged_gradient_is_not_yet_clipped(run: Run, root: Path) -> None:
    overrides = (*SHORT, *LOGGED, "trainer.gradient_clip_val=1e-6")
    assert run("train", *overrides).code == 0
    (folder,) = root.glob("runs/price/*/lstm/*/train/seed=0")
    history = pd.read_parquet(folder / "history.parquet")
    assert history[history["key"] == "gradient_norm/all_step"]["value"].min() > 1e-4


@pytest.mark.parametrize("precision", ["64-true", "bf16-mixed"])
def test_other_precisions_are_looked_into_as_well(run: Run, root: Path, precision: str) -> None:
    assert run("train", "debug=fast", *LOGGED, f"trainer.precision={precision}").code == 0


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("callbacks.norms=often", "callbacks.norms must be a group with a _target_, or null, got often."),
        ("callbacks.timestep_gradients.every_n_epochs=0", "every_n_epochs must be an integer >= 1, got 0."),
        ("callbacks.timestep_gradients.every_n_epochs=true", "every_n_epochs must be an integer >= 1, got true."),
    ],
)
def test_settings_that_mean_nothing_are_named(run: Run, override: str, message: str) -> None:
    outcome = run("train", "tracking=none", "callbacks=[norms,timestep_gradients]", override)
    assert outcome.code == 2
    assert message in outcome.err
