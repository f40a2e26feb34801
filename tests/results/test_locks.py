"""Locks within a host, over hosts, and on file systems that have none."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rnnlab.errors import UserError
from rnnlab.results import locks
from rnnlab.results.locks import Lock, LockLost, is_locked, locked, marker_of
from tests.conftest import CHECKOUT, Run

LEASE = 1.5

NO_FLOCK = """
#include <errno.h>
int flock(int file, int operation) { errno = NUMBER; return -1; }
"""

NO_EXCHANGE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <sys/syscall.h>
long syscall(long number, long a, long b, long c, long d, long e, long f) {
    static long (*real)(long, ...);
    if (!real) real = dlsym(RTLD_NEXT, "syscall");
    if (number == SYS_renameat2 && e) { errno = EINVAL; return -1; }  /* as NFS answers */
    return real(number, a, b, c, d, e, f);
}
"""

HOLD = f"""
import sys, time
from pathlib import Path
from rnnlab.results import locks
locks.LEASE_SECONDS, locks.BEAT_SECONDS = {LEASE}, 0.3
with locks.locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def short_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "LEASE_SECONDS", LEASE)
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.3)


def library(folder: Path, source: str) -> str:
    """A library of C that stands before the system's when it is named in LD_PRELOAD."""
    (folder / "first.c").write_text(source)
    done = subprocess.run(
        ["cc", "-shared", "-fPIC", "-O1", "-o", folder / "first.so", folder / "first.c", "-ldl"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return str(folder / "first.so")


def python(code: str, path: Path, *before: str, preload: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*before, sys.executable, "-c", textwrap.dedent(code), str(path)],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT / "src"), "LD_PRELOAD": preload},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@contextmanager
def holder(path: Path, *before: str, preload: str = "") -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock until it is killed."""
    process = python(HOLD, path, *before, preload=preload)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        kill(process)


def kill(process: subprocess.Popen[str]) -> None:
    """With all its children, as the process within a namespace."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def write_foreign(path: Path, host: str = "node7") -> Path:
    """The lease of a process of another host, as filelock writes it."""
    marker = marker_of(path)
    marker.write_text(f"filelock/2\npid=123\nhost={host}\nmode=lease\ntoken=abc\nduration={LEASE}\n")
    return marker


