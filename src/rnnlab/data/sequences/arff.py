"""The ARFF files of the archives: an attribute for each timestep, or one that holds the channels, then the label."""

from pathlib import Path
from typing import Any

import numpy as np

from rnnlab.data.sequences.sequences import Reading, Sequences, unnamed_channels
from rnnlab.data.sequences.ts import DAMAGED, labels_of, open_text
from rnnlab.errors import UserError

UNREADABLE = (ValueError, IndexError, KeyError, StopIteration, NotImplementedError)
"""What scipy's reader raises of what it cannot read, beside its own errors."""


def read_arff(path: Path, shown: str, how: Reading) -> Sequences:
    """Read a file by scipy. Of a multi-instance file, the rows of its relation are the channels.

    Raises: `UserError` for what is no such file, or has no numbers in it.
    """
    from scipy.io import arff

    if how.kind == "tagging" and how.labelled:
        raise UserError(f"{shown}: an ARFF file has no label at each timestep (task.kind=tagging); give a long table.")
    try:
        with open_text(path) as file:
            rows, described = arff.loadarff(file)
    except (*UNREADABLE, *DAMAGED, arff.ArffError) as error:
        raise UserError(f"{shown} is no ARFF file that can be read ({str(error) or type(error).__name__}).") from None
    names, types = described.names(), described.types()
    if not len(rows):
        raise UserError(f"{shown} has no sequence after @data.")
    of_values = [name for name, kind in zip(names, types, strict=True) if kind in ("numeric", "relational")]
    label = _label(names, dict(zip(names, types, strict=True)), how, shown)
    of_values = [name for name in of_values if name != label]
    if not of_values:
        raise UserError(f"{shown} has no attribute of numbers beside its label.")
    left_out = [name for name in names if name not in (*of_values, label)]
    places = [f"{shown}, sequence {number}" for number in range(1, len(rows) + 1)]
    if dict(zip(names, types, strict=True))[of_values[0]] == "relational":
        values = [np.array([list(instance) for instance in row[of_values[0]]], np.float64).T for row in rows]
    else:
        matrix = np.stack([rows[name].astype(np.float64) for name in of_values], axis=1)
        values = [_without_end(row)[:, None] for row in matrix]
    if any(not len(each) or np.isnan(each).all() for each in values):
        empty = next(place for each, place in zip(values, places, strict=True) if not len(each) or np.isnan(each).all())
        raise UserError(f"{empty}: all values are missing; delete it.")
    channels = values[0].shape[1]
    labels = [_text(row[label]) for row in rows] if label is not None and how.labelled else None
    return Sequences(
        values=values,
        channels=unnamed_channels(channels),
        labels=None if labels is None else labels_of(labels, places, how),
        places=places,
        notes=[f"attributes without numbers left out: {', '.join(left_out)}"] if left_out else [],
    )


def _label(names: list[str], types: dict[str, str], how: Reading, shown: str) -> str | None:
    """The attribute that is named, else the last one of texts, or of numbers where these are asked for."""
    if how.label is not None:
        if how.label not in names:
            if not how.labelled:
                return None
            raise UserError(
                f"{shown} has no attribute '{how.label}' (task.label); its last ones are {', '.join(names[-3:])}."
            )
        return how.label
    of_texts = [name for name in names if types[name] in ("nominal", "string")]
    if of_texts:
        return of_texts[-1]
    return names[-1] if how.kind == "regression" and how.labelled else None


def _without_end(values: Any) -> Any:
    """Without the missing values at the end, which are none of a shorter sequence."""
    known = np.flatnonzero(~np.isnan(values))
    return values[: known[-1] + 1] if len(known) else values


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
