"""Which weights a judgement is of: they may since have been trained anew."""

import hashlib
from pathlib import Path

from rnnlab.results.files import read_json
from rnnlab.results.paths import Results


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


def digest(path: Path) -> str:
    """Of a file's content, 16 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
