"""Folders of runs by hand beside the workspace's own: another workspace's, or a copy of one from another machine."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from rnnlab.errors import UserError
from rnnlab.results.paths import own_file, root, trained_by_hand, trained_by_pipeline, trained_seeds

RUNS, RESULTS = "runs", "results"
"""What stands for the root's own folders."""

ROOTS = "tracking.roots"
"""The option for further workspaces of a sync."""

LAYOUT = "<task>/<data>/<cell>/<setting>/train/seed=<number>"
"""Of a folder of runs."""


def find_runs(key: str, given: Sequence[str]) -> list[Path]:
    """The folders of runs that the words of an option name, whole and in their order: `runs` is the root's own, others
    are paths, from the working directory or the root, of a folder of runs or of the workspace that holds one.

    key: the option, in errors.

    Raises: `UserError` for a folder that is not there, has no runs, or is named twice.
    """
    found: dict[Path, str] = {}
    for word in given:
        folder = _find_runs(key, word)
        if folder in found:
            words = word if word == found[folder] else f"{found[folder]} and {word}"
            raise UserError(f"{key}: {words} name{'s' if word == words else ''} the same folder twice: {folder}.")
        found[folder] = word
    return list(found)


def _find_runs(key: str, word: str) -> Path:
    if word == RESULTS:
        raise UserError(
            f"{key}: {RESULTS}, the grid of `dvc repro`, is whole by itself and stands alone; the folders that are "
            f"united are those of runs by hand: {RUNS}, or that of another workspace."
        )
    folder = (root() / RUNS if word == RUNS else _existing(key, word)).resolve()
    if next(folder.glob("*/*/*/*/train/seed=*"), None) is None:
        if (folder / RUNS).is_dir():
            return _find_runs(key, str(folder / RUNS))
        of_pipeline = trained_by_pipeline(folder) or trained_by_pipeline(folder / RESULTS)
        more = f": what `dvc repro` made is not united, give {RUNS}" if of_pipeline else f" as {LAYOUT}"
        raise UserError(f"{key}={word}: no run by hand is in {folder}{more}.")
    return folder


def _existing(key: str, word: str) -> Path:
    try:
        folder = own_file(str(Path(word).expanduser())) if word.strip() else None
        if folder is not None and folder.is_dir():
            return folder
    except (OSError, RuntimeError, ValueError) as error:  # no right to look, no such home, a name that cannot be one
        raise UserError(f"{key}={word}: this folder cannot be read ({getattr(error, 'strerror', error)}).") from None
    raise UserError(f"{key}={word}: there is no such folder, from {Path.cwd()} or from {root()}.")


def all_seeds(roots: Iterable[str]) -> list[Path]:
    """The folder of every trained seed, each once: of this workspace, then of others that `tracking.roots` names, as
    workspaces or as folders of runs.

    Raises: `UserError` for a folder that is not there or has no trained run.
    """
    found = trained_seeds()
    for word in roots:
        place = _existing(ROOTS, word).resolve()
        of_pipeline = trained_by_pipeline(place / RESULTS)
        by_hand = trained_by_hand(runs=place / RUNS if (place / RUNS).is_dir() else place)
        if not of_pipeline and not by_hand:
            raise UserError(f"{ROOTS}={word}: no trained run is in {place}.")
        found += [*of_pipeline, *by_hand]
    return list(dict.fromkeys(found))
