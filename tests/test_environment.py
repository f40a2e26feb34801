"""`make install` on a project of three tiny wheels, with the real make, venv and pip; what lints and CI run."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import pytest
import yaml

from tests.conftest import CHECKOUT

PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "rnnlab"
version = "1"
"""
BACKEND = """\
import pathlib, shutil, time
def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    while pathlib.Path("wait").exists():
        pathlib.Path("waiting").touch()
        time.sleep(0.1)
    return shutil.copy("rnnlab-1-py3-none-any.whl", wheel_directory).rpartition("/")[2]
"""


def wheel(folder: Path, name: str, version: str, *needed: str) -> Path:
    """A package of one module with one command, both of its name. needed: the packages it depends on."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"def main(): print('{name} {version}')\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        + "".join(f"Requires-Dist: {other}\n" for other in needed),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
    }
    digests = {path: urlsafe_b64encode(sha256(text.encode()).digest()).rstrip(b"=") for path, text in files.items()}
    record = "".join(f"{path},sha256={digests[path].decode()},{len(files[path])}\n" for path in files)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            archive.writestr(member, text)
    return path


def project(folder: Path) -> Path:
    (folder / "wheels").mkdir(parents=True)
    for name in ("Makefile", "environment.sh"):
        shutil.copy(CHECKOUT / name, folder / name)
    write_lock(folder / "requirements.lock", wheel(folder / "wheels", "tool", "1"))
    wheel(folder / "wheels", "torch", "2.0+cpu")
    wheel(folder / "wheels", "torch", "2.0")
    wheel(folder, "rnnlab", "1")
    (folder / "constraints.txt").write_text("torch==2.0\n")
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "backend.py").write_text(BACKEND)
    return folder


def write_lock(path: Path, *wheels: Path) -> None:
    locked = [f"{'=='.join(path.name.split('-')[:2])} --hash=sha256:{digest_of(path)}\n" for path in wheels]
    path.write_text("".join(locked))


def digest_of(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


@contextmanager
def started(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """make as a user calls it: without a network, and without what the make around the tests was given. Nothing of it
    is left running."""
    ours = ("PIP_", "UV_", "MAKE", "MFLAGS", "TORCH", "EXTRAS", "PYTHON", "VENV", "ARGS")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder / "wheels"),
        "UV_NO_CONFIG": "1", "UV_NO_CACHE": "1", "UV_FIND_LINKS": str(folder / "wheels"),
    }  # fmt: skip
    process = subprocess.Popen(
        ["make", *words], cwd=folder, env=environment, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=heed_interrupts,
    )  # fmt: skip
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def heed_interrupts() -> None:
    """Where a script starts the tests in the background, Ctrl-C is ignored, and by all that they start as well."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def install(folder: Path, *words: str, code: int = 0) -> str:
    return make(folder, "install", *words, code=code)


def make(folder: Path, *words: str, code: int = 0) -> str:
    with started(folder, *words) as process:
        printed, _ = process.communicate(timeout=600)
    assert process.returncode == code, printed
    return printed


def command(environment: Path, name: str) -> str:
    return subprocess.run([environment / "bin" / name], capture_output=True, text=True, check=True).stdout.strip()


def read_until(process: subprocess.Popen[str], pattern: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if re.match(pattern, line):
            return
    raise AssertionError(f"the install ended without a line like {pattern!r}")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = project(tmp_path_factory.mktemp("environment") / "first")
    return folder, install(folder)


@pytest.mark.slow
def test_an_install_says_its_steps_and_what_to_type_next(installed: tuple[Path, str]) -> None:
    folder, printed = installed
    lines = printed.splitlines()
    assert [line[:5] for line in lines if line.startswith("[")] == [f"[{n}/5]" for n in range(1, 6)]
    assert lines[-1].startswith(".venv is ready. Next: make repro")
    assert [command(folder / ".venv", name) for name in ("tool", "torch", "rnnlab")] == [
        "tool 1",
        "torch 2.0+cpu",
        "rnnlab 1",
    ]
    assert (folder / ".venv/.made").read_text() == f"cpu auto {folder}\n"


@pytest.mark.slow
def test_a_whole_environment_is_left_as_it_is(installed: tuple[Path, str]) -> None:
    folder, _ = installed
    before = (folder / ".venv/.installed").stat().st_mtime_ns
    assert "[" not in install(folder)
    assert (folder / ".venv/.installed").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("PYTHON=python9",),
            "no Python 3.11, 3.12 or 3.13 found (PYTHON=python9); on Debian: apt-get install python3 python3-venv",
        ),
        (("PYTHON=./no-venv",), "./no-venv cannot make virtual environments; on Debian: apt-get install python3-venv"),
        (("TORCH=rocm",), "TORCH is cpu or cuda, not rocm"),
        (
            ("EXTRAS=docs,maps",),
            "EXTRAS: maps is none of the extras to choose from: docs s3 (others are always installed)",
        ),
        (("EXTRAS=docs, s3",), "EXTRAS takes no spaces: EXTRAS=one,other"),
        (("VENV=foreign",), "foreign was not made by this Makefile: remove it, or name another folder with VENV=..."),
    ],
)
def test_what_cannot_work_is_named_and_nothing_is_touched(tmp_path: Path, words: tuple[str], message: str) -> None:
    folder = project(tmp_path / "project")
    (folder / "foreign").mkdir()
    (folder / "requirements-docs.lock").touch()
    (folder / "requirements-s3.lock").touch()
    (folder / "no-venv").write_text(f'#!/bin/sh\nPYTHONPATH="$PWD/broken" exec {sys.executable} "$@"\n')
    (folder / "no-venv").chmod(0o755)
    (folder / "broken").mkdir()
    (folder / "broken/ensurepip.py").write_text("raise ImportError\n")
    before = sorted(folder.rglob("*"))
    assert install(folder, *words, code=2).splitlines()[0] == message
    after = [path for path in sorted(folder.rglob("*")) if "__pycache__" not in path.parts]
    assert after == before


