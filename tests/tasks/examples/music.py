"""Music: chorales of the sample."""

import io
import zipfile
from pathlib import Path

from rnnlab.datasets.chorales import CORPUS, SAMPLE
from tests.tasks.examples.catalogue import Bad, Example


def pack(members: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return content.getvalue()


def cut_off(raw: Path) -> None:
    archive = raw / SAMPLE.name
    archive.write_bytes(archive.read_bytes()[:100_000])


def lead_out(raw: Path) -> None:
    (raw / SAMPLE.name).write_bytes(pack({"../escaped.mxl": b""}))


def declare_entities(raw: Path) -> None:
    bomb = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><score>&b;</score>'
    (raw / SAMPLE.name).write_bytes(pack({f"{CORPUS}bwv1.mxl": pack({"bwv1.xml": bomb})}))


def leave_one(raw: Path) -> None:
    """A corpus with a single chorale, which is too few to split."""
    archive = raw / SAMPLE.name
    with zipfile.ZipFile(archive) as whole:
        name = f"{CORPUS}bwv10.7.mxl"
        content = whole.read(name)
    archive.write_bytes(pack({name: content}))


EXAMPLES = [
    Example(
        "music",
        ("task.batch_size=2", "task.transpose=3"),
        bad=(
            Bad("source", ("task.source=midi",), ("task.source must be one of sample, full, files, got midi.",)),
            Bad("shares", ("task.validation=0.5", "task.test=0.5"), ("nothing to train on",)),
            Bad("no share", ("task.test=0",), ("task.test must be a number > 0 and < 1, got 0.",)),
            Bad("transpose", ("task.transpose=1.5",), ("task.transpose must be an integer >= 0 and <= 12, got 1.5.",)),
            Bad(
                "transpose too far",
                ("task.transpose=13",),
                ("task.transpose must be an integer >= 0 and <= 12, got 13.",),
            ),
            Bad("cut-off archive", messages=("cut off",), break_raw=cut_off),
            Bad("name that leads out", messages=("leads out of its folder",), break_raw=lead_out),
            Bad("entities", messages=("bwv1.mxl", "declares entities"), break_raw=declare_entities),
            Bad("one piece", messages=("1 examples are too few",), break_raw=leave_one),
        ),
    ),
]
