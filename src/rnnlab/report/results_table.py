"""What has been evaluated, read from disk: for each task and data set, its cells and its baselines."""

import json
import logging
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from omegaconf import OmegaConf

from rnnlab.arguments import RESERVED
from rnnlab.config.schema import deciding
from rnnlab.config.stages import grid
from rnnlab.errors import UserError
from rnnlab.report.selection import Selection
from rnnlab.results.files import read_json
from rnnlab.results.origin import JUDGING, NAMED, current, digest, is_current, is_judged
from rnnlab.results.paths import Results, from_root, of_seeds, root, trained_by_hand
from rnnlab.statistics import ENOUGH_SEEDS

log = logging.getLogger("rnnlab")

OF_EPOCHS = ("trainer.max_epochs", "trainer.patience")
"""Settings that another budget leaves out."""

FOLLOWS = ("tuning.trials", "tuning.study")
"""Settings that follow from another, `tuning.name`."""

BEST = {"bleu": 100.0, "chrf": 100.0}
"""Of metrics of which higher is better, what none exceeds, where that is not 1."""

AGAIN = "run `rnnlab evaluate` again (or `dvc repro`)"


@dataclass(frozen=True)
class Entry:
    """What is known of one cell or baseline: its metrics, as a whole and by seed, and what training it took.

    losses: (seeds, items of the test split). settings: what training was told, by dotted key. trials: how many settings
    of the cell were tried on this data, in searches and by hand, where this is the one of them that was chosen; 0: none
    was chosen; None: some were tried that nobody counted.
    """

    name: str
    kind: str
    summary: dict[str, float]
    by_seed: list[dict[str, float]]
    losses: NDArray[np.float64]
    training: list[dict[str, Any]] = field(default_factory=list)
    results: Results | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    trials: int | None = 0

    @property
    def cell(self) -> str:
        """The cell's own name, without what sets this setting apart."""
        return self.name.partition(" ")[0]

    @property
    def validation_loss(self) -> float:
        """The mean over seeds."""
        return float(np.mean([facts["validation_loss"] for facts in self.training]))


def best_value(metric: str, direction: str) -> float | None:
    """The best value of a metric of which higher is better; losses are how far it is from that. None: lower is."""
    return BEST.get(metric, 1.0) if direction == "max" else None


@dataclass(frozen=True)
class Section:
    """One task on one data set: only what was judged on the same test split is compared.

    data: the digest of the prepared arrays. called: what the data set is called, the task's name in front. reference,
    trivial: the baselines that are best on validation, and that take nothing to know. unit, overlap, solved, parts: as
    in `TaskSpec`. entries: each cell and baseline once. tried: every setting of every cell. state: what sets the data
    set apart from another that is called the same; empty where there is none.
    """

    task: str
    data: str
    metric: str
    direction: str
    reference: str
    trivial: str
    unit: str
    overlap: int | None
    solved: float | None
    parts: str
    entries: list[Entry]
    tried: list[Entry] = field(default_factory=list)
    called: str = ""
    state: str = ""

    @property
    def units(self) -> str:
        """What of the test split is independent, in the plural: windows of 100 characters."""
        noun, of, rest = self.unit.partition(" of ")
        return f"{noun}s{of}{rest}"

    @property
    def title(self) -> str:
        """Of its table."""
        return f"{self.called or self.task} {self.state}".rstrip()


def sections(folder: str, wanted: Selection) -> list[Section]:
    """What has been evaluated: "results", the pipeline's grid, or "runs", all that is `wanted` of what was run by hand.

    Raises: `UserError` when there is nothing, or part of the grid is missing.
    """
    found = list(_sections(folder, wanted))
    if not found:
        words = f" with {' '.join(wanted.words)}" if wanted.words else ""
        raise UserError(f"There is nothing evaluated in {root() / folder}{words}: run `rnnlab evaluate` first.")
    return [section for _, of_task in groupby(found, lambda each: each.task) for section in _distinct(list(of_task))]


def _distinct(found: list[Section]) -> list[Section]:
    """Sections of one task in the order of what their data sets are called; by digests where that is the same."""
    times = Counter(section.called for section in found)
    apart = [
        replace(section, state=f"({section.data[:8]})") if times[section.called] > 1 else section for section in found
    ]
    return sorted(apart, key=lambda section: _in_order(section.title))


def _in_order(title: str) -> list[tuple[float, str]]:
    """Numbers in it by their size."""
    found = re.findall(r"(\D+)|(\d+(?:\.\d+)?)", title)
    return [(float(number), "") if number else (0.0, text) for text, number in found]


