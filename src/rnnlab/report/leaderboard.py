"""The leaderboard: every cell and baseline of every task, how sure the comparison is, and what it says in words."""

import base64
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, select_autoescape
from numpy.typing import NDArray
from tabulate import tabulate

from rnnlab.data.atomic import atomic_folder, read_json
from rnnlab.errors import UserError
from rnnlab.grid import grid
from rnnlab.paths import Results, root
from rnnlab.report.figures import draw_learning_curves, learning_curves
from rnnlab.report.statistics import Comparison, compare, holm, mean_interval

SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class Row:
    """One line of `leaderboard.csv`; None where there is nothing to say. Intervals: 95 %, Student's, over seeds."""

    task: str
    name: str
    kind: str
    metric: str
    direction: str
    mean: float
    ci_low: float | None
    ci_high: float | None
    rank: int
    seeds: int
    trials: int
    parameters: int | None
    state_size: int | None
    train_seconds: float | None
    steps_per_second: float | None
    verdict: str


@dataclass(frozen=True)
class Entry:
    """What is known of one cell or baseline: its metrics, as a whole and by seed, and what training it took.

    losses: (seeds, items of the test split).
    """

    name: str
    kind: str
    summary: dict[str, float]
    by_seed: list[dict[str, float]]
    losses: NDArray[np.float64]
    training: list[dict[str, Any]] = field(default_factory=list)
    results: Results | None = None


@dataclass(frozen=True)
class Section:
    """One task on one state of its data: only what was judged on the same test split is compared.

    overlap: how many consecutive items of the test split share what they are judged on. parts: what the number at the
    end of a metric's name counts: steps ahead, a length.
    """

    task: str
    data: str
    metric: str
    direction: str
    reference: str
    overlap: int
    parts: str
    entries: list[Entry]


def sections(folder: str) -> list[Section]:
    """What has been evaluated: "results", the pipeline's grid, or "runs", everything run by hand.

    Raises: `UserError` when there is nothing, or part of the grid is missing.
    """
    found = list(_sections(folder))
    if not found:
        raise UserError(f"There is nothing evaluated in {root() / folder}: run pipelines/evaluate.py first.")
    return found


def _sections(folder: str) -> Iterator[Section]:
    if folder == "results":
        pairs = grid()
        for task in pairs.tasks:
            cells = [Results.of_pipeline(task, cell) for cell in pairs.cells]
            yield _section(task, root() / "results" / task / "baselines", cells)
    elif folder == "runs":
        for facts in sorted(root().glob("runs/*/baselines/*/task.json")):
            baselines, task = facts.parent, facts.parents[2].name
            evaluated = sorted(root().glob(f"runs/{task}/*/*/evaluate/metrics.json"))
            yield _section(task, baselines, [Results(path.parents[1]) for path in evaluated])
    else:
        raise UserError(f"report.folder={folder} is neither results nor runs.")


def _section(task: str, baselines: Path, cells: list[Results]) -> Section:
    if not (baselines / "task.json").exists():
        raise UserError(f"{baselines} is not there: run `dvc repro`, which judges the baselines as well.")
    facts = read_json(baselines / "task.json")
    spec, data = facts["spec"], facts["data"]
    entries = [_cell_entry(results) for results in cells if _first_run(results)["dataset"]["digest"] == data]
    names = [entry.name for entry in entries]
    for index, entry in enumerate(entries):
        if names.count(entry.name) > 1 and entry.results:  # two settings of one cell
            entries[index] = replace(entry, name=f"{entry.name} {entry.results.folder.name}")
    for path in sorted(baselines.glob("*/metrics.json")):
        metrics = read_json(path)
        entries.append(Entry(path.parent.name, "baseline", metrics, [metrics], _losses(path.parent)[None]))
    direction = spec["metrics"][spec["rank_by"]]
    return Section(task, data, spec["rank_by"], direction, facts["reference"], spec["overlap"], spec["parts"], entries)