@pytest.mark.slow
def test_an_install_that_was_interrupted_is_taken_up_again(tmp_path: Path) -> None:
    """Ctrl-C reaches make and all it started; before it, a line says that the install is alive."""
    folder = project(tmp_path / "project")
    (folder / "wait").touch()
    with started(folder, "install") as process:
        read_until(process, r"\[4/5\]")
        read_until(process, r" +\d+ s: ")
        while not (folder / "waiting").exists():  # until it does, a signal may meet a Python that only begins
            assert process.poll() is None
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)
        printed, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "step [4/5] did not finish; make install takes it up again" in printed
    assert not (folder / ".venv/.installed").exists()

    (folder / "wait").unlink()
    assert "[1/5] keeping .venv" in install(folder)
    assert command(folder / ".venv", "rnnlab") == "rnnlab 1"


@pytest.mark.slow
def test_a_package_that_pip_unpacked_and_did_not_finish_is_installed(installed: tuple[Path, str]) -> None:
    folder, _ = installed
    venv = folder / ".venv"
    (packages,) = venv.glob("lib/*/site-packages")
    (venv / ".installed").unlink()
    (venv / "bin/tool").unlink()
    shutil.rmtree(packages / "tool-1.dist-info")
    with zipfile.ZipFile(folder / "wheels/tool-1-py3-none-any.whl") as archive:
        archive.extractall(packages)  # all that pip has done when it is stopped here; the command comes later
    install(folder)
    assert command(venv, "tool") == "tool 1"

    (venv / ".installed").unlink()
    (venv / "bin/activate").unlink()  # which venv writes last
    assert "[1/5] making .venv" in install(folder)
    assert (venv / "bin/activate").exists()


@pytest.mark.slow
def test_a_copied_checkout_makes_its_own_environment(installed: tuple[Path, str], tmp_path: Path) -> None:
    folder, _ = installed
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy, symlinks=True)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert "[1/5] making .venv" in install(copy)
    assert (copy / ".venv/.made").read_text() == f"cpu auto {copy}\n"
    assert str(copy) in (copy / ".venv/bin/tool").read_text()
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


@pytest.mark.slow
def test_another_folder_and_another_build_of_torch_are_remembered(tmp_path: Path) -> None:
    folder = project(tmp_path / "project")
    venv = tmp_path / "elsewhere/venv"
    install(folder, f"VENV={venv}", "TORCH=cuda", f"PYTHON={sys.executable}")
    assert command(venv, "torch") == "torch 2.0"
    assert "[" not in install(folder, f"VENV={venv}")
    assert (venv / ".made").read_text() == f"cuda {sys.executable} {folder}\n"
    assert not (folder / ".venv").exists()
    assert "[1/5] making" in install(folder, f"VENV={venv}", "TORCH=cpu")
    assert command(venv, "torch") == "torch 2.0+cpu"


@pytest.mark.slow
def test_extras_that_the_default_install_leaves_out_are_added_remembered_and_left_out_again(tmp_path: Path) -> None:
    folder = project(tmp_path / "project")
    docs, s3, shared = (wheel(folder / "wheels", name, "1") for name in ("docs", "s3", "shared"))
    write_lock(folder / "requirements-docs.lock", docs, shared)
    write_lock(folder / "requirements-s3.lock", s3, shared)
    venv = folder / ".venv"
    install(folder)
    assert not (venv / "bin/docs").exists()

    printed = install(folder, "EXTRAS=docs,s3")
    assert "[1/5] keeping .venv" in printed
    assert "[2/5] installing the locked packages, with those of docs,s3" in printed
    assert [command(venv, name) for name in ("docs", "s3", "shared")] == ["docs 1", "s3 1", "shared 1"]
    assert (venv / ".made").read_text() == f"cpu+docs,s3 auto {folder}\n"
    assert "[" not in install(folder)
    write_lock(folder / "requirements-s3.lock", wheel(folder / "wheels", "s3", "2"), shared)
    assert "with those of docs,s3" in install(folder)
    assert command(venv, "s3") == "s3 2"

    assert "[1/5] making .venv" in install(folder, "EXTRAS=s3")
    assert (command(venv, "s3"), (venv / "bin/docs").exists()) == ("s3 2", False)
    assert "[1/5] making .venv" in install(folder, "EXTRAS=")
    assert not (venv / "bin/s3").exists()
    assert (venv / ".made").read_text() == f"cpu auto {folder}\n"