def _sections(folder: str, wanted: Selection) -> Iterator[Section]:
    if folder == "results":
        pairs = grid()
        for task in pairs.tasks:
            cells = [Results.of_pipeline(task, cell) for cell in pairs.cells]
            for results in cells:
                if not _is_evaluated(results) or not all(map(is_current, _runs(results))):
                    raise UserError(
                        f"{results.folder} is not trained and evaluated: run `dvc repro`, or report runs by hand: "
                        "report.folder=runs."
                    )
            yield _section(task, root() / "results" / task / RESERVED, cells)
    else:
        runs = current(folder / "run.json" for folder in trained_by_hand())
        _name_those_without_baselines({path.parents[2] for path in runs})
        # a copied folder, and two of a data set that two processes named at once, are of the same data
        folders: dict[tuple[str, str], list[Path]] = {}
        for facts in current(sorted(root().glob(f"runs/*/*/{RESERVED}/task.json"))):
            data = read_json(facts)["dataset"]["digest"]
            folders.setdefault((facts.parents[2].name, data), []).append(facts.parents[1])
        for (task, _), of_data in folders.items():
            trained = {path.parents[2] for path in runs if any(map(path.is_relative_to, of_data))}
            cells = [results for path in sorted(trained) if wanted.takes(results := Results(path))]
            section = _section(task, of_data[0] / RESERVED, cells)
            if section.tried or not wanted.words:
                yield section


def _name_those_without_baselines(folders: set[Path]) -> None:
    """In one line, what an `evaluate` that was interrupted left: it judges the baselines last."""
    alone = [
        from_root(folder)
        for folder in sorted(folders)
        if _is_evaluated(Results(folder)) and not (folder.parents[1] / RESERVED / "task.json").exists()
    ]
    if alone:
        named = ", ".join(alone[:NAMED]) + (f" and {len(alone) - NAMED} more" if len(alone) > NAMED else "")
        log.info("left out, as the baselines on their data are not judged: %s: %s", named, AGAIN)


def _section(task: str, baselines: Path, cells: list[Results]) -> Section:
    if not is_current(baselines / "task.json"):
        raise UserError(
            f"{baselines} is not there, or of an earlier version: run `dvc repro`, which judges the baselines as well."
        )
    facts = read_json(baselines / "task.json")
    spec, data = facts["spec"], facts["dataset"]["digest"]
    tried: list[Entry] = []
    chosen: list[Entry] = []
    for group in _by_cell([results for results in cells if _first_run(results)["dataset"]["digest"] == data]):
        entries = _named([_cell_entry(*each) for each in group.items() if _is_evaluated(each[0])])
        tried += entries
        chosen += _chosen(entries, len(group))
    for path in sorted(baselines.glob("*/metrics.json")):
        metrics = read_json(path)
        chosen.append(Entry(path.parent.name, "baseline", metrics, [metrics], _losses(path.parent)[None]))
    return Section(
        task=task,
        data=data,
        metric=spec["rank_by"],
        direction=spec["metrics"][spec["rank_by"]],
        reference=facts["reference"],
        trivial=facts["trivial"],
        unit=spec["unit"],
        overlap=spec["overlap"],
        solved=spec["solved"],
        parts=spec["parts"],
        entries=chosen,
        tried=tried,
        called=facts["dataset"]["title"],
    )


def _by_cell(found: list[Results]) -> list[dict[Results, dict[str, Any]]]:
    """The folders of each cell with their settings: of one setting under several states of the code the last one, or
    the last evaluated."""
    groups: dict[str, dict[str, tuple[Results, dict[str, Any]]]] = {}
    for results in sorted(found, key=lambda each: (_is_evaluated(each), _first_run(each)["started"])):
        settings = _settings(results)
        of_cell = groups.setdefault(_first_run(results)["cell"], {})
        of_cell[json.dumps(settings, sort_keys=True)] = results, settings
    return [dict(groups[cell].values()) for cell in sorted(groups)]


def _chosen(entries: list[Entry], tried: int) -> list[Entry]:
    """Of one cell's settings the one of least validation loss, first of those that were validated on all batches, and
    of these first of those with enough seeds for evidence: one lucky seed takes no place of three.

    All of them where these are of different losses.
    """
    if not entries or len({entry.settings.get("task.loss") for entry in entries}) > 1:
        return entries
    on_all = [entry for entry in entries if entry.settings.get("trainer.limit_batches") is None] or entries
    enough = min(ENOUGH_SEEDS, max(len(entry.by_seed) for entry in on_all))
    best = min((entry for entry in on_all if len(entry.by_seed) >= enough), key=lambda entry: entry.validation_loss)
    spent = [entry.trials for entry in entries]
    counted = None if None in spent else sum(trials or 0 for trials in spent) + (tried if tried > 1 else 0)
    return [replace(best, trials=counted)]


