"""Surnames by the language or nationality that they belong to.

| source | from                               | names                                     | licence |
|--------|------------------------------------|-------------------------------------------|---------|
| sample | package faker, its name providers  | 22,591 of 23 languages or countries       | MIT     |
| full   | practical-pytorch (Robertson 2017) | 17,064 of 18 nationalities, romanised     | MIT     |
| csv    | your table                         | names or words in letters of any script   | yours   |

The first two are lists of names, not of people: how common a name is, they do not say. Names are in lower case, each is
kept once, and one that stands in the lists of several classes is left out of all: nobody could say whose it is. Of the
full set this takes the 1,892 repetitions in its Arabic list, which published results count as so many names.
"""

import ast
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlab.data.download import NotThereError, retrieve
from rnnlab.data.tables.labelled import LABELS, TEXTS, Wanted, classes_of
from rnnlab.data.tables.user_table import OwnTable
from rnnlab.datasets.dataset import Dataset, File, members
from rnnlab.datasets.own_texts import check_own, fetch_own, own_file_of, read_own
from rnnlab.errors import UserError
from rnnlab.results.files import write_json

SAMPLE = File(
    "faker-40.54.0-py3-none-any.whl",
    ("2dd88ee8cb63a9149e19ef48bdd73879bc3854d8ba2d6c1535e902a762e603f7",),
    distribution="faker==40.54.0",
)

LOCALES = {
    "Akan": ("tw_GH",),
    "Algerian": ("fr_DZ",),
    "Azerbaijani": ("az_AZ",),
    "Croatian": ("hr_HR",),
    "Czech or Slovak": ("cs_CZ", "sk_SK"),
    "Dutch": ("nl_BE", "nl_NL"),
    "English": ("en_GB", "en_IE", "en_NZ", "en_US"),
    "Estonian": ("et_EE",),
    "Finnish": ("fi_FI",),
    "French": ("fr_BE", "fr_CA", "fr_FR"),
    "German": ("de_AT", "de_CH", "de_DE"),
    "Indian": ("en_IN",),
    "Indonesian": ("id_ID",),
    "Irish": ("ga_IE",),
    "Italian": ("it_IT",),
    "Kenyan": ("en_KE",),
    "Latvian": ("lv_LV",),
    "Polish": ("pl_PL",),
    "Scandinavian": ("da_DK", "no_NO", "sv_SE"),
    "Slovene": ("sl_SI",),
    "Spanish": ("es_AR", "es_CL", "es_CO", "es_ES", "es_MX"),
    "Uzbek": ("uz_UZ",),
    "Zulu": ("zu_ZA",),
}
"""The providers in Latin letters that leave at least 100 names; those of one language, and of neighbours that share
most of their names, are one class. Left out: Luxembourg and French Switzerland, whose lists mix languages, and
Pakistan, whose list is of given names."""

MIRRORED = File("names_by_nationality.tar.gz", ("a5752b3d5f67262dbb2945b628c197e162ca60905c6c397f57358983250e4f0c",))
"""The same files in one archive, as a mirror may hold them."""

ADDRESS = (
    "https://raw.githubusercontent.com/spro/practical-pytorch/c520c52e68e945d88fff563dba1c028b6ec0197b/data/names/"
)

NATIONALITIES = {
    "Arabic": "6f424a8dbe51cbbbabab7a57d38b617210125e4e3991f3c657cb79b8f104bafc",
    "Chinese": "09ba8f1f7e38dbc99372d461b26ad4433b811fc6bfa6a3ecca6fe11a9a777465",
    "Czech": "e17ab0ec47616a72c39cb85c783f70c3663ab64488721e5d8378f146d2226be7",
    "Dutch": "924f32b635170eae561f84538632138fc07d4c8bbd70ba3fb980de1ecc4d2af3",
    "English": "9cca037066d3d5989e24bc01801416162de506b5e28e15b7c092a47905d29bf2",
    "French": "81e65b36c60ed5b89a17422f6edcadbb89546f38ad69e960e64e7ba682012a95",
    "German": "7449cd590b97a733e18d613a4155decd77ec35dc5f8aadd7a82204dce4f051db",
    "Greek": "3555b5186de7f401e6d991b088e9e644ca3099116477818c25ab5793801389e6",
    "Irish": "cf8c7013256252a88d2503127b87282a11f21b2ff6db1bded68834c19a1ec058",
    "Italian": "f88414c27d0606a11a678b4859277828c2565d6cc4d9ee932deef6e94f3b35e4",
    "Japanese": "e0e717e114fec3e7eade4d9dabe0067c475f43147e36a22b47902ee76ad9e67f",
    "Korean": "cd54221ccb362a6cba4c78828838cf3268a0e59744767a37cf6ec4b74036b136",
    "Polish": "45bab898af2f60ed3a728bbf6980e28821011a7caa53227553b5785903a40826",
    "Portuguese": "50a8735f41f4f73757c8ce5b16cb0275cd86b2b214bcbc8c9805f508cb131c53",
    "Russian": "0cfe53ac18041e8f63666aa77313e0a3ff378facb132abee052d8ebdc8c3d62c",
    "Scottish": "78d0252711d87d948ea86fe34826c51d2d794a8e52d15b5d6f7b6244d45d62dd",
    "Spanish": "1bcb462ed3316756a85781d68232bddae04498fdddd5d9219c53fd1fbdeba7a7",
    "Vietnamese": "f3f9e4164ab47601178a6e45b216464a64122f49d05541f24bf18a757253281d",
}

