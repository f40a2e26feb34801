"""Making a workspace: a folder with a conf/ and a dvc.yaml of its own, which needs no checkout."""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from rnnlab.config.cli import report
from rnnlab.config.lockfiles import restore
from rnnlab.config.stages import STAGES, check_stages, stages_of
from rnnlab.errors import UserError
from rnnlab.results.files import atomic_file
from rnnlab.results.paths import CONF, is_workspace, workspaces

TEMPLATES = Path(__file__).with_name("workspace")
"""Under other names: in a checkout, git and DVC would take the files for their own."""

FILES = {
    ".dvcignore": TEMPLATES / "dvcignore",
    ".gitignore": TEMPLATES / "gitignore",
    "README.md": TEMPLATES / "README.md",
    "conf/grid.yaml": CONF / "grid.yaml",
    "dvc.yaml": TEMPLATES / "stages.yaml",  # last: with it, the folder is a workspace
}

IGNORED = (".dvcignore", ".gitignore")
"""Files that a repository may have, and that must have our lines as well."""

QUIET = ("core.analytics", "core.check_update")
"""Settings of DVC's that would let it ask the network."""


def main(arguments: list[str]) -> None:
    """`rnnlab init [folder]`."""
    parser = argparse.ArgumentParser("rnnlab init", description="Make a workspace: conf/, dvc.yaml and a README.md.")
    parser.add_argument("folder", nargs="?", help="by default RNNLAB_ROOT, or where the command is given")
    folder = parser.parse_args(arguments).folder or os.environ.get("RNNLAB_ROOT") or "."
    try:
        init(Path(folder).resolve())
    except (UserError, OSError) as error:
        sys.exit(report(error))
    except KeyboardInterrupt:
        sys.exit(130)


def init(folder: Path) -> None:
    """Make `folder` a workspace, or complete it. What is there stays, but for a dvc.yaml of an earlier version.

    Raises: `UserError` within another workspace, for a dvc.yaml that is not rnnlab's or is of a later version, and
    where DVC cannot be set up.
    """
    around = next(workspaces(folder.parent), None)
    if around is not None:
        raise UserError(f"{folder} is within the workspace {around}: make one beside it, or work in that one.")
    if (folder / "pipelines").is_dir() and is_workspace(folder):
        raise UserError(f"{folder} is a checkout of rnnlab, which is a workspace already.")
    made = _set_aside(folder / "dvc.yaml") if (folder / "dvc.yaml").is_file() else []
    for name, template in FILES.items():
        path = folder / name
        if name in IGNORED and path.exists():
            made += _completed(path, template)
        elif not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(path) as part:
                shutil.copyfile(template, part)
            made.append(name)
    for group in ("task", "cell"):
        (folder / "conf" / group).mkdir(exist_ok=True)
    in_git = _init_dvc(folder)
    restore(folder)
    print(f"{folder} is a workspace; written: {', '.join(made) or 'nothing, all was there'}")
    if not in_git:
        print("`dvc repro` works there; `dvc exp run` needs a git repository: `git init`, then `rnnlab init` again.")
    print("Next: `dvc repro` there, or `rnnlab train task=price cell=lstm`; README.md has more.")


def _completed(path: Path, template: Path) -> list[str]:
    """Add the lines that a file lacks. Returns: what to say of it."""
    text = path.read_text(encoding="utf-8")
    missing = [line for line in template.read_text(encoding="utf-8").splitlines() if line not in text.splitlines()]
    if not any(missing):
        return []
    with atomic_file(path) as part:
        part.write_text(f"{text.rstrip()}\n\n" + "".join(f"{line}\n" for line in missing), encoding="utf-8")
    return [f"more lines in {path.name}"]


def _set_aside(path: Path) -> list[str]:
    """Rename the dvc.yaml of an earlier version. Returns: what to say of it.

    Raises: `UserError` where it is of a later one, or not rnnlab's.
    """
    number = stages_of(path)
    if number is None or number >= STAGES:
        check_stages(path)
        return []
    path.replace(path.with_name("dvc.yaml.old"))
    return ["dvc.yaml.old (the one of an earlier version)"]


def _init_dvc(folder: Path) -> bool:
    """Set up DVC, as far as it is not. Returns: whether the folder is in a git repository.

    Raises: `UserError` where DVC refuses.
    """
    git = _run(folder, "git", "rev-parse", "--show-toplevel")
    in_git = git.returncode == 0
    config = folder / ".dvc/config"
    if not config.is_file():
        at_top = in_git and Path(git.stdout.strip()) == folder.resolve()
        kind = [] if at_top else ["--subdir"] if in_git else ["--no-scm"]
        _dvc(folder, "init", *kind)
    settings = config.read_text(encoding="utf-8")
    for name in QUIET:
        if name.removeprefix("core.") not in settings:
            _dvc(folder, "config", name, "false")
    if in_git and "no_scm" in settings:  # it was made a repository since
        _dvc(folder, "config", "--unset", "core.no_scm")
    return in_git


def _dvc(folder: Path, *arguments: str) -> None:
    done = _run(folder, sys.executable, "-m", "dvc", *arguments, "-q")
    if done.returncode != 0:
        raise UserError(f"dvc {' '.join(arguments)} failed in {folder}: {' '.join(done.stderr.split())}")


def _run(folder: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "DVC_NO_ANALYTICS": "true"}
    try:
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    except FileNotFoundError:  # git is not installed
        return subprocess.CompletedProcess(command, 127, "", "not found")
