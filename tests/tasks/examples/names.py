"""Surnames, sixty of each class."""

import zipfile
from pathlib import Path

from tests.tasks.examples.catalogue import Bad, Example


def cut_off(raw: Path) -> None:
    (wheel,) = raw.glob("*.whl")
    wheel.write_bytes(wheel.read_bytes()[:100_000])


def of_another_version(raw: Path) -> None:
    _replace(raw, "faker/providers/person/pl_PL/__init__.py", "class Provider:\n    last_names = ('Nowak',)\n")


def no_python(raw: Path) -> None:
    _replace(raw, "faker/providers/person/pl_PL/__init__.py", "class Provider:\n    last_names = (\n")


def with_a_member_that_leads_out(raw: Path) -> None:
    _replace(raw, "/etc/names", "")


def _replace(raw: Path, member: str, content: str) -> None:
    (wheel,) = raw.glob("*.whl")
    with zipfile.ZipFile(wheel, "w") as packed:
        packed.writestr(member, content)


EXAMPLES = [
    Example(
        "names",
        ("task.per_class=60", "task.batch_size=8"),
        bad=(
            Bad("source", ("task.source=all",), ("task.source must be one of sample, full, csv, got all.",)),
            Bad("no path", ("task.source=csv",), ("task.path is missing",)),
            Bad("no file", ("task.path=ROOT/none.csv",), ("none.csv", "no such file")),
            Bad("per_class", ("task.per_class=0",), ("task.per_class must be an integer >= 1", "got 0.")),
            Bad("too few", ("task.per_class=3",), ("none is left for the",)),
            Bad("share", ("task.test=1.5",), ("task.test must be a number > 0 and < 1, got 1.5.",)),
            Bad("cut-off wheel", messages=("cut off",), break_raw=cut_off),
            Bad("another version", messages=("lacks the names of", "cs_CZ"), break_raw=of_another_version),
            Bad("no Python", messages=("pl_PL/__init__.py", "not the Python"), break_raw=no_python),
            Bad("wheel that leads out", messages=("/etc/names", "leads out"), break_raw=with_a_member_that_leads_out),
        ),
    ),
]
