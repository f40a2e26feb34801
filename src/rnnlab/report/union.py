"""Runs of several folders as one: their seeds united by digests, and the same run in two folders compared."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, open_dict

from rnnlab.config.checking import BASES, add_faults_of_made, refuse
from rnnlab.config.names import check_names, packages_of
from rnnlab.config.schema import deciding
from rnnlab.errors import UserError
from rnnlab.results.files import read_json
from rnnlab.results.origin import JUDGING, is_judged
from rnnlab.results.paths import Results, from_root, of_seeds, root, store_root
from rnnlab.results.wording import words

TOLERANCE, FLOOR = 0.01, 1e-4
"""By how much two values of one loss or metric of the same run may differ: relative, and absolute. See `agree`."""

MISSING = "{folder} is not trained and evaluated: run `dvc repro`, or report runs by hand: report.folder=runs."

MACHINE = ("processor", "cores", "threads", "device", "python", "torch", "numpy", "pytorch_lightning", "rnnlab")
"""Tags of a run that say on what it was trained; an earlier version kept some of them."""


@dataclass(frozen=True)
class Setting:
    """One setting of a cell on one data set, in every folder that has it, in the order of the folders.

    run: the run.json of its first seed in the first of them.
    """

    run: dict[str, Any]
    places: tuple[Results, ...]

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What decided the training, by dotted key, without its seed and what follows from the rest."""
        (path, *_) = of_seeds(self.places[0].folder, "train/seed=*/config.yaml")
        config: Any = OmegaConf.to_container(OmegaConf.load(path))
        names = ("cell", "optimizer", "schedule", "trainer")
        groups = {key: config[key] and deciding(config[key], key) for key in names}
        if config.get("budget", {}).get("name", "epochs") != "epochs":
            groups["budget"] = config["budget"]
        if config.get("tuning", {}).get("trials"):
            groups["tuning"] = config["tuning"]
        leaves = dict(_leaves({**groups, "task": config["task"]["data"], "net": config["task"]["net"]}))
        if leaves.get("schedule.T_max") == leaves["trainer.max_epochs"]:
            del leaves["schedule.T_max"]
        return leaves


@dataclass(frozen=True)
class Seeds:
    """Where each judged seed of a setting is taken from: the first folder that has it.

    left_out: seeds that a later folder has and that were judged otherwise, in words.
    """

    places: dict[int, Results]
    left_out: list[str] = field(default_factory=list)


def _leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for key, child in node.items():
            yield from _leaves(child, f"{prefix}.{key}" if prefix else key)
    else:
        yield prefix, node


def unite(found: Iterable[Results]) -> list[Setting]:
    """By task, digest of the data, cell and setting, whatever the folders are called."""
    groups: dict[tuple[str, ...], tuple[dict[str, Any], list[Results]]] = {}
    for results in found:
        run = first_run(results)
        identity = (run["task"], run["dataset"]["digest"], run["cell"], run["setting"])
        groups.setdefault(identity, (run, []))[1].append(results)
    return [Setting(run, tuple(places)) for run, places in groups.values()]


def first_run(results: Results) -> dict[str, Any]:
    """The run.json of the first seed.

    Raises: `UserError` where there is none.
    """
    paths = of_seeds(results.folder, "train/seed=*/run.json")
    if not paths:
        raise UserError(MISSING.format(folder=results.folder))
    run: dict[str, Any] = read_json(paths[0])
    return run


def folder_of(results: Results) -> str:
    """The folder of runs that it is in, as a command would name it."""
    return from_root(results.folder.parents[3])


def is_evaluated(results: Results) -> bool:
    return (results.summary / "metrics.json").exists()


def judged_seeds(places: Sequence[Results]) -> Seeds:
    """Of a setting that several folders have. What decides how a net is judged, such as the width of a beam, is no part
    of its setting: seeds are united that were judged as those of the first folder are."""
    taken: dict[int, Results] = {}
    left_out: list[str] = []
    again: list[tuple[int, Results]] = []
    judging: Any = None
    for results in places:
        for seed in _seeds_of(results):
            if not is_judged(results, seed):
                if (results.evaluate(seed) / "evaluated.json").exists():
                    again.append((seed, results))
                continue
            options = _judging(results, seed)
            judging = options if judging is None else judging
            if options == judging:
                taken.setdefault(seed, results)
            elif seed not in taken:
                name = read_json(results.train(seed) / "run.json")["name"]
                left_out.append(
                    f"{name} in {folder_of(results)} is left out: it was judged with {_options(options)}, the others "
                    f"with {_options(judging)}."
                )
    left_out += [
        f"{results.evaluate(seed)} is left out: it is of an earlier training than the one beside it, or of an earlier "
        "version. Evaluate it again."
        for seed, results in again
        if seed not in taken
    ]
    return Seeds(dict(sorted(taken.items())), left_out)


