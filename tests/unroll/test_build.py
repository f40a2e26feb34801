"""Kernels on disk: compiled once, whole or compiled again, and only those this user or root made are loaded."""

import logging
import multiprocessing
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from rnnlab.cells.gru import GRUCell
from rnnlab.cells.lstm import LSTMCell, PeepholeLSTMCell
from rnnlab.cells.rnn import RNNCell
from rnnlab.unroll.cpp import backend, build
from rnnlab.unroll.recurrent import Recurrent

ANSWER = 'extern "C" long answer() { return 42; }'


def forget() -> None:
    for function in (build.compiler, build.library, build._warn_once, backend.has_compiler):
        function.cache_clear()


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("RNNLAB_CACHE", str(tmp_path / "cache"))
    forget()
    yield
    forget()


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Any:
    caplog.set_level(logging.INFO, logger="rnnlab")
    return lambda: [record.message for record in caplog.records if record.name == "rnnlab"]


def answer() -> int:
    """Of the kernel, as the next process would load it."""
    build.library.cache_clear()
    return build.library(ANSWER).answer()


def kept() -> Path:
    (path,) = build.folder().iterdir()
    return path


def test_a_kernel_is_compiled_once_and_kept(said: Any) -> None:
    assert [answer(), answer()] == [42, 42]
    assert sum("compiled a kernel in" in line for line in said()) == 1
    assert kept().suffix == ".so"


def _answer_in_a_process() -> None:
    os._exit(build.library(ANSWER).answer())  # no clearing up: what is mapped from a file cut short ends a process


@pytest.mark.parametrize("damage", ["empty", "cut", "zeroed", "another"])
def test_a_damaged_kernel_is_compiled_again(damage: str, said: Any) -> None:
    assert answer() == 42
    path = kept()
    content = path.read_bytes()
    half = len(content) // 2
    build.library('extern "C" long other() { return 1; }')
    (other,) = {*build.folder().iterdir()} - {path}
    spoilt = {
        "empty": b"",
        "cut": content[:half],
        "zeroed": content[: half - 2000] + bytes(4000) + content[half + 2000 :],
        "another": other.read_bytes(),
    }[damage]
    other.unlink()
    path.unlink()  # this process has it mapped
    path.write_bytes(spoilt)
    build.library.cache_clear()
    child = multiprocessing.get_context("fork").Process(target=_answer_in_a_process)
    child.start()
    child.join()
    assert child.exitcode == 42
    assert kept().read_bytes() == content


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
@pytest.mark.parametrize("owner", [65534, 0])
def test_what_another_user_may_have_written_is_not_loaded(owner: int, tmp_path: Path) -> None:
    assert answer() == 42
    path = kept()
    name = path.name.partition("-")[0]
    evil = tmp_path / "evil.so"
    source = tmp_path / "evil.cpp"
    source.write_text('extern "C" long answer() { return 1; }')
    subprocess.run([*build.compiler(), *build.FLAGS, "-o", evil, source], check=True)
    path.unlink()
    planted = build._path_of(path.parent, name, evil.read_bytes())
    shutil.copy(evil, planted)
    planted.chmod(0o755 if owner else 0o777)
    os.chown(planted, owner, owner)
    assert answer() == 42
    assert not planted.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_nothing_is_kept_in_a_folder_of_another_user(said: Any) -> None:
    build.folder().mkdir(parents=True)
    os.chown(build.folder(), 65534, 65534)
    build.folder().chmod(0o777)
    assert answer() == 42
    assert not list(build.folder().iterdir())
    assert said() == [
        f"compiled kernels are not kept: {build.folder()}: another user can write there; RNNLAB_CACHE names another "
        "folder"
    ]


def test_a_folder_of_one_s_own_is_closed_to_others() -> None:
    build.folder().mkdir(parents=True)
    build.folder().chmod(0o777)
    assert answer() == 42
    assert build.folder().stat().st_mode & 0o777 == 0o755


def test_a_place_that_is_no_folder_costs_the_keeping_alone(tmp_path: Path, said: Any) -> None:
    (tmp_path / "cache").write_text("")
    assert [answer(), answer()] == [42, 42]
    assert len(said()) == 1
    assert "kernels are not kept" in said()[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_costs_the_keeping_alone(tmp_path: Path, said: Any) -> None:
    disk = tmp_path / "cache"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32k", "none", str(disk)], check=False)
    if mounted.returncode != 0:
        pytest.skip("this machine lets root mount nothing")
    try:
        (disk / "filler").write_bytes(bytes(24 * 1024))
        assert answer() == 42
        assert len(said()) == 1
        assert "No space left on device" in said()[0]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_kernel_that_the_compiler_refuses_is_quoted() -> None:
    with pytest.raises(build.BrokenKernel, match="no_such_type"):
        build.library("no_such_type x;")
    assert not list(build.folder().iterdir())


@pytest.mark.parametrize("words", ["{} -m64", "{} ", "env {}", "'{}'"])
def test_the_compiler_s_name_is_read_as_a_shell_reads_it(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if "-m64" in words and os.uname().machine != "x86_64":
        pytest.skip("-m64 is a word of x86-64's compilers")
    monkeypatch.setenv("CXX", words.format(shutil.which("g++")))
    assert answer() == 42


WAYS = [
    (PeepholeLSTMCell, "auto", "loop"),
    (PeepholeLSTMCell, "compiled", "compiled"),
    (GRUCell, "auto", "fused"),
    (RNNCell, "auto", "fused"),
]


@pytest.mark.parametrize(("cell", "unroll", "way"), WAYS)
@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("no-such-compiler", "CXX=no-such-compiler: there is no command no-such-compiler"),
        ("no-such-wrapper g++", "CXX=no-such-wrapper g++: there is no command no-such-wrapper"),
        ("'g++", "cannot be read as a command"),
        (None, "apt-get install g++"),
    ],
)
def test_without_a_compiler_every_way_runs_and_says_so_once(
    cell: Any, unroll: Any, way: str, command: str | None, reason: str, monkeypatch: pytest.MonkeyPatch, said: Any
) -> None:
    if command is None:
        monkeypatch.delenv("CXX", raising=False)
        monkeypatch.setenv("PATH", "/nonexistent")
    else:
        monkeypatch.setenv("CXX", command)
    x = torch.randn(9, 2, 3)
    for _ in range(2):
        net = Recurrent(cell, 3, 4, unroll=unroll)
        output = net(x)[0]
        assert net.chosen == {way}
        net.unroll = "loop"
        torch.testing.assert_close(output, net(x)[0])
    assert len(said()) == 1
    assert "several times slower" in said()[0]
    assert reason in said()[0]


@pytest.mark.parametrize("command", ["false", "true"])
def test_a_compiler_that_compiles_nothing_is_no_fault_of_a_kernel(
    command: str, monkeypatch: pytest.MonkeyPatch, said: Any
) -> None:
    monkeypatch.setenv("CXX", command)
    for _ in range(2):
        Recurrent(PeepholeLSTMCell, 3, 4)(torch.randn(9, 2, 3))
    assert len(said()) == 1
    assert f"{command} compiles nothing" in said()[0]


def test_the_lstm_of_torch_needs_no_compiler_and_says_nothing(monkeypatch: pytest.MonkeyPatch, said: Any) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    Recurrent(LSTMCell, 3, 4)(torch.randn(9, 2, 3))
    assert not said()
