"""Reviews, from the package and from a table of one's own."""

import tarfile
from pathlib import Path

from tests.tasks.examples.catalogue import Bad, Example

ROWS = [
    f"it is {word} number {number},{label}" for number in range(20) for word, label in (("fine", "pos"), ("bad", "neg"))
]


def cut_off(raw: Path) -> None:
    (archive,) = raw.glob("*.tar.gz")
    archive.write_bytes(archive.read_bytes()[:100_000])


def with_a_link(raw: Path) -> None:
    (archive,) = raw.glob("*.tar.gz")
    link = tarfile.TarInfo("vaderSentiment-3.3.2/additional_resources")
    link.type, link.linkname = tarfile.SYMTYPE, "/"
    with tarfile.open(archive, "w:gz") as packed:
        packed.addfile(link)


def csv(name: str, rows: list[str], messages: tuple[str, ...], *overrides: str, header: str = "text,label") -> Bad:
    content = "\n".join([header, *rows]).encode()
    return Bad(
        name, ("task.source=csv", "task.path=ROOT/my.csv", *overrides), messages, files={"my.csv": content}
    )  # fmt: skip


EXAMPLES = [
    Example(
        "sentiment",
        ("task.vocabulary=2000", "task.longest=20", "task.batch_size=8"),
        bad=(
            Bad("source", ("task.source=imdb",), ("task.source must be one of sample, full, csv, got imdb.",)),
            Bad("kind", ("task.kind=tagging",), ("task.kind must be one of classification, regression, got tagging.",)),
            Bad("no numbers of one's own", ("task.kind=regression",), ("for texts of your own", "task.path=my.csv")),
            Bad("longest", ("task.longest=0",), ("task.longest must be an integer >= 1", "got 0.")),
            Bad("no vocabulary", ("task.vocabulary=0",), ("task.vocabulary must be an integer >= 1", "got 0.")),
            Bad("cut-off archive", messages=("cut off",), break_raw=cut_off),
            Bad("archive with a link", messages=("link", "do not use this file"), break_raw=with_a_link),
            Bad("no path", ("task.source=csv",), ("task.path is missing",)),
            Bad("no file", ("task.source=csv", "task.path=ROOT/none.csv"), ("none.csv", "no such file")),
            Bad(
                "address", ("task.source=csv", "task.path=https://example.org/a.csv"), ("is an address", "download it")
            ),
            csv(
                "a class that is not met",
                ROWS,
                ("the label 'neutral'", "task.classes"),
                "task.classes=[neg,pos,neutral]",
            ),
            csv("a class twice", ROWS, ("task.classes", "different labels"), "task.classes=[neg,neg]"),
            csv("no such column", ROWS, ("my.csv has no column 'review'", "'text', 'label'"), "task.text=review"),
            csv(
                "one column twice",
                ROWS,
                ("task.label must be another column than task.text, got label.",),
                "task.text=label",
                "task.label=label",
            ),
            csv("header only", [], ("my.csv has a header and no rows",)),
            csv("one class", ROWS[::2], ("my.csv has one label only, 'pos'", "two classes")),
            csv("class of one", [*ROWS, "so so,meh"], ("class meh has 1 examples", "none is left")),
            csv(
                "label outside the set",
                [*ROWS, "so so,meh"],
                ("line 42", "'meh'", "neg, pos"),
                "task.classes=[neg,pos]",
            ),
            csv("empty review", [*ROWS, ",pos"], ("my.csv, line 42", "no word in it")),
            csv("review without words", [*ROWS, "--- ...,pos"], ("my.csv, line 42", "no word in it")),
            csv("uneven row", [*ROWS, "good, really good,pos"], ("my.csv, line 42", "found 3 fields")),
            csv("quotation mark never closed", [*ROWS, '"good,pos'], ("my.csv, line 42", "is not closed")),
            csv(
                "a label that is no number",
                ROWS,
                ("my.csv, line 2", "'pos'", "a number belongs"),
                "task.kind=regression",
            ),
            csv("too few", ["it is fine,pos", "it is bad,neg"], ("none is left for the",)),
            csv("no training", ROWS, ("nothing to train on",), "task.validation=0.5", "task.test=0.5"),
            csv("vocabulary of one", ROWS, ("has 1 words", "two are needed"), "task.vocabulary=1"),
        ),
    ),
]
