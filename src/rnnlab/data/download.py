"""One way for a file to come here: from a mirror if it has the file, else from its origin; whole and checked, or not.

    record = retrieve(Path("data/raw/names/names.tar.gz"), dataset="names", origin="https://...", sha256="...")

looks for `<mirror>/names/names.tar.gz`, then at the origin. Two processes that want the same file download it once.
"""

import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit, urlunsplit

from rnnlab.addresses import shown
from rnnlab.errors import UserError
from rnnlab.output import Meter, show_count
from rnnlab.results.files import NO_FOLDER, NO_ROOM, atomic_file, read_json, write_json
from rnnlab.results.locks import locked

if TYPE_CHECKING:
    import requests


MIRROR_VARIABLE = "RNNLAB_MIRROR"
TIMEOUT_SECONDS = (10.0, 60.0)  # to connect, and between two arrivals of data
CHUNK_BYTES = 1 << 18
MEGABYTE = 10**6


class NotThereError(UserError):
    """The place can be read, but holds no such file."""


def retrieve(
    target: Path,
    *,
    dataset: str,
    origin: str | Path | Callable[[Path], None],
    origin_name: str | None = None,
    sha256: str | tuple[str, ...] | None = None,
    mirror: str | None = None,
    retries: int = 4,
    backoff_seconds: float = 2.0,
) -> dict[str, Any]:
    """Put a file at `target` and say where it came from.

    Args:
        dataset: the mirror's folder for this file, which is looked up as `<mirror>/<dataset>/<target.name>`.
        origin: a local path, an http(s) address, or a function that writes the file to the path it is given.
        origin_name: how the record names the origin; None: its own path, address or name.
        sha256: of the whole file, where it is known, or of each version of it that is accepted. A file at `target` that
            already has it is kept.
        mirror: a folder or an http(s) address; None: the environment variable RNNLAB_MIRROR; "": no mirror.
        retries: further tries over http after a lost connection, a cut-off body, or a 429 or 5xx answer.
        backoff_seconds: wait before the first of these, doubled for each next one.

    Returns:
        `via` ("mirror" or "origin"), `address` (scheme, host and path), `sha256`, `bytes`, and `retrieved_at` (UTC,
        ISO 8601, seconds).

    Raises:
        UserError: no such file, an unknown scheme, no connection, a refusal, a wrong checksum, an unwritable folder.
    """
    before = _stamp(target)
    accepted = (sha256,) if isinstance(sha256, str) else sha256
    with _unwritable_is_the_users(target), locked(target.parent / f".{target.name}.lock"):
        written_while_waiting = _stamp(target) != before
        if accepted is not None or written_while_waiting:
            record = _record_of_whole_file(target, accepted)
            if record is not None:
                return record
        _remove_leftovers(target)
        with atomic_file(target) as part:
            address, via = _from_mirror(part, target, dataset, mirror, accepted, retries, backoff_seconds), "mirror"
            if address is None:
                address, via = origin_name or _name_of(origin), "origin"
                _obtain(origin, part, target.name, retries, backoff_seconds)
                _verify(part, accepted, target.name, address)
            record = {
                "via": via,
                "address": address,
                "sha256": sha256_of(part),
                "bytes": part.stat().st_size,
                "retrieved_at": datetime.now(UTC).isoformat(timespec="seconds"),
            }
        write_json(_record_path(target), record)
        return record


