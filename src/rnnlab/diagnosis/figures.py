"""Figures of one net's memory: gradients k steps back, and what they come from, by epoch."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

SHOWN_CELLS = 4
FADED = 1e-12
"""Of the largest norm: what lies below is not drawn, lest it take all the room."""


def draw_gradients(table: pd.DataFrame, chosen: dict[str, Any], name: str) -> Figure:
    """‖dL/ds_{T-k}‖ by k, a line for each epoch, a panel for each cell; dashed: the weights that are kept.

    table: of `rnnlab.diagnosis.memory_length.gradient_table`. chosen: the measurement of those weights.
    """
    cells = list(enumerate(chosen["cells"]))[:SHOWN_CELLS]
    figure = Figure(figsize=(1.6 + 5.2 * len(cells), 4.2), layout="constrained")
    panels = figure.subplots(1, len(cells), squeeze=False, sharey=True)[0]
    whole = table[(table["field"] == "state") & (table["norm"] > 0)]
    colours = ScalarMappable(Normalize(0, max(1, int(table["epoch"].max()))), colormaps["viridis_r"])
    for axes, (number, cell) in zip(panels, cells, strict=True):
        of_cell = whole[whole["cell"] == number]
        for epoch, rows in of_cell.groupby("epoch"):
            axes.plot(rows["steps_back"], rows["norm"], color=colours.to_rgba(np.asarray(epoch)), linewidth=1.3)
        kept = of_cell[of_cell["epoch"] == chosen["epoch"]]
        axes.plot(kept["steps_back"], kept["norm"], "k--", linewidth=1.2, label=f"kept: after {chosen['epoch']} epochs")
        mark_memory(axes, cell)
        axes.set_yscale("log")
        axes.set_xlabel("k, timesteps back from where the loss is read")
        if len(cells) > 1:
            axes.set_title(f"cell {number}", fontsize=9)
        axes.legend(frameon=False, fontsize=8)
    if len(whole):
        largest = whole["norm"].max()
        panels[0].set_ylim(bottom=max(whole["norm"].min() / 2, FADED * largest), top=3 * largest)
    panels[0].set_ylabel("norm of dL/d state")
    figure.suptitle(f"{name}: the loss's gradient on its way back", fontsize=10)
    figure.colorbar(colours, ax=list(panels), label="epochs trained", pad=0.01, ticks=MaxNLocator(integer=True))
    return figure


def mark_memory(axes: Axes, cell: dict[str, Any]) -> None:
    """A line where 1/e of the gradient is left, where it ends within the sequence."""
    length = cell["memory_length"]
    if length is not None and not cell["beyond"]:
        axes.axvline(1 + length, color="C3", linewidth=1, linestyle=":", label=f"memory: {length:.1f} timesteps")
    elif length is not None:
        axes.plot([], [], color="C3", linestyle=":", label=f"memory: beyond {length:.0f} timesteps")


def draw_summary(measurements: list[dict[str, Any]], name: str) -> Figure:
    """Memory length, largest singular value, growth rate and saturated gates by epoch; a colour for each cell."""
    figure = Figure(figsize=(11, 6.4), layout="constrained")
    (memory, sigma), (growth, gates) = figure.subplots(2, 2, sharex=True)
    epochs = [measured["epoch"] for measured in measurements]
    marker = "o" if len(epochs) == 1 else "."
    numbers = range(len(measurements[0]["cells"]))

    def series(number: int, key: str) -> list[float]:
        return [_or_nan(measured["cells"][number][key]) for measured in measurements]

    for number in numbers:
        options: dict[str, Any] = {"color": f"C{number}", "marker": marker, "linewidth": 1.3}
        label = f"cell {number}" if len(numbers) > 1 else None
        lengths, beyond = series(number, "memory_length"), series(number, "beyond")
        memory.plot(epochs, lengths, label=label, **options)
        ends = [length if over else np.nan for length, over in zip(lengths, beyond, strict=True)]
        memory.plot(epochs, ends, linestyle="", marker="^", color=f"C{number}")
        sigma.plot(epochs, series(number, "largest_singular_value"), **options)
        sigma.plot(epochs, series(number, "largest_singular_value_max"), color=f"C{number}", linewidth=0.8, alpha=0.6)
        growth.plot(epochs, series(number, "growth_rate"), **options)
    longest = measurements[0]["timesteps"]
    memory.axhline(longest, color="black", linewidth=1, linestyle="--", label=f"the sequence: {longest}")
    memory.set_title("memory length, timesteps (1/e of the gradient left; ▲: at least)", fontsize=9)
    memory.set_ylim(0, 1.08 * longest)
    memory.legend(frameon=False, fontsize=8)
    sigma.axhline(1, color="black", linewidth=1, linestyle="--")
    sigma.set_title("largest singular value of the recurrent Jacobian: mean, thin: highest", fontsize=9)
    growth.axhline(0, color="black", linewidth=1, linestyle="--")
    growth.set_title("growth of a gradient per timestep back, nats; below 0 it vanishes", fontsize=9)
    _draw_saturation(gates, measurements, epochs)
    for axes in (growth, gates):
        axes.set_xlabel("epochs trained")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.suptitle(name, fontsize=10)
    return figure


def _draw_saturation(axes: Axes, measurements: list[dict[str, Any]], epochs: list[int]) -> None:
    """Of the first cell."""
    count = len(measurements[0]["cells"][0]["gates"])
    for gate in range(count):
        for side, style in (("above", "-"), ("below", ":")):
            shares = [measured["cells"][0]["gates"][gate][side] for measured in measurements]
            label = f"gate {gate + 1}" if side == "above" else None
            axes.plot(epochs, shares, color=f"C{gate}", linestyle=style, marker=".", linewidth=1.3, label=label)
    axes.set_ylim(-0.03, 1.03)
    axes.set_title("share of gate values above 0.9 (dotted: below 0.1)", fontsize=9)
    if count:
        axes.legend(frameon=False, fontsize=8)
    else:
        axes.text(0.5, 0.5, "no gates", ha="center", va="center", transform=axes.transAxes, color="0.5")


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else float(value)
