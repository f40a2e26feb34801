"""Piano rolls: frames from left to right, keys upwards, named by octave."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from rnnlab.datasets.chorales import KEYS, LOWEST, Roll
from rnnlab.tasks.music.data import OCTAVE


def extent(frames: int, first: int) -> dict[str, Any]:
    """Where `imshow` puts a piano roll: frames from left to right, keys upwards by their MIDI numbers."""
    edges = (first - 0.5, first + frames - 0.5, LOWEST - 0.5, LOWEST + KEYS - 0.5)
    return {"origin": "lower", "aspect": "auto", "interpolation": "nearest", "extent": edges}


def label_axes(axes: Axes, sounding: NDArray[np.bool_]) -> None:
    """Name the Cs; leave out the keys that never sound."""
    keys = np.flatnonzero(sounding.any(axis=0)) + LOWEST
    if len(keys):
        axes.set_ylim(keys.min() - 2.5, keys.max() + 2.5)
    low, high = axes.get_ylim()
    octaves = [note for note in range(24, 109, OCTAVE) if low <= note <= high]
    axes.set_yticks(octaves, [f"C{note // OCTAVE - 1}" for note in octaves])
    axes.grid(axis="y", linewidth=0.5, alpha=0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("quarter note of the piece")


def draw_continuation(roll: Roll, given: int, name: str) -> Figure:
    """A piano roll whose frames after the first `given` a net drew. name: of the piece that it begins with."""
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.imshow(roll.T, cmap="Blues", vmin=0, vmax=1.3, **extent(len(roll), 0))
    axes.axvspan(-0.5, given - 0.5, color="C1", alpha=0.15, linewidth=0)
    axes.text(0, 1.01, "given", transform=axes.get_xaxis_transform(), color="C1", fontsize=9)
    axes.text(given, 1.01, "drawn by the net", transform=axes.get_xaxis_transform(), fontsize=9)
    label_axes(axes, roll.astype(bool))
    axes.set_title(f"{name}, from its first {given} quarter notes on", fontsize=10, pad=16)
    return figure
