"""A file or folder of labelled sequences in whatever form it has, which is found by itself."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rnnlab.data.sequences.arff import read_arff
from rnnlab.data.sequences.arrays import read_arrays
from rnnlab.data.sequences.folders import read_folder
from rnnlab.data.sequences.sequences import Reading, Sequences
from rnnlab.data.sequences.tables import TABLES, read_table
from rnnlab.data.sequences.ts import read_ts
from rnnlab.errors import UserError

FORMS = (*TABLES, "ts", "arff", "arrays", "folder")
"""Of a file of sequences: tables with a row for each timestep, or for each sequence, with a column for each of its
timesteps or with lists in its cells; .ts and .arff of the archives; .npy and .npz; a folder for each class."""

BY_ENDING = {".ts": "ts", ".arff": "arff", ".npy": "arrays", ".npz": "arrays"}
READERS = {"ts": read_ts, "arff": read_arff, "arrays": read_arrays}

KEYS_OF_TABLES = ("id", "time", "label", "group", "split", "channels", "static")
KEYS = {
    "ts": (),
    "arff": ("label",),
    "arrays": ("label", "group", "split"),
    "folder": ("time", "label", "channels", "static"),
}
"""What can be named of each form that is no table."""


def read_sequences(path: Path, shown: str, how: Reading) -> Sequences:
    """Read a file, or a folder, see `FORMS`. shown: what it is called in messages.

    Raises: `UserError` for what cannot be read, or holds no sequence, no number, or an infinite one.
    """
    found = _read(path, shown, how)
    if not len(found):
        raise UserError(f"{shown} holds no sequence.")
    if how.labelled and found.labels is None:
        raise UserError(f"{shown} has no labels: name their column or array, as task.label=NAME.")
    if found.labels is not None and how.kind != "regression":
        found = replace(found, labels=_plain_labels(found.labels, how.kind))
    values = [index for index in range(len(found.channels)) if index not in found.categories]
    for each, place in zip(found.values, found.places, strict=True):
        if np.isinf(each).any():
            channel = found.channels[int(np.argwhere(np.isinf(each))[0][1])]
            raise UserError(f"{place}: channel '{channel}' has an infinite value; correct it.")
    if values and not found.categories and all(np.isnan(each).all() for each in found.values):
        raise UserError(f"{shown} has no number in it: all values are missing.")
    if not found.categories:
        empty = next(
            (place for each, place in zip(found.values, found.places, strict=True) if np.isnan(each).all()), None
        )
        if empty is not None:
            raise UserError(f"{empty}: all values are missing; leave it out.")
    return found


def _plain_labels(labels: list[Any], kind: str) -> list[Any]:
    """Whole numbers, however a program has written them, as 1 and not as 1.0 or 1.000e+00; other labels as they are."""
    known = {label for own in labels for label in own} if kind == "tagging" else set(labels)
    if any(str(label).isdecimal() for label in known):
        return labels  # as 01 and 02, or numbers longer than a float holds
    try:
        plain = {label: str(int(float(label))) for label in known if float(label).is_integer()}
    except (ValueError, OverflowError):
        return labels
    if len(plain) < len(known) or len(set(plain.values())) < len(plain):
        return labels
    return [[plain[label] for label in own] for own in labels] if kind == "tagging" else [plain[own] for own in labels]


def _read(path: Path, shown: str, how: Reading) -> Sequences:
    ending = Path(path.name.lower().removesuffix(".gz")).suffix
    form = how.form or ("folder" if path.is_dir() else BY_ENDING.get(ending, "table"))
    if form == "folder":
        if not path.is_dir():
            raise UserError(f"{shown} is no folder (task.form=folder); leave task.form out.")
        if parts := _two_files(path):
            return joined(*(read_sequences(each, f"{shown}/{each.name}", how) for each in parts))
        _refuse_keys(form, shown, how)
        return read_folder(path, shown, how)
    if path.is_dir():
        raise UserError(f"{shown} is a folder (task.form={form}); name a file, or leave task.form out.")
    if form in READERS:
        _refuse_keys(form, shown, how)
        return READERS[form](path, shown, how)
    return read_table(path, shown, how)


def _refuse_keys(form: str, shown: str, how: Reading) -> None:
    """Raises: `UserError` for a key that says nothing of this form, so that it would be passed over in silence."""
    given = [key for key in KEYS_OF_TABLES if getattr(how, key) and key not in KEYS[form]]
    if given and how.labelled:
        raise UserError(f"{shown}: task.{given[0]} names a column, and none is read of the form {form}; leave it out.")


def _two_files(folder: Path) -> list[Path]:
    """The training file and the test file of a set, as the archives name them; [] where there are no such."""
    for training in sorted(folder.glob("*_TRAIN.*")):
        test = training.with_name(training.name.replace("_TRAIN.", "_TEST."))
        if test.is_file():
            return [training, test]
    return []


def test_file_of(path: Path) -> Path | None:
    """Of a file that is called <name>_TRAIN, the one beside it called <name>_TEST."""
    if "_TRAIN." not in path.name:
        return None
    test = path.with_name(path.name.replace("_TRAIN.", "_TEST."))
    return test if test.is_file() else None


def joined(train: Sequences, test: Sequences) -> Sequences:
    """Two files as one, whose second is the test part.

    Raises: `UserError` where they have other channels.
    """
    if sorted(train.channels) != sorted(test.channels):
        raise UserError(
            f"The test file has the channels {', '.join(test.channels)}, and the file to train on has "
            f"{', '.join(train.channels)}: both need the same."
        )
    order = [test.channels.index(name) for name in train.channels]
    values = [each[:, order] for each in test.values]
    categories = dict(train.categories)
    for index in sorted({*train.categories, *(order.index(place) for place in test.categories)}):
        name, place = train.channels[index], order[index]
        if index not in train.categories or place not in test.categories:
            raise UserError(f"Channel '{name}' holds numbers in one of the two files, and texts in the other.")
        known = list(dict.fromkeys([*train.categories[index], *test.categories[place]]))
        numbers = np.array([*(known.index(text) for text in test.categories[place]), np.nan])
        for each in values:
            each[:, index] = numbers[np.nan_to_num(each[:, index], nan=len(numbers) - 1).astype(int)]
        categories[index] = known
    has_groups = train.groups is not None and test.groups is not None
    has_labels = train.labels is not None and test.labels is not None
    return replace(
        train,
        values=[*train.values, *values],
        categories=categories,
        labels=[*(train.labels or ()), *(test.labels or ())] if has_labels else None,
        places=[*train.places, *test.places],
        groups=[*(train.groups or ()), *(test.groups or ())] if has_groups else None,
        parts=[*(train.parts or ["train"] * len(train)), *["test"] * len(test)],
        starts=None,  # the test part is given
        ids=[*(train.ids or ()), *(test.ids or ())] if train.ids is not None and test.ids is not None else None,
        notes=list(dict.fromkeys([*train.notes, *test.notes])),
    )
