"""A folder of files that are a sequence each, in a folder for each class: tables of numbers, or sounds.

walk/001.csv  walk/002.csv  run/001.csv          drawn parts
train/walk/001.wav  test/run/001.wav             parts of the user's own
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnlab.data.audio import log_mel, read_sound
from rnnlab.data.sequences.roles import PART_NAMES
from rnnlab.data.sequences.sequences import Reading, Sequences
from rnnlab.data.sequences.tables import read_one
from rnnlab.errors import UserError
from rnnlab.output import progress

TABLES = (".csv", ".tsv", ".txt", ".gz", ".parquet", ".xlsx", ".json", ".jsonl")
SOUNDS = (".wav",)

HOP, FILTERS = 10, 24
"""Of sounds: milliseconds from one frame to the next, and mel filters, as task=speech has them."""


@dataclass(frozen=True)
class _File:
    path: Path
    shown: str
    label: str | None
    part: str | None


def read_folder(folder: Path, shown: str, how: Reading) -> Sequences:
    """Read every file as a sequence; its label is the name of its folder, or a column of each timestep (tagging).

    Raises: `UserError` for a folder without such files or with one class, and for files that are unlike each other.
    """
    if how.kind == "regression" and how.labelled:
        raise UserError(
            f"{shown} is a folder: a number to be found (task.kind=regression) stands in a table; give one with a row "
            "for each sequence or timestep."
        )
    notes: list[str] = []
    files = list(_files(folder, shown, how, notes))
    values, labels, names = [], [], None
    for file in progress(files, f"reading {shown}"):
        own, channels, tags = _read_file(file, how, notes)
        if names is None:
            names, first = channels, file
        elif len(channels) != len(names):
            raise UserError(f"{file.shown} has {len(channels)} channels, and {first.shown} has {len(names)}.")
        elif channels != names:
            if sorted(channels) != sorted(names):
                raise UserError(
                    f"{file.shown} has the channels {', '.join(channels)}, and {first.shown} has {', '.join(names)}."
                )
            own = own[:, [channels.index(name) for name in names]]
        values.append(own)
        labels.append(tags if how.kind == "tagging" else file.label)
    assert names is not None
    return Sequences(
        values=values,
        channels=names,
        labels=labels if how.labelled else None,
        places=[file.shown for file in files],
        parts=[str(file.part) for file in files] if files[0].part is not None else None,
        notes=list(dict.fromkeys(notes)),
    )


def _files(folder: Path, shown: str, how: Reading, notes: list[str]) -> Iterator[_File]:
    """Every file of a sequence, by name."""
    inner = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    parts: list[tuple[Path, str, str | None]]
    if inner and all(path.name.lower() in PART_NAMES for path in inner):
        notes.append(f"parts by folder: {', '.join(path.name for path in inner)}")
        parts = [(path, f"{shown}/{path.name}", PART_NAMES[path.name.lower()]) for path in inner]
    else:
        parts = [(folder, shown, None)]
    count, deep, empty = 0, [], []
    for place, called, part in parts:
        for path, label in _classes(place, called, how):
            before = count
            for file in sorted(path.iterdir()):
                if file.is_dir() and path != folder and not file.name.startswith("."):
                    deep.append(f"{path.name}/{file.name}")
                if file.is_file() and file.suffix.lower() in (*TABLES, *SOUNDS) and not file.name.startswith("."):
                    count += 1
                    yield _File(file, f"{called}/{file.relative_to(place)}", label, part)
            if count == before:
                empty.append(path.name)
    if not count:
        deeper = "; folders within these are not read" if deep else ""
        raise UserError(
            f"{shown} has no file of a sequence in its folders: {', '.join((*TABLES, *SOUNDS))} are read{deeper}."
        )
    if deep:
        notes.append(f"folders within those of the classes are not read: {', '.join(deep)}")
    if empty:
        notes.append(f"folders without a file of a sequence: {', '.join(empty)}")


def _classes(folder: Path, shown: str, how: Reading) -> list[tuple[Path, str | None]]:
    """The folders of files, with the label that each stands for."""
    if how.kind == "tagging" or not how.labelled:
        return [(folder, None)]
    inner = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not inner:
        raise UserError(f"{shown} has no folders in it: one for each class is needed, as {shown}/walk/001.csv.")
    if len(inner) == 1:
        raise UserError(f"{shown} has one folder, '{inner[0].name}': two classes are needed, a folder for each.")
    return [(path, path.name) for path in inner]


def _read_file(file: _File, how: Reading, notes: list[str]) -> tuple[NDArray[np.float64], list[str], list[str] | None]:
    """Its values, (time, channels), the channels' names, and the label of each timestep where these are asked for."""
    if file.path.suffix.lower() in SOUNDS:
        samples, rate = read_sound(file.path.read_bytes(), file.shown)
        notes.append(f"sounds read as {FILTERS} log mel energies, a frame each {HOP} ms, whatever their rate")
        frames = log_mel(samples, rate, HOP, FILTERS).astype(np.float64)
        return frames, [f"mel {number}" for number in range(1, FILTERS + 1)], None
    return read_one(file.path, file.shown, how, notes)
