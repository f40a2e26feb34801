"""Texts of a few classes: reviews that say whether something is good or bad, or a user's own.

| source | from                                                    | reviews                         | licence        |
|--------|---------------------------------------------------------|---------------------------------|----------------|
| sample | package vaderSentiment (Hutto and Gilbert 2014)         | 10,568 sentences, no test split | MIT            |
| full   | the Large Movie Review Dataset, IMDB (Maas et al. 2011) | 25,000 to train on, 25,000 test | cite the paper |
| csv    | your table, or a folder with a folder for each class    | yours                           | yours          |

The sentences come from Rotten Tomatoes (Pang and Lee 2004); several people scored each from -4 to 4, and its class is
the sign of their mean. The 37 whose mean is zero are left out, and so are the unlabelled reviews of IMDB.
"""

import io
import math
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlab.arguments import OneOf, refusal
from rnnlab.data.tables.labelled import Wanted, classes_of, numbers_of
from rnnlab.data.tables.user_table import OwnTable
from rnnlab.datasets.dataset import UNREADABLE, Dataset, File, members, read_member, why_unreadable
from rnnlab.datasets.own_texts import check_own, fetch_own, own_file_of, read_own
from rnnlab.errors import UserError

SAMPLE = File(
    "vaderSentiment-3.3.2.tar.gz",
    ("5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",),
    distribution="vaderSentiment==3.3.2",
)
SAMPLE_ARCHIVE = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
SAMPLE_MEMBER = "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt"

FULL = File(
    "aclImdb_labelled.tar.gz",
    (
        "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe",  # as published
        "70ac64fe615cd445e4c7c555c8589f4b76d137941fd1c8edb8c8b4f70794d08f",  # the same without the unlabelled reviews
    ),
    address="https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
    folder="imdb",
)

CSV = "reviews.csv"
TEST = "test.csv"

KINDS = ("classification", "regression")

CLASSES = ("negative", "positive")
"""Of the sources that are reviews."""


class LabelledTexts(NamedTuple):
    """labels: (texts,), the number of its class in `classes`, or of kind=regression the number itself; is_test,
    is_validation: (texts,), the official splits; places: for messages; columns: of the text and the label, of a table;
    notes: on how it was read.
    """

    texts: list[str]
    labels: NDArray[Any]
    is_test: NDArray[np.bool_]
    places: list[str]
    is_validation: NDArray[np.bool_] | None = None
    classes: tuple[str, ...] = CLASSES
    columns: tuple[str, str] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reviews(Dataset):
    """See the module's table.

    path: of csv, any table of `Rows`, or a folder with a folder of .txt for each class, beneath train/ and test/ where
    there are these. test_path: a table or folder of the same form that is the test split. text, label, split: columns
    of a table; None: found by usual names. classes: the labels in their order; None: found. kind: what labels are,
    classes, or numbers (regression).
    """

    worded: ClassVar[tuple[str, ...]] = ("source", "path", "text")

    source: Literal["sample", "full", "csv"]
    path: str | None = None
    test_path: str | None = None
    text: str | None = None
    label: str | None = None
    split: str | None = None
    classes: tuple[str, ...] | None = None
    kind: Annotated[str, OneOf(KINDS)] = "classification"

    def __post_init__(self) -> None:
        # YAML and the command line read labels like 0 and 1 as numbers
        if self.classes is not None:
            object.__setattr__(self, "classes", tuple(str(label) for label in self.classes))
        for name in ("path", "test_path", "text", "label", "split"):
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else str(value))
        if self.path is not None and self.source == "sample":
            object.__setattr__(self, "source", "csv")

    def check(self) -> None:
        super().check()
        if self.source != "csv":
            if self.kind != "classification":
                raise UserError(f"task.kind={self.kind} is for texts of your own: give them, as task.path=my.csv.")
            return
        if self.classes is not None and (len(self.classes) < 2 or len(set(self.classes)) < len(self.classes)):
            needed = "null, or two or more different labels, such as [neg,pos]"
            raise UserError(refusal("task.classes", needed, list(self.classes)))
        if self.text is not None and self.text == self.label:
            raise UserError(refusal("task.label", "another column than task.text", self.label))
        if not self.path:
            raise UserError("task.path is missing: give your texts, as task.path=my.csv.")
        for key, path in (("path", self.path), ("test_path", self.test_path)):
            if path is not None:
                check_own(key, path, folders=True)

    def in_words(self, facts: Mapping[str, Any]) -> Sequence[str]:
        if self.source == "csv":
            return [OwnTable(str(self.path)).name, *facts.get("columns", ())[:1]]
        return ["sentences on films" if self.source == "sample" else "IMDB"]

    def files(self) -> list[File]:
        if self.source == "csv":
            given = ((CSV, self.path or ""), (TEST, self.test_path))
            return [own_file_of(name, path) for name, path in given if path is not None]
        return [SAMPLE if self.source == "sample" else FULL]

    def fingerprint(self) -> dict[str, Any]:
        classes = None if self.classes is None else list(self.classes)
        reading = {"text": self.text, "label": self.label, "split": self.split, "classes": classes, "kind": self.kind}
        return super().fingerprint() | (reading if self.source == "csv" else {})

    def fetch(self, folder: Path, mirror: str | None = None) -> None:
        """Of a folder, all texts are written into one file."""
        if self.source != "csv":
            super().fetch(folder, mirror)
            return
        self.check()
        fetch_own(self.files(), folder, self.name)

    def read(self, folder: Path) -> LabelledTexts:
        """Raises: `UserError` for a file of another format, or labels that are none."""
        self.fetched(folder)
        if self.source == "sample":
            return _read_sample(folder / SAMPLE.name)
        if self.source == "full":
            return _read_imdb(folder / FULL.name)
        return self._read_own(folder)

    def _read_own(self, folder: Path) -> LabelledTexts:
        names = [file.name for file in self.files()]
        whole = read_own(folder / names[0], str(self.path), Wanted(self.text, self.label, self.split))
        parts = whole.parts or ["train"] * len(whole.texts)
        labels, notes = whole.labels, list(whole.notes)
        if self.test_path is not None:
            if "test" in parts:
                raise UserError(
                    f"{self.path} has rows of the test part, and task.test_path is given: give one of the two."
                )
            test = read_own(folder / names[1], self.test_path, Wanted(self.text, self.label))
            whole = replace(whole, texts=whole.texts + test.texts, places=whole.places + test.places)
            labels = labels + test.labels
            parts = parts + ["test"] * len(test.texts)
        classes: list[str] = []
        if self.kind == "regression":
            values = np.array(numbers_of(labels, whole.places))
        else:
            classes = classes_of(labels, self.classes or (), whole.places, notes)
            numbers = {name.casefold(): number for number, name in enumerate(classes)}
            values = np.array([numbers[label.casefold()] for label in labels])
        part = np.array(parts)
        return LabelledTexts(
            whole.texts,
            values,
            part == "test",
            whole.places,
            part == "validation",
            tuple(classes),
            whole.columns,
            tuple(notes),
        )


