"""A folder of the user's own, with the files in it and below."""

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rnnlab.data.download import is_address, sha256_of
from rnnlab.data.tables.table import nearest
from rnnlab.errors import UserError
from rnnlab.results.paths import own_file


@dataclass(frozen=True)
class OwnFolder:
    """task.path: a folder on this machine. Hidden files in it, whose names begin with a point, are none of the data."""

    path: str

    @property
    def name(self) -> str:
        """Its own, as titles have it."""
        return own_file(self.path).resolve().name

    def check(self) -> None:
        """Raises: `UserError` where there is no such folder, or a file in it cannot be read."""
        if is_address(self.path):
            raise UserError(f"task.path={self.path} is an address: a folder is read on this machine; download it.")
        folder = own_file(self.path)
        if not folder.exists():
            siblings = [each.name for each in folder.parent.glob("*")] if folder.parent.is_dir() else []
            raise UserError(
                f"task.path={self.path}: no such folder (from {Path.cwd()}){nearest(folder.name, siblings)}"
            )
        if not folder.is_dir():
            raise UserError(f"task.path={self.path} is no folder.")
        if not any(self._files()):
            raise UserError(f"task.path={self.path}: the folder is empty.")

    def _files(self) -> Iterator[Path]:
        folder = own_file(self.path)
        for each in sorted(folder.rglob("*")):
            if each.is_file() and not any(part.startswith(".") for part in each.relative_to(folder).parts):
                yield each

    def sha256(self) -> str:
        """Of the names and contents of all files."""
        folder = own_file(self.path)
        digest = hashlib.sha256()
        for each in self._files():
            try:
                digest.update(f"{each.relative_to(folder).as_posix()}\n{sha256_of(each)}\n".encode())
            except OSError as error:
                raise UserError(f"{each} cannot be read ({error.strerror}); change its permissions.") from None
        return digest.hexdigest()

    def fetch(self, target: Path) -> None:
        """Copy all files to `target`, as they lie below the folder.

        Raises: `UserError` for one that cannot be read.
        """
        folder = own_file(self.path)
        for each in self._files():
            copy = target / each.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copyfile(each, copy)
            except OSError as error:
                raise UserError(f"{each} cannot be copied to {copy} ({error.strerror}).") from None
