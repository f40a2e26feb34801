"""Prices, the weather, and any series."""

import zipfile
from datetime import date, timedelta
from math import sin
from pathlib import Path

from tests.tasks.examples.catalogue import Bad, Example

DAYS = [date(2020, 1, 1) + timedelta(days=count) for count in range(200)]
GOOD = [f"{day},{10 + sin(number):.4f},{number % 7}" for number, day in enumerate(DAYS)]
HEADER = "date,sales,visitors"
OWN = ("task.path=ROOT/my.csv", "task.target=sales", "task.window=8", "task.horizon=3")


def table(*rows: str) -> dict[str, bytes]:
    return {"my.csv": "\n".join([HEADER, *rows]).encode()}


def cut_off(raw: Path) -> None:
    (archive,) = raw.glob("*.whl")
    archive.write_bytes(archive.read_bytes()[:20_000])


def rewritten(raw: Path, old: bytes, new: bytes) -> None:
    """The same archive with one thing changed in each of its tables."""
    (archive,) = raw.glob("*.whl")
    with zipfile.ZipFile(archive) as packed:
        contents = {name: packed.read(name) for name in packed.namelist() if name.endswith(".csv")}
    with zipfile.ZipFile(archive, "w") as packed:
        for name, content in contents.items():
            packed.writestr(name, content.replace(old, new))


def hail(raw: Path) -> None:
    rewritten(raw, b"drizzle", b"hail")


def not_a_temperature(raw: Path) -> None:
    rewritten(raw, b"2012/01/02,10.9,10.6", b"2012/01/02,10.9,warm")


def member_that_leads_out(raw: Path) -> None:
    (archive,) = raw.glob("*.whl")
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("../seattle-weather.csv", "date,temp_max\n")


SMALL = ("task.window=8", "task.horizon=3", "task.batch_size=8")

EXAMPLES = [
    Example(
        "price",
        SMALL,
        bad=(
            Bad(
                "difference",
                ("+task.data.difference=twice",),
                ("task.data.difference must be one of none, target, both, got twice.",),
            ),
            Bad("loss", ("task.loss=CrossEntropy",), ("one of AbsoluteError, SquaredError, got CrossEntropy.",)),
            Bad("nothing to train on", ("task.validation=0.5", "task.test=0.5"), ("nothing to train on",)),
        ),
    ),
    # Yahoo's history of the default is not to be had everywhere: a price that ships with a package in its place
    Example("bitcoin", (*SMALL, "task.source=sample", "task.symbol=IBM", "task.start=null", "task.end=null")),
    Example(
        "weather",
        SMALL,
        bad=(
            Bad("target", ("task.target=temp_mean",), ("temp_mean", "task.target", "'temp_max'")),
            Bad("input", ("task.inputs=[rain,hail]",), ("no column 'hail'", "task.inputs", "'rain'")),
            Bad(
                "lone calendar",
                ("task.calendar=month",),
                ("task.calendar must be a list, each item one of day, week, year",),
            ),
            Bad("calendar", ("task.calendar=[month]",), ("each item one of day, week, year", "got ['month'].")),
            Bad("season of one", ("task.season=1",), ("task.season must be an integer >= 2", "got 1.")),
            Bad("season too long", ("task.season=2000",), ("task.season=2000", "training part")),
            Bad("cut-off archive", messages=("cut off",), break_raw=cut_off),
            Bad("unsafe archive", messages=("'../seattle-weather.csv'", "leads out"), break_raw=member_that_leads_out),
            Bad("unknown weather", messages=("line 2", "'hail'", "drizzle, fog"), break_raw=hail),
            Bad("no number", messages=("line 3, column 3 (temp_max)", "'warm'"), break_raw=not_a_temperature),
        ),
    ),
    Example(
        "series",
        SMALL,
        bad=(
            Bad("no such file", ("task.path=nowhere.csv",), ("task.path=nowhere.csv", "no such file")),
            Bad(
                "missing", ("task.missing=guess",), ("task.missing must be one of previous, refuse, skip, got guess.",)
            ),
            Bad(
                "difference",
                ("task.difference=true",),
                ("task.difference must be one of none, target, both, got true.",),
            ),
            Bad("gaps refused", ("task.missing=refuse",), ("gaps in the dates: 2", "task.missing=skip")),
            Bad("target not named", OWN[:1], ("'sales', 'visitors'", "task.target=NAME"), table(*GOOD)),
            Bad("target unknown", (*OWN[:1], "task.target=sale"), ("no column 'sale'", "did you mean"), table(*GOOD)),
            Bad("input unknown", (*OWN, "task.inputs=[wind]"), ("no column 'wind'", "task.inputs"), table(*GOOD)),
            Bad("input that is the target", (*OWN, "task.inputs=sales"), ("task.inputs names 'sales'",), table(*GOOD)),
            Bad("no text", OWN, ("my.csv is not text",), {"my.csv": bytes(range(256))}),
            Bad("empty", OWN, ("my.csv is empty",), {"my.csv": b""}),
            Bad("no header", OWN, ("line 1", "'2020-01-01'", "no header"), {"my.csv": "\n".join(GOOD).encode()}),
            Bad("a word", OWN, ("line 12, column 2 (sales)", "'many'"), table(*GOOD[:10], "2020-01-11,many,1")),
            Bad(
                "an empty cell refused",
                (*OWN, "task.missing=refuse"),
                ("line 12, column 2 (sales)", "a missing value"),
                table(*GOOD[:10], "2020-01-11,,1"),
            ),
            Bad("no number at all", OWN, ("no row in which each column has a number",), table("2020-01-11,,1")),
            Bad("too few rows", OWN, ("13 rows are too few", "task.window=8"), table(*GOOD[:13])),
            Bad("a date twice", OWN, ("2020-01-03 (lines 4, 5)",), table(*GOOD[:3], *GOOD[2:])),
            Bad("more gaps than rows", OWN, ("too many to fill", "task.missing=skip"), table(*GOOD, "2022-01-01,1,1")),
            Bad(
                "filled for the most part",
                OWN,
                ("40 of the 200 rows of 'sales' are filled", "no stretch", "the test part", "task.missing=skip"),
                table(*GOOD[:160], *(f"{day},,1" for day in DAYS[160:])),
            ),
            Bad(
                "never changes",
                OWN,
                ("'sales' never changes in the train part",),
                table(*(f"{day},5,1" for day in DAYS)),
            ),
        ),
    ),
]