def _seeds_of(results: Results) -> list[int]:
    return [int(folder.name.partition("=")[2]) for folder in of_seeds(results.folder, "train/seed=*")]


def _judging(results: Results, seed: int) -> Any:
    return read_json(results.evaluate(seed) / "evaluated.json")[JUDGING]


def _options(options: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in options.items() if key != "_target_") or "no options"


def pooled(places: Mapping[int, Results], rank_by: str, packages: Sequence[str] = ()) -> dict[str, float]:
    """The summary of seeds of several folders: what `evaluate` writes of seeds that are all in one.

    It is the mean over seeds of each metric, which the seeds' own files hold, unless the task's judging has a `metrics`
    of its own, such as an interval over seeds and forecasts: that is asked, with the predictions of all seeds and the
    prepared data of this or of one of the other workspaces. Where none has them, the metrics that are no interval and
    no p-value are means over seeds, and the others are left out.

    packages: whose classes a config may name beside ours. A folder may come from anyone.

    Raises: `UserError` where the config of the run names another.
    """
    by_seed = [read_json(results.evaluate(seed) / "metrics.json") for seed, results in places.items()]
    judging = _own_metrics(places, packages)
    if judging is None:
        metrics = _means(by_seed)
    elif (task := _open(judging, places)) is not None:
        tables = [pd.read_parquet(results.evaluate(seed) / "predictions.parquet") for seed, results in places.items()]
        metrics = instantiate(judging.task.judging, task).metrics(tables)
    else:
        metrics = {key: value for key, value in _means(by_seed).items() if not _is_of_a_test(key)}
    if len(by_seed) > 1:
        metrics[f"{rank_by}_std"] = float(pd.DataFrame(by_seed)[rank_by].std())
    return metrics


def _means(by_seed: list[dict[str, float]]) -> dict[str, float]:
    """As `rnnlab.tasks.judging.Judging.metrics`."""
    return {key: float(np.mean([metrics[key] for metrics in by_seed])) for key in by_seed[0]}


def _is_of_a_test(key: str) -> bool:
    """skill_low_3, p_value"""
    return any(part in f"{key}_" for part in ("_low_", "_high_", "p_value_"))


def _own_metrics(places: Mapping[int, Results], packages: Sequence[str]) -> DictConfig | None:
    """The config of the run, checked, where the task's judging does not take plain means over seeds."""
    seed, results = next(iter(places.items()))
    cfg = OmegaConf.load(results.train(seed) / "config.yaml")
    assert isinstance(cfg, DictConfig)
    with open_dict(cfg):
        cfg.packages = list(packages)  # not those that the file names
    _check_made(cfg, "task.judging")
    own, plain = (resolve_name(name) for name in (cfg.task.judging._target_, BASES["task.judging"]))
    return None if own.metrics is plain.metrics else cfg


def _check_made(cfg: DictConfig, node: str) -> None:
    """Raises: `UserError` for what a run's config names that may not be made, or not here."""
    found: dict[str, str] = {}
    check_names(cfg, found, packages_of(cfg))
    found = {key: fault for key, fault in found.items() if key.startswith(f"{node}.")}
    add_faults_of_made(cfg, [node], found)
    refuse(found)


def _open(cfg: DictConfig, places: Mapping[int, Results]) -> Any:
    """The task with its data, of which any workspace has prepared arrays of this digest; None where none has."""
    _check_made(cfg, "task.data")
    seed, results = next(iter(places.items()))
    digest = read_json(results.train(seed) / "run.json")["dataset"]["digest"]
    workspaces = dict.fromkeys([root(), store_root(), *(each.folder.parents[4] for each in places.values())])
    for workspace in workspaces:
        for pattern in (f"processed/{cfg.task.name}/meta.json", f"cache/{cfg.task.name}/*/processed/meta.json"):
            for path in sorted((workspace / "data").glob(pattern)):
                meta = read_json(path)
                if meta.get("digest") == digest:
                    task = instantiate(cfg.task.data)
                    task.open(path.parent, meta, seed)
                    return task
    return None


def disagreements(setting: Setting, metrics: Mapping[str, float | None]) -> list[str]:
    """A line for each seed of a setting that two folders have and of which they say what rounding does not explain:
    each folder against the first that has it, by validation loss, and by these metrics of the test split where both
    were judged alike. metrics: each with the best value it can have; None where lower is better.

    See `agree` for what rounding explains. A run whose budget is seconds is not compared: how far it comes in them is
    its machine's.
    """
    lines: list[str] = []
    if len(setting.places) == 1 or setting.run["params"].get("budget") == "seconds":
        return lines
    seen: dict[int, Results] = {}
    for results in setting.places:
        for seed in _seeds_of(results):
            first = seen.setdefault(seed, results)
            differing = [] if first is results else list(_differing(first, results, seed, metrics))
            if differing:
                lines.append(_in_words(differing, first, results, seed))
    return lines


