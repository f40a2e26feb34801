"""What the cells of a net do while it reads: their states and their gates, without knowing their equations."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from rnnlab.cells.cell import Cell, State, matmul_of
from rnnlab.tasks.figures import Passage
from rnnlab.unroll.hooks import step_hook
from rnnlab.unroll.loop import Step
from rnnlab.unroll.recurrent import Recurrent

SHOWN_UNITS = 40
SHOWN_GATES = 6
LARGEST = 2.5

Array = NDArray[np.float64]


class Activations(NamedTuple):
    """Of one cell, the timesteps in the order of time.

    states: by field, (time, batch, ...), each after its timestep. gates: (time, batch, units) each, in (0, 1), in the
    order in which a step opens them: what any sigmoid in it gives. names: of the gates.
    """

    states: dict[str, Tensor]
    gates: list[Tensor]
    names: list[str]


def activations(recurrent: Recurrent, x: Tensor, state: Sequence[State] | None = None) -> list[Activations]:
    """Of each cell of the net, in its order, while it reads x from that state; x as the net takes it."""
    states: list[list[State]] = [[] for _ in recurrent]
    gates: list[list[list[Tensor]]] = [[] for _ in recurrent]

    def record(index: int, step: Step) -> Step:
        def recorded(*args: Any) -> tuple[Tensor, State]:
            with Sigmoids() as sigmoids:
                output, after = step(*args)
            states[index].append(after)
            gates[index].append(sigmoids.found)
            return output, after

        return recorded

    with torch.no_grad(), step_hook(recurrent, record):
        recurrent(x, state)
    result = []
    for index, cell in enumerate(recurrent):
        # a cell that reads from the end met the last timestep first
        order = -1 if index % recurrent.directions == 1 else 1
        in_time = states[index][::order]
        fields = {name: torch.stack([at[i] for at in in_time]) for i, name in enumerate(in_time[0]._fields)}
        of_gates = [torch.stack(at) for at in zip(*gates[index][::order], strict=True)]
        split = [gate for found in of_gates for gate in split_gates(found, cell)]
        result.append(Activations(fields, split, names_of_gates(cell, len(split))))
    return result


def draw_passage(model: Any, passage: Passage) -> dict[str, Figure]:
    """The states and gates of each layer of a trained net over a task's passage, by file name."""
    model.eval()
    with torch.no_grad():
        state = None if passage.past is None else model.net(passage.past.to(model.device))[1]
        inputs = passage.batch.to(model.device).inputs
        found = activations(model.net.recurrent, model.net.entry(inputs), state)
    figures = {}
    for number, one in enumerate(found, 1):
        layer = f", layer {number}" if len(found) > 1 else ""
        name = f"activations_layer_{number}" if len(found) > 1 else "activations"
        figures[name] = draw_activations(one, passage.labels, f"states and gates after each {passage.unit}{layer}")
    return figures


