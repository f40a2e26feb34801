"""Sentences with the part of speech of each word, by the 17 universal tags (Nivre et al. 2016).

| source    | from                                           | sentences                                | licence      |
|-----------|------------------------------------------------|------------------------------------------|--------------|
| generated | a small grammar, see `rnnlab.datasets.grammar` | as many as asked for, no official split  | none         |
| full      | UD English EWT 2.16 (Silveira et al. 2014)     | 12,544 to train on, 2,001 validation,    | CC BY-SA 4.0 |
|           |                                                | 2,077 test                               |              |
| file      | your CoNLL-U file, or one for each part        |                                          | yours        |
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from rnnlab.arguments import Positive
from rnnlab.data.download import sha256_of
from rnnlab.data.tables.table import nearest
from rnnlab.datasets.dataset import Dataset, File
from rnnlab.datasets.grammar import Sentence, generate
from rnnlab.errors import UserError

TAGS = (
    "ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM",
    "VERB", "X",
)  # fmt: skip

ALL = "all"
"""The one part where the splits are still to be drawn."""

ADDRESS = (
    "https://raw.githubusercontent.com/UniversalDependencies/UD_English-EWT/4c89b5833a70aa5ed3a00bad2f23f57992cc7df8/"
)
FULL = {
    part: File(name, (sha256,), address=ADDRESS + name, folder="ud-english-ewt")
    for part, name, sha256 in (
        ("train", "en_ewt-ud-train.conllu", "3fb78e2b55482c8ee00caa653af436c88c9e5bc9a73ce26e4ae3ddc79d2b7e7b"),
        ("validation", "en_ewt-ud-dev.conllu", "531a54ff90d6ab12201c5a50c3e78e6ddac4de69abc4bce5d275d3cd29efe2b6"),
        ("test", "en_ewt-ud-test.conllu", "e266e515a0a7547657ed3d90d9ba46487d6bd251f27ad4269d4e8a427c8555cd"),
    )
}

FIELDS = 10
NO_WORD = re.compile(r"\d+-\d+|\d+\.\d+")
"""Numbers of lines that stand for no word: several words written as one (3-4), and words that were left out (8.1)."""

NEW_DOCUMENT = re.compile(r"#\s*newdoc\b")
"""The comment before the first sentence of a document."""


@dataclass(frozen=True)
class Treebank(Dataset):
    """See the module's table.

    sentences: of generated. path: of file; where validation_path and test_path are null, parts of it are drawn.
    """

    worded: ClassVar[tuple[str, ...]] = ("source", "path")

    source: Literal["generated", "full", "file"]
    sentences: Positive = 5000
    path: str | None = None
    validation_path: str | None = None
    test_path: str | None = None

    def in_words(self, facts: Mapping[str, Any]) -> Sequence[str]:
        named = {"generated": "a small grammar", "full": "UD English EWT"}
        return [named.get(self.source) or Path(str(self.path)).name]

    def files(self) -> list[File]:
        return list(FULL.values()) if self.source == "full" else []

    def check(self) -> None:
        super().check()
        if self.source != "file":
            return
        if not self.path:
            raise UserError("task.path is missing: name your CoNLL-U file, as task.source=file task.path=my.conllu.")
        if (self.validation_path is None) != (self.test_path is None):
            raise UserError("task.validation_path and task.test_path go together: give both, or neither.")
        for key, path in self._own().items():
            _check_readable(key, path)

    def _own(self) -> dict[str, Path]:
        """The user's files, by their keys."""
        keys = ("path", "validation_path", "test_path")
        return {key: Path(str(getattr(self, key))) for key in keys if getattr(self, key) is not None}

    def fingerprint(self) -> dict[str, Any]:
        if self.source == "generated":
            return {**super().fingerprint(), "sentences": self.sentences}
        if self.source == "file":
            self.check()
            return {**super().fingerprint(), "own": {key: sha256_of(path) for key, path in self._own().items()}}
        return super().fingerprint()

    def read(self, folder: Path) -> dict[str, list[Sentence]]:
        """The sentences of "train", "validation" and "test", or of `ALL` where there are no such parts.

        Raises: `UserError` with the file and the line of what is no CoNLL-U, and for a file without a sentence.
        """
        self.fetched(folder)
        if self.source == "generated":
            return {ALL: generate(self.sentences)}
        if self.source == "full":
            paths = {part: folder / file.name for part, file in FULL.items()}
        elif self.test_path is None:
            paths = {ALL: self._own()["path"]}
        else:
            paths = dict(zip(FULL, self._own().values(), strict=True))
        found = {part: list(read_conllu(path)) for part, path in paths.items()}
        for part, sentences in found.items():
            if not sentences:
                raise UserError(f"{paths[part]} holds no sentence.")
        return found


def _check_readable(key: str, path: Path) -> None:
    if not path.exists():
        siblings = [file.name for file in path.parent.glob("*")] if path.parent.is_dir() else []
        raise UserError(f"task.{key}={path}: no such file (from {Path.cwd()}){nearest(path.name, siblings)}")
    if not path.is_file():
        raise UserError(f"task.{key}={path} is not a file; name one CoNLL-U file.")
    try:
        path.open("rb").close()
    except OSError as error:
        raise UserError(f"task.{key}={path} cannot be read ({error.strerror}); change its permissions.") from None


def read_conllu(path: Path) -> Iterator[Sentence]:
    """The sentences of a file in CoNLL-U: a line of ten fields, parted by tabs, for each word; a blank line after each.

    The second field is the word, the fourth its universal tag. A comment `# newdoc` begins a document; other comments
    are passed over, and so are the lines of `NO_WORD`: the words of a contraction stand on lines of their own.

    Raises: `UserError` with the line, what was found there and what is expected.
    """
    words: list[str] = []
    tags: list[str] = []
    document = 0
    with path.open("rb") as file:
        for number, content in enumerate(file, 1):
            where = f"{path}, line {number}"
            try:
                line = content.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise UserError(f"{where} is not UTF-8 ({error.reason}): convert the file.") from None
            if not line.strip():
                if words:
                    yield Sentence(words, tags, document)
                words, tags = [], []
            elif line.startswith("#"):
                document += bool(NEW_DOCUMENT.match(line))
            else:
                fields = line.split("\t")
                if len(fields) != FIELDS:
                    raise UserError(f"{where} has {len(fields)} field(s) parted by tabs, {FIELDS} are expected.")
                if NO_WORD.fullmatch(fields[0]):
                    continue
                if fields[0] != str(len(words) + 1):
                    raise UserError(
                        f"{where}: the word's number is {fields[0]!r}, {len(words) + 1} is expected: a blank line must "
                        "stand between two sentences."
                    )
                if not fields[1]:
                    raise UserError(f"{where}: the word is empty.")
                if fields[3] not in TAGS:
                    raise UserError(f"{where}: the tag {fields[3]!r} is none of {', '.join(TAGS)}.")
                words.append(fields[1])
                tags.append(fields[3])
    if words:
        yield Sentence(words, tags, document)