@contextmanager
def touched(marker: Path) -> Iterator[None]:
    """As by a process that lives."""
    end = threading.Event()

    def touch() -> None:
        while not end.wait(0.2):
            marker.touch()

    thread = threading.Thread(target=touch)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def test_one_at_a_time_and_nothing_but_the_lock_is_left(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    assert not is_locked(path)
    with locked(path) as lock:
        lock.check()
        assert is_locked(path)
        assert {file.name for file in tmp_path.iterdir()} == {".lock", ".held.lock"}
        with pytest.raises(UserError, match=rf"Another process works in .* \(process {os.getpid()} on host \S+ holds"):
            Lock(path).acquire(0.2)
    assert not is_locked(path)
    assert list(tmp_path.iterdir()) == [path]


def test_a_killed_process_frees_it_at_once(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with holder(path) as process:
        assert is_locked(path)
        kill(process)
        assert marker_of(path).exists()
        started = time.monotonic()
        with locked(path, 0.0):
            pass
        assert time.monotonic() - started < 0.5 * LEASE
    with holder(path) as process:
        kill(process)
        assert not is_locked(path)


def test_a_silent_holder_on_another_host_is_waited_for_and_its_place_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / ".lock"
    marker = write_foreign(path)
    started = time.monotonic()
    with caplog.at_level("INFO", "rnnlab"), locked(path, 0.2) as lock:
        assert LEASE <= time.monotonic() - started < LEASE + 3
        lock.check()
        assert f"pid={os.getpid()}\n" in marker.read_text()
    (line,) = caplog.messages
    assert re.search(r"held by process 123 on host node7; waiting up to \d+ s to see whether it is alive", line)


def test_a_living_one_is_named_as_soon_as_it_shows_that(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    marker = write_foreign(path)
    with touched(marker):
        for seconds in (0.0, 0.3):
            started = time.monotonic()
            with pytest.raises(UserError, match=r"process 123 on host node7 holds \.lock"):
                Lock(path).acquire(seconds)
            assert time.monotonic() - started < LEASE
    assert marker.exists()


def test_who_waits_without_limit_has_it_when_the_living_one_lets_go(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    marker = write_foreign(path)
    with touched(marker):
        waiting = threading.Thread(target=lambda: [lock := Lock(path), lock.acquire(), lock.release()])
        waiting.start()
        waiting.join(locks.SHORT_WAIT + 2 * LEASE)
        assert waiting.is_alive()
    marker.unlink()
    waiting.join(30)
    assert not waiting.is_alive()


@pytest.mark.parametrize("hours", [-1, 0, 1])
def test_whether_another_host_holds_it_is_said_by_the_clock_of_the_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    """Whatever that of this host says."""
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3600 * hours)
    path = tmp_path / ".lock"
    marker = write_foreign(path)
    assert is_locked(path)
    os.utime(marker, (now - 60, now - 60))
    assert not is_locked(path)
    assert {file.name for file in tmp_path.iterdir()} <= {".lock", ".held.lock"}


def test_a_lost_lock_is_noticed_and_left_to_the_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / ".lock"
    with caplog.at_level("WARNING", "rnnlab"), locked(path) as lock:
        marker_of(path).unlink()
        marker = write_foreign(path)
        with pytest.raises(LockLost, match="taken over by process 123 on host node7"):
            lock.check()
        end = time.monotonic() + 10
        while not caplog.messages and time.monotonic() < end:
            time.sleep(0.1)
    assert "is held no more (owner-changed)" in caplog.text
    assert "host=node7" in marker.read_text()


@pytest.mark.slow
def test_a_training_that_was_taken_over_stops_and_writes_no_result(run: Run, root: Path) -> None:
    def take_over() -> None:
        while not (found := list(root.glob("runs/price/*/rnn/*/checkpoints/seed=0/last.ckpt"))):
            time.sleep(0.05)
        lock = found[0].parent / ".lock"
        marker_of(lock).unlink()
        write_foreign(lock)

    thread = threading.Thread(target=take_over)
    thread.start()
    outcome = run("train", "cell=rnn", "trainer.max_epochs=500", "trainer.patience=500", "tracking=none")
    thread.join()
    assert outcome.code == 2
    assert "was taken over by process 123 on host node7" in outcome.err
    (folder,) = root.glob("runs/price/*/rnn/*")
    assert not list(folder.glob("train/*"))
    assert "host=node7" in marker_of(folder / "checkpoints/seed=0/.lock").read_text()


@pytest.mark.parametrize("number", ["ENOLCK", "ENOSYS", "EOPNOTSUPP"])
@pytest.mark.slow
def test_a_file_system_without_locks(tmp_path: Path, number: str) -> None:
    (tmp_path / "shared").mkdir()
    path = tmp_path / "shared" / ".lock"
    preload = library(tmp_path, NO_FLOCK.replace("NUMBER", number))
    ask = """
        import sys
        from pathlib import Path
        from rnnlab.errors import UserError
        from rnnlab.results import locks
        locks.LEASE_SECONDS, locks.BEAT_SECONDS = 60.0, 15.0
        path = Path(sys.argv[1])
        print(locks.is_locked(path))
        try:
            with locks.locked(path, 0.0):
                print("had")
        except UserError as error:
            print(error)
    """.replace("60.0, 15.0", f"{LEASE}, 0.3")
    with holder(path, preload=preload) as process:
        said = python(ask, path, preload=preload).communicate(timeout=60)[0]
        assert re.match(rf"True\nAnother process works in .* \(process {process.pid} on host \S+ holds \.lock\)", said)
        kill(process)
        assert python(ask, path, preload=preload).communicate(timeout=60)[0] == "False\nhad\n"


@pytest.mark.slow
def test_where_two_names_cannot_be_exchanged_a_lock_is_freed_all_the_same(tmp_path: Path) -> None:
    """As on NFS, where filelock alone leaves it held for ever."""
    (tmp_path / "shared").mkdir()
    path = tmp_path / "shared" / ".lock"
    preload = library(tmp_path, NO_EXCHANGE)
    had = f"""
        import sys, time
        from pathlib import Path
        from rnnlab.results import locks
        locks.LEASE_SECONDS, locks.BEAT_SECONDS = {LEASE}, 0.3
        started = time.monotonic()
        with locks.locked(Path(sys.argv[1]), 0.3):
            print(time.monotonic() - started)
    """
    with holder(path) as process:
        kill(process)
        assert float(python(had, path, preload=preload).communicate(timeout=60)[0]) < 0.3
    write_foreign(path)
    assert LEASE <= float(python(had, path, preload=preload).communicate(timeout=60)[0]) < LEASE + 3
    assert list(path.parent.iterdir()) == [path]


def own_namespaces() -> tuple[str, ...]:
    """The words before a command that runs it in PID, UTS and mount namespaces of its own, its host named `box`."""
    words = ("unshare", "--pid", "--uts", "--mount-proc", "--kill-child", "--fork")
    try:
        done = subprocess.run([*words, "hostname", "box"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no unshare")
    if done.returncode:
        pytest.skip(f"no namespaces: {done.stderr.strip()}")
    return (*words, "sh", "-c", 'hostname box; exec "$@"', "sh")


@pytest.mark.parametrize("source", ["", NO_FLOCK.replace("NUMBER", "ENOLCK")], ids=["flock", "no flock"])
@pytest.mark.slow
def test_two_containers_of_one_host_name(tmp_path: Path, source: str) -> None:
    """Each may have a process of the number that the other's lock names, or none."""
    (tmp_path / "shared").mkdir()
    path = tmp_path / "shared" / ".lock"
    box = own_namespaces()
    preload = library(tmp_path, source) if source else ""
    ask = f"""
        import sys
        from pathlib import Path
        from rnnlab.errors import UserError
        from rnnlab.results import locks
        locks.LEASE_SECONDS, locks.BEAT_SECONDS = {LEASE}, 0.3
        try:
            with locks.locked(Path(sys.argv[1]), 0.1):
                print("had")
        except UserError as error:
            print(locks.is_locked(Path(sys.argv[1])), error)
    """
    with holder(path, *box, preload=preload) as process:
        said = python(ask, path, *box, preload=preload).communicate(timeout=60)[0]
        assert re.match(r"True Another process works in .* \(process \d+ on host box holds \.lock\)", said)
        kill(process)
        assert python(ask, path, *box, preload=preload).communicate(timeout=60)[0] == "had\n"