@pytest.mark.slow
def test_the_lock_of_an_extra_holds_what_the_other_lock_has_not(tmp_path: Path) -> None:
    """By the real uv, which pip must be able to fetch."""
    folder = project(tmp_path / "project")
    wheels = folder / "wheels"
    (version,) = re.findall(r"^uv_version=(.+)$", (CHECKOUT / "environment.sh").read_text(), re.MULTILINE)
    fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", wheels, f"uv=={version}"]
    if subprocess.run(fetch, check=False).returncode:
        pytest.skip("pip finds no uv")
    extras = {"small": ["tool"], "docs": ["docs"], "s3": ["s3"]}
    lines = "".join(f"{name} = {needed}\n" for name, needed in extras.items())
    (folder / "pyproject.toml").write_text(f"{PYPROJECT}[project.optional-dependencies]\n{lines}")
    wheel(wheels, "tool", "1", "torch")
    (folder / "requirements.lock").unlink()  # its hash is of another tool
    wheel(wheels, "docs", "1", "torch", "tool", "shared")
    wheel(wheels, "s3", "1", "shared", "other; sys_platform == 'win32'")
    wheel(wheels, "shared", "1")
    wheel(wheels, "other", "1")
    (folder / "requirements-docs.lock").touch()
    (folder / "requirements-s3.lock").touch()
    assert make(folder, "lock", "ARGS=--no-index", f"PYTHON={sys.executable}") == ""
    assert locked_in(folder) == {"": ["tool==1"], "-docs": ["docs==1", "shared==1"], "-s3": [
        "other==1 ; sys_platform == 'win32'", "s3==1", "shared==1",
    ]}  # fmt: skip
    install(folder, "EXTRAS=docs,s3")
    assert command(folder / ".venv", "shared") == "shared 1"

    for name in ("tool", "shared"):
        wheel(wheels, name, "2")
    before = locked_in(folder)
    make(folder, "lock", "ARGS=--no-index")
    assert locked_in(folder) == before
    make(folder, "lock", "ARGS=--no-index --upgrade")
    assert locked_in(folder)[""] == ["tool==2"]
    assert locked_in(folder)["-docs"] == ["docs==1", "shared==2"]

    (folder / "requirements-gone.lock").touch()
    printed = make(folder, "lock", "ARGS=--no-index", code=2)
    assert printed.startswith("requirements-gone.lock: pyproject.toml has no extra of that name\n")


def locked_in(folder: Path) -> dict[str, list[str]]:
    """What each lock holds, by what its name has beside that of requirements.lock."""
    return {
        path.stem.removeprefix("requirements"): [
            line.removesuffix(" \\") for line in path.read_text().splitlines() if re.match(r"[a-z0-9]", line)
        ]
        for path in folder.glob("requirements*.lock")
    }


@pytest.mark.slow
def test_a_package_with_another_hash_than_the_locked_one_is_refused(tmp_path: Path) -> None:
    folder = project(tmp_path / "project")
    wheel(folder / "wheels", "tool", "1").open("ab").write(b"\0")
    printed = install(folder, code=2)
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in printed
    assert f"Expected sha256 {(folder / 'requirements.lock').read_text().split(':')[1].strip()}" in printed
    assert "step [2/5] did not finish" in printed
    assert not (folder / ".venv/.installed").exists()


def test_shellcheck_passes_every_shell_script() -> None:
    listed = ["git", "-C", str(CHECKOUT), "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.splitlines()
    files = [CHECKOUT / name for name in names if (CHECKOUT / name).is_file()]
    scripts = [path for path in files if path.suffix == ".sh" or is_shell(path)]
    assert {CHECKOUT / "environment.sh", CHECKOUT / ".ci/run"} <= set(scripts)
    program = Path(sys.executable).with_name("shellcheck")
    checked = subprocess.run([program, *scripts], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def is_shell(path: Path) -> bool:
    with path.open("rb") as file:
        first = file.readline(100)
    return first.startswith(b"#!") and first.split()[-1].rpartition(b"/")[2] in (b"sh", b"bash", b"dash")


def test_the_workflow_runs_what_ci_runs_and_may_write_nothing() -> None:
    workflow = yaml.safe_load((CHECKOUT / ".github/workflows/ci.yml").read_text())
    assert workflow["permissions"] == {"contents": "read"}
    (job,) = workflow["jobs"].values()
    assert "timeout-minutes" in job
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert commands == [".ci/run"]
    assert os.access(CHECKOUT / ".ci/run", os.X_OK)


def test_the_hooks_run_programs_of_the_environment() -> None:
    config = yaml.safe_load((CHECKOUT / ".pre-commit-config.yaml").read_text())
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert [repo["repo"] for repo in config["repos"]] == ["local"]
    for hook in hooks:
        program = Path(hook["entry"].split()[0])
        assert program.parent == Path(".venv/bin")
        assert Path(sys.executable).with_name(program.name).exists(), program
