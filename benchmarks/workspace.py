"""What a workspace of many finished runs costs: seconds, processor seconds and peak memory of whole commands.

A few short runs are trained and judged for real. The others are copies of them under the names that a grid of cells x
tasks x seeds x settings would give: every file that says which run it is says so of the copy, losses and metrics vary
with cell, setting and seed, and what is large (weights, figures, predictions) is a hard link.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from itertools import count, islice, product
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from omegaconf import OmegaConf

from rnnlab.results.origin import digest
from rnnlab.results.paths import CHECKOUT, CONF

SEEDS = 5
TASKS, CELLS = ("xor", "recall", "names", "weather"), ("rnn", "gru")
"""Of the runs that are trained: short ones, on test splits of 360 to 4,500 items."""

SHORT = (f"task={','.join(TASKS)}", f"cell={','.join(CELLS)}", "trainer.max_epochs=3")
AGAIN = ("task=xor", "cell=gru", "trainer.max_epochs=3")

STAGES = {
    "report": ("report", "report.folder=runs", "report.show=false", "tracking=none"),
    "sync": ("report", "report.folder=runs", "report.write=false", "report.show=false", "tracking=sync"),
    "sync again": ("report", "report.folder=runs", "report.write=false", "report.show=false", "tracking=sync"),
    "train again": ("train", *AGAIN),
    "sweep again": ("train", "-m", *SHORT),
}
"""By what a row calls it. `sync` fills a store that is not there; the last two find the runs that were trained."""

# a process's peak is at least that of the one that started it: this one is small
CLOCK = """
import json, os, subprocess, sys, time
start = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
first, output = None, []
for line in process.stdout:
    if first is None and line.startswith(b"\\t#0"):
        first = time.perf_counter() - start
    output.append(line)
