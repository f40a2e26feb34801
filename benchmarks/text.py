"""A text of gigabytes: seconds and peak memory of each stage of the pipeline, in a process of its own."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timing import fresh
from rnnlab.results.paths import CHECKOUT

GIGABYTES = 2.0
STEPS = 20
STAGES = ("fetch", "preprocess", "train", "evaluate")


def measure(gigabytes: float = GIGABYTES) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="rnnlab-") as folder:
        path = Path(folder) / "text.txt"
        fresh(write, path, int(gigabytes * 1e9))  # the peak of a process that starts others is the least of theirs
        for stage in STAGES:
            load = os.getloadavg()[0]
            seconds, mib = run(stage, folder, f"task.path={path}")
            print(f"{stage} of {gigabytes} GB: {seconds:.1f} s, at most {mib:.0f} MiB", flush=True)
            yield {
                "stage": stage,
                "gigabytes": gigabytes,
                "seconds": round(seconds, 1),
                "peak_mib": round(mib),
                "load": round(load, 2),
            }


def write(path: Path, size: int) -> None:
    """Lines of words, some of them with letters of two bytes, as often as Zipf has it."""
    rng = np.random.default_rng(0)
    letters = list("etaoinshrdlucmfwypvbgkjqxzéöß")
    words = ["".join(rng.choice(letters, length)) for length in rng.integers(1, 10, 20_000)]
    p = 1 / np.arange(1, len(words) + 1)
    drawn = rng.choice(words, (100_000, 10), p=p / p.sum())
    lines = [f"{' '.join(line)}.\n".encode() for line in drawn.tolist()]
    written = 0
    with path.open("wb") as file:
        while written < size:
            written += file.write(b"".join(lines[number] for number in rng.permutation(len(lines))))


def run(stage: str, folder: str, *overrides: str) -> tuple[float, float]:
    """Seconds and peak MiB of an entry point, its imports included."""
    command = [sys.executable, str(CHECKOUT / "pipelines" / f"{stage}.py"), "task=text", "cell=gru", *overrides]
    command += ["tracking=none", "trainer.max_epochs=1", f"task.epoch_steps={STEPS}"]
    start = time.perf_counter()
    environment = {**os.environ, "RNNLAB_ROOT": folder}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)  # noqa: S603
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise RuntimeError(f"{stage} failed: {' '.join(command)}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024
