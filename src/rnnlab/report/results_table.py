"""What has been evaluated, read from disk: for each task and data set, its cells and its baselines."""

import json
import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.arguments import RESERVED
from rnnlab.config.stages import grid
from rnnlab.errors import UserError
from rnnlab.report.selection import Selection
from rnnlab.report.union import (
    MISSING,
    Setting,
    disagreements,
    disagreements_of_baselines,
    first_run,
    folder_of,
    is_evaluated,
    judged_seeds,
    pooled,
    unite,
)
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
    was chosen; None: some were tried that nobody counted. results: its folder, the first where several have seeds of
    it. elsewhere: the folders of those of its seeds that are in another.
    """

    name: str
    kind: str
    summary: dict[str, float]
    by_seed: list[dict[str, float]]
    losses: NDArray[np.float64]
    training: list[dict[str, Any]] = field(default_factory=list)
    results: Results | None = None
    elsewhere: dict[int, Results] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    trials: int | None = 0

    @property
    def cell(self) -> str:
        """The cell's own name, without what sets this setting apart."""
        return self.name.partition(" ")[0]

    @property
    def places(self) -> dict[int, Results]:
        """Where each seed is."""
        seeds = [facts["seed"] for facts in self.training] if self.results else []
        return {seed: self.elsewhere.get(seed, self.results) for seed in seeds if self.results}

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
    remarks: list[str] = field(default_factory=list)

    @property
    def units(self) -> str:
        """What of the test split is independent, in the plural: windows of 100 characters."""
        noun, of, rest = self.unit.partition(" of ")
        return f"{noun}s{of}{rest}"

    @property
    def title(self) -> str:
        """Of its table."""
        return f"{self.called or self.task} {self.state}".rstrip()


def sections(folders: Sequence[Path], wanted: Selection) -> list[Section]:
    """What has been evaluated: of results/ of the root, the pipeline's grid; of folders of runs by hand all that is
    `wanted`, runs of the same digests being one, wherever they are.

    Raises: `UserError` when there is nothing, or part of the grid is missing.
    """
    of_grid = list(folders) == [root() / "results"]
    found = list(_of_grid() if of_grid else _by_hand(folders, wanted))
    if not found:
        words = f" with {' '.join(wanted.words)}" if wanted.words else ""
        where = ", ".join(map(str, folders))
        raise UserError(f"There is nothing evaluated in {where}{words}: run `rnnlab evaluate` first.")
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


def _of_grid() -> Iterator[Section]:
    pairs = grid()
    for task in pairs.tasks:
        cells = [Results.of_pipeline(task, cell) for cell in pairs.cells]
        for results in cells:
            if not is_evaluated(results) or not all(map(is_current, _runs(results))):
                raise UserError(MISSING.format(folder=results.folder))
        yield _section(task, [root() / "results" / task / RESERVED], cells)


def _by_hand(folders: Sequence[Path], wanted: Selection) -> Iterator[Section]:
    runs = current(folder / "run.json" for runs in folders for folder in trained_by_hand(runs=runs))
    trained: dict[tuple[str, str], list[Results]] = {}
    for folder in dict.fromkeys(path.parents[2] for path in runs):
        run = first_run(results := Results(folder))
        trained.setdefault((run["task"], run["dataset"]["digest"]), []).append(results)
    # a copied folder, and two of a data set that two processes named at once, are of the same data
    baselines = by_data(current(files_of_baselines(folders)))
    _name_those_without_baselines([each for data, found in trained.items() if data not in baselines for each in found])
    for (task, data), of_data in baselines.items():
        cells = [results for results in trained.get((task, data), []) if wanted.takes(results)]
        section = _section(task, of_data, cells, tuple(map(str, wanted.cfg.get("packages") or ())))
        if section.tried or not wanted.words:
            yield section


def files_of_baselines(folders: Sequence[Path]) -> Iterator[Path]:
    """The task.json beside the baselines of every data set, in the order of the folders of runs."""
    return (path for runs in folders for path in sorted(runs.glob(f"*/*/{RESERVED}/task.json")))


def by_data(files: Iterable[Path]) -> dict[tuple[str, str], list[Path]]:
    """The folders of baselines by task and digest of the data. files: the task.json of each."""
    found: dict[tuple[str, str], list[Path]] = {}
    for facts in files:
        found.setdefault((facts.parents[2].name, read_json(facts)["dataset"]["digest"]), []).append(facts.parent)
    return found


def _name_those_without_baselines(found: list[Results]) -> None:
    """In one line, what an `evaluate` that was interrupted left: it judges the baselines last."""
    alone = [from_root(results.folder) for results in found if is_evaluated(results)]
    if alone:
        named = ", ".join(alone[:NAMED]) + (f" and {len(alone) - NAMED} more" if len(alone) > NAMED else "")
        log.info("left out, as the baselines on their data are not judged: %s: %s", named, AGAIN)


