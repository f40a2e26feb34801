"""A folder of files that are a sequence each, in a folder for each class: tables of numbers, or sounds.

walk/001.csv  walk/002.csv  run/001.csv          drawn parts
train/walk/001.wav  test/run/001.wav             parts of the user's own
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnlab.data.audio import log_mel, read_sound
from rnnlab.data.class_folders import ClassFile, files_below, files_by_class, parts_of
from rnnlab.data.sequences.sequences import Reading, Sequences
from rnnlab.data.sequences.tables import read_one
from rnnlab.errors import UserError
from rnnlab.output import progress

TABLES = (".csv", ".tsv", ".txt", ".gz", ".parquet", ".xlsx", ".json", ".jsonl")
SOUNDS = (".wav",)

HOP, FILTERS = 10, 24
"""Of sounds: milliseconds from one frame to the next, and mel filters, as task=speech has them."""


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
    files = _files(folder, shown, how)
    if files[0].part is not None:
        notes.append("parts by folder")
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


def _files(folder: Path, shown: str, how: Reading) -> list[ClassFile]:
    """Every file of a sequence, by name: in a folder for each class, or in any where a file has no class."""
    endings = (*TABLES, *SOUNDS)
    if how.labelled and how.kind == "classification":
        return files_by_class(folder, shown, endings)
    found = [
        ClassFile(path, f"{shown}/{path.relative_to(folder).as_posix()}", "", part)
        for part, above in parts_of(folder)
        for path in files_below(above, endings)
    ]
    if not found:
        raise UserError(f"{shown} has no file of a sequence in it: {', '.join(endings)} are read.")
    return found


def _read_file(
    file: ClassFile, how: Reading, notes: list[str]
) -> tuple[NDArray[np.float64], list[str], list[str] | None]:
    """Its values, (time, channels), the channels' names, and the label of each timestep where these are asked for."""
    if file.path.suffix.lower() in SOUNDS:
        samples, rate = read_sound(file.path.read_bytes(), file.shown)
        notes.append(f"sounds read as {FILTERS} log mel energies, a frame each {HOP} ms, whatever their rate")
        frames = log_mel(samples, rate, HOP, FILTERS).astype(np.float64)
        return frames, [f"mel {number}" for number in range(1, FILTERS + 1)], None
    return read_one(file.path, file.shown, how, notes)
