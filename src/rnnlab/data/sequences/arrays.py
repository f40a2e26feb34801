"""Arrays of NumPy: .npz with values and labels, or .npy with its labels in a file beside it."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.data.sequences.roles import part_named
from rnnlab.data.sequences.sequences import Reading, Sequences, unnamed_channels
from rnnlab.data.tables.values import MISSING
from rnnlab.errors import UserError

VALUES = ("x", "data", "values", "series", "sequences", "inputs", "arr_0")
LABELS = ("y", "labels", "label", "target", "targets", "classes", "arr_1")
GROUPS = ("groups", "group", "subjects", "subject", "patients", "patient")
SPLITS = ("split", "splits", "parts", "part")
NAMES = ("channels", "channel_names", "names", "features")
"""What arrays are called in an .npz, in small letters, the likeliest first; also with _train and _test behind them."""

BESIDE = ("y{suffix}.npy", "{stem}_labels.npy", "{stem}_y.npy", "labels{suffix}.npy")
"""Files beside an .npy that hold its labels."""


def read_arrays(path: Path, shown: str, how: Reading) -> Sequences:
    """Read (sequences, channels, time), or (sequences, time) of one channel. NaN in all channels up to the end is none
    of a shorter sequence. Labels: (sequences,), or (sequences, time) where each timestep has one.

    Raises: `UserError` for arrays of another shape, of objects, without labels, or that do not fit each other.
    """
    if path.suffix.lower() == ".npy":
        x, y = _load(path, shown), _load_labels(path, shown, how)
        return _sequences({"x": x} | ({} if y is None else {"y": y}), shown, how, "")
    arrays = _load(path, shown)
    lower = {name.lower(): array for name, array in arrays.items()}
    if _named(lower, VALUES, "_train") is None:
        return _sequences(lower, shown, how, "")
    parts = [
        _sequences(lower, shown, how, suffix) for suffix in ("_train", "_val", "_test") if _named(lower, VALUES, suffix)
    ]
    named = [part for part in ("_train", "_val", "_test") if _named(lower, VALUES, part)]
    return _one_after_the_other(dict(zip(named, parts, strict=True)), shown)


def _load(path: Path, shown: str) -> Any:
    """An array, or, of an .npz, all of them by name; never one of Python's objects, which could run code."""
    with path.open("rb") as file:
        start = file.read(6)
    if not start.startswith((b"\x93NUMPY", b"PK")):
        raise UserError(f"{shown} is no file of NumPy's; save it by np.savez('mine.npz', X=X, y=y).")
    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return found
        with found:
            return {name: found[name] for name in found.files}
    except ValueError as error:
        if "allow_pickle" in str(error):
            raise UserError(
                f"{shown} holds an array of Python's objects, which is not loaded; save values as numbers, NaN behind "
                "the end of shorter sequences, and labels as y.astype(str)."
            ) from None
        raise UserError(f"{shown} is damaged or no file of NumPy's ({error}).") from None
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{shown} is damaged or no file of NumPy's ({str(error) or 'it ends too early'}).") from None


def _named(arrays: Mapping[str, Any], names: tuple[str, ...], suffix: str) -> str | None:
    return next((f"{name}{suffix}" for name in names if f"{name}{suffix}" in arrays), None)


def labels_beside(path: Path, label: str | None) -> Path | None:
    """The file beside an .npy that holds its labels: `label`, or one of `BESIDE`; None where there is none."""
    found = (path.with_name(name) for name in _names_beside(path, label))
    return next((each for each in found if each.is_file() and each != path), None)


def _names_beside(path: Path, label: str | None) -> list[str]:
    suffix = path.stem[1:] if path.stem[:1].lower() == "x" else ""
    return [label] if label is not None else [each.format(stem=path.stem, suffix=suffix) for each in BESIDE]


def _load_labels(path: Path, shown: str, how: Reading) -> NDArray[Any] | None:
    if not how.labelled:
        return None
    if (beside := labels_beside(path, how.label)) is not None:
        found: NDArray[Any] = _load(beside, beside.name)
        return found
    files = _names_beside(path, how.label)
    raise UserError(
        f"{shown}: there are no labels beside it ({', '.join(files)}); save both in one file: "
        "np.savez('mine.npz', X=X, y=y)."
    )


