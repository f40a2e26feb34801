"""What each cell makes of more and fewer training examples: of runs by hand of one task under several `task.train`."""

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from rnnlab.report.leaderboard import JudgedSection, rows
from rnnlab.report.results_table import Section
from rnnlab.results.figures import save
from rnnlab.results.files import atomic_folder
from rnnlab.results.wording import with_direction
from rnnlab.statistics import SIGNIFICANCE, holm

SIZE = "task.train"


class Sized(NamedTuple):
    """A section, and how many training examples its cells have seen."""

    size: int
    section: Section


def write_sizes(sections: list[Section], into: Path) -> list[Path]:
    """Of every task that was learnt from several numbers of examples, and has no other setting of its data in which
    they differ: <task>.csv with a row for each cell and baseline of each size, <task>_pairs.csv with a row for each two
    cells, and a figure. Returns the figures; none, and no folder, where there is no such task."""
    found = {task: list(sized) for task, sized in _by_task(sections)}
    if not found:
        return []
    with atomic_folder(into) as part:
        for task, sized in found.items():
            table, pairs = table_of(sized), pairs_of(sized)
            table.to_csv(part / f"{task}.csv", index=False)
            pairs.to_csv(part / f"{task}_pairs.csv", index=False)
            save(draw_sizes(sized, table, pairs), part / f"{task}.png")
    return [into / f"{task}.png" for task in found]


def _by_task(sections: list[Section]) -> Iterator[tuple[str, list[Sized]]]:
    for task in dict.fromkeys(section.task for section in sections):
        # of the whole training part its size is not known, unless it was asked for by its size as well
        of_task = [(_size(section), section) for section in sections if section.task == task]
        sized = [Sized(size, section) for size, section in of_task if size is not None]
        if len({one.size for one in sized}) == len(sized) > 1 and _is_alike([one.section for one in sized]):
            yield task, sorted(sized, key=lambda one: one.size)


def _size(section: Section) -> int | None:
    sizes = [entry.settings[SIZE] for entry in section.tried if entry.settings.get(SIZE) is not None]
    return int(sizes[0]) if sizes else None


def _is_alike(sections: list[Section]) -> bool:
    """Whether their data differ in the size of the training part alone."""
    settings = [section.tried[0].settings for section in sections]
    keys = {key for one in settings for key in one if key.startswith("task.") and key != SIZE}
    return all(len({repr(one.get(key)) for one in settings}) == 1 for key in keys)


def table_of(sized: list[Sized]) -> pd.DataFrame:
    """train, name, kind, mean, ci_low, ci_high, seeds: as in leaderboard.csv, but that a cell has its own name alone,
    whatever its settings."""
    keys = ("kind", "mean", "ci_low", "ci_high", "seeds")
    lines = [
        {"train": size, "name": _plain(row.name, row.kind), **{key: getattr(row, key) for key in keys}}
        for size, section in sized
        for row in rows(section)
    ]
    return pd.DataFrame(lines)


def _plain(name: str, kind: str) -> str:
    """Settings may differ from size to size."""
    return name.partition(" ")[0] if kind == "cell" else name


def pairs_of(sized: list[Sized]) -> pd.DataFrame:
    """train, cell, other, difference (of the metric, cell less other), p_value: corrected by Holm for all pairs of all
    sizes. Pairs of cells of which one has no verdict are left out."""
    lines = []
    for size, section in sized:
        judged = JudgedSection(section)
        even = [number for number, entry in enumerate(judged.cells) if entry.name not in judged.uneven]
        for first, second in [] if judged.too_few else combinations(even, 2):
            cell, other = judged.cells[first], judged.cells[second]
            difference = cell.summary[section.metric] - other.summary[section.metric]
            p_value = float(judged.verdicts.among.p_value[first, second])
            lines.append((size, cell.cell, other.cell, difference, p_value))
    table = pd.DataFrame(lines, columns=["train", "cell", "other", "difference", "p_value"])
    return table.assign(p_value=holm(table["p_value"]) if len(table) else [])


def draw_sizes(sized: list[Sized], table: pd.DataFrame, pairs: pd.DataFrame) -> Figure:
    """The metric against the number of training examples: a line for each cell with its interval over seeds and items,
    the best baseline of each size in grey; a star where two cells differ significantly."""
    section = sized[0].section
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes = figure.subplots()
    for number, (name, of_cell) in enumerate(table[table["kind"] == "cell"].groupby("name", sort=False)):
        ends = [of_cell["mean"] - of_cell["ci_low"], of_cell["ci_high"] - of_cell["mean"]]
        bars = [end.astype(float).fillna(0.0).clip(lower=0.0) for end in ends]
        axes.errorbar(
            of_cell["train"], of_cell["mean"], yerr=bars, color=f"C{number}", marker="o", ms=4, lw=1.3, capsize=2,
            label=str(name),
        )  # fmt: skip
    reference = pd.DataFrame([{"train": size, "name": one.reference} for size, one in sized])
    line = reference.merge(table[table["kind"] == "baseline"], on=["train", "name"])
    axes.plot(line["train"], line["mean"], "--", color="0.4", lw=1.2, label="best baseline on validation")
    for size in pairs["train"][pairs["p_value"] < SIGNIFICANCE].unique():
        axes.annotate("*", (size, 1.0), xycoords=("data", "axes fraction"), ha="center", va="top", size=16)
    axes.set_xscale("log")
    axes.set_xticks([size for size, _ in sized], [f"{size:,}" for size, _ in sized])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("training examples")
    axes.set_ylabel(with_direction(section.metric, section.direction))
    axes.set_title(f"{section.task}: what more examples are worth", fontsize=11)
    axes.grid(linewidth=0.4)
    handles, labels = axes.get_legend_handles_labels()
    if (pairs["p_value"] < SIGNIFICANCE).any():
        handles.append(Line2D([], [], color="black", marker="$*$", linestyle=""))
        labels.append("cells that differ significantly")
    figure.legend(handles, labels, loc="outside right upper", frameon=False)
    return figure
