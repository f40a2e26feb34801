"""Digits, in all three orders."""

from pathlib import Path

from tests.tasks.examples.catalogue import Bad, Example


def cut_off(raw: Path) -> None:
    (archive,) = raw.glob("*.whl")
    archive.write_bytes(archive.read_bytes()[:100_000])


EXAMPLES = [
    Example(
        "digits",
        ("task.batch_size=8",),
        bad=(
            Bad("order", ("task.order=columns",), ("task.order must be one of rows, pixels, permuted, got columns.",)),
            Bad("source", ("task.source=fashion",), ("task.source must be one of sample, full, got fashion.",)),
            Bad("no training", ("task.validation=0.5", "task.test=0.5"), ("nothing to train on",)),
            Bad("cut-off archive", messages=("cut off",), break_raw=cut_off),
        ),
    ),
]