def _sequences(arrays: Mapping[str, NDArray[Any]], shown: str, how: Reading, suffix: str) -> Sequences:
    named = _named(arrays, VALUES, suffix)
    if named is None:
        raise UserError(
            f"{shown} holds {', '.join(arrays) or 'no array'}; X of the values and y of the labels are needed."
        )
    x = arrays[named]
    if x.ndim not in (2, 3) or x.dtype.kind not in "fiub" or 0 in x.shape:
        raise UserError(
            f"{shown}: '{named}' is an array of {x.dtype} of the shape {x.shape}; numbers of the shape (sequences, "
            "channels, time) are needed, or (sequences, time)."
        )
    x = np.asarray(x[:, None] if x.ndim == 2 else x, np.float64)
    places = [f"{shown}, {named}[{number}]" for number in range(len(x))]
    values = []
    for own, place in zip(x, places, strict=True):
        known = np.flatnonzero(~np.isnan(own).all(axis=0))
        if not len(known):
            raise UserError(f"{place}: all values are missing; leave it out.")
        values.append(own[:, : known[-1] + 1].T)
    label = how.label.lower() if how.label is not None and f"{how.label.lower()}{suffix}" in arrays else None
    of_labels = f"{label}{suffix}" if label is not None else _named(arrays, LABELS, suffix)
    if how.label is not None and how.labelled and label is None and suffix == "":
        raise UserError(f"{shown} has no array '{how.label}' (task.label); it has {', '.join(arrays)}.")
    labels = None
    if of_labels is not None and how.labelled:
        labels = _labels(arrays[of_labels], values, places, how, f"{shown}: '{of_labels}'")
    groups, splits = (_role(arrays, role, shown, how, suffix) for role in ("group", "split"))
    names = _named(arrays, NAMES, suffix)
    channels = unnamed_channels(x.shape[1])
    if names is not None and len(arrays[names]) == len(channels):
        channels = [str(name) for name in arrays[names]]
    parts = None if splits is None else _of_each(arrays[splits], places, f"{shown}: '{splits}'")
    return Sequences(
        values=values,
        channels=channels,
        labels=labels,
        places=places,
        groups=None if groups is None else _of_each(arrays[groups], places, f"{shown}: '{groups}'"),
        parts=None if parts is None else [part_named(part, place) for part, place in zip(parts, places, strict=True)],
        notes=[_described(x)],
    )


def _described(x: NDArray[np.float64]) -> str:
    sequences, channels, timesteps = x.shape
    doubt = "; if that is the other way round, give X.transpose(0, 2, 1)" if channels > timesteps else ""
    return f"read as an array of {sequences} sequences, {channels} channels and {timesteps} timesteps{doubt}"


def _role(arrays: Mapping[str, NDArray[Any]], role: str, shown: str, how: Reading, suffix: str) -> str | None:
    """The array of the groups or the parts, the one that is named first."""
    wanted = getattr(how, role)
    found = _named(arrays, {"group": GROUPS, "split": SPLITS}[role] if wanted is None else (wanted.lower(),), suffix)
    if found is None and wanted is not None and how.labelled:
        raise UserError(f"{shown} has no array '{wanted}{suffix}' (task.{role}); it has {', '.join(arrays)}.")
    return found


def _of_each(array: NDArray[Any], places: list[str], called: str) -> list[str]:
    if array.shape != (len(places),) or array.dtype.kind == "O":
        raise UserError(f"{called} has the shape {array.shape}; one for each of {len(places)} sequences is needed.")
    return [str(each) for each in array.tolist()]


def _labels(
    array: NDArray[Any], values: list[NDArray[np.float64]], places: list[str], how: Reading, called: str
) -> list[Any]:
    if how.kind == "tagging":
        if array.ndim != 2 or len(array) != len(values) or array.shape[1] < max(map(len, values)):
            raise UserError(
                f"{called} has the shape {array.shape}; a label for each timestep of {len(values)} is needed."
            )
        rows = zip(array.tolist(), values, strict=True)
        return [
            [_text(label, place) for label in row[: len(own)]] for (row, own), place in zip(rows, places, strict=True)
        ]
    if array.shape == (len(values), 1):
        array = array[:, 0]
    if array.shape != (len(values),):
        raise UserError(f"{called} has the shape {array.shape}; a label for each of {len(values)} sequences is needed.")
    if how.kind == "classification":
        return [_text(label, place) for label, place in zip(array.tolist(), places, strict=True)]
    try:
        numbers = array.astype(np.float64)
    except ValueError:
        raise UserError(f"{called} holds {array.dtype}; numbers are asked for (task.kind=regression).") from None
    for number, place in zip(numbers, places, strict=True):
        if not np.isfinite(number):
            raise UserError(f"{place}: its label is {number}; a finite number is needed.")
    return [float(number) for number in numbers]


def _text(label: Any, place: str) -> str:
    text = label.decode(errors="backslashreplace") if isinstance(label, bytes) else str(label)
    if text.strip().lower() in MISSING:
        raise UserError(f"{place}: the label is missing ('{text}'); give it, or leave it out.")
    return text


def _one_after_the_other(parts: Mapping[str, Sequences], shown: str) -> Sequences:
    """Those of X_train, X_val and X_test as one."""
    names = {"_train": "train", "_val": "validation", "_test": "test"}
    first, *others = parts.values()
    for other in others:
        if other.channels != first.channels:
            raise UserError(
                f"{shown}: its parts have unlike channels, {len(first.channels)} and {len(other.channels)}."
            )
    labelled = all(part.labels is not None for part in parts.values())
    grouped = all(part.groups is not None for part in parts.values())
    return Sequences(
        values=[own for part in parts.values() for own in part.values],
        channels=first.channels,
        labels=[label for part in parts.values() for label in part.labels or ()] if labelled else None,
        places=[place for part in parts.values() for place in part.places],
        groups=[group for part in parts.values() for group in part.groups or ()] if grouped else None,
        parts=[names[suffix] for suffix, part in parts.items() for _ in part.values],
        notes=[note for part in parts.values() for note in part.notes],
    )