def _first_run(results: Results) -> dict[str, Any]:
    paths = sorted(results.folder.glob("train/seed=*/run.json"))
    if not paths or not (results.summary / "metrics.json").exists():
        raise UserError(f"{results.folder} is not trained and evaluated: run `dvc repro`.")
    run: dict[str, Any] = read_json(paths[0])
    return run


def _cell_entry(results: Results) -> Entry:
    seeds = sorted(results.summary.glob("seeds/seed=*/metrics.json"))
    training = [read_json(results.folder / "train" / path.parent.name / "metrics.json") for path in seeds]
    for path, facts in zip(seeds, training, strict=True):
        if read_json(path.with_name("evaluated.json"))["setting"] != facts["setting"]:
            raise UserError(f"{path.parent} judges an earlier training than the one on disk: run `dvc repro`.")
    summary = read_json(results.summary / "metrics.json")
    losses = np.stack([_losses(path.parent) for path in seeds])
    by_seed = [read_json(path) for path in seeds]
    return Entry(_first_run(results)["cell"], "cell", summary, by_seed, losses, training, results)


def _losses(folder: Path) -> NDArray[np.float64]:
    path = folder / "losses.npy"
    if not path.exists():
        raise UserError(f"{folder} was evaluated by an earlier version: delete it and evaluate again.")
    losses: NDArray[np.float64] = np.load(path)
    return losses


def rows(section: Section) -> list[Row]:
    """The entries ranked, each with its verdict against the reference baseline.

    A difference counts as seen when the losses say so, over seeds and items of the test split at once (`compare`), with
    p-values corrected by Holm for the number of entries, and the metric that ranks lies on the same side.
    """
    reference = next(entry for entry in section.entries if entry.name == section.reference)
    tested = [entry for entry in section.entries if entry is not reference]
    compared = _compared(section, [(entry, reference) for entry in tested])
    tests = {entry.name: test for entry, test in zip(tested, compared, strict=True)}
    sign = 1 if section.direction == "min" else -1
    ordered = sorted(section.entries, key=lambda entry: sign * entry.summary[section.metric])
    result = []
    for rank, entry in enumerate(ordered, start=1):
        row = _row(section, entry, rank)
        if entry is not reference:
            gain = sign * (reference.summary[section.metric] - row.mean)
            row = replace(row, verdict=_verdict(row, gain, section.reference, tests[entry.name]))
        result.append(row)
    return result


def _compared(section: Section, pairs: list[tuple[Entry, Entry]]) -> list[Comparison]:
    """Each pair, the p-values corrected for how many there are."""
    tests = [compare(one.losses, other.losses, section.overlap) for one, other in pairs]
    corrected = holm([test.p_value for test in tests])
    return [Comparison(test.statistic, p_value) for test, p_value in zip(tests, corrected, strict=True)]


def _verdict(row: Row, gain: float, reference: str, test: Comparison) -> str:
    if test.p_value >= SIGNIFICANCE:
        return f"no difference from {reference} seen (p = {test.p_value:.2f})"
    p_value = f"p = {test.p_value:.2g}" if test.p_value >= 1e-4 else "p < 0.0001"
    if gain * test.statistic >= 0:
        return f"no difference from {reference} seen: loss and {row.metric} disagree"
    word = f"{'better' if gain > 0 else 'worse'} than {reference}"
    if row.kind == "cell" and row.seeds == 1:
        return f"{word} with this one seed ({p_value})"
    return f"{word} ({p_value})"


def _row(section: Section, entry: Entry, rank: int) -> Row:
    low, high = mean_interval(np.array([metrics[section.metric] for metrics in entry.by_seed]))
    known = len(entry.by_seed) > 1
    return Row(
        task=section.task,
        name=entry.name,
        kind=entry.kind,
        metric=section.metric,
        direction=section.direction,
        mean=entry.summary[section.metric],
        ci_low=low if known else None,
        ci_high=high if known else None,
        rank=rank,
        seeds=len(entry.by_seed),
        trials=0,
        parameters=_mean(entry.training, "parameters", int),
        state_size=_mean(entry.training, "state_size", int),
        train_seconds=_mean(entry.training, "train_seconds", float),
        steps_per_second=_mean(entry.training, "steps_per_second", float),
        verdict="the reference",
    )