def sha256_of(path: Path) -> str:
    """Of the file's content, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_address(place: str) -> bool:
    """Whether `place` is an http(s) address; False for a local path.

    Raises: `UserError` for any other scheme.
    """
    scheme, separator, _ = place.partition("://")
    if not separator:
        return False
    if scheme.lower() in ("http", "https"):
        return True
    raise UserError(f"{shown(place)}: cannot read {scheme}:// addresses; give a local path or http(s)://.")


def _name_of(origin: str | Path | Callable[[Path], None]) -> str:
    if isinstance(origin, str | Path):
        return shown(str(origin))
    return getattr(origin, "__name__", type(origin).__name__)


def _from_mirror(
    part: Path,
    target: Path,
    dataset: str,
    mirror: str | None,
    accepted: tuple[str, ...] | None,
    retries: int,
    backoff_seconds: float,
) -> str | None:
    """Fill `part` from the mirror; its address, or None where there is no mirror, or it lacks the file or fails."""
    mirror = os.environ.get(MIRROR_VARIABLE, "") if mirror is None else mirror
    if not mirror:
        return None
    place = _inside(mirror, dataset, target.name)
    address = shown(place)
    try:
        # one retry: the origin is still to come
        _obtain(place, part, target.name, min(retries, 1), backoff_seconds)
        _verify(part, accepted, target.name, address)
        return address
    except NotThereError:
        if not is_address(mirror) and not Path(mirror).is_dir():
            _say(f"The mirror {mirror} is not a folder; going on without it.")
    except UserError as error:
        _say(f"The mirror is passed over: {error}")
    return None


def _inside(mirror: str, dataset: str, name: str) -> str:
    if not is_address(mirror):
        return str(Path(mirror) / dataset / name)
    parts = urlsplit(mirror)
    path = f"{parts.path.rstrip('/')}/{quote(dataset)}/{quote(name)}"
    return urlunsplit(parts._replace(path=path))  # a token in the query stays with the address


def _obtain(
    place: str | Path | Callable[[Path], None], part: Path, name: str, retries: int, backoff_seconds: float
) -> None:
    if isinstance(place, str) and is_address(place):
        _download(place, part, name, retries, backoff_seconds)
    elif isinstance(place, str | Path):
        _copy(Path(place), part)
    else:
        place(part)


def _copy(path: Path, part: Path) -> None:
    if not path.exists():
        raise NotThereError(f"{path}: no such file.")
    if not path.is_file():
        raise UserError(f"{path} is not a file.")
    try:
        source = path.open("rb")
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); change its permissions.") from None
    with source, part.open("wb") as copy:
        shutil.copyfileobj(source, copy, CHUNK_BYTES)


class _BrokenTransferError(Exception):
    """This try failed; another may succeed."""


def _download(address: str, part: Path, name: str, retries: int, backoff_seconds: float) -> None:
    import requests
    from urllib3.exceptions import HTTPError

    place = shown(address)
    if not sys.stderr.isatty():
        _say(f"Fetching {name} from {place}")
    transfer = _Transfer(address, part, name)
    reason = ""
    with requests.Session() as session:
        for attempt in range(retries + 1):
            if attempt:
                time.sleep(backoff_seconds * 2 ** (attempt - 1))
            try:
                return transfer.run(session)
            except requests.exceptions.InvalidURL:
                raise UserError(f"{place} is not a valid address.") from None
            except _BrokenTransferError as error:
                reason = str(error)
            except (requests.RequestException, HTTPError) as error:
                reason = f"no connection, or it broke ({type(error).__name__})"  # its text may hold credentials
    raise UserError(
        f"{place}: {reason}; gave up (tries: {retries + 1}). Check the network and try again, "
        f"or set {MIRROR_VARIABLE} to a folder or address that holds the data sets."
    )


@dataclass
class _Transfer:
    """One file on its way over http: a next try asks only for what is missing, where the server knows its version."""

    address: str
    part: Path
    name: str
    version: str | None = None  # the server's mark (ETag or date) for the bytes that `part` holds

    def run(self, session: "requests.Session") -> None:
        held = self.part.stat().st_size if self.version else 0
        headers = {"Accept-Encoding": "identity"}  # so that Content-Length counts the file's own bytes
        if held:
            headers |= {"Range": f"bytes={held}-", "If-Range": str(self.version)}
        with session.get(self.address, headers=headers, stream=True, timeout=TIMEOUT_SECONDS) as response:
            self._refuse_failure(response)
            resumed = response.headers.get("Content-Range", "").startswith(f"bytes {held}-")
            if response.status_code == 206 and not resumed:
                self.version = None
                raise _BrokenTransferError("the server sent another part of the file than asked")
            self.version = _version(response)
            held = held if resumed else 0
            length = response.headers.get("Content-Length")
            total = held + int(length) if length else None
            self._save(response, held, total)
        size = self.part.stat().st_size
        if total is not None and size != total:
            raise _BrokenTransferError(f"the server sent {size:,} of {total:,} bytes")

    def _refuse_failure(self, response: "requests.Response") -> None:
        status = response.status_code
        if status in (404, 410):
            raise NotThereError(f"{shown(self.address)}: no such file (HTTP {status}); check the address.")
        if status in (408, 416, 429) or status >= 500:
            self.version = None
            raise _BrokenTransferError(f"the server answered HTTP {status}")
        if status not in (200, 206):
            raise UserError(f"{shown(self.address)}: refused (HTTP {status}); check the address and rights.")

    def _save(self, response: "requests.Response", held: int, total: int | None) -> None:
        done = held
        with self.part.open("ab" if held else "wb") as file, closing(Meter(self.name)) as meter:
            meter.restart(held / total if total else 0.0)
            for chunk in response.raw.stream(CHUNK_BYTES, decode_content=False):
                file.write(chunk)
                done += len(chunk)
                if time.monotonic() >= meter.due:
                    show_count(meter, done, total, " MB", MEGABYTE)


def _version(response: "requests.Response") -> str | None:
    """What lets `If-Range` resume this very file; weak marks do not."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified")


def _verify(path: Path, accepted: tuple[str, ...] | None, name: str, source: str) -> None:
    if accepted is not None and (found := sha256_of(path)) not in accepted:
        raise UserError(
            f"{name} from {source} has the wrong checksum: expected sha256 {' or '.join(accepted)}, found {found}. "
            "Try again; if it stays so, the file there has changed: compare it, or fetch it from a mirror you trust."
        )


def _record_path(target: Path) -> Path:
    return target.parent / f".{target.name}.json"


def _record_of_whole_file(target: Path, accepted: tuple[str, ...] | None) -> dict[str, Any] | None:
    """The record of the file already at `target`; None unless the file is the one its record tells of, and accepted."""
    if not target.is_file() or not _record_path(target).is_file():
        return None
    record: dict[str, Any] = read_json(_record_path(target))
    found = sha256_of(target)
    return record if found == record["sha256"] and (accepted is None or found in accepted) else None


def _remove_leftovers(target: Path) -> None:
    """Delete what a killed process left; the lock is ours, so nobody writes there now."""
    for leftover in target.parent.glob(f".{escape(target.name)}.*.part"):
        leftover.unlink()


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


@contextmanager
def _unwritable_is_the_users(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in NO_FOLDER | NO_ROOM:
            raise
        reason = os.strerror(error.errno)
        raise UserError(
            f"Cannot write {target}: {reason}. Make room or rights there, or choose another place."
        ) from None


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
