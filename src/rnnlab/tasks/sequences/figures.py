"""What is drawn of sequences of every kind: their channels over time."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from rnnlab.tasks.sequences.data import SequencesData
from rnnlab.tasks.task import Split

SHOWN = 3
"""Sequences of the test part."""
MOST_LINES = 6
"""Channels that are drawn as lines; more are rows of an image."""


def shown_sequences(task: SequencesData, split: Split = "test") -> list[int]:
    """Some of the split, the same for every net: as unlike each other as their order in the file."""
    return sorted(set(np.linspace(0, len(task.series[split]) - 1, SHOWN).astype(int).tolist()))


def draw_channels(axes: Axes, task: SequencesData, index: int, split: Split = "test") -> None:
    """The numeric channels of a sequence, as the net reads them: scaled."""
    names = [task.channels[place] for place in task.encoding.numeric]
    values = np.asarray(task.series[split][index])[:, : len(names)]
    if len(names) <= MOST_LINES:
        for name, channel in zip(names, values.T, strict=True):
            axes.plot(np.arange(1, len(values) + 1), channel, linewidth=1.2, label=name)
        if len(names) > 1:
            axes.legend(frameon=False, fontsize=8)
    else:
        extent = (0.5, len(values) + 0.5, len(names) + 0.5, 0.5)
        axes.imshow(values.T, aspect="auto", cmap="magma", interpolation="nearest", extent=extent)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def channels_label(task: SequencesData) -> str:
    """What stands beside them."""
    numeric = task.encoding.numeric
    if len(numeric) == 1:
        return f"{task.channels[numeric[0]]}, scaled"
    return "channels, scaled" if len(numeric) <= MOST_LINES else "channel"


def short(name: str, longest: int = 34) -> str:
    """The end of what a sequence is called."""
    return name if len(name) <= longest else f"...{name[3 - longest :]}"