def _section(task: str, judged: Sequence[Path], cells: list[Results], packages: Sequence[str] = ()) -> Section:
    """judged: the folders of the baselines on its data, of which the first is shown."""
    baselines = judged[0]
    if not is_current(baselines / "task.json"):
        raise UserError(
            f"{baselines} is not there, or of an earlier version: run `dvc repro`, which judges the baselines as well."
        )
    facts = read_json(baselines / "task.json")
    spec, data = facts["spec"], facts["dataset"]["digest"]
    tried: list[Entry] = []
    chosen: list[Entry] = []
    settings = [each for each in unite(cells) if each.run["dataset"]["digest"] == data]
    for group in _by_cell(settings):
        entries = _named([_cell_entry(each, spec["rank_by"], packages) for each in group if _judged(each)])
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
        remarks=[
            *filter(None, [facts.get("published")]),
            *_remarks(settings, spec["metrics"]),
            *_remarks_on_baselines(judged, spec["metrics"]),
        ],
    )


def _remarks(settings: list[Setting], directions: dict[str, str]) -> list[str]:
    best = {metric: best_value(metric, direction) for metric, direction in directions.items()}
    several = [each for each in settings if len(each.places) > 1]
    differing = [line for each in several for line in disagreements(each, best)]
    left_out = [line for each in several for line in judged_seeds(each.places).left_out]
    return [*differing, *left_out, *_of_other_code(settings)]


def _of_other_code(settings: list[Setting]) -> list[str]:
    """A line for each folder whose runs of a setting are not shown, because another folder's are of later code."""
    alike: dict[str, list[Setting]] = {}
    for each in sorted(settings, key=_in_time):
        alike.setdefault(_alike(each), []).append(each)
    lines = []
    for *earlier, shown in alike.values():
        here = {folder_of(results) for results in shown.places}
        for each in earlier:
            for results in each.places:
                if is_evaluated(results) and folder_of(results) not in here:
                    run = first_run(results)
                    lines.append(
                        f"{run['tags']['variant']} in {folder_of(results)} is left out: it was trained by other code "
                        f"(rnnlab {run['tags']['rnnlab']}, commit {run['tags']['git_commit'][:7]}) than in "
                        f"{', '.join(sorted(here))} (rnnlab {shown.run['tags']['rnnlab']}, commit "
                        f"{shown.run['tags']['git_commit'][:7]}), which is later. Train it again there."
                    )
    return lines


def _remarks_on_baselines(judged: Sequence[Path], directions: dict[str, str]) -> list[str]:
    best = {metric: best_value(metric, direction) for metric, direction in directions.items()}
    first, *others = judged
    return [line for other in others for line in disagreements_of_baselines(first, other, best)]


def _by_cell(found: list[Setting]) -> list[list[Setting]]:
    """The settings of each cell: of one under several states of the code the last one, or the last evaluated."""
    groups: dict[str, dict[str, Setting]] = {}
    for each in sorted(found, key=_in_time):
        groups.setdefault(each.run["cell"], {})[_alike(each)] = each
    return [list(groups[cell].values()) for cell in sorted(groups)]


def _in_time(setting: Setting) -> tuple[bool, int]:
    return _judged(setting), setting.run["started"]


def _alike(setting: Setting) -> str:
    """The same for one setting under several states of the code."""
    return json.dumps([setting.run["cell"], setting.settings], sort_keys=True)


def _judged(setting: Setting) -> bool:
    return any(map(is_evaluated, setting.places))


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


def _runs(results: Results) -> list[Path]:
    return of_seeds(results.folder, "train/seed=*/run.json")


def _cell_entry(setting: Setting, rank_by: str, packages: Sequence[str] = ()) -> Entry:
    """rank_by, packages: as in `pooled`."""
    first, *others = [results for results in setting.places if is_evaluated(results)]
    seeds = (judged_seeds(setting.places).places if others else {}) or _summarised(first)
    training = [read_json(results.train(seed) / "metrics.json") for seed, results in seeds.items()]
    losses = np.stack([_losses(results.evaluate(seed)) for seed, results in seeds.items()])
    by_seed = [read_json(results.evaluate(seed) / "metrics.json") for seed, results in seeds.items()]
    seed, results = next(iter(seeds.items()))
    judging = read_json(results.evaluate(seed) / "evaluated.json")[JUDGING]
    settings = setting.settings | ({"task.beam": judging["beam"]} if "beam" in judging else {})
    summed_up = not others or _sums_up(first, seeds)
    summary = read_json(first.summary / "metrics.json") if summed_up else pooled(seeds, rank_by, packages)
    elsewhere = {seed: results for seed, results in seeds.items() if results is not first}
    run = setting.run
    return Entry(run["cell"], "cell", summary, by_seed, losses, training, first, elsewhere, settings, run["trials"])


def _sums_up(first: Results, seeds: dict[int, Results]) -> bool:
    """Whether the summary in a folder is of exactly these seeds, all of which are in it."""
    if set(seeds.values()) != {first} or not first.summarised.exists():
        return False
    judged = {str(seed): digest(first.evaluate(seed) / "metrics.json") for seed in seeds}
    return bool(read_json(first.summarised) == judged)


def _summarised(results: Results) -> dict[int, Results]:
    """Where the seeds are that its summary is of.

    Raises: `UserError` where it is not of what is there.
    """
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
    return dict.fromkeys(seeds, results)


def _losses(folder: Path) -> NDArray[np.float64]:
    path = folder / "losses.npy"
    if not path.exists():
        raise UserError(f"{folder} was evaluated by an earlier version: delete it and evaluate again.")
    losses: NDArray[np.float64] = np.load(path)
    return losses
