"""What a killed `dvc repro` leaves of dvc.lock and .dvc/tmp/rwlock, and what is put back."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dvc.lock import make_lock

from rnnlab.config.lockfiles import KEPT, LOCK, RWLOCK, keep, restore

STAGE = """\
  {name}:
    cmd: python {name}.py
    deps:
    - path: data
      hash: md5
      md5: c8655a2bee2833b6637ea8dd57923887.dir
      size: 32264
      nfiles: 19
    outs:
    - path: results/{name}
      hash: md5
      md5: 5f729a0a6cf1c14e1d4dcf07d8f06594
      size: 199793
"""
WHOLE = "schema: '2.0'\nstages:\n" + STAGE.format(name="train") + STAGE.format(name="evaluate")
OLDER = "schema: '2.0'\nstages:\n" + STAGE.format(name="train")
DAMAGED = {
    "empty": b"",
    "cut in the middle of a line": WHOLE[: WHOLE.rindex("    - path") + 12].encode(),
    "cut after a key": WHOLE[: WHOLE.rindex("    - path")].encode(),
    "cut to what DVC reads and cannot use": WHOLE[: WHOLE.rindex("d5\n")].encode(),
    "cut within the first line": b"sche",
    "no text": b"\x00\xff\xfe\x80" * 50,
    "zeros": bytes(len(WHOLE)),
}
A_PROCESS_OF_ANOTHER_PROGRAM = b'{"write": {"/data": {"pid": 1, "cmd": "dvc repro"}}}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".dvc/tmp").mkdir(parents=True)
    (tmp_path / "dvc.lock").write_text(WHOLE)
    (tmp_path / RWLOCK).write_bytes(b"{}")
    return tmp_path


@contextmanager
def living_dvc(folder: Path) -> Iterator[None]:
    """A process that is called as DVC is, in the folder, while a stage's command runs: it holds no lock."""
    script = folder / "bin/dvc"
    script.parent.mkdir()
    script.write_text("print('ready', flush=True)\ninput()")
    command = [sys.executable, str(script), "repro"]
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield
        process.kill()


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_dvc_lock_is_put_back(folder: Path, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / KEPT).write_text(OLDER)
    (folder / "dvc.lock").write_bytes(content)
    restore(folder)
    assert (folder / "dvc.lock").read_text() == OLDER
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("dvc.lock cannot be read: put back")
    restore(folder)
    assert not capsys.readouterr().out


@pytest.mark.parametrize("kept", [None, b"", DAMAGED["no text"]], ids=["no copy", "empty copy", "damaged copy"])
@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_without_a_copy_a_damaged_dvc_lock_is_removed(
    folder: Path, content: bytes, kept: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """DVC takes a missing one for that of a project which never ran, and finds results in its cache."""
    if kept is not None:
        (folder / KEPT).write_bytes(kept)
    (folder / "dvc.lock").write_bytes(content)
    restore(folder)
    assert not (folder / "dvc.lock").exists()
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("dvc.lock cannot be read: removed")


def _as_written(path: Path) -> tuple[int, int, str] | None:
    """What changes when a file is written or replaced. Its time of access does when it is read."""
    if not path.exists():
        return None
    stat = path.stat()
    return stat.st_ino, stat.st_mtime_ns, path.read_text()


@pytest.mark.parametrize("kept", [None, WHOLE, OLDER, ""])
@pytest.mark.parametrize("content", [WHOLE, OLDER, None], ids=["whole", "fewer stages", "missing"])
def test_what_dvc_can_read_is_left_alone(
    folder: Path, content: str | None, kept: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    if kept is not None:
        (folder / KEPT).write_text(kept)
    lock = folder / "dvc.lock"
    lock.unlink() if content is None else lock.write_text(content)
    before = _as_written(lock)
    restore(folder)
    assert _as_written(lock) == before
    assert (folder / RWLOCK).read_bytes() == b"{}"
    assert not capsys.readouterr().out


@pytest.mark.parametrize("content", ["<<<<<<< HEAD\nschema: '2.0'\n", "schema: '3.0'\nstages: {}\n"])
def test_what_no_kill_leaves_behind_is_left_to_its_user(
    folder: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "dvc.lock").write_text(content)
    restore(folder)
    assert (folder / "dvc.lock").read_text() == content
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("content", [b"", b'{"write": {"/da', A_PROCESS_OF_ANOTHER_PROGRAM])
def test_an_rwlock_of_a_killed_dvc_is_removed(folder: Path, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    """Process ids are given again: DVC would wait for the end of a program that has nothing to do with it."""
    (folder / RWLOCK).write_bytes(content)
    restore(folder)
    assert not (folder / RWLOCK).exists()
    (line,) = capsys.readouterr().out.splitlines()
    assert str(RWLOCK) in line


@pytest.mark.parametrize("content", [b"", b'{"write": {"/da', A_PROCESS_OF_ANOTHER_PROGRAM])
def test_an_rwlock_is_left_alone_while_a_dvc_runs_in_the_folder(folder: Path, content: bytes) -> None:
    (folder / RWLOCK).write_bytes(content)
    with living_dvc(folder):
        restore(folder)
        assert (folder / RWLOCK).read_bytes() == content
        elsewhere = folder.with_name(f"{folder.name} elsewhere")
        (elsewhere / RWLOCK).parent.mkdir(parents=True)
        (elsewhere / RWLOCK).write_bytes(content)
        restore(elsewhere)
        assert not (elsewhere / RWLOCK).exists()


def test_nothing_is_touched_while_dvc_writes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that DVC is in the middle of writing looks like a damaged one, but for the lock that DVC holds."""
    monkeypatch.setenv("DVC_STAGE", "train")
    (folder / KEPT).write_text(OLDER)
    (folder / "dvc.lock").write_bytes(b"")
    (folder / RWLOCK).write_bytes(b"")
    with make_lock(str(folder / LOCK)):
        restore(folder)
        keep(folder)
    assert (folder / "dvc.lock").read_bytes() == (folder / RWLOCK).read_bytes() == b""
    assert (folder / KEPT).read_text() == OLDER


def test_a_copy_is_kept_by_the_stages_of_dvc_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DVC_STAGE", raising=False)
    keep(folder)
    assert not (folder / KEPT).exists()
    monkeypatch.setenv("DVC_STAGE", "train")
    keep(folder)
    assert (folder / KEPT).read_text() == WHOLE
    (folder / "dvc.lock").unlink()
    keep(folder)
    assert (folder / KEPT).read_text() == WHOLE


@pytest.mark.slow
def test_dvc_itself_while_it_lives_and_after_it_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The real DVC in a repository of one stage, whose command takes long the first time."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    command = "test -e started || { touch started; sleep 600; }; echo done > result"
    (tmp_path / "dvc.yaml").write_text(f"stages: {{one: {{cmd: '{command}', outs: [result]}}}}")
    dvc = [sys.executable, "-m", "dvc", "repro", "-q"]
    running = subprocess.Popen(dvc, start_new_session=True)
    try:
        for _ in range(600):
            if (tmp_path / "started").exists():
                break
            time.sleep(0.1)
        (tmp_path / RWLOCK).write_bytes(b"")
        restore(tmp_path)
        assert (tmp_path / RWLOCK).exists()
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    (tmp_path / "dvc.lock").write_bytes(b"")
    assert subprocess.run(dvc, check=False).returncode != 0, "what is put back here is put back in vain"
    assert not capsys.readouterr().out
    restore(tmp_path)
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert subprocess.run(dvc, check=False).returncode == 0
    assert (tmp_path / "result").read_text() == "done\n"
