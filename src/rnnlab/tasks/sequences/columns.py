"""Columns that the tables of predictions of all kinds have."""

from typing import Any

import numpy as np

from rnnlab.tasks.sequences.data import SequencesData
from rnnlab.tasks.task import Split


def columns_of_sequences(task: SequencesData, split: Split) -> dict[str, Any]:
    """Of each sequence of the split: its number (`sequence`), its `timesteps`, what it is called (`name`), and the
    `group` that it is of, empty where none is known."""
    groups = task.groups[split]
    lengths = task.series[split].lengths.numpy()
    return {
        "sequence": np.arange(len(lengths)),
        "timesteps": lengths,
        "name": np.array(task.names[split], dtype=object),
        "group": np.full(len(lengths), "", dtype=object) if groups is None else groups.astype(object),
    }
