"""What torch hangs on a cell acts, however the cell is run: hooks, and the weights that torch.nn.utils computes."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

from rnnlab.cells.gru import GRUCell
from rnnlab.cells.linear import MinGRUCell
from rnnlab.cells.lstm import LSTMCell
from rnnlab.cells.rnn import RNNCell
from rnnlab.unroll.hooks import step_hook
from rnnlab.unroll.recurrent import Recurrent
from rnnlab.unroll.stream import Stream
from tests.cells.families.catalogue import EXAMPLES, close, scrambled

WAYS = [
    *((cell, way) for cell in (GRUCell, LSTMCell) for way in ("loop", "compiled", "fused", "auto")),
    *((MinGRUCell, way) for way in ("loop", "compiled", "scan")),
]
WAY = pytest.mark.parametrize(("cell", "unroll"), WAYS)

TOOLS: dict[str, Callable[[nn.Module, str], Any]] = {
    "spectral_norm": spectral_norm,
    "weight_norm": weight_norm,
    "prune": lambda cell, name: prune.l1_unstructured(cell, name, 0.5),
    "parametrizations.spectral_norm": parametrizations.spectral_norm,
    "parametrizations.weight_norm": parametrizations.weight_norm,
}


def net_of(cell: Any, unroll: str, tool: str | None = None, **options: Any) -> Recurrent:
    torch.manual_seed(3)
    net = Recurrent(cell, 3, 4, unroll=unroll, **options).double()
    if tool:
        for each in net:
            TOOLS[tool](each, weight_name(cell))
    return net


def weight_name(cell: Any) -> str:
    return "weight_ih" if cell is MinGRUCell else "weight_hh"


def inputs(seed: int = 5) -> Tensor:
    return torch.randn(6, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def train(net: Recurrent, steps: int = 3) -> None:
    descent = torch.optim.SGD(net.parameters(), 0.5)
    for _ in range(steps):
        descent.zero_grad()
        net(inputs())[0].square().mean().backward()
        descent.step()


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated")
@pytest.mark.parametrize("tool", TOOLS)
@WAY
def test_a_weight_computed_from_others_is_trained_as_the_loop_trains_it(cell: Any, unroll: str, tool: str) -> None:
    net, loop = net_of(cell, unroll, tool), net_of(cell, "loop", tool)
    before = {name: parameter.clone() for name, parameter in net.named_parameters()}
    train(net)
    train(loop)
    for (name, ours), theirs in zip(net.named_parameters(), loop.parameters(), strict=True):
        assert close(ours, theirs), name
        assert not torch.equal(ours, before[name]), name
    # in evaluation, the numbers are those of a plain cell with the weight that was computed
    net.eval()
    output = net(inputs())[0]
    plain = net_of(cell, "loop").eval()
    weights = {name: getattr(net.cells[0], name) for name, _ in plain.cells[0].named_parameters()}
    plain.cells[0].load_state_dict({name: weight.detach() for name, weight in weights.items()})
    assert close(output, plain(inputs())[0])
    assert len(net._runners) <= 2  # of training and of evaluation
    if tool == "prune":
        assert (weights[weight_name(cell)] == 0).sum() == weights[weight_name(cell)].numel() // 2


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated")
@pytest.mark.parametrize("tool", TOOLS)
def test_a_stream_uses_the_weights_as_they_are_now(tool: str) -> None:
    net = net_of(RNNCell, "auto", tool, num_layers=2)
    train(net)
    net.eval()
    whole = net(inputs())[0]
    with torch.no_grad():
        for parameter in net.parameters():
            parameter *= 0.7
    stream = Stream(net)
    stepwise = torch.stack([stream.step(x) for x in inputs()])
    assert close(stepwise, net(inputs())[0])
    assert not close(stepwise, whole)


@pytest.mark.parametrize("name", [name for name in EXAMPLES if " " not in name])
def test_the_first_matrix_of_every_cell_can_be_normalised(name: str) -> None:
    key = next((key for key, weight in scrambled(name)._parameters.items() if weight.dim() == 2), None)
    if key is None:
        pytest.skip("no matrix of its own")
    outputs = []
    for unroll in ("loop", "auto"):
        net = Recurrent(EXAMPLES[name].cell_class, 3, 4, unroll=unroll, **EXAMPLES[name].options).double()
        net.cells[0] = scrambled(name)
        spectral_norm(net.cells[0], key)
        output, _ = net(inputs())
        output.square().sum().backward()
        assert getattr(net.cells[0], f"{key}_orig").grad.any()
        outputs.append(output)
    assert close(*outputs)


@WAY
def test_hooks_of_a_cell_run_once_for_a_sequence(cell: Any, unroll: str) -> None:
    net = net_of(cell, unroll, bidirectional=True, truncate=4)
    plain = net(inputs())[0]
    seen: list[Any] = []
    forward, backward = net
    handles = [
        forward.register_forward_pre_hook(lambda _, given: seen.append(("before", given[0].shape))),
        forward.register_forward_hook(lambda _, given, made: seen.append(("after", made[0].shape, type(made[1])))),
        forward.register_full_backward_hook(lambda _, given, made: seen.append(("gradient", made[0].shape))),
    ]
    output = net(inputs())[0]
    assert close(output, plain)
    output.sum().backward()
    shape = torch.Size((6, 2, 4))
    state = type(forward.initial_state(1))
    assert seen == [("before", torch.Size((6, 2, 3))), ("after", shape, state), ("gradient", shape)]
    for handle in handles:
        handle.remove()
    # what hooks give back takes the place of the input, and of output and state
    double = backward.register_forward_pre_hook(lambda _, given: 2 * given[0])
    halve = backward.register_forward_hook(lambda _, given, made: (0.5 * made[0], made[1]))
    changed = net(inputs())[0]
    for handle in (double, halve):
        handle.remove()
    assert close(changed[..., :4], plain[..., :4])
    assert close(changed[..., 4:], 0.5 * net(2 * inputs())[0][..., 4:])


def test_hooks_of_a_cell_run_for_each_step_of_a_stream() -> None:
    net = net_of(GRUCell, "auto")
    shapes = []
    net.cells[0].register_forward_hook(lambda _, given, made: shapes.append((given[0].shape, made[0].shape)))
    stream = Stream(net)
    for x in inputs():
        stream.step(x)
    assert shapes == [((1, 2, 3), (1, 2, 4))] * 6


def test_a_step_hook_is_called_for_each_timestep_and_leaves_the_net_as_it_was() -> None:
    net, calls = net_of(GRUCell, "compiled"), []

    def counted(number: int, step: Any) -> Any:
        return lambda *given: calls.append(number) or step(*given)

    expected = net(inputs())[0]
    with step_hook(net, counted):
        assert close(net(inputs())[0], expected)
    assert calls == [0] * 6
    assert (net.unroll, net.chosen, net.step_hook) == ("compiled", {"compiled"}, None)
