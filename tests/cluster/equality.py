"""Whether two workspaces hold the same results."""

import hashlib
import json
from pathlib import Path

import pandas as pd

TIMES = ("ended", "train_seconds", "steps_per_second")


def results(root: Path) -> dict[str, tuple[str, str, str]]:
    """By the place of each trained run: digests of weights, metrics and history, without times."""
    found = {}
    for weights in sorted(root.glob("runs/*/*/*/*/train/seed=*/weights.safetensors")):
        facts = json.loads((weights.parent / "metrics.json").read_text())
        kept = {key: value for key, value in facts.items() if key not in TIMES}
        history = pd.read_parquet(weights.parent / "history.parquet").drop(columns="time")
        history = history[~history["key"].isin(TIMES)]
        found[str(weights.parent.relative_to(root))] = (
            hashlib.sha256(weights.read_bytes()).hexdigest(),
            json.dumps(kept, sort_keys=True),
            hashlib.sha256(history.to_csv(index=False).encode()).hexdigest(),
        )
    return found
