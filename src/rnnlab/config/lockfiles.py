"""DVC's dvc.lock and .dvc/tmp/rwlock, put back after a killed `dvc repro`: python -m rnnlab.config.lockfiles

DVC empties both files and writes them again, dvc.lock after each stage. Killed in between, it leaves a file that no
later `dvc repro` can read.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from rnnlab.results.files import atomic_file
from rnnlab.results.locks import NO_LOCKS

# below the folder of dvc.yaml; git ignores .dvc/tmp
LOCK = Path(".dvc/tmp/lock")  # held by DVC whenever it writes dvc.lock or rwlock, but not while a stage's command runs
RWLOCK = Path(".dvc/tmp/rwlock")
KEPT = Path(".dvc/tmp/dvc.lock")
DAMAGED = Path(".dvc/tmp/dvc.lock.damaged")


def keep(folder: Path) -> None:
    """In a stage that DVC runs: copy dvc.lock, which DVC has read and does not write meanwhile, for `restore`."""
    if "DVC_STAGE" in os.environ and (folder / "dvc.lock").exists():
        with suppress(Timeout), _alone(folder), atomic_file(folder / KEPT) as part:
            shutil.copyfile(folder / "dvc.lock", part)


def restore(folder: Path) -> None:
    """Put back what a killed DVC left unreadable in `folder`, and say so. Files of a running DVC are left alone."""
    with suppress(Timeout), _alone(folder):
        _restore_lock(folder)
        _clear_rwlock(folder)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold DVC's own lock, which is the operating system's alone.

    Raises: `Timeout` at once when DVC holds it, and where the file system has no locks.
    """
    (folder / LOCK).parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK, timeout=0, fallback_to_soft=False)
    try:
        lock.acquire()
    except OSError as error:
        raise Timeout(lock.lock_file) if error.errno in NO_LOCKS else error from None
    try:
        yield
    finally:
        lock.release()


def _restore_lock(folder: Path) -> None:
    lock, kept = (folder / "dvc.lock").resolve(), folder / KEPT
    if not lock.is_file() or _is_whole(lock) or _is_no_kill(lock):
        return
    shutil.copyfile(lock, folder / DAMAGED)
    if kept.exists() and _is_whole(kept):
        with atomic_file(lock) as part:
            shutil.copyfile(kept, part)
        done = "put back as it was when the last stage started"
    else:
        lock.unlink()
        done = "removed, as no copy was kept; DVC finds up-to-date results in its cache"
    print(f"dvc.lock cannot be read: {done}. The damaged file is now {DAMAGED}.")


def _is_whole(lock: Path) -> bool:
    """Whether DVC can work with it: cut within a line, as in `hash: m`, it can be read and fails later."""
    from dvc.exceptions import DvcException
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from dvc.utils.strictyaml import load

    try:
        load(str(lock), COMPILED_LOCKFILE_SCHEMA)
    except DvcException:
        return False
    return lock.read_bytes().endswith(b"\n")


def _is_no_kill(lock: Path) -> bool:
    """Whether it holds what no kill leaves behind: the conflict of a merge, or the schema of another version of DVC."""
    lines = lock.read_bytes().splitlines()
    versions = {line.split(b":")[1].strip(b" '\"") for line in lines if line.startswith(b"schema:")}
    return bool(versions - {b"", b"2", b"2.", b"2.0"}) or any(line.startswith(b"<<<<<<<") for line in lines)


def _clear_rwlock(folder: Path) -> None:
    """Who reads and writes what, by process id: whatever stands there is of a killed process once DVC runs no more."""
    rwlock = folder / RWLOCK
    if rwlock.exists() and rwlock.read_bytes() != b"{}" and not _runs_dvc(folder):
        rwlock.unlink()
        print(f"{RWLOCK} was left by a killed dvc: removed.")


def _runs_dvc(folder: Path) -> bool:
    """Whether a DVC process works in `folder` or below it, or in a folder that only another user may know."""
    import psutil

    for process in psutil.process_iter(["cmdline", "cwd"]):
        command, place = process.info["cmdline"] or [], process.info["cwd"]
        is_dvc = "dvc" in [Path(word).name for word in command]  # python .../bin/dvc, python -X dev -m dvc
        if is_dvc and (place is None or Path(place).is_relative_to(folder.resolve())):
            return True
    return False


if __name__ == "__main__":
    restore(Path.cwd())
