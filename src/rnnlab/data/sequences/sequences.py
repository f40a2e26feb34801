"""Labelled sequences of numbers as a file holds them, before anything is split, learnt or scaled."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.arguments import OneOf
from rnnlab.data.tables.values import Notation

KINDS = ("classification", "regression", "tagging")
"""What a label is: a class of the whole sequence, a number for it, or a class at each of its timesteps."""

Kind = Annotated[str, OneOf(KINDS)]

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Reading:
    """How a file of sequences is to be read; None: found in the file, and said in a note.

    kind: one of `KINDS`. form: of the file, one of `rnnlab.data.sequences.reading.FORMS`. id, time, label, group,
    split: columns, or arrays of a .npz. channels, static: columns that change over time, and such that do not; static
    ones become channels that stay the same. labelled: whether a label is there and needed. notation: of numbers and
    dates.
    """

    kind: str = "classification"
    form: str | None = None
    id: str | None = None
    time: str | None = None
    label: str | None = None
    channels: Sequence[str] = ()
    static: Sequence[str] = ()
    group: str | None = None
    split: str | None = None
    labelled: bool = True
    notation: Notation = field(default_factory=Notation)


@dataclass(frozen=True)
class Sequences:
    """All sequences of a file, in its order.

    values: each (time, channels), time at least 1, float64, NaN where a value is missing; of a categorical channel the
    numbers of its `categories`.
    channels: their names.
    labels: one for each sequence: a text, the name of its class; a number (regression); a list of texts, one for each
    timestep (tagging); None where the file has none.
    places: what each is called in messages: "rows.csv, id 17", "walk/003.csv", "line 12". ids: of each, where the file
    has any.
    categories: of each categorical channel, by its index, the texts that its numbers stand for.
    groups: of each, such as the patient it is of. parts: of each, one of `PARTS`, where the file says so.
    starts: of each, when it begins, for a split by time. All three None where the file does not say.
    notes: one-line remarks on how the file was read.
    """

    values: list[NDArray[np.float64]]
    channels: list[str]
    labels: list[Any] | None
    places: list[str]
    categories: dict[int, list[str]] = field(default_factory=dict)
    groups: list[str] | None = None
    parts: list[str] | None = None
    starts: NDArray[np.float64] | None = None
    ids: list[str] | None = None
    notes: list[str] = field(default_factory=list)

    def names(self, within: str = "") -> list[str]:
        """What each is called where it is clear which file is meant: its id, or its place. within: the file or folder,
        with which a place begins."""
        return self.ids or [place.removeprefix(within).lstrip(", /") for place in self.places]

    def __len__(self) -> int:
        return len(self.values)


def unnamed_channels(count: int) -> list[str]:
    """What channels are called where nothing names them."""
    return ["value"] if count == 1 else [f"channel {number}" for number in range(1, count + 1)]