ONE_CLASS = {"English": "English or Scottish", "Scottish": "English or Scottish"}
"""Of the hundred Scottish names, 99 stand in the English list, too."""

MARKS = frozenset(" '-.")
"""What may stand in a name beside its letters."""


NAMES = ("name", "surname", "lastname", "familyname", "firstname", "givenname", "word", *TEXTS)
CLASSES = (*LABELS, "country", "nationality", "origin", "language", "gender", "sex")
"""What the two columns of a table are usually called."""

CSV = "names.csv"


class Names(NamedTuple):
    """names: each once; labels: (names,), the number of its class in `classes`; notes: what was left out; column: that
    of the names, of a table."""

    names: list[str]
    labels: NDArray[np.int64]
    classes: list[str]
    notes: list[str]
    column: str | None = None


@dataclass(frozen=True)
class Surnames(Dataset):
    """See the module's table.

    path: of csv, any table of `Rows`. text, label: its columns; None: found by usual names.
    """

    worded: ClassVar[tuple[str, ...]] = ("source", "path", "text")

    source: Literal["sample", "full", "csv"]
    path: str | None = None
    text: str | None = None
    label: str | None = None

    def __post_init__(self) -> None:
        # YAML and the command line read a column called 1 as a number
        for name in ("path", "text", "label"):
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else str(value))
        if self.path is not None and self.source == "sample":
            object.__setattr__(self, "source", "csv")

    def check(self) -> None:
        super().check()
        if self.source == "csv":
            if not self.path:
                raise UserError("task.path is missing: give your table, as task.path=my.csv.")
            check_own("path", self.path, folders=False)

    def in_words(self, facts: Mapping[str, Any]) -> Sequence[str]:
        if self.source == "csv":
            return [OwnTable(str(self.path)).name, *([facts["column"]] if "column" in facts else [])]
        return ["surnames of faker" if self.source == "sample" else "surnames of practical-pytorch"]

    def files(self) -> list[File]:
        if self.source == "csv":
            return [own_file_of(CSV, str(self.path))]
        if self.source == "sample":
            return [SAMPLE]
        return [
            File(f"{name}.txt", (digest,), address=f"{ADDRESS}{name}.txt") for name, digest in NATIONALITIES.items()
        ]

    def fingerprint(self) -> dict[str, Any]:
        reading = {"text": self.text, "label": self.label}
        return super().fingerprint() | (reading if self.source == "csv" else {})

    def fetch(self, folder: Path, mirror: str | None = None) -> None:
        """The full set comes in one archive from a mirror that holds it, else in a file for each nationality."""
        self.check()
        if self.source == "csv":
            fetch_own(self.files(), folder, self.name)
            return
        if self.source == "full":
            try:
                path = folder / MIRRORED.name
                record = retrieve(path, dataset=self.name, origin=_nowhere, sha256=MIRRORED.sha256, mirror=mirror)
            except NotThereError:
                pass
            else:
                write_json(folder / "source.json", {"source": self.source, "files": {MIRRORED.name: record}})
                return
        super().fetch(folder, mirror)

    def read(self, folder: Path) -> Names:
        """Raises: `UserError` for a file that is missing, cut off, no text in UTF-8, or without names."""
        self.fetched(folder)
        if self.source == "csv":
            return self._read_own(folder)
        lists = _read_providers(folder / SAMPLE.name) if self.source == "sample" else _read_lists(folder)
        for label, names in lists.items():
            if not names:
                raise UserError(f"{folder} holds no names of the class {label}: delete it and fetch again.")
        return _distinct(lists)

    def _read_own(self, folder: Path) -> Names:
        (file,) = self.files()
        wanted = Wanted(self.text, self.label, texts=NAMES, labels=CLASSES)
        rows = read_own(folder / file.name, str(self.path), wanted)
        notes = rows.notes
        classes = classes_of(rows.labels, (), rows.places, notes)
        spelling = {label.casefold(): label for label in classes}
        lists: dict[str, list[str]] = {label: [] for label in classes}
        for name, label in zip(rows.texts, rows.labels, strict=True):
            lists[spelling[label.casefold()]].append(name)
        found = _distinct(lists, _has_letter, "have no letter")
        for number, label in enumerate(classes):
            if number not in found.labels:
                raise UserError(f"{self.path}: the class {label} has no name that is of no other class.")
        return found._replace(notes=[*notes, *found.notes], column=rows.columns[0])