class Sigmoids(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While it lasts, keeps what every sigmoid gives, ln σ included."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[Tensor] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.sigmoid.default:
            self.found.append(result)
        elif func is torch.ops.aten.log_sigmoid_forward.default:
            self.found.append(result[0].exp())
        return result


def split_gates(found: Tensor, cell: Cell) -> list[Tensor]:
    """The gates that one sigmoid opened side by side; none where it was no row of numbers for each sequence."""
    if found.dim() != 3:
        return []
    return list(found.chunk(max(1, found.shape[-1] // cell.hidden_size), dim=-1))


def names_of_gates(cell: Cell, count: int) -> list[str]:
    """What a cell calls its gates, in the order in which a step opens them; "gate 2" where it does not say.

    A `GatedCell` names the blocks of its packed weights. A gate is the one, not yet taken by a gate before it, that
    moves it: a later gate may see an earlier one's work.
    """
    blocks = getattr(cell, "gate_names", ())
    numbered = [f"gate {number}" for number in range(1, count + 1)]
    if not blocks:
        return numbered

    def gates(projected: Tensor) -> list[Tensor]:
        shared = cell.prepare()
        with Sigmoids() as sigmoids:
            cell.step(projected, cell.initial_state(1), matmul_of(shared), shared)
        return [gate for found in sigmoids.found for gate in split_gates(found[None], cell)]

    moved: dict[str, list[bool]] = {}
    with torch.no_grad():
        projected = cell.project(next(cell.parameters()).new_zeros(1, cell.input_size))
        before = gates(projected)
        for number, block in enumerate(blocks):
            pushed = projected.clone()
            pushed[:, number * cell.hidden_size : (number + 1) * cell.hidden_size] += 1
            if block != "candidate":
                moved[block] = [not torch.equal(one, other) for one, other in zip(before, gates(pushed), strict=True)]
    names: list[str] = []
    for number, otherwise in enumerate(numbered):
        movers = [block for block, gates_moved in moved.items() if gates_moved[number] and block not in names]
        names.append(movers[0] if len(movers) == 1 else otherwise)
    return names


def draw_activations(found: Activations, labels: Sequence[str], title: str) -> Figure:
    """The first sequence of the batch: a picture of each field of the state, and the mean of each gate over its units.

    A unit's colour is the distance from its own mean over time, in its standard deviations. Of many units, those that
    change most are shown; like ones stand beside each other. labels: one for each timestep.
    """
    fields = {name: _units(values[:, 0]) for name, values in found.states.items() if values[:, 0].numel()}
    gates = found.gates[:SHOWN_GATES]
    heights = [0.09 * len(values) + 0.3 for values in fields.values()] + [1.6] * bool(gates)
    figure = Figure(figsize=(max(6, 1.5 + 0.145 * len(labels)), sum(heights) + 1.2))
    figure.set_layout_engine("constrained", h_pad=0.08)
    panels: NDArray[Any] = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    picture = None
    for axes, (name, values) in zip(panels, fields.items(), strict=False):
        picture = axes.imshow(values, aspect="auto", cmap="RdBu_r", vmin=-LARGEST, vmax=LARGEST, interpolation="none")
        axes.set_ylabel(f"{name}, {len(values)} unit{'s' * (len(values) > 1)}")
        axes.set_yticks([])
    if gates:
        _draw_gates(panels[-1], gates, found.names)
    panels[-1].set_xticks(range(len(labels)), list(labels), family="monospace")
    for axes in panels:
        axes.tick_params(axis="x", length=0)
    panels[0].set_title(title, fontsize=10)
    if picture is not None:
        bar = figure.colorbar(picture, ax=list(panels), pad=0.01, fraction=0.03, extend="both")
        bar.set_label("standard deviations from the unit's mean", fontsize=8)
    return figure


def _draw_gates(axes: Axes, gates: list[Tensor], names: list[str]) -> None:
    for gate, name in zip(gates, names, strict=False):
        axes.plot(gate[:, 0].double().mean(dim=-1).cpu().numpy(), linewidth=1.2, label=name)
    axes.set_ylim(0, 1)
    axes.set_ylabel("gate, mean")
    axes.grid(axis="y", linewidth=0.4)
    axes.legend(frameon=False, fontsize=8, loc="lower right", bbox_to_anchor=(1, 1), ncols=len(gates), borderpad=0)


def _units(values: Tensor) -> Array:
    """(units, time): those that change most over time, standardised, in an order in which neighbours are alike."""
    series: Array = values.flatten(1).double().cpu().numpy().T
    deviation = series.std(axis=1)
    most = np.argsort(-deviation, kind="stable")[:SHOWN_UNITS]
    series = (series[most] - series[most].mean(axis=1, keepdims=True)) / np.maximum(deviation[most, None], 1e-12)
    if len(series) < 3:
        return series
    ordered: Array = series[leaves_list(linkage(series, "average", optimal_ordering=True))]
    return ordered