class Difference(NamedTuple):
    key: str
    ours: float
    theirs: float


def disagreements_of_baselines(first: Path, other: Path, metrics: Mapping[str, float | None]) -> list[str]:
    """The same of the baselines that two folders have judged on the same data: a line for each."""
    facts = [read_json(folder / "task.json") for folder in (first, other)]
    alike = facts[0]["setting"] == facts[1]["setting"]
    because = "" if alike else " They were judged by other code or under other options."
    lines = []
    for path in sorted(first.glob("*/metrics.json")):
        name = path.parent.name
        if not (other / name / "metrics.json").exists():
            continue
        if differing := list(_differing_metrics(path.parent, other / name, metrics)):
            lines.append(
                f"The baseline {name} differs by more than rounding in {from_root(first.parents[2])} and "
                f"{from_root(other.parents[2])}: {_values(differing)}.{because} The first is shown."
            )
    return lines


def _differing(first: Results, other: Results, seed: int, metrics: Mapping[str, float | None]) -> Iterator[Difference]:
    ours, theirs = (read_json(each.train(seed) / "metrics.json")["validation_loss"] for each in (first, other))
    if not agree(ours, theirs):
        yield Difference("validation_loss", ours, theirs)
    if not all(is_judged(results, seed) for results in (first, other)):
        return
    if _judging(first, seed) != _judging(other, seed):
        return
    yield from _differing_metrics(first.evaluate(seed), other.evaluate(seed), metrics)


def _differing_metrics(first: Path, other: Path, metrics: Mapping[str, float | None]) -> Iterator[Difference]:
    """Of two folders with a metrics.json and a losses.npy each, of the same test split."""
    ours, theirs = (read_json(folder / "metrics.json") for folder in (first, other))
    items = np.load(first / "losses.npy", mmap_mode="r").shape[-1]
    for key, best in metrics.items():
        if key in ours and key in theirs and not agree(ours[key], theirs[key], best, items):
            yield Difference(key, ours[key], theirs[key])


def agree(one: float, other: float, best: float | None = None, items: int | None = None) -> bool:
    """Whether two values of one loss or metric of one run differ by no more than rounding explains:

        |a - b| <= max(0.01 s, 0.0001),  s = max(|a|, |b|)

    Two trainings of one setting and seed add the same numbers up in another order (vector units, threads, versions of
    libraries): 1e-7 of a number, which every step of training multiplies. Trained here with and without the vector
    units of AVX, and on one and two threads, the losses of six nets differed by at most 2e-5 of themselves after up to
    30 epochs; longer trainings and other devices differ by more, and another seed makes some per cent. Below
    0.0001 (nats, or squared errors of targets of unit variance) a loss is as good as none, and its own size no measure.

    best: of a metric of which higher is better, the best value: s is at least what is missing to it, for a skill near 0
    is no small number. Of a fraction, whose best value is 1, one of the `items` of the test split may fall on the other
    side, too: 1 / items.
    """
    scale = max(abs(one), abs(other))
    floor = FLOOR
    if best is not None:
        scale = max(scale, abs(best - one), abs(best - other))
        floor = max(floor, 1 / items if items and best == 1.0 else 0.0)
    return abs(one - other) <= max(TOLERANCE * scale, floor) * (1 + 1e-9)


def _in_words(differing: list[Difference], first: Results, other: Results, seed: int) -> str:
    """In one line: which run, what of it, in which folders, trained on what."""
    ours, theirs = (read_json(results.train(seed) / "run.json") for results in (first, other))
    return (
        f"{ours['name']} differs by more than rounding in {folder_of(first)} and {folder_of(other)}: "
        f"{_values(differing)}. "
        f"It was trained on {trained_on(ours, theirs)} and on {trained_on(theirs, ours)}. The first is shown."
    )


def _values(differing: list[Difference]) -> str:
    return ", ".join(f"{words(each.key)} {each.ours:.4g} and {each.theirs:.4g}" for each in differing)


def trained_on(run: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """The processor and the host, and of the rest what differs from another run's; an earlier version kept less."""
    tags, others = run["tags"], other["tags"]
    processor = tags.get("processor", "an unknown processor")
    facts = [f"host {tags['host']}"] if "host" in tags else []
    facts += [
        f"{key} {tags.get(key, 'unknown')}"
        for key in MACHINE
        if key != "processor" and tags.get(key) != others.get(key)
    ]
    return f"{processor} ({', '.join(facts)})" if facts else str(processor)
