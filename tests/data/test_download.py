"""Files arrive whole and checked, or not at all."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

import rnnlab
from rnnlab.data import download
from rnnlab.errors import UserError
from tests.datasets.yahoo_server import Request, Server

CONTENT = bytes(range(256)) * 4096  # 1 MiB
SHA256 = hashlib.sha256(CONTENT).hexdigest()
retrieve = partial(download.retrieve, dataset="stuff", backoff_seconds=0.001)


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv(download.MIRROR_VARIABLE, raising=False)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "raw" / "file.bin"


def whole(request: Request) -> None:
    request.answer(200, CONTENT)


def closed_address() -> str:
    with Server(whole) as server:
        return server.address


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_file_and_record_arrive(target: Path) -> None:
    with Server(whole) as server:
        address = server.address.replace("http://", "http://me:hunter2@") + "/file.bin?token=hunter2#part"
        record = retrieve(target, origin=address, sha256=SHA256)
    assert target.read_bytes() == CONTENT
    assert record.pop("retrieved_at").endswith("+00:00")
    clean = f"{server.address}/file.bin"
    assert record == {"via": "origin", "address": clean, "sha256": SHA256, "bytes": len(CONTENT)}
    assert names(target.parent) == {"file.bin", ".file.bin.json", ".file.bin.lock"}


def test_local_origin_and_function(target: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(CONTENT)
    record = retrieve(target, origin=tmp_path / "mine")
    assert (record["via"], record["address"], record["sha256"]) == ("origin", str(tmp_path / "mine"), SHA256)

    def write_greeting(part: Path) -> None:
        part.write_bytes(b"hello")

    assert retrieve(target, origin=write_greeting)["address"] == "write_greeting"
    assert target.read_bytes() == b"hello"


def test_truncated_body_is_noticed_and_restarted(target: Path) -> None:
    def cut_once(request: Request) -> None:
        body = CONTENT if len(server.seen) > 1 else CONTENT[:1000]
        request.answer(200, body, length=len(CONTENT))

    with Server(cut_once) as server:
        retrieve(target, origin=server.address)
    assert (target.read_bytes() == CONTENT, len(server.seen)) == (True, 2)


def test_truncated_body_is_resumed_where_the_server_can(target: Path) -> None:
    asked: list[str | None] = []

    def resume(request: Request) -> None:
        asked.append(request.headers["Range"])
        if request.headers["Range"] is None:
            request.answer(200, CONTENT[:1000], length=len(CONTENT), ETag='"v1"')
            return
        assert request.headers["If-Range"] == '"v1"'
        span = f"bytes 1000-{len(CONTENT) - 1}/{len(CONTENT)}"
        request.answer(206, CONTENT[1000:], ETag='"v1"', Content_Range=span)

    with Server(resume) as server:
        retrieve(target, origin=server.address, sha256=SHA256)
    assert asked == [None, "bytes=1000-"]


def test_changed_file_is_not_glued_to_the_old_half(target: Path) -> None:
    def changed(request: Request) -> None:
        if len(server.seen) == 1:
            request.answer(200, b"old" * 100, length=1000, ETag='"v1"')
        else:
            request.answer(200, CONTENT, ETag='"v2"')  # If-Range does not hold: all of the new

    with Server(changed) as server:
        retrieve(target, origin=server.address)
        assert len(server.seen) == 2
    assert target.read_bytes() == CONTENT


def test_truncated_for_ever_leaves_nothing(target: Path) -> None:
    with Server(lambda request: request.answer(200, CONTENT[:10], length=20)) as server:
        with pytest.raises(UserError, match=r"gave up \(tries: 3\)"):
            retrieve(target, origin=server.address, retries=2)
        assert len(server.seen) == 3
    assert names(target.parent) == {".file.bin.lock"}


@pytest.mark.parametrize("status", [429, 500, 503])
def test_busy_server_is_asked_again(target: Path, status: int) -> None:
    def busy_once(request: Request) -> None:
        request.answer(*((200, CONTENT) if len(server.seen) > 1 else (status,)))

    with Server(busy_once) as server:
        retrieve(target, origin=server.address, sha256=SHA256)
        assert len(server.seen) == 2
    with Server(lambda request: request.answer(status)) as server, pytest.raises(UserError, match=f"HTTP {status}"):
        retrieve(target, origin=server.address, retries=1)


def test_back_off_doubles(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(download.time, "sleep", waits.append)
    with Server(lambda request: request.answer(503)) as server, pytest.raises(UserError):
        retrieve(target, origin=server.address, retries=3, backoff_seconds=0.5)
    assert waits == [0.5, 1.0, 2.0]


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        ("ftp://me:hunter2@host/file", "ftp://host/file: cannot read ftp:// addresses"),
        ("file:///etc/hostname", "cannot read file:// addresses; give a local path"),
        ("nowhere/file.bin", "nowhere/file.bin: no such file"),
        (".", ". is not a file"),
        ("http://", "is not a valid address"),
    ],
)
def test_origins_that_cannot_be(target: Path, origin: str, said: str) -> None:
    with pytest.raises(UserError, match=re.escape(said)) as failure:
        retrieve(target, origin=origin)
    assert "hunter2" not in str(failure.value)
    assert not target.exists()


@pytest.mark.parametrize(("status", "said"), [(404, "no such file (HTTP 404)"), (403, "refused (HTTP 403)")])
def test_refusals_are_not_tried_again(target: Path, status: int, said: str) -> None:
    with Server(lambda request: request.answer(status)) as server, pytest.raises(UserError, match=re.escape(said)):
        retrieve(target, origin=server.address)
    assert len(server.seen) == 1


def test_offline_names_the_way_on_and_no_secret(target: Path, capfd: pytest.CaptureFixture[str]) -> None:
    address = closed_address().replace("http://", "http://me:hunter2@") + "/file?key=hunter2"
    with pytest.raises(UserError, match="no connection") as failure:
        retrieve(target, origin=address, retries=1)
    assert "RNNLAB_MIRROR" in str(failure.value)
    assert "hunter2" not in str(failure.value) + "".join(capfd.readouterr())


def test_wrong_checksum(target: Path) -> None:
    with Server(whole) as server, pytest.raises(UserError) as failure:
        retrieve(target, origin=server.address, sha256="0" * 64)
    for part in ("file.bin", "0" * 64, SHA256, "Try again"):
        assert part in str(failure.value)
    assert names(target.parent) == {".file.bin.lock"}


def test_file_with_the_checksum_is_kept_and_a_damaged_one_is_not(target: Path) -> None:
    with Server(whole) as server:
        first = retrieve(target, origin=server.address, sha256=SHA256)
        assert retrieve(target, origin=server.address, sha256=SHA256) == first
        assert len(server.seen) == 1
        target.write_bytes(b"damaged")
        retrieve(target, origin=server.address, sha256=SHA256)
        assert (len(server.seen), target.read_bytes() == CONTENT) == (2, True)
        retrieve(target, origin=server.address)  # nothing tells that it is still the same there
        assert len(server.seen) == 3


def test_one_plain_line_without_a_terminal(target: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with Server(whole) as server:
        retrieve(target, origin=server.address)
    out, err = capfd.readouterr()
    assert (out, err) == ("", f"Fetching file.bin from {server.address}\n")


def test_mirror_folder_comes_first(target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "mirror" / "stuff" / "file.bin"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(CONTENT)
    with Server(whole) as server:
        record = retrieve(target, origin=server.address, mirror=str(tmp_path / "mirror"))
        assert (record["via"], record["address"]) == ("mirror", str(kept))
        monkeypatch.setenv(download.MIRROR_VARIABLE, str(tmp_path / "mirror"))
        assert retrieve(target, origin=server.address)["via"] == "mirror"
        assert server.seen == []
        assert retrieve(target, origin=server.address, mirror="")["via"] == "origin"


def test_mirror_address_keeps_its_token(target: Path) -> None:
    with Server(whole) as server:
        mirror = server.address.replace("http://", "http://me:hunter2@") + "/data/?token=hunter2"
        record = retrieve(target, origin="nowhere", mirror=mirror)
    assert server.seen == ["/data/stuff/file.bin?token=hunter2"]
    assert (record["via"], record["address"]) == ("mirror", f"{server.address}/data/stuff/file.bin")


@pytest.mark.parametrize(
    ("respond", "said"),
    [
        (lambda request: request.answer(404), ""),
        (lambda request: request.answer(500), "The mirror is passed over: .*HTTP 500"),
        (lambda request: request.answer(200, b"other"), "The mirror is passed over: .*wrong checksum"),
    ],
    ids=["lacks it", "broken", "another file"],
)
def test_failing_mirror_gives_way_to_the_origin(
    target: Path, tmp_path: Path, respond: Callable[[Request], None], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").write_bytes(CONTENT)
    with Server(respond) as server:
        record = retrieve(target, origin=tmp_path / "mine", mirror=server.address, sha256=SHA256)
    assert (record["via"], target.read_bytes() == CONTENT) == ("origin", True)
    assert len(server.seen) <= 2  # no long patience: the origin is still to come
    lines = [line for line in capfd.readouterr().err.splitlines() if not line.startswith("Fetching")]
    assert len(lines) == bool(said)
    assert not said or re.search(said, lines[0])


def test_mirror_that_is_no_folder_is_said(target: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").write_bytes(CONTENT)
    retrieve(target, origin=tmp_path / "mine", mirror=str(tmp_path / "absent"))
    assert "absent is not a folder" in capfd.readouterr().err


def test_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(CONTENT)
    with pytest.raises(UserError, match=r"Cannot write .*file\.bin"):
        retrieve(tmp_path / "mine" / "file.bin", origin=tmp_path / "mine")


def test_full_disk(target: Path) -> None:
    def write_to_full_disk(part: Path) -> None:
        part.write_bytes(b"half")
        with Path("/dev/full").open("wb", buffering=0) as full:
            full.write(b"other half")

    with pytest.raises(UserError, match=r"Cannot write .*No space left"):
        retrieve(target, origin=write_to_full_disk)
    assert names(target.parent) == {".file.bin.lock"}


CHILD = """
import sys
from pathlib import Path
from rnnlab.data.download import retrieve
print("ready", flush=True)
print(retrieve(Path(sys.argv[1]), dataset="stuff", origin=sys.argv[2])["sha256"], flush=True)
"""


def child(target: Path, address: str) -> "subprocess.Popen[str]":
    source = str(Path(rnnlab.__file__).parents[1])
    command = [sys.executable, "-c", CHILD, str(target), address]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": source}, stdout=pipe, stderr=pipe, text=True)


def test_two_processes_download_once(target: Path) -> None:
    go = threading.Event()

    def wait(request: Request) -> None:
        go.wait(20)
        request.answer(200, CONTENT)

    with Server(wait) as server:
        children = [child(target, server.address) for _ in range(2)]
        for process in children:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        time.sleep(0.3)  # until the slower one stands before the lock
        go.set()
        printed = [process.communicate(timeout=20) for process in children]
    assert [out.strip() for out, _ in printed] == [SHA256, SHA256], printed
    assert len(server.seen) == 1


def test_killed_download_leaves_nothing_half_written(target: Path) -> None:
    go = threading.Event()

    def stall(request: Request) -> None:
        if len(server.seen) > 1:
            return request.answer(200, CONTENT)
        request.answer(200, CONTENT[: len(CONTENT) // 2], length=len(CONTENT))
        go.wait(20)
        return None

    def half_arrived() -> bool:
        return any(part.stat().st_size for part in target.parent.glob(".file.bin.*.part"))

    with Server(stall) as server:
        process = child(target, server.address)
        until = time.monotonic() + 20
        while not half_arrived():
            assert time.monotonic() < until, process.communicate()
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=20)
        go.set()
        assert not target.exists()
        retrieve(target, origin=server.address, sha256=SHA256)
    assert names(target.parent) == {"file.bin", ".file.bin.json", ".file.bin.lock"}
    assert json.loads((target.parent / ".file.bin.json").read_text())["sha256"] == SHA256
