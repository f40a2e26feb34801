"""Kernels compiled by the machine's own C++ compiler, once for each, and kept on disk.

Nothing but the compiler is needed, no Python headers: a kernel is a shared library with plain C functions. It is kept
under RNNLAB_CACHE, by default ~/.cache/rnnlab, by a digest of its text, the compiler and the processor; the least
recently used beyond `KEPT` are removed.
"""

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

log = logging.getLogger("rnnlab")

FLAGS = ("-O2", "-march=native", "-std=c++17", "-shared", "-fPIC", "-fno-math-errno", "-fno-trapping-math", "-w")
KEPT = 512


class NoCompiler(Exception):
    """There is no C++ compiler here, or no place for what it makes."""


class BrokenKernel(Exception):
    """The compiler refuses a kernel."""


@cache
def compiler() -> str | None:
    """The command of a C++ compiler: CXX, else the first of c++, g++, clang++; None where there is none."""
    candidates = [os.environ["CXX"]] if os.environ.get("CXX") else ["c++", "g++", "clang++"]
    return next((found for candidate in candidates if (found := shutil.which(candidate))), None)


@cache
def _machine() -> str:
    """The compiler's version and the processor's abilities: a kernel for one may crash on another."""
    command = compiler()
    assert command is not None
    version = subprocess.run([command, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603
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
    if command is None:
        raise NoCompiler("no C++ compiler was found (on Debian: apt-get install g++)")
    digest = hashlib.sha256("\n".join((text, _machine(), *FLAGS)).encode()).hexdigest()[:20]
    path = folder() / f"{digest}.so"
    if path.exists():
        with suppress(OSError):  # a cache that others own
            os.utime(path)
    else:
        _compile(command, text, path)
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise NoCompiler(f"{path} cannot be loaded ({error}); RNNLAB_CACHE names another place") from error


def _compile(command: str, text: str, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        room = tempfile.TemporaryDirectory(dir=path.parent)
    except OSError as error:
        raise NoCompiler(f"{path.parent} cannot be written ({error.strerror}); RNNLAB_CACHE names another") from error
    start = time.perf_counter()
    with room as name:
        source, made = Path(name) / "kernel.cpp", Path(name) / "kernel.so"
        source.write_text(text)
        # -fopenmp: the same OpenMP library as torch's, already in this process, whose threads are used again
        for flags in ((*FLAGS, "-fopenmp"), FLAGS):
            run = subprocess.run(  # noqa: S603
                [command, *flags, "-o", str(made), str(source)], capture_output=True, text=True, check=False
            )
            if run.returncode == 0:
                break
        else:
            errors = [line for line in run.stderr.splitlines() if "error" in line] or ["it gave no reason"]
            raise BrokenKernel(errors[0])
        made.replace(path)
    log.info("compiled a kernel in %.1f s, kept in %s", time.perf_counter() - start, path.parent)
    with suppress(OSError):  # another process may be clearing up as well
        for old in sorted(path.parent.glob("*.so"), key=lambda path: path.stat().st_mtime)[:-KEPT]:
            old.unlink(missing_ok=True)
