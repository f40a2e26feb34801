"""The feed-forward network over a window: the same numbers however it runs, and nothing seen but the window."""

import pytest
import torch
from torch import Tensor

from rnnlab.cells.feedforward import FeedforwardCell, PastInputs
from rnnlab.config.stages import compose_task
from rnnlab.errors import UserError
from rnnlab.unroll.loop import loop
from rnnlab.unroll.recurrent import Recurrent
from tests.conftest import Run

WINDOWS = pytest.mark.parametrize("window", [1, 2, 5])
TIMESTEPS = pytest.mark.parametrize("timesteps", [1, 3, 9])


def close(ours: Tensor, theirs: Tensor) -> bool:
    return torch.allclose(ours, theirs, rtol=0, atol=1e-12)


def case(window: int, timesteps: int) -> tuple[FeedforwardCell, Tensor, PastInputs]:
    """A cell, inputs, and a state as it is within a sequence, not at its start."""
    torch.manual_seed(0)
    cell = FeedforwardCell(3, 4, window=window).double()
    x = torch.randn(timesteps, 2, 3, dtype=torch.float64)
    return cell, x, PastInputs(torch.randn_like(cell.initial_state(2).inputs))


@WINDOWS
@TIMESTEPS
def test_all_at_once_is_step_by_step(window: int, timesteps: int) -> None:
    """Outputs, the states of all timesteps, and the gradients of weights, inputs and the state before."""
    cell, x, start = case(window, timesteps)
    x.requires_grad_()
    start.inputs.requires_grad_()
    wanted = [*cell.parameters(), x, start.inputs]

    def step_by_step() -> tuple[Tensor, Tensor]:
        state, states = start, []
        for timestep in x:
            _, state = loop(cell.step, cell.project(timestep[None]), state, cell.prepare())
            states.append(state.inputs)
        return loop(cell.step, cell.project(x), start, cell.prepare())[0], torch.stack(states)

    def at_once() -> tuple[Tensor, Tensor]:
        output, states = cell.scan(cell.project(x), start, cell.prepare())
        return output, states.inputs

    found = []
    for run in (step_by_step, at_once):
        output, states = run()
        loss = (output**2).sum() + (states[-1] ** 3).sum()
        found.append((output, states, *torch.autograd.grad(loss, wanted)))
    for ours, theirs in zip(*found, strict=True):
        assert ours.shape == theirs.shape
        assert close(ours, theirs)


def test_it_sees_its_window_and_nothing_else() -> None:
    """The derivative of the last output by each timestep's input: zero but for the last `window` of them."""
    _, x, _ = case(window=3, timesteps=8)
    x.requires_grad_()
    output, _ = Recurrent(FeedforwardCell, 3, 4, window=3).double()(x)
    (slopes,) = torch.autograd.grad(output[-1].sum(), x)
    assert [bool(slope.any()) for slope in slopes] == [False] * 5 + [True] * 3
    stacked, _ = Recurrent(FeedforwardCell, 3, 4, 2, window=3).double()(x)
    (slopes,) = torch.autograd.grad(stacked[-1].sum(), x)
    assert [bool(slope.any()) for slope in slopes] == [False] * 3 + [True] * 5


def test_with_a_window_of_one_it_is_a_linear_layer_and_an_activation() -> None:
    cell, x, _ = case(window=1, timesteps=4)
    expected = torch.tanh(torch.nn.functional.linear(x, cell.weight, cell.bias))
    assert close(loop(cell.step, cell.project(x), cell.initial_state(2), cell.prepare())[0], expected)


def test_its_weights_start_as_those_of_a_linear_layer() -> None:
    torch.manual_seed(0)
    cell = FeedforwardCell(8, 64, window=8)
    assert 0.99 * 64**-0.5 < cell.weight.abs().max().item() <= 64**-0.5


def test_its_window_is_the_task_s() -> None:
    """The comparison is fair only where it sees what the recurrent cells see."""
    assert compose_task("price", "cell=feedforward").cell.window == 32
    assert compose_task("price", "cell=feedforward", "task.window=16").cell.window == 16
    assert compose_task("price", "cell=feedforward", "task.window=16", "cell.window=4").cell.window == 4
    assert compose_task("price", "cell=feedforward", "~task.window", "task.data.window=8").cell.window == 32


def test_it_trains(run: Run) -> None:
    outcome = run("train", "cell=feedforward", "debug=fast")
    assert outcome.code == 0, outcome.err


@pytest.mark.parametrize("options", [{"window": 0}, {"window": 2.5}, {"activation": "sine"}])
def test_options_that_cannot_work_are_named(options: dict[str, object]) -> None:
    ((key, value),) = options.items()
    with pytest.raises(UserError, match=f"cell.{key} must be .*, got {value}"):
        FeedforwardCell(3, 4, **options)