_, status, usage = os.wait4(process.pid, 0)
print(json.dumps({
    "seconds": time.perf_counter() - start, "first_job": first, "cpu_seconds": usage.ru_utime + usage.ru_stime,
    "peak_mib": usage.ru_maxrss / 1024, "status": status, "output": b"".join(output).decode()[-2000:],
}))
"""


class Copy(NamedTuple):
    """A run of the grid. number: of its setting, from 0; of these only `optimizer.lr` differs."""

    number: int
    task: str
    cell: str
    seed: int


def measure(sizes: list[int]) -> Iterator[dict[str, Any]]:
    for runs in sizes:
        with tempfile.TemporaryDirectory(prefix="rnnlab-") as folder:
            make(Path(folder), runs)
            yield from commands(Path(folder), runs)


def commands(folder: Path, runs: int, stages: tuple[str, ...] = tuple(STAGES)) -> Iterator[dict[str, Any]]:
    for stage in stages:
        if stage == "sync":
            for path in folder.glob("mlflow.db*"):
                path.unlink()
            shutil.rmtree(folder / "mlartifacts", ignore_errors=True)
        row = {"stage": stage, "runs": runs, **run(folder, *STAGES[stage])}
        print(", ".join(f"{key} {value}" for key, value in row.items()), flush=True)
        yield row


def run(folder: Path, name: str, *overrides: str) -> dict[str, Any]:
    """Of an entry point, its imports included."""
    command = [sys.executable, "-c", CLOCK, sys.executable, str(CHECKOUT / "pipelines" / f"{name}.py"), *overrides]
    environment = {**os.environ, "RNNLAB_ROOT": str(folder), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    load = os.getloadavg()[0]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True, cwd=folder)  # noqa: S603
    found = json.loads(done.stdout)
    if found["status"] != 0:
        raise RuntimeError(f"{name} {' '.join(overrides)} failed: {found['output']}")
    first = {} if found["first_job"] is None else {"first_job": round(found["first_job"], 1)}
    figures = {"seconds": round(found["seconds"], 1), "cpu_seconds": round(found["cpu_seconds"], 1), **first}
    return {**figures, "peak_mib": round(found["peak_mib"]), "load": round(load, 2)}


def make(folder: Path, runs: int) -> None:
    """A workspace with so many finished runs, those that are trained for real among them."""
    for name in ("train", "evaluate"):
        run(folder, name, "-m", *SHORT, "tracking=none")
    templates = {(task, cell): Template(folder, task, cell) for task in TASKS for cell in CELLS}
    wanted = list(islice(grid(runs), runs - len(templates)))
    groups: dict[tuple[int, str, str], list[int]] = {}
    for number, task, cell, seed in wanted:
        groups.setdefault((number, task, cell), []).append(seed)
    cells = sorted({cell for _, _, cell in groups})
    for number, task, cell in groups:
        pair = (TASKS[hash_of(task) % len(TASKS)] if task not in TASKS else task, CELLS[cells.index(cell) % len(CELLS)])
        templates[pair].copy(number, task, cell, groups[number, task, cell])


def grid(runs: int) -> Iterator[Copy]:
    """As many tasks and cells as there are, each with all seeds; of fewer runs fewer of both; then further settings."""
    tasks = sorted((path.stem for path in (CONF / "task").glob("*.yaml")), key=lambda task: task not in TASKS)
    cells = sorted(path.stem for path in (CONF / "cell").glob("*.yaml") if path.stem != "torchrecurrent")
    share = min(1.0, (runs / SEEDS / len(tasks) / len(cells)) ** 0.5)
    chosen = tasks[: ceil(share * len(tasks))], cells[: ceil(share * len(cells))]
    return (Copy(*each) for number in count() for each in product([number], *chosen, range(SEEDS)))


def hash_of(*words: Any) -> int:
    return int(hashlib.sha256(repr(words).encode()).hexdigest()[:12], 16)


class Template:
    """A run that was trained and judged, to be copied."""

    def __init__(self, root: Path, task: str, cell: str) -> None:
        # the last one: an earlier state of the code may have left another
        found = root.glob(f"runs/{task}/*/{cell}/*/train/seed=0/run.json")
        path = max(found, key=lambda path: json.loads(path.read_text())["started"])
        self.root, self.folder = root, path.parents[2]
        self.run = json.loads(path.read_text())
        self.facts = json.loads(path.with_name("metrics.json").read_text())
        config = OmegaConf.load(path.with_name("config.yaml"))
        self.lr = config.optimizer.lr
        config.seed, config.task.name, config.cell.name, config.optimizer.lr = "@seed", "@task", "@cell", "@lr"
        self.config = OmegaConf.to_yaml(config).replace("'@", "@")
        self.judged = self.folder / "evaluate/seeds/seed=0"
        self.evaluated = json.loads((self.judged / "evaluated.json").read_text())
        self.metrics = json.loads((self.judged / "metrics.json").read_text())
        self.losses = np.load(self.judged / "losses.npy")

    def copy(self, number: int, task: str, cell: str, seeds: list[int]) -> None:
        data = self.data_of(task)
        setting = f"{hash_of(number, task, cell):012x}"[:10]
        folder = self.root / "runs" / task / f"{data['slug']}-{data['digest'][:8]}" / cell / setting
        self.baselines(folder.parents[1], task, data)
        effect = np.random.default_rng(hash_of(task, cell, number)).normal() / 10
        summed = {}
        metrics = dict(self.metrics)
        for seed in seeds:
            rng = np.random.default_rng(hash_of(number, task, cell, seed))
            factor = float(np.exp(effect + rng.normal() / 30))
            self.training(folder, number, task, cell, seed, setting, data, factor)
            into = folder / f"evaluate/seeds/seed={seed}"
            linked(self.judged, into, ("metrics.json", "evaluated.json", "losses.npy"))
            metrics = {**self.metrics, self.run["rank_by"]: self.metrics[self.run["rank_by"]] * factor}
            dump(into / "metrics.json", metrics)
            dump(into / "evaluated.json", {**self.evaluated, "setting": setting})
            np.save(into / "losses.npy", self.losses * factor * np.exp(rng.normal(size=self.losses.shape) / 30))
            summed[str(seed)] = digest(into / "metrics.json")
        linked(self.folder / "evaluate", folder / "evaluate", ("seeds", "metrics.json"))
        dump(folder / "evaluate/metrics.json", {**metrics, f"{self.run['rank_by']}_std": 0.01})
        dump(folder / "evaluate/seeds/summarised.json", summed)

    def training(
        self, folder: Path, number: int, task: str, cell: str, seed: int, setting: str, data: dict[str, Any],
        factor: float,
    ) -> None:  # fmt: skip
        into, lr = folder / f"train/seed={seed}", self.lr / (1 + number)
        linked(self.folder / "train/seed=0", into, ("run.json", "metrics.json", "config.yaml"))
        linked(self.folder / "checkpoints/seed=0", folder / f"checkpoints/seed={seed}", (".lock",))
        variant = f"{cell} h{self.run['params']['cell.hidden_size']}"
        digests = {"data": data["title"], "data_digest": data["digest"], "slug": data["slug"]}
        run = {
            **self.run,
            "key": f"runs/{task}/{cell}/{setting}/seed={seed}",
            "name": f"{variant} s{seed} lr={lr:.4g} epochs=3",
            "task": task,
            "cell": cell,
            "seed": seed,
            "setting": setting,
            "folder": str(folder),
            "started": self.run["started"] + hash_of(number, task, cell, seed) % 10**9,
            "params": {**self.run["params"], "cell": cell, "optimizer.lr": lr, "seed": seed},
            "yardstick": self.run["yardstick"].replace(self.run["dataset"]["digest"], data["digest"]),
            "dataset": {**self.run["dataset"], **data},
            "tags": {**self.run["tags"], "task": task, "cell": cell, "variant": f"{variant} lr={lr:.4g}", **digests},
        }
        dump(into / "run.json", run)
        loss = self.facts["validation_loss"] * factor
        dump(into / "metrics.json", {**self.facts, "seed": seed, "setting": setting, "validation_loss": loss})
        values = {"@seed": seed, "@task": task, "@cell": cell, "@lr": lr}
        text = re.sub(r"(@\w+)'?", lambda found: str(values[found[1]]), self.config)
        (into / "config.yaml").write_text(text)

    def data_of(self, task: str) -> dict[str, Any]:
        """Of a task that is copied data of its own."""
        own = {key: self.run["dataset"][key] for key in ("title", "slug", "digest")}
        if task == self.run["task"]:
            return own
        title = f"{task}: {own['title'].partition(': ')[2] or own['title']}"
        return {**own, "title": title, "digest": f"{hash_of(task):016x}"}

    def baselines(self, into: Path, task: str, data: dict[str, Any]) -> None:
        if (into / "baselines").exists():
            return
        linked(self.folder.parents[1] / "baselines", into / "baselines", ("task.json",))
        facts = json.loads((self.folder.parents[1] / "baselines/task.json").read_text())
        dump(into / "baselines/task.json", {**facts, "dataset": data, "spec": {**facts["spec"], "task": task}})


def linked(folder: Path, into: Path, without: tuple[str, ...]) -> None:
    """The same files by hard links, but of those without that are the folder's own."""

    def left_out(at: str, _: list[str]) -> tuple[str, ...]:
        return without if Path(at) == folder else ()

    shutil.copytree(folder, into, ignore=left_out, copy_function=link, dirs_exist_ok=True)


def link(source: str, target: str) -> None:
    with suppress(FileExistsError):
        os.link(source, target)


def dump(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")
