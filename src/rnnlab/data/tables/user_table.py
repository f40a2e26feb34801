"""A table of the user's own: a file on this machine, or at an http(s) address."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnlab.addresses import shown
from rnnlab.data.download import is_address, retrieve, sha256_of
from rnnlab.data.tables.rows import ENDINGS
from rnnlab.data.tables.table import nearest
from rnnlab.errors import UserError
from rnnlab.results.paths import own_file


@dataclass(frozen=True)
class OwnTable:
    """task.<key>: a local file (see `own_file`) or an http(s) address."""

    path: str
    key: str = "path"

    @property
    def shown(self) -> str:
        """The path as it may be shown and stored."""
        return shown(self.path)

    @property
    def name(self) -> str:
        """The file's own, as titles have it."""
        return re.split(r"[/\\]", self.shown.rstrip("/"))[-1]

    @property
    def is_settled(self) -> bool:
        """Whether it is the same tomorrow, or known by its content: an address is not."""
        return not is_address(self.path)

    def check(self) -> None:
        """Raises: `UserError` where there is no such file, or none that can be read; an address is not asked."""
        if is_address(self.path):
            return
        path = own_file(self.path)
        if not path.exists():
            siblings = [file.name for file in path.parent.glob("*")] if path.parent.is_dir() else []
            raise UserError(
                f"task.{self.key}={self.path}: no such file (from {Path.cwd()}){nearest(path.name, siblings)}"
            )
        if not path.is_file():
            raise UserError(f"task.{self.key}={self.path} is not a file; name one table.")
        try:
            path.open("rb").close()
        except OSError as error:
            raise UserError(
                f"task.{self.key}={self.path} cannot be read ({error.strerror}); change its permissions."
            ) from None

    def sha256(self) -> str | None:
        """Of the content of a local file."""
        if is_address(self.path):
            return None
        self.check()
        return sha256_of(own_file(self.path))

    def identity(self) -> dict[str, str]:
        """What tells this path from others, its secrets too, without giving them away."""
        return {"path": self.shown, "path_sha256": hashlib.sha256(self.path.encode()).hexdigest()}

    def fetch(self, folder: Path, dataset: str, mirror: str | None, other_name: str, **patience: Any) -> dict[str, Any]:
        """Copy or download it into `folder`; what `retrieve` says of it, and the `file` it is now.

        other_name: what it is called there where its own name could meet one of ours.
        """
        remote = is_address(self.path)
        file = folder / (
            self.name if self.name.lower().endswith((".csv", ".tsv", ".txt")) else self.kept_as(other_name)
        )
        facts = retrieve(
            file,
            dataset=dataset,
            origin=self.path if remote else own_file(self.path),
            origin_name=self.shown,
            mirror=mirror if remote else "",  # a file of the user's own is the one that is meant
            **patience,
        )
        return {**facts, "file": file.name}

    def kept_as(self, other_name: str) -> str:
        """Another name, with the ending of this one where that is one of a table."""
        plain = self.name.lower()
        packed = ".gz" if plain.endswith(".gz") else ""
        ending = Path(plain.removesuffix(".gz")).suffix
        return f"{Path(other_name).stem}{ending}{packed}" if ending in ENDINGS else other_name
