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

from rnnlab.cells.cell import Cell, State
from rnnlab.unroll.loop import Step
from rnnlab.unroll.recurrent import Recurrent
from rnnlab.unroll.watching import watched

SHOWN_UNITS = 40
SHOWN_GATES = 6
LARGEST = 2.5

Array = NDArray[np.float64]


class Activations(NamedTuple):
    """Of one cell, the timesteps in the order of time.

    states: by field, (time, batch, ...), each after its timestep. gates: (time, batch, units) each, in (0, 1), in the
    order in which a step opens them: what any sigmoid in it gives.
    """

    states: dict[str, Tensor]
    gates: list[Tensor]


def activations(recurrent: Recurrent, x: Tensor, state: Sequence[State] | None = None) -> list[Activations]:
    """Of each cell of the net, in its order, while it reads x from that state; x as the net takes it."""
    states: list[list[State]] = [[] for _ in recurrent]
    gates: list[list[list[Tensor]]] = [[] for _ in recurrent]

    def watch(index: int, step: Step) -> Step:
        def watching(*args: Any) -> tuple[Tensor, State]:
            with Sigmoids() as sigmoids:
                output, after = step(*args)
            states[index].append(after)
            gates[index].append(sigmoids.found)
            return output, after

        return watching

    with torch.no_grad(), watched(recurrent, watch):
        recurrent(x, state)
    result = []
    for index, cell in enumerate(recurrent):
        # a cell that reads from the end met the last timestep first
        order = -1 if index % recurrent.directions == 1 else 1
        in_time = states[index][::order]
        fields = {name: torch.stack([at[i] for at in in_time]) for i, name in enumerate(in_time[0]._fields)}
        of_gates = [torch.stack(at) for at in zip(*gates[index][::order], strict=True)]
        result.append(Activations(fields, [gate for found in of_gates for gate in split_gates(found, cell)]))
    return result


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
    for axes, (name, values) in zip(panels, fields.items(), strict=False):
        picture = axes.imshow(values, aspect="auto", cmap="RdBu_r", vmin=-LARGEST, vmax=LARGEST, interpolation="none")
        axes.set_ylabel(f"{name}, {len(values)} unit{'s' * (len(values) > 1)}")
        axes.set_yticks([])
        figure.colorbar(picture, ax=axes, pad=0.01, fraction=0.03, extend="both")
    if gates:
        _draw_gates(panels[-1], gates)
    panels[-1].set_xticks(range(len(labels)), list(labels), family="monospace")
    for axes in panels:
        axes.tick_params(axis="x", length=0)
    panels[0].set_title(title, fontsize=10)
    return figure


def _draw_gates(axes: Axes, gates: list[Tensor]) -> None:
    for number, gate in enumerate(gates, 1):
        axes.plot(gate[:, 0].double().mean(dim=-1).cpu().numpy(), linewidth=1.2, label=f"gate {number}")
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
