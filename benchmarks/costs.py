"""What a grid of tasks, cells and seeds costs in processor seconds, before it is run: a model, and how far it is off.

A gru is trained as configured on every task, in a process of its own, judged twice, and its epochs are counted. What
another cell takes instead is the ratio of a training step of both, from benchmarks/results.json.
"""

import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import store
from benchmarks.workspace import run
from rnnlab.results.paths import CONF

REFERENCE = "gru"
SHAPE = {"device": "cpu", "threads": 1, "batch": 32, "timesteps": 500, "input_size": 32, "hidden_size": 32}
"""Of the steps whose ratio is taken."""

ONE = ("trainer.max_epochs=1", "trainer.limit_batches=1", "trainer.patience=null", "tracking=none")
MANY = 200
"""Epochs of xor, each one step, from which follows what an epoch takes beside its steps."""

CHECKED = ("price", "weather", "digits", "speech", "parity"), ("rnn", "lstm", "gru", "mingru"), 5
"""Tasks, cells and number of seeds of the sweep that the model is checked against."""

WORKERS = (1, 8, 64, 256)

SLOW = ("ltc", "mlstm")
"""Cells of which one step takes as long as dozens of a gru."""


def tasks() -> list[str]:
    return sorted(path.stem for path in (CONF / "task").glob("*.yaml") if path.stem != "text")


def cells() -> list[str]:
    """torchrecurrent is 41 layers of another library, whose times are its own."""
    return sorted(path.stem for path in (CONF / "cell").glob("*.yaml") if path.stem != "torchrecurrent")


def measure() -> Iterator[dict[str, Any]]:
    """What costs.json has is not measured again."""
    known = store.read("costs")
    with tempfile.TemporaryDirectory(prefix="rnnlab-") as folder:
        if not any(row.get("stage") == "epoch" for row in known):
            yield from _beside_steps(Path(folder))
        for task in tasks():
            if not any(row.get("task") == task for row in known):
                try:
                    yield _of_task(Path(folder), task)
                except RuntimeError as error:  # no data, as of prices without a network
                    print(f"{task} is left out: {error}", flush=True)
        yield _check(Path(folder))


def _beside_steps(folder: Path) -> Iterator[dict[str, Any]]:
    """start: of a process, until the first step of its first run. run: of each further one. epoch: beside its steps."""
    xor = ("-m", "task=xor", "cell=gru", "trainer.patience=null", "tracking=none")
    _spent(folder, "train", *xor, "trainer.max_epochs=1", "trainer.limit_batches=1")
    one = _spent(folder, "train", *xor, "trainer.max_epochs=1", "seed=1")
    six = _spent(folder, "train", *xor, "trainer.max_epochs=1", "seed=2,3,4,5,6,7")
    long = _spent(folder, "train", *xor, f"trainer.max_epochs={MANY + 1}", "seed=1")
    each = (six - one) / 5
    yield {"stage": "start", "cpu_seconds": round(one - each, 2)}
    yield {"stage": "run", "cpu_seconds": round(each, 2)}
    yield {"stage": "epoch", "cpu_seconds": round((long - one) / MANY, 4)}


def _spent(folder: Path, name: str, *overrides: str) -> float:
    return float(run(folder, name, *overrides)["cpu_seconds"])


def _of_task(folder: Path, task: str) -> dict[str, Any]:
    """A gru as configured. train: beyond a process that takes one step. evaluate: the second time; baselines: what the
    first took more."""
    words = (f"task={task}", f"cell={REFERENCE}")
    _spent(folder, "train", *words, *ONE)  # prepares the data
    short = _spent(folder, "train", *words, *ONE, "seed=1")
    train = _spent(folder, "train", *words, "tracking=none")
    first, second = (_spent(folder, "evaluate", *words, "tracking=none") for _ in range(2))
    paths = folder.glob(f"runs/{task}/*/{REFERENCE}/*/train/seed=0/metrics.json")
    facts = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    longest = max(facts, key=lambda each: each["steps"])
    row = {"task": task, "epochs": longest["epochs"], "steps": longest["steps"], "train": round(train - short, 1)}
    row |= {"evaluate": second, "baselines": round(first - second, 1), "load": round(os.getloadavg()[0], 1)}
    print(row, flush=True)
    return row


@cache
def ratios() -> dict[str, float]:
    """Of a step of each cell to one of the reference."""
    found: dict[str, list[float]] = {}
    for row in store.read("cells"):
        if all(row[key] == value for key, value in SHAPE.items()):
            found.setdefault(row["cell"], []).append(row["ours_ms"])
    medians = {cell: median(values) for cell, values in found.items()}
    return {cell: value / medians[REFERENCE] for cell, value in medians.items()}


class Model:
    """Processor seconds by task and cell, from the rows of costs.json."""

    def __init__(self, rows: Iterable[dict[str, Any]]) -> None:
        rows = list(rows)
        self.beside = {row["stage"]: row["cpu_seconds"] for row in rows if "stage" in row and "cpu_seconds" in row}
        self.tasks = {row["task"]: row for row in rows if "train" in row}

    def run(self, task: str, cell: str) -> float:
        """One run, in a process that is there; a cell without a measured ratio counts as the reference."""
        row = self.tasks[task]
        beside = self.beside["epoch"] * row["epochs"]
        return self.beside["run"] + beside + max(row["train"] - beside, 0.0) * ratios().get(cell, 1.0)

    def evaluation(self, task: str, seeds: int) -> float:
        """Of all seeds of a cell, in the process that trained them; its baselines are another's."""
        return seeds * max(self.tasks[task]["evaluate"] - self.beside["start"], 0.0)

    def job(self, task: str, cell: str, seeds: int, evaluate: bool = False) -> float:
        judged = self.evaluation(task, seeds) if evaluate else 0.0
        return self.beside["start"] + seeds * self.run(task, cell) + judged

    def grid(self, tasks: Iterable[str], cells: Iterable[str], seeds: int, evaluate: bool = False) -> list[float]:
        """Of each job."""
        cells = list(cells)
        return [self.job(task, cell, seeds, evaluate) for task in tasks for cell in cells]


def hours(jobs: list[float], workers: int) -> float:
    """Until the last of them ends, the longest first, each on the worker that is free first."""
    ends = [0.0] * workers
    for job in sorted(jobs, reverse=True):
        first = ends.index(min(ends))
        ends[first] += job
    return max(ends) / 3600


def _check(folder: Path) -> dict[str, Any]:
    """A sweep of 100 runs as it would be started on one machine, all its processes together."""
    names, of, seeds = CHECKED
    words = (f"task={','.join(names)}", f"cell={','.join(of)}", f"seed=range(100,{100 + seeds})")
    spent = _spent(folder, "train", "-m", *words, "cluster.workers=2", "cluster.runs_per_job=5", "tracking=none")
    model = Model(store.read("costs"))
    predicted = sum(model.grid(names, of, seeds)) + model.beside["start"]
    row = {"stage": "check", "runs": len(names) * len(of) * seeds, "measured": spent, "predicted": round(predicted, 1)}
    print(row, flush=True)
    return row