def _decoded(content: bytes, place: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{place}, line {line}: not UTF-8 ({error.reason}); save it in UTF-8.") from None


def _read_sample(archive: Path) -> LabelledTexts:
    """A row for each sentence: number, mean score and text, separated by tabs."""
    packed = read_member(archive, SAMPLE_ARCHIVE)
    place = f"{archive.name}, {SAMPLE_MEMBER}"
    try:
        with tarfile.open(fileobj=io.BytesIO(packed)) as inner:
            file = inner.extractfile(SAMPLE_MEMBER)
            content = file.read() if file else b""
    except (*UNREADABLE, KeyError) as error:
        raise UserError(
            f"{place} cannot be read ({why_unreadable(error)}): delete {archive} and fetch again."
        ) from None
    texts, labels, places = [], [], []
    for number, line in enumerate(_decoded(content, place).splitlines(), 1):
        fields = line.split("\t")
        if len(fields) != 3 or not _is_number(fields[1]):
            raise UserError(f"{place}, line {number}: found '{line[:60]}', a number, a score and a text are expected.")
        score = float(fields[1])
        if score != 0:
            texts.append(fields[2])
            labels.append(int(score > 0))
            places.append(f"{place}, line {number}")
    return LabelledTexts(texts, np.array(labels), np.zeros(len(texts), np.bool_), places)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _read_imdb(archive: Path) -> LabelledTexts:
    """A file for each review, aclImdb/<train or test>/<neg or pos>/<number>_<stars>.txt."""
    folders = {f"aclImdb/{split}/{label}": (split, label) for split in ("train", "test") for label in ("neg", "pos")}

    def wanted(name: str) -> bool:
        return name.endswith(".txt") and name.rpartition("/")[0] in folders

    # by name, so that another packing gives the same splits
    found = sorted(members(archive, wanted))
    kinds = [folders[name.rpartition("/")[0]] for name, _ in found]
    for folder, kind in folders.items():
        if kind not in kinds:
            raise UserError(f"{archive} holds no {folder}/*.txt: it is another archive. Delete it and fetch again.")
    texts = [_decoded(content, f"{archive.name}, {name}") for name, content in found]
    labels = np.array([int(label == "pos") for _, label in kinds])
    is_test = np.array([split == "test" for split, _ in kinds])
    return LabelledTexts(texts, labels, is_test, [f"{archive.name}, {name}" for name, _ in found])