def _mean(training: list[dict[str, Any]], key: str, kind: type) -> Any:
    return kind(np.mean([facts[key] for facts in training])) if training else None


def in_words(section: Section, table: list[Row]) -> str:
    """The section's finding, as one or two plain sentences."""
    cells = [row for row in table if row.kind == "cell"]
    if not cells:
        return "No cell has been evaluated."
    better = [row for row in cells if row.verdict.startswith("better")]
    winners = [row.name for row in better if row.seeds > 1]
    if winners:
        text = f"Better than {section.reference}, with evidence: {', '.join(winners)}."
    elif better:
        names = ", ".join(row.name for row in better)
        text = f"Better than {section.reference} with the one seed that was trained: {names}. Train several."
    else:
        text = f"No cell beats {section.reference}: what differs is within the noise, or worse."
    best_baseline = next(row for row in table if row.kind == "baseline")
    if best_baseline.rank < cells[0].rank:
        text += f" The first in rank is {best_baseline.name}, which uses no recurrent net."
    return text + _among(section, cells)


def _among(section: Section, cells: list[Row]) -> str:
    """Which other cells the first in rank is better than, corrected for all pairs, any of which might have led."""
    if len(cells) < 2:
        return ""
    if any(row.seeds < 2 for row in cells):
        return " One seed of a cell tells nothing of the cells' own order: train several."
    entries = {entry.name: entry for entry in section.entries}
    first, *others = (entries[row.name] for row in cells)
    pairs = list(combinations([first, *others], 2))
    tests = _compared(section, pairs)[: len(others)]  # the pairs of the first come first
    beaten = [
        other.name
        for other, test in zip(others, tests, strict=True)
        if test.p_value < SIGNIFICANCE and test.statistic < 0
    ]
    if not beaten:
        return " Among the cells no order is seen."
    rest = "" if len(beaten) == len(others) else "; from the others it is not told apart"
    return f" Among the cells, {first.name} is better than {', '.join(beaten)}{rest}."


def write(sections: list[Section], folder: Path) -> None:
    """leaderboard.md, .csv, .html (which needs no other file), metrics.csv and figures/, all new or all old."""
    tables = [(section, rows(section)) for section in sections]
    with atomic_folder(folder) as part:
        all_rows = [asdict(row) for _, table in tables for row in table]
        pd.DataFrame(all_rows).to_csv(part / "leaderboard.csv", index=False)
        _all_metrics(sections).to_csv(part / "metrics.csv", index=False)
        (part / "leaderboard.md").write_text(_markdown(tables), encoding="utf-8")
        figures = [_figures(section, part / "figures" / f"{section.task}-{section.data}") for section in sections]
        (part / "leaderboard.html").write_text(_html(tables, figures), encoding="utf-8")


def _columns(section: Section) -> list[str]:
    middle = ["95 % interval", "seeds", "parameters", "state", "steps/s", "train s"]
    return ["rank", "name", section.metric, *middle, "verdict"]


def _cells(row: Row) -> list[str]:
    """A row as a person reads it, for `_columns`."""
    interval = f"{row.ci_low:.4f} to {row.ci_high:.4f}" if row.ci_low is not None else ""
    numbers = (
        "" if value is None else f"{value:,.{digits}f}"
        for value, digits in (
            (row.parameters, 0),
            (row.state_size, 0),
            (row.steps_per_second, 0),
            (row.train_seconds, 1),
        )
    )
    name = row.name if row.kind == "cell" else f"{row.name} (baseline)"
    return [str(row.rank), name, f"{row.mean:.4f}", interval, str(row.seeds), *numbers, row.verdict]


