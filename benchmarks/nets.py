"""The nets that are timed, ours and the peers', each by its name.

lstm compiled          our cell of conf/cell/lstm.yaml, and how it is unrolled
nn.LSTM                torch.nn's layer
nn.LSTMCell loop       torch.nn's cell in a plain loop
[h, x] lstm loop       a loop with a `Linear` for each gate, of hidden state and input joined
torchrecurrent.MGU     the package's layer
"""

from collections.abc import Callable
from typing import Any

import torch
from hydra.utils import get_class
from omegaconf import OmegaConf
from torch import Tensor, nn

from rnnlab.cells.cell import Cell
from rnnlab.results.paths import CONF
from rnnlab.unroll.backends import can
from rnnlab.unroll.program import parts_of
from rnnlab.unroll.recurrent import Recurrent

Shape = tuple[int, int, int, int]
"""Batch, timesteps, input_size, hidden_size."""

TORCH = {"rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}


def build(name: str, input_size: int, hidden_size: int) -> nn.Module:
    """A net of (time, batch, input_size) -> (time, batch, output size), state."""
    if name.startswith("nn.") and name.endswith(" loop"):
        return CellLoop(getattr(nn, name[3:-5])(input_size, hidden_size))
    if name.startswith("nn."):
        return getattr(nn, name[3:])(input_size, hidden_size)
    if name.startswith("[h, x] "):
        return JOINED[name.split()[2]](input_size, hidden_size)
    if name.startswith("torchrecurrent."):
        import torchrecurrent

        return getattr(torchrecurrent, name.split(".")[1])(input_size, hidden_size)
    cell, unroll = name.split()
    cell_class, options = cell_of(cell)
    return Recurrent(cell_class, input_size, hidden_size, unroll=unroll, **options)


def cell_of(name: str) -> tuple[Callable[..., Cell], dict[str, Any]]:
    """The class of conf/cell/<name>.yaml and the options that it sets."""
    config = OmegaConf.to_container(OmegaConf.load(CONF / "cell" / f"{name}.yaml"), resolve=True)
    options = {key: value for key, value in config.items() if key not in ("defaults", "_target_", "name")}
    return get_class(config["_target_"]).cell_class, options


def compilable() -> list[str]:
    """Every cell of conf/cell that a kernel can be made for."""
    names = sorted(path.stem for path in (CONF / "cell").glob("*.yaml") if path.stem != "torchrecurrent")
    return [name for name in names if can("compiled", make_cell(name)) is None]


def make_cell(name: str, input_size: int = 32, hidden_size: int = 32) -> Cell:
    cell_class, options = cell_of(name)
    return cell_class(input_size, hidden_size, **options)


def gates(name: str, input_size: int, hidden_size: int) -> float:
    """Blocks of `hidden_size` columns that a step works on: of its projected input, or of its recurrent products."""
    cell = make_cell(name, input_size, hidden_size)
    shared, rows = cell.prepare(), []

    def matmul(name: str, h: Tensor) -> Tensor:
        rows.append(len(shared[name]))
        return nn.functional.linear(h, shared[name])

    with torch.no_grad():
        projected = cell.project(torch.zeros(1, input_size))
        cell.step(projected, cell.initial_state(1), matmul, shared)
    return max(sum(part.shape[-1] for part in parts_of(projected)), sum(rows)) / hidden_size


def training_step(net: nn.Module, shape: Shape, device: str, input_gradient: bool = True) -> Callable[[], None]:
    """Forward and backward on noise. input_gradient: ask for that of the input too, as every layer above the first."""
    batch, time, input_size, hidden_size = shape
    net = net.to(device)
    x = torch.randn(time, batch, input_size, device=device, requires_grad=input_gradient)
    gradient = torch.randn(time, batch, getattr(net, "output_size", hidden_size), device=device)

    def run() -> None:
        net.zero_grad()
        x.grad = None
        output, _ = net(x)
        output.backward(gradient)
        if device == "cuda":
            torch.cuda.synchronize()

    return run


class CellLoop(nn.Module):
    """A loop as a user of `nn.LSTMCell` writes it; by `unbind`, since slices would make backward quadratic in time."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor) -> tuple[Tensor, Any]:
        state = None
        outputs = []
        for x_t in x.unbind(0):
            state = self.cell(x_t, state)
            outputs.append(state[0] if isinstance(state, tuple) else state)
        return torch.stack(outputs), state


class Joined(nn.Module):
    """hₜ from `Linear`s of [hₜ₋₁, xₜ], one for each gate."""

    linears: int
    parts = 1

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.gates = nn.ModuleList(nn.Linear(hidden_size + input_size, hidden_size) for _ in range(self.linears))

    def forward(self, x: Tensor) -> tuple[Tensor, Any]:
        state = tuple(x.new_zeros(x.shape[1], self.hidden_size) for _ in range(self.parts))
        outputs = []
        for x_t in x.unbind(0):
            state = self.step(x_t, *state)
            outputs.append(state[0])
        return torch.stack(outputs), state

    def step(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        raise NotImplementedError


class JoinedRNN(Joined):
    linears = 1

    def step(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        return (torch.tanh(self.gates[0](torch.cat((state[0], x), 1))),)


class JoinedLSTM(Joined):
    linears = 4
    parts = 2

    def step(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        hidden, cell = state
        joined = torch.cat((hidden, x), 1)
        forget, new, output = (torch.sigmoid(gate(joined)) for gate in self.gates[:3])
        cell = forget * cell + new * torch.tanh(self.gates[3](joined))
        return output * torch.tanh(cell), cell


class JoinedGRU(Joined):
    linears = 3

    def step(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        (hidden,) = state
        joined = torch.cat((hidden, x), 1)
        update, reset = (torch.sigmoid(gate(joined)) for gate in self.gates[:2])
        new = torch.tanh(self.gates[2](torch.cat((reset * hidden, x), 1)))
        return ((1 - update) * hidden + update * new,)


JOINED = {"rnn": JoinedRNN, "lstm": JoinedLSTM, "gru": JoinedGRU}
