"""A user's own text, of any size, in one file or several: it is read where it lies, in pieces, and never as a whole."""

import codecs
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from rnnlab.addresses import shown
from rnnlab.arguments import OneOf
from rnnlab.data.class_folders import files_below
from rnnlab.data.download import sha256_of
from rnnlab.data.tables.table import nearest
from rnnlab.datasets.dataset import Dataset, File
from rnnlab.errors import UserError
from rnnlab.results.paths import own_file

PIECE_BYTES = 1 << 22

NEW_LINE = ord("\n")

NAMED = 5
"""Files that are named in a line, at most."""

UNITS = ("character", "byte")

Codes = NDArray[np.unsignedinteger[Any]]
"""A piece of a text: the code points of its characters, or its bytes."""


@dataclass(frozen=True)
class Text(Dataset):
    """Files in UTF-8, or, with unit "byte", any files at all, one after the other. Their content decides what is
    prepared, not their names.

    path: of the file, of several in this order, or of a folder, whose .txt (of bytes all files) are read in the order
    of their names; they stay where they are. A file that does not end a line is followed by the end of one. unit: what
    a token is, "character" or "byte".
    """

    worded: ClassVar[tuple[str, ...]] = ("source", "path")

    source: Literal["path"] = "path"
    path: str | Sequence[str] | None = None
    unit: Annotated[str, OneOf(UNITS)] = "character"

    def in_words(self, facts: Mapping[str, Any]) -> Sequence[str]:
        first, *others = self._paths()
        return [f"{Path(first).name} and {len(others)} more" if others else Path(first).name]

    def files(self) -> list[File]:
        return []

    def check(self) -> None:
        super().check()
        if not self.path:
            raise UserError("task.path is missing: name your text, as task=text task.path=my.txt.")
        for given in self._paths():
            path = own_file(given)
            if not path.exists():
                siblings = [file.name for file in path.parent.glob("*")] if path.parent.is_dir() else []
                raise UserError(
                    f"task.path={shown(given)}: no such file (from {Path.cwd()}){nearest(path.name, siblings)}"
                )
        for path in self._files():
            if not os.access(path, os.R_OK):
                raise UserError(f"{path} (task.path) cannot be read; change its permissions.")

    def fingerprint(self) -> dict[str, Any]:
        self.check()
        stats = [(path, path.stat()) for path in self._files()]
        sums = [_sha256(path, (found.st_size, found.st_mtime_ns)) for path, found in stats]
        return {"name": self.name, "unit": self.unit, "sha256": sums[0] if len(sums) == 1 else sums}

    def notes(self) -> list[str]:
        files = [path.name for path in self._files()]
        if len(files) == 1:
            return []
        named = ", ".join(files) if len(files) <= NAMED else f"{files[0]} to {files[-1]}, {len(files)} files"
        return [f"one text of {named}: the validation part is its beginning, the test part its end"]

    def codes(self, folder: Path) -> Iterator[Codes]:
        """The text from beginning to end, in pieces.

        Raises: `UserError` where it is not UTF-8.
        """
        self.fetched(folder)
        read = byte_values if self.unit == "byte" else code_points
        first, *others = self._files()
        last = 0
        for codes in read(first):
            last = int(codes[-1])
            yield codes
        for path in others:
            if last != NEW_LINE:
                yield np.full(1, NEW_LINE, np.uint8)
            for codes in read(path):
                last = int(codes[-1])
                yield codes

    def _paths(self) -> list[str]:
        return [self.path] if isinstance(self.path, str) else [str(path) for path in self.path or ()]

    def _files(self) -> list[Path]:
        """Raises: `UserError` for a folder without a text."""
        found: list[Path] = []
        for given in self._paths():
            path = own_file(given)
            if not path.is_dir():
                found.append(path)
                continue
            below = files_below(path, (".txt",)) if self.unit == "character" else files_below(path, None)
            if not below:
                raise UserError(f"task.path={given} is a folder without a .txt in it.")
            found += below
        return found


@cache
def _sha256(path: Path, _version: tuple[int, int]) -> str:
    """Of the content, once for each version of the file: of gigabytes it takes seconds."""
    return sha256_of(path)


def byte_values(path: Path) -> Iterator[Codes]:
    """The bytes of a file, in pieces."""
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield np.frombuffer(piece, np.uint8)


def code_points(path: Path) -> Iterator[Codes]:
    """The characters of a file in UTF-8 as numbers, in pieces; line ends stay what they are.

    Raises: `UserError` with the byte and the line of the first that is not UTF-8.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    read, lines = 0, 0
    with path.open("rb") as file:
        while True:
            piece = file.read(PIECE_BYTES)
            try:
                text = decoder.decode(piece, final=not piece)
            except UnicodeDecodeError as error:
                # what the decoder was given begins with what was left of the piece before
                given, start = error.object, error.start
                byte = read + len(piece) - len(given) + start
                line = lines + given[:start].count(b"\n") + 1
                raise UserError(
                    f"{path} is not UTF-8: byte {byte} (counted from 0, in line {line}) is 0x{given[start]:02x}, "
                    f"{error.reason}. Convert the file, or take it as it is with task=text task.unit=byte."
                ) from None
            if text:
                yield np.frombuffer(text.encode("utf-32-le"), np.uint32)
            if not piece:
                return
            read += len(piece)
            lines += piece.count(b"\n")
