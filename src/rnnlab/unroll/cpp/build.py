"""Kernels compiled by the machine's own C++ compiler, once for each, and kept on disk.

Nothing but the compiler is needed, no Python headers: a kernel is a shared library with plain C functions. It is kept
under RNNLAB_CACHE, by default ~/.cache/rnnlab, by a digest of its text, the compiler and the processor, and by a digest
of its own content; the least recently used beyond `KEPT` are removed. What is loaded runs as the user: so only a file
whose content has its digest, and that nobody but its owner, this user or root, can write.
"""

import ctypes
import errno
import hashlib
import logging
import os
import platform
import shlex
import shutil
import stat
import subprocess
import tempfile
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

from rnnlab.unroll.no_kernel import NoKernel

log = logging.getLogger("rnnlab")

FLAGS = ("-O2", "-march=native", "-std=c++17", "-shared", "-fPIC", "-fno-math-errno", "-fno-trapping-math", "-w")
KEPT = 512


class NoCompiler(NoKernel):
    """There is no C++ compiler here that works, or no place for what it makes; reported once, by `say_slow`."""

    level = logging.DEBUG


class BrokenKernel(NoKernel):
    """The compiler refuses a kernel, and compiles other text."""

    level = logging.WARNING


@cache
def compiler() -> tuple[str, ...]:
    """The command of a C++ compiler, word by word: CXX as a shell reads it, else the first of c++, g++, clang++.

    Raises: `NoCompiler` where there is no such command.
    """
    given = os.environ.get("CXX", "").strip()
    try:
        candidates = [shlex.split(given)] if given else [["c++"], ["g++"], ["clang++"]]
    except ValueError as error:
        raise NoCompiler(f"CXX={given} cannot be read as a command: {error}") from None
    for first, *options in candidates:
        if found := shutil.which(first):
            return found, *options
    if given:
        raise NoCompiler(f"CXX={given}: there is no command {candidates[0][0]}")
    raise NoCompiler("no C++ compiler was found (on Debian: apt-get install g++)")


def say_slow(reason: NoCompiler) -> None:
    """Log, once for each reason, that nothing is compiled here."""
    _warn_once(f"recurrent nets run without compiled kernels, several times slower: {reason}")


@cache
def _warn_once(message: str) -> None:
    log.warning(message)


@cache
def _machine(command: tuple[str, ...]) -> str:
    """The compiler's version and the processor's abilities: a kernel for one may crash on another."""
    version = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603
    cpuinfo = Path("/proc/cpuinfo")
    flags = ""
    if cpuinfo.exists():
        flags = next((line for line in cpuinfo.read_text().splitlines() if line.startswith(("flags", "Features"))), "")
    return f"{version}{platform.machine()}{platform.processor()}{flags}"


def folder() -> Path:
    return Path(os.environ.get("RNNLAB_CACHE") or Path.home() / ".cache" / "rnnlab") / "kernels"


@cache
def library(text: str) -> ctypes.CDLL:
    """The compiled text, from the cache or made now.

    Raises: `NoCompiler`; `BrokenKernel`, with what the compiler said.
    """
    command = compiler()
    name = _digest("\n".join((text, *command, _machine(command), *FLAGS)).encode())
    try:
        place = _own_folder()
        if kept := _kept(place, name):
            return kept
        start = time.perf_counter()
        made = _compile(command, text, place, name)
        log.info("compiled a kernel in %.1f s, kept in %s", time.perf_counter() - start, place)
        return made
    except (OSError, RuntimeError) as error:  # the latter where there is no home
        _warn_once(f"compiled kernels are not kept: {_reason(error)}; RNNLAB_CACHE names another folder")
    try:
        with tempfile.TemporaryDirectory() as room:  # once loaded, a library needs its file no longer
            return _compile(command, text, Path(room), name)
    except OSError as error:
        raise NoCompiler(_reason(error)) from error


def _reason(error: Exception) -> str:
    return f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)


def _own_folder() -> Path:
    """The cache's folder, in which nobody but this user, or root, can put anything.

    Raises: `OSError`.
    """
    place = folder()
    place.mkdir(mode=0o755, parents=True, exist_ok=True)
    if place.stat().st_uid == os.geteuid() and not _is_safe(place.stat()):
        place.chmod(0o755)
    if not _is_safe(place.stat()):
        raise PermissionError(errno.EPERM, "another user can write there", str(place))
    return place


def _is_safe(found: os.stat_result) -> bool:
    return found.st_uid in (os.geteuid(), 0) and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _kept(place: Path, name: str) -> ctypes.CDLL | None:
    """The library of this name, if it is whole; what is damaged or of foreign origin is removed."""
    for path in place.glob(f"{name}-*.so"):
        with suppress(OSError):  # another process may remove it; one of another system does not load
            if path.is_file() and _is_safe(path.lstat()) and path == _path_of(place, name, path.read_bytes()):
                loaded = ctypes.CDLL(str(path))
                with suppress(OSError):  # a cache that root owns
                    os.utime(path)
                return loaded
            path.unlink()
            log.info("a kernel in %s was damaged or another user's: it is compiled again", place)
    return None


def _path_of(place: Path, name: str, content: bytes) -> Path:
    """Where a library with this content is kept."""
    return place / f"{name}-{_digest(content)}.so"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:20]


def _compile(command: tuple[str, ...], text: str, place: Path, name: str) -> ctypes.CDLL:
    """Raises: `OSError` where the place cannot be written or nothing loaded from it; `NoCompiler`, `BrokenKernel`."""
    with tempfile.TemporaryDirectory(dir=place) as room:
        source, made = Path(room) / "kernel.cpp", Path(room) / "kernel.so"
        source.write_text(text)
        # -fopenmp: the same OpenMP library as torch's, already in this process, whose threads are used again
        if refused := _run(command, source, made, "-fopenmp") and _run(command, source, made):
            source.write_text('extern "C" void nothing() {}')
            if _run(command, source, made):
                raise NoCompiler(f"{shlex.join(command)} compiles nothing: {refused}")
            raise BrokenKernel(f"the generated kernel does not compile, please report it ({refused})")
        with made.open("rb+") as file:
            content = file.read()
            os.fsync(file.fileno())
        made.chmod(0o755)
        path = _path_of(place, name, content)
        made.replace(path)
    with suppress(OSError):  # another process may be clearing up as well
        for old in sorted(place.glob("*.so"), key=lambda path: path.stat().st_mtime)[:-KEPT]:
            old.unlink(missing_ok=True)
    return ctypes.CDLL(str(path))


def _run(command: tuple[str, ...], source: Path, made: Path, *flags: str) -> str:
    """What the compiler refuses the source for; nothing if it made the library.

    Raises: `OSError` where there is no room for it.
    """
    words = [*command, *FLAGS, *flags, "-o", str(made), str(source)]
    run = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603
    if run.returncode == 0 and made.exists():
        return ""
    lines = run.stderr.splitlines()
    for number in (errno.ENOSPC, errno.EDQUOT):
        if any(os.strerror(number) in line for line in lines):
            raise OSError(number, os.strerror(number), str(made.parent))
    return next((line for line in lines if "error" in line), lines[0] if lines else "it gave no reason")
