"""Locks on files that hold among the processes of a host, and over hosts that share a file system.

A lock is two things, taken in this order and let go of in the other:

- the operating system's lock on the file itself, freed when the process dies, however it dies. Some file systems have
  none, and some only one for each host;
- a lease beside it (`marker_of`): a file that is made atomically, names host and process, and is touched again every
  `BEAT_SECONDS`. Whoever waits takes it over at once where that process is known to be dead on this very host (in this
  PID namespace: two containers may have one host name), else after it has seen no touch for `LEASE_SECONDS` by a clock
  of its own. The clocks of two hosts are never compared.

A lease can be lost under a process that lives: a host that was suspended wakes up, and another has taken over. Whoever
writes what the other would write too asks `Lock.check` before.
"""

import errno
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, LeaseCompromise, LeaseSettingsMismatch, SoftFileLease, Timeout

from rnnlab.errors import UserError

log = logging.getLogger("rnnlab")

LEASE_SECONDS = 60.0
"""Without a sign of life, after which a lease may be taken over: the same for all, or they cannot agree."""

BEAT_SECONDS = 15.0

SHORT_WAIT = 2.0
"""Seconds after which one who waits without limit says for whom."""

NO_LOCKS = frozenset((errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP))
"""Numbers of the errors of a file system that has no locks."""

NOT_OURS = frozenset((errno.EACCES, errno.EPERM, errno.EROFS))


class LockLost(UserError):
    """Another process has taken over what this one held, or may have."""


class Lock:
    """One lock of one thread, which is not held yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._marker = marker_of(path)
        self._flock = _flock(path)
        self._lease = _Lease(
            self._marker,
            lease_duration=LEASE_SECONDS,
            heartbeat_interval=BEAT_SECONDS,
            on_compromise=self._warn,
        )
        self._token: str | None = None

    def acquire(self, wait_seconds: float = -1.0) -> None:
        """Wait for it, for ever where `wait_seconds` is negative.

        One that is held longer by a process which cannot be seen from here is waited for until its next sign of life,
        or until it has shown none for `LEASE_SECONDS` and is taken over; not where `wait_seconds` is 0.

        Raises: `UserError` when another process holds it.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        end = time.monotonic() + wait_seconds
        try:
            self._flock.acquire(timeout=wait_seconds)
        except Timeout:
            raise UserError(self._held_by_another()) from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
        try:
            self._take_lease(wait_seconds, end)
        except BaseException:
            self._flock.release()
            raise
        self._token = self._lease.token

    def release(self) -> None:
        self._token = None
        try:
            self._lease.release()
        finally:
            self._flock.release()

    def check(self) -> None:
        """Raises: `LockLost` when it is held no more."""
        if not self._is_held():
            time.sleep(0.1)  # one who looks whether it can be taken over may move the marker aside for a moment
            if not self._is_held():
                raise LockLost(
                    f"{self.path} was taken over by {self._owner() or 'another process'} while this one gave no sign "
                    "of life: it stops, and leaves the work to the other."
                )

    def _is_held(self) -> bool:
        owner = self._lease.owner
        return self._marker.exists() if owner is None else owner.token == self._token  # None: it cannot be read

    def _take_lease(self, wait_seconds: float, end: float) -> None:
        first = 0.0 if wait_seconds == 0 else SHORT_WAIT if wait_seconds < 0 else max(0.0, end - time.monotonic())
        if self._has_lease(first):
            return
        if wait_seconds == 0:
            raise UserError(self._held_by_another())
        seen = self._stamp()
        log.info(
            "%s is held by %s; waiting up to %.0f s to see whether it is alive",
            self.path, self._owner() or "another process", LEASE_SECONDS,
        )  # fmt: skip

        def is_alive() -> bool:
            return self._stamp() not in (seen, None)

        patience = LEASE_SECONDS + 3
        while not self._has_lease(patience, 0.1 if LEASE_SECONDS < 30 else 0.5, is_alive):
            if wait_seconds > 0:
                raise UserError(self._held_by_another())
            time.sleep(BEAT_SECONDS / 15)  # it is alive: for ever, then

    def _has_lease(self, within: float, pause: float = 0.05, is_in_vain: Callable[[], bool] | None = None) -> bool:
        try:
            self._lease.acquire(timeout=within, poll_interval=pause, cancel_check=is_in_vain)
        except (Timeout, LeaseSettingsMismatch):  # the other's is for another time: of another version of rnnlab
            return False
        return True

    def _stamp(self) -> tuple[int, int] | None:
        """Changes whenever the marker is touched, or another takes its place."""
        try:
            found = self._marker.lstat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino

    def _owner(self) -> str | None:
        owner = self._lease.owner
        if owner is None:
            return None
        # filelock adds the PID namespace to the name of the host
        return f"process {owner.pid} on host {owner.hostname.partition('?pidns-')[0]}"

    def _held_by_another(self) -> str:
        owner = self._owner()
        gone = f", or delete {self._marker} if it is gone" if owner else ""
        return (
            f"Another process works in {self.path.parent} ({owner or 'it'} holds {self.path.name}); wait for it to "
            f"end{gone}."
        )

    def _warn(self, loss: LeaseCompromise) -> None:
        log.warning("%s is held no more (%s): another process may work there now", self.path, loss.reason)


