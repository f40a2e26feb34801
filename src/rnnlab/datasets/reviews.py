"""Reviews that say whether something is good or bad.

| source | from                                                    | reviews                         | licence        |
|--------|---------------------------------------------------------|---------------------------------|----------------|
| sample | package vaderSentiment (Hutto and Gilbert 2014)         | 10,568 sentences, no test split | MIT            |
| full   | the Large Movie Review Dataset, IMDB (Maas et al. 2011) | 25,000 to train on, 25,000 test | cite the paper |
| csv    | your file                                               | yours, no test split            | yours          |

The sentences come from Rotten Tomatoes (Pang and Lee 2004); several people scored each from -4 to 4, and its class is
the sign of their mean. The 37 whose mean is zero are left out, and so are the unlabelled reviews of IMDB.
"""

import csv
import io
import math
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlab.addresses import shown
from rnnlab.arguments import refusal
from rnnlab.data.download import is_address, sha256_of
from rnnlab.data.tables.delimited import SEPARATORS
from rnnlab.data.tables.user_table import OwnTable
from rnnlab.datasets.dataset import UNREADABLE, Dataset, File, members, read_member, why_unreadable
from rnnlab.errors import UserError
from rnnlab.results.paths import own_file

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


class LabelledTexts(NamedTuple):
    """labels: (texts,), 0 negative, 1 positive; is_test: (texts,), the official test split; places: for messages."""

    texts: list[str]
    labels: NDArray[np.int64]
    is_test: NDArray[np.bool_]
    places: list[str]


@dataclass(frozen=True)
class Reviews(Dataset):
    """See the module's table.

    path: of csv, a file in UTF-8 with commas and a header. text, label: its columns. classes: the two labels that it
    holds, the negative one first.
    """

    worded: ClassVar[tuple[str, ...]] = ("source", "path", "text")

    source: Literal["sample", "full", "csv"]
    path: str | None = None
    text: str = "text"
    label: str = "label"
    classes: tuple[str, ...] = ("neg", "pos")

    def __post_init__(self) -> None:
        # YAML and the command line read labels like 0 and 1 as numbers
        object.__setattr__(self, "classes", tuple(str(label) for label in self.classes))
        for name in ("text", "label"):
            object.__setattr__(self, name, str(getattr(self, name)))

    def check(self) -> None:
        super().check()
        if self.source != "csv":
            return
        if len(set(self.classes)) != 2 or len(self.classes) != 2:
            needed = "the two labels of the csv, the negative one first, such as [neg,pos]"
            raise UserError(refusal("task.classes", needed, list(self.classes)))
        if self.text == self.label:
            raise UserError(refusal("task.label", "another column than task.text", self.label))
        if not self.path:
            raise UserError("task.path is missing: give your reviews, as task.source=csv task.path=my.csv.")
        if is_address(self.path):
            raise UserError(f"task.path={shown(self.path)} is an address: download it, and name the file.")
        OwnTable(self.path).check()

    def in_words(self, facts: Mapping[str, Any]) -> Sequence[str]:
        if self.source == "csv":
            return [OwnTable(str(self.path)).name, self.text]
        return ["sentences on films" if self.source == "sample" else "IMDB"]

    def files(self) -> list[File]:
        if self.source == "csv":
            path = own_file(self.path or "")
            return [File(CSV, (sha256_of(path),), address=str(path))]
        return [SAMPLE if self.source == "sample" else FULL]

    def fingerprint(self) -> dict[str, Any]:
        reading = {"text": self.text, "label": self.label, "classes": list(self.classes)}
        return super().fingerprint() | (reading if self.source == "csv" else {})

    def read(self, folder: Path) -> LabelledTexts:
        """Raises: `UserError` for a file of another format, text that is not UTF-8, or labels that are none."""
        self.fetched(folder)
        if self.source == "sample":
            return _read_sample(folder / SAMPLE.name)
        if self.source == "full":
            return _read_imdb(folder / FULL.name)
        return self._read_csv(folder / CSV)

    def _read_csv(self, path: Path) -> LabelledTexts:
        text = _decoded(path.read_bytes(), str(self.path)).removeprefix("\ufeff")
        rows = csv.DictReader(io.StringIO(text, newline=""))
        numbers = {label: number for number, label in enumerate(self.classes)}
        texts, labels, places = [], [], []
        try:
            for key, column in (("text", self.text), ("label", self.label)):
                if column not in (rows.fieldnames or ()):
                    raise UserError(f"{self.path} has no column {column} (task.{key}){_told(rows.fieldnames or ())}.")
            for row in rows:
                place = f"{self.path}, line {rows.line_num}"
                if None in row or None in row.values():
                    raise UserError(f"{place}: another number of fields than the header has; mend that line.")
                label = row[self.label].strip()
                if label not in numbers:
                    named = " nor ".join(self.classes)
                    raise UserError(f"{place}: the label '{label}' is neither {named} (task.classes).")
                texts.append(row[self.text])
                labels.append(numbers[label])
                places.append(place)
        except csv.Error as error:
            raise UserError(f"{self.path}, line {rows.line_num}: {error}; the file may be damaged.") from None
        for label, number in numbers.items():
            if number not in labels:
                raise UserError(f"{self.path} has no review with the label '{label}': both classes are needed.")
        return LabelledTexts(texts, np.array(labels), np.zeros(len(texts), np.bool_), places)


def _told(columns: Sequence[str]) -> str:
    """The columns of a table; of one alone that another separator would cut, what to do."""
    told = f"; its columns are: {', '.join(columns) or 'none'}"
    other = next((name for mark, name in SEPARATORS.items() if len(columns) == 1 and mark in columns[0]), None)
    return told if other is None else f"{told}. Its fields seem to be separated by {other}s: save it with commas"


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
