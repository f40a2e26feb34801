"""One job of a sweep: runs of one task and cell, described in a folder of the workspace, which every host sees.

What a job is, how far it is and how it ended are files there, so that all engines are alike, and a later command finds
what an earlier one has left running.
"""

import hashlib
import os
import pickle
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

from cloudpickle import dumps

import rnnlab
from rnnlab.addresses import shown
from rnnlab.config.fingerprint import SOURCE, fingerprint
from rnnlab.errors import UserError
from rnnlab.results.files import read_json, write_json
from rnnlab.results.locks import is_locked, locked
from rnnlab.results.paths import root

INHERITED = ("RNNLAB_SWEEP", "RNNLAB_PACKAGES", "RNNLAB_MIRROR", "MLFLOW_TRACKING_URI")
"""Of the environment: what a job needs to know wherever it runs. An address with a secret in it is not written down."""

NOT_SHARED = "{folder} is not to be seen on {host}: a job needs the workspace at the same path on every host."


@dataclass(frozen=True)
class Part:
    """One run of a job. words: its overrides. folder: of its results; empty for a command that has none of its own."""

    label: str
    words: tuple[str, ...]
    folder: str = ""
    seed: int = 0

    @property
    def identity(self) -> str:
        """The same for the same run under whatever command."""
        return f"{self.folder}#{self.seed}" if self.folder else " ".join(self.words)

    @property
    def checkpoint(self) -> Path:
        return Path(self.folder) / "checkpoints" / f"seed={self.seed}" / "last.ckpt"


@dataclass(frozen=True)
class Ended:
    """How a run ended. state: done, failed or skipped. message: of an error. value: what the command returns.

    seconds, cpu_seconds: of this run, in the attempt in which it ended.
    """

    state: str
    message: str = ""
    value: float | None = None
    seconds: float = 0.0
    cpu_seconds: float = 0.0


