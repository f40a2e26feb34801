"""Which weights a judgement is of, and whether this version wrote it: both may have changed since."""

import hashlib
import logging
from collections.abc import Iterable
from pathlib import Path

from rnnlab.results.files import read_json
from rnnlab.results.paths import Results, from_root

log = logging.getLogger("rnnlab")

FORMAT = 4
"""Of run.json; raised when what an earlier version trained can no longer be used."""

JUDGED = 5
"""Of evaluated.json and of the baselines' task.json; raised when what an earlier version judged is to be done again."""

JUDGING = "judging"
"""In evaluated.json: the options of `task.judging` under which a net was judged."""

NAMED = 3
"""Folders that `current` names in its line."""


def is_current(path: Path) -> bool:
    """Whether this version can use the file, a run.json, evaluated.json or task.json."""
    return path.is_file() and bool(read_json(path).get("format") == (FORMAT if path.name == "run.json" else JUDGED))


def current(paths: Iterable[Path]) -> list[Path]:
    """Those of the files run.json and task.json that this version can use; one line names the folders of the others."""
    found = {path: is_current(path) for path in paths}
    older = [from_root(path.parent) for path, fits in found.items() if not fits]
    if older:
        named = ", ".join(older[:NAMED]) + (f" and {len(older) - NAMED} more" if len(older) > NAMED else "")
        log.info("skipped, as an earlier version of rnnlab made them (train or evaluate again to use them): %s", named)
    return [path for path, fits in found.items() if fits]


def origin(results: Results, seed: int) -> dict[str, str]:
    """The setting that a seed was trained under, and a digest of its weights: a budget of seconds repeats neither."""
    folder = results.train(seed)
    return {"setting": read_json(folder / "metrics.json")["setting"], "weights": digest(folder / "weights.safetensors")}


def is_of(judgement: Path, results: Results, seed: int) -> bool:
    """Whether `judgement`, a file that repeats an `origin`, is there and is of the weights that lie there now."""
    if not judgement.exists() or not (results.train(seed) / "metrics.json").exists():
        return False
    told = read_json(judgement)
    return origin(results, seed) == {key: told.get(key) for key in ("setting", "weights")}


def is_judged(results: Results, seed: int) -> bool:
    """Whether the weights that are there now have been evaluated, by a version whose metrics mean the same."""
    path = results.evaluate(seed) / "evaluated.json"
    return is_of(path, results, seed) and is_current(path)


def digest(path: Path) -> str:
    """Of a file's content, 16 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