def _has_letter(name: str) -> bool:
    return any(letter.isalpha() for letter in name)


def _nowhere(_: Path) -> None:
    raise NotThereError(f"{MIRRORED.name} is in no mirror.")


def _read_lists(folder: Path) -> dict[str, list[str]]:
    """A file for each nationality, a name for each line."""
    archive = folder / MIRRORED.name
    if archive.exists():
        wanted = {f"names/{name}.txt" for name in NATIONALITIES}
        contents = {Path(name).stem: content for name, content in members(archive, wanted.__contains__)}
    else:
        contents = {path.stem: path.read_bytes() for path in folder.glob("*.txt")}
    lists: dict[str, list[str]] = {}
    for name in NATIONALITIES:
        try:
            found = contents.get(name, b"").decode("utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise UserError(f"{folder}, {name}.txt: not UTF-8 ({error.reason}); delete it and fetch again.") from None
        lists.setdefault(ONE_CLASS.get(name, name), []).extend(found)
    return lists


def _read_providers(wheel: Path) -> dict[str, list[str]]:
    """Faker's own lists, read out of its source, which is never run."""
    places = {f"faker/providers/person/{locale}/__init__.py": locale for many in LOCALES.values() for locale in many}
    found = {places[name]: list(_last_names(content, name)) for name, content in members(wheel, places.__contains__)}
    missing = sorted(set(places.values()) - set(found))
    if missing:
        raise UserError(f"{wheel} lacks the names of {', '.join(missing)}: delete it and fetch again.")
    return {label: [name for locale in many for name in found[locale]] for label, many in LOCALES.items()}


def _last_names(source: bytes, place: str) -> Iterator[str]:
    """The strings that a class of the module writes out under a name like `last_names`:

    last_names_male = ("Novák", "Svoboda") or last_names = OrderedDict((("Smith", 1.2), ("Jones", 0.7)))
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        raise UserError(f"{place} is not the Python that was expected ({error}): fetch it again.") from None
    for part in tree.body:
        for statement in part.body if isinstance(part, ast.ClassDef) else ():
            if isinstance(statement, ast.Assign):
                targets = statement.targets
            elif isinstance(statement, ast.AnnAssign):
                targets = [statement.target]
            else:
                continue
            if any(isinstance(target, ast.Name) and "last_names" in target.id for target in targets):
                yield from _written_out(statement.value)


def _written_out(value: ast.expr | None) -> Iterator[str]:
    if isinstance(value, ast.Call) and value.args:
        value = value.args[0]
    items: Iterable[ast.expr | None] = ()
    if isinstance(value, ast.Tuple | ast.List):
        items = value.elts
    elif isinstance(value, ast.Dict):
        items = value.keys
    for item in items:
        first = item.elts[0] if isinstance(item, ast.Tuple | ast.List) and item.elts else item
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield first.value


def _is_name(name: str) -> bool:
    """Whether it holds Latin letters and `MARKS`, and nothing else."""
    letters = set(name) - MARKS
    return bool(letters) and all(letter.isalpha() and "LATIN" in unicodedata.name(letter, "") for letter in letters)


def _distinct(
    lists: dict[str, list[str]],
    is_name: Callable[[str], bool] = _is_name,
    otherwise: str = "are no names in Latin letters",
) -> Names:
    """Each name once, without those that are of several classes, and entries that are none, of which `otherwise` says
    what they are."""
    owners: dict[str, set[str]] = {}
    unreadable = 0
    for label, names in lists.items():
        for name in map(plain_name, names):
            if is_name(name):
                owners.setdefault(name, set()).add(label)
            else:
                unreadable += 1
    kept = sorted(name for name, labels in owners.items() if len(labels) == 1)
    classes = list(lists)
    found = sum(map(len, lists.values()))
    shared = sum(len(labels) for labels in owners.values() if len(labels) > 1)
    notes = [
        f"left out: {shared} entries of {len(owners) - len(kept)} names that are of several classes",
        f"left out: {found - unreadable - len(kept) - shared} entries that repeat one of the same class",
        f"left out: {unreadable} entries that {otherwise}",
    ]
    labels = np.array([classes.index(next(iter(owners[name]))) for name in kept], np.int64)
    return Names(kept, labels, classes, notes)


def plain_name(name: str) -> str:
    """In lower case, with one kind of apostrophe; İ without the dot that its lower case would leave behind."""
    for mark in "’‘ʻʼ`":
        name = name.replace(mark, "'")
    return unicodedata.normalize("NFC", name.strip().lower()).replace("\u0307", "")