@dataclass(frozen=True)
class Job:
    """A folder with job.json, payload.pkl, owner.json, log.txt, and outcome.json once it has begun."""

    folder: Path

    @classmethod
    def make(cls, name: str, parts: Sequence[Part], payload: Any, does: str = "train") -> "Job":
        """Write the folder of these runs, which take the place of the same ones of an earlier command.

        does: what is done with each run, in a word or two: a job that trains runs is another than one that judges them.
        payload: what `rnnlab.cluster.worker` runs, which only the code that wrote it can read.
        """
        job = cls(jobs_folder() / fingerprint([does, *(part.identity for part in parts)]))
        shutil.rmtree(job.folder, ignore_errors=True)
        job.folder.mkdir(parents=True)
        (job.folder / "payload.pkl").write_bytes(dumps(payload))
        content = {
            "name": name,
            "does": does,
            "code": code_here(),
            "root": str(root()),
            "from": str(Path.cwd()),
            "environment": {
                key: value for key in INHERITED if (value := os.environ.get(key, "")) and shown(value) == value
            },
            "parts": [asdict(part) for part in parts],
        }
        write_json(job.folder / "job.json", content)
        return job

    @cached_property
    def content(self) -> dict[str, Any]:
        """Of job.json. Raises: `UserError` where it is not to be seen."""
        try:
            content: dict[str, Any] = read_json(self.folder / "job.json")
        except OSError:
            raise UserError(NOT_SHARED.format(folder=self.folder, host=os.uname().nodename)) from None
        return content

    @property
    def name(self) -> str:
        return str(self.content["name"])

    @property
    def does(self) -> str:
        return str(self.content["does"])

    @cached_property
    def parts(self) -> list[Part]:
        return [Part(**{**part, "words": tuple(part["words"])}) for part in self.content["parts"]]

    @property
    def payload(self) -> Any:
        return pickle.loads((self.folder / "payload.pkl").read_bytes())  # noqa: S301  # written by `make`

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    @property
    def outcome(self) -> dict[str, Any]:
        """host, attempts, finished, cpu_seconds, and by the number of a run how it `Ended`; {} before it begins, and
        where it cannot be read: the job's engine says then how it ended."""
        try:
            found: dict[str, Any] = read_json(self.folder / "outcome.json")
        except (OSError, UserError):
            return {}
        return found

    def write_outcome(self, content: dict[str, Any]) -> None:
        write_json(self.folder / "outcome.json", content)

    def ended(self) -> dict[int, Ended]:
        """The runs that have ended, by their number."""
        return {int(number): Ended(**facts) for number, facts in self.outcome.get("parts", {}).items()}

    @property
    def has_begun(self) -> bool:
        return bool(self.outcome)

    @property
    def has_finished(self) -> bool:
        return bool(self.outcome.get("finished"))

    @property
    def handle(self) -> dict[str, str]:
        """By which its engine knows it after the command that submitted it has ended; {} where it does not."""
        path = self.folder / "handle.json"
        return dict(read_json(path)) if path.exists() else {}

    def keep_handle(self, content: dict[str, str]) -> None:
        write_json(self.folder / "handle.json", content)

    @property
    def owner(self) -> str:
        """The command that follows it, see `presence`, or that did so last; empty where none has."""
        path = self.folder / "owner.json"
        return str(read_json(path)["command"]) if path.exists() else ""

    def keep_owner(self, command: str) -> None:
        write_json(self.folder / "owner.json", {"command": command})

    def delete(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def jobs_folder() -> Path:
    """Of all jobs of the workspace."""
    return root() / "runs" / ".sweep" / "jobs"


def presence(command: str) -> Path:
    """The lock that a command holds as long as it follows jobs, and others leave these to it. command: its name."""
    return root() / "runs" / ".sweep" / "commands" / f"{command}.lock"


@contextmanager
def taking() -> Iterator[None]:
    """One command at a time sees which jobs there are, and makes those that are missing."""
    with locked(root() / "runs" / ".sweep" / ".taking.lock"):
        yield


@contextmanager
def present() -> Iterator[str]:
    """Yields: the name of this command, under which its jobs are its own for as long."""
    command = uuid4().hex
    path = presence(command)
    path.parent.mkdir(parents=True, exist_ok=True)
    for other in path.parent.glob("*.lock"):  # of commands that were killed
        if not other.name.startswith(".") and not other.name.endswith(".held.lock") and not is_locked(other):
            other.unlink(missing_ok=True)
    with locked(path):
        try:
            yield command
        finally:
            path.unlink(missing_ok=True)


def jobs() -> Iterator[Job]:
    """Those that an earlier command has left, under way or failed; not what is damaged, or was written by a version of
    rnnlab that described jobs otherwise: nobody can go on with these."""
    for path in sorted(jobs_folder().glob("*/job.json")):
        job = Job(path.parent)
        try:
            _ = job.parts, job.does, job.owner
        except (UserError, KeyError, TypeError):
            continue
        yield job


@cache
def code_here() -> str:
    """The version of rnnlab that this process runs, and a digest of its files: a job is run by the same alone."""
    digest = hashlib.sha256()
    for path in sorted(SOURCE.rglob("*")):
        if path.suffix in (".py", ".h", ".cpp", ".jinja") and "__pycache__" not in path.parts:
            digest.update(path.relative_to(SOURCE).as_posix().encode())
            digest.update(path.read_bytes())
    return f"{rnnlab.__version__} ({digest.hexdigest()[:10]})"


def dealt(
    parts: Iterable[tuple[tuple[str, ...], Part]], room: int | None = None, most: int | None = None
) -> list[list[Part]]:
    """Runs as the jobs that they go into: one for each key, such as a task and a cell, since every job is a process
    whose start takes seconds; and more of them where these would leave a part of the room empty.

    parts: each with its key. room: jobs that can run at once; None: nobody knows. most: runs of a job.
    """
    groups: dict[tuple[str, ...], list[Part]] = {}
    for key, part in parts:
        groups.setdefault(key, []).append(part)
    number = {key: -(-len(group) // (most or len(group))) for key, group in groups.items()}
    while groups and sum(number.values()) < (room or 1):
        key = max(groups, key=lambda each: len(groups[each]) / number[each])
        if number[key] == len(groups[key]):
            break
        number[key] += 1
    return [chunk for key, group in groups.items() for chunk in _chunks(group, number[key])]


def _chunks(group: list[Part], number: int) -> Iterator[list[Part]]:
    """In their order, of sizes that differ by at most one."""
    size, more = divmod(len(group), number)
    first = 0
    for index in range(number):
        last = first + size + (index < more)
        yield group[first:last]
        first = last