def _named(entries: list[Entry]) -> list[Entry]:
    """Each by its cell, and by what sets it apart from the cell's other settings, in words of the command line."""
    differing = [
        key
        for key in dict.fromkeys(key for entry in entries for key in entry.settings)
        if len({repr(value) for value in _values(entries, key)}) > 1
    ]
    shown = [key for key in differing if key not in FOLLOWS]
    names = [_name(entry, shown) for entry in entries]
    if len(set(names)) < len(names):
        names = [_name(entry, differing) for entry in entries]
    return [replace(entry, name=name) for entry, name in zip(entries, names, strict=True)]


def _values(entries: list[Entry], key: str) -> list[Any]:
    found = [entry.settings.get(key) for entry in entries]
    return [value for value in found if value is not None] if key in OF_EPOCHS else found


def _name(entry: Entry, keys: list[str]) -> str:
    told = [(key.removesuffix(".name"), entry.settings.get(key)) for key in keys]
    return " ".join([entry.name, *(f"{key}={_short(value)}" for key, value in told if value is not None)])


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _settings(results: Results) -> dict[str, Any]:
    """What decided the training, without its seed and what follows from the rest."""
    (path, *_) = of_seeds(results.folder, "train/seed=*/config.yaml")
    config: Any = OmegaConf.to_container(OmegaConf.load(path))
    groups = {key: config[key] and deciding(config[key], key) for key in ("cell", "optimizer", "schedule", "trainer")}
    if config.get("budget", {}).get("name", "epochs") != "epochs":
        groups["budget"] = config["budget"]
    if config.get("tuning", {}).get("trials"):
        groups["tuning"] = config["tuning"]
    leaves = dict(_leaves({**groups, "task": config["task"]["data"], "net": config["task"]["net"]}))
    if leaves.get("schedule.T_max") == leaves["trainer.max_epochs"]:
        del leaves["schedule.T_max"]
    return leaves


def _leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for key, child in node.items():
            yield from _leaves(child, f"{prefix}.{key}" if prefix else key)
    else:
        yield prefix, node


def _is_evaluated(results: Results) -> bool:
    return (results.summary / "metrics.json").exists()


def _runs(results: Results) -> list[Path]:
    return of_seeds(results.folder, "train/seed=*/run.json")


def _first_run(results: Results) -> dict[str, Any]:
    paths = _runs(results)
    if not paths:
        raise UserError(
            f"{results.folder} is not trained and evaluated: run `dvc repro`, or report runs by hand: "
            "report.folder=runs."
        )
    run: dict[str, Any] = read_json(paths[0])
    return run


def _cell_entry(results: Results, settings: dict[str, Any]) -> Entry:
    if not results.summarised.exists():
        raise UserError(f"{results.summary} was written by an earlier version: delete it and evaluate again.")
    judged = read_json(results.summarised)
    seeds = sorted(int(seed) for seed in judged)
    for seed in seeds:
        folder = results.evaluate(seed)
        if not is_judged(results, seed):
            raise UserError(
                f"{folder} is of an earlier training than the one on disk, or of an earlier version: {AGAIN}."
            )
        if digest(folder / "metrics.json") != judged[str(seed)]:
            raise UserError(f"{results.summary} does not sum up the seeds in it, for it was interrupted: {AGAIN}.")
    training = [read_json(results.train(seed) / "metrics.json") for seed in seeds]
    losses = np.stack([_losses(results.evaluate(seed)) for seed in seeds])
    by_seed = [read_json(results.evaluate(seed) / "metrics.json") for seed in seeds]
    judging = read_json(results.evaluate(seeds[0]) / "evaluated.json")[JUDGING]
    settings = settings | ({"task.beam": judging["beam"]} if "beam" in judging else {})
    run = _first_run(results)
    summary = read_json(results.summary / "metrics.json")
    return Entry(run["cell"], "cell", summary, by_seed, losses, training, results, settings, run["trials"])


def _losses(folder: Path) -> NDArray[np.float64]:
    path = folder / "losses.npy"
    if not path.exists():
        raise UserError(f"{folder} was evaluated by an earlier version: delete it and evaluate again.")
    losses: NDArray[np.float64] = np.load(path)
    return losses