def _all_metrics(sections: list[Section]) -> pd.DataFrame:
    """Every metric of every entry."""
    rows = [
        {"task": section.task, "name": entry.name, "kind": entry.kind, "metric": metric, "value": value}
        for section in sections
        for entry in section.entries
        for metric, value in entry.summary.items()
    ]
    return pd.DataFrame(rows)


def _headlines(sections: list[Section]) -> list[str]:
    """One for each; where a task was run on several states of its data, with the digest of it."""
    tasks = [section.task for section in sections]
    return [
        section.task
        + (f" on data {section.data}" if tasks.count(section.task) > 1 else "")
        + f": {section.metric}, {'lower' if section.direction == 'min' else 'higher'} is better"
        for section in sections
    ]


def _markdown(tables: list[tuple[Section, list[Row]]]) -> str:
    parts = ["# Leaderboard"]
    for (section, table), headline in zip(tables, _headlines([section for section, _ in tables]), strict=True):
        alignment = ("right", "left", "right", "left", *["right"] * 5, "left")
        grid = tabulate(
            [_cells(row) for row in table], _columns(section), "github", colalign=alignment, disable_numparse=True
        )
        parts += [f"## {headline}", grid, in_words(section, table)]
    return "\n\n".join(parts) + "\n"


def _figures(section: Section, folder: Path) -> dict[str, Path]:
    """Learning curves of all cells on one picture, and each cell's own pictures."""
    folder.mkdir(parents=True)
    curves = {}
    paths: dict[str, Path] = {}
    for entry in section.entries:
        if entry.results is None:
            continue
        seeds = sorted(int(path.name.removeprefix("seed=")) for path in entry.results.summary.glob("seeds/seed=*"))
        curves[entry.name] = learning_curves(entry.results, seeds)
        for path in sorted(entry.results.summary.glob("figures/*.png")):
            if path.stem != "learning_curves":
                paths[f"{entry.name}: {path.stem}"] = path
    if curves:
        draw_learning_curves(curves).savefig(folder / "learning_curves.png", dpi=100)
        paths = {"learning curves": folder / "learning_curves.png", **paths}
    return paths


def by_part(section: Section) -> pd.DataFrame:
    """All metrics of single parts of the test split, keys that end in a number: a row for each name and part.

    Where a metric has an interval, keys with `_low` and `_high`, both are shown behind it.
    """
    table: dict[tuple[str, int], dict[str, float]] = {}
    for entry in section.entries:
        for key, value in entry.summary.items():
            metric, _, step = key.rpartition("_")
            if step.isdigit():
                table.setdefault((entry.name, int(step)), {})[metric] = value
    shown = []
    for (name, number), metrics in table.items():
        cells: dict[str, str] = {"name": name, section.parts: str(number)}
        for metric, value in metrics.items():
            if not metric.endswith(("_low", "_high")):
                low, high = metrics.get(f"{metric}_low"), metrics.get(f"{metric}_high")
                interval = f" ({low:.3f} to {high:.3f})" if low is not None else ""
                cells[metric.replace("_", " ")] = f"{value:.4g}{interval}"
        shown.append(cells)
    return pd.DataFrame(shown).fillna("")


def _html(tables: list[tuple[Section, list[Row]]], figures: list[dict[str, Path]]) -> str:
    environment = Environment(loader=PackageLoader("rnnlab", "report"), autoescape=select_autoescape(default=True))
    return environment.get_template("leaderboard.html.jinja").render(
        sections=[
            {
                "headline": headline,
                "data": section.data,
                "parts": section.parts,
                "words": in_words(section, table),
                "columns": _columns(section),
                "rows": [(row.kind, _cells(row)) for row in table],
                "by_part": by_part(section).to_dict("split"),
                "figures": {
                    title: base64.b64encode(path.read_bytes()).decode() for title, path in section_figures.items()
                },
            }
            for headline, (section, table), section_figures in zip(
                _headlines([section for section, _ in tables]), tables, figures, strict=True
            )
        ],
    )