@contextmanager
def locked(path: Path, wait_seconds: float = -1.0) -> Iterator[Lock]:
    """Hold the lock on `path`.

    Raises: `UserError` when another process holds it for longer than `wait_seconds` (negative: wait for ever), and one
    of another host shows that it is alive: see `Lock.acquire`.
    """
    lock = Lock(path)
    lock.acquire(wait_seconds)
    try:
        yield lock
    finally:
        lock.release()


def is_locked(path: Path) -> bool:
    """Whether a living process holds the lock on `path`, without waiting.

    One on another host lives if its lease was touched of late, by the clock of the file system: a file that is made
    now tells the time. What cannot be looked into is taken to be locked.
    """
    marker = marker_of(path)
    try:
        if path.exists() and _is_flocked(path):
            return True
        if not marker.exists():
            return False
        if _is_free(marker):
            return False
        return _age(marker) <= LEASE_SECONDS + BEAT_SECONDS
    except FileNotFoundError:  # let go of meanwhile
        return False
    except OSError as error:
        if error.errno in NOT_OURS:
            return True
        raise


def marker_of(path: Path) -> Path:
    """The lease beside a lock: a name that is ignored wherever locks are, `.lock` and `.held.lock`."""
    return path.with_name(f"{path.name.removesuffix('.lock')}.held.lock")


def is_of_lock(found: Path, path: Path) -> bool:
    """Whether a file in the folder of the lock `path` belongs to it."""
    return found.name == path.name or found.name.startswith(marker_of(path).name)


def _flock(path: Path) -> FileLock:
    return FileLock(path, fallback_to_soft=False)


def _is_flocked(path: Path) -> bool:
    try:
        with _flock(path).acquire(timeout=0):
            return False
    except Timeout:
        return True
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        return False


def _is_free(marker: Path) -> bool:
    """Whether its lease can be had at once, as that of a process which was killed here."""
    try:
        with _Lease(marker, lease_duration=LEASE_SECONDS).acquire(timeout=0):
            return True
    except (Timeout, LeaseSettingsMismatch):
        return False


def _age(marker: Path) -> float:
    """Seconds since it was touched."""
    handle, name = tempfile.mkstemp(dir=marker.parent, prefix=f"{marker.name}.", suffix=".lock")
    try:
        return os.fstat(handle).st_mtime - marker.stat().st_mtime
    finally:
        os.close(handle)
        Path(name).unlink(missing_ok=True)


class _Lease(SoftFileLease):
    """filelock's, also where two names cannot be exchanged in one step, as on NFS: there it would be held for ever."""

    def _take_over(self, marker: os.stat_result, breaker_pid: int | None) -> None:
        """Called for a marker whose owner is dead or silent. Away with it, if it is there after all; whoever makes the
        next has the lease."""
        super()._take_over(marker, breaker_pid)
        path = Path(self.lock_file)
        aside = path.with_name(f"{path.name}.{os.getpid()}.{time.monotonic_ns()}.lock")
        with suppress(OSError):
            if self.is_locked or not _is_same(path.lstat(), marker):
                return
            path.rename(aside)
            try:
                if not _is_same(aside.lstat(), marker):  # another was faster, and this is its own
                    path.hardlink_to(aside)
            finally:
                aside.unlink()


def _is_same(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_ino, one.st_mtime_ns) == (other.st_ino, other.st_mtime_ns)
