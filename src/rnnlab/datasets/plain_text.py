"""A user's own text, of any size: it is read where it lies, in pieces, and never as a whole."""

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
from rnnlab.data.download import sha256_of
from rnnlab.data.tables.table import nearest
from rnnlab.datasets.dataset import Dataset, File
from rnnlab.errors import UserError
from rnnlab.results.paths import own_file

PIECE_BYTES = 1 << 22

UNITS = ("character", "byte")

Codes = NDArray[np.unsignedinteger[Any]]
"""A piece of a text: the code points of its characters, or its bytes."""


@dataclass(frozen=True)
class Text(Dataset):
    """One file in UTF-8, or, with unit "byte", any file at all. Its content decides what is prepared, not its name.

    path: of the file, which stays where it is. unit: what a token is, "character" or "byte".
    """

    worded: ClassVar[tuple[str, ...]] = ("source", "path")

    source: Literal["path"] = "path"
    path: str | None = None
    unit: Annotated[str, OneOf(UNITS)] = "character"

    def in_words(self, facts: Mapping[str, Any]) -> Sequence[str]:
        return [Path(str(self.path)).name]

    def files(self) -> list[File]:
        return []

    def check(self) -> None:
        super().check()
        if not self.path:
            raise UserError("task.path is missing: name your text, as task=text task.path=my.txt.")
        path = self._file
        if not path.exists():
            siblings = [file.name for file in path.parent.glob("*")] if path.parent.is_dir() else []
            raise UserError(
                f"task.path={shown(self.path)}: no such file (from {Path.cwd()}){nearest(path.name, siblings)}"
            )
        if not path.is_file():
            raise UserError(f"task.path={self.path} is not a file; name one text.")
        if not os.access(path, os.R_OK):
            raise UserError(f"task.path={self.path} cannot be read; change its permissions.")

    def fingerprint(self) -> dict[str, Any]:
        self.check()
        found = self._file.stat()
        return {"name": self.name, "unit": self.unit, "sha256": _sha256(self._file, (found.st_size, found.st_mtime_ns))}

    def codes(self, folder: Path) -> Iterator[Codes]:
        """The text from beginning to end, in pieces.

        Raises: `UserError` where it is not UTF-8.
        """
        self.fetched(folder)
        return byte_values(self._file) if self.unit == "byte" else code_points(self._file)

    @property
    def _file(self) -> Path:
        return own_file(str(self.path))


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
