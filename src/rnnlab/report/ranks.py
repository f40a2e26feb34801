"""Cells over several tasks: their mean ranks, and which of them differ by more than chance (Demšar 2006)."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import stats

from rnnlab.report.leaderboard import SIGNIFICANCE, trained_alike, tuned_alike
from rnnlab.report.results_table import ENOUGH_SEEDS, Entry, Section

Array = NDArray[np.float64]

PERMUTATIONS = 20_000


@dataclass(frozen=True)
class Ranking:
    """Cells in the order of their mean rank over `tasks`, 1 being the best.

    p_value: of Friedman's test that all cells rank alike. critical_difference: Nemenyi's; two cells whose mean ranks
    are closer are not told apart. tasks: by title, with the state of their data. left_out: cells that are missing on
    some of the tasks. unequal: tasks on which the cells were not tuned alike, or not for the same budget. few: tasks on
    which a cell has fewer seeds than evidence takes.
    """

    cells: list[str]
    mean_ranks: list[float]
    tasks: list[str]
    p_value: float
    critical_difference: float
    left_out: list[str] = field(default_factory=list)
    unequal: list[str] = field(default_factory=list)
    few: list[str] = field(default_factory=list)

    def groups(self) -> list[tuple[int, int]]:
        """First and last of every longest run of cells that are not told apart, and of whom there are at least two."""
        found: list[tuple[int, int]] = []
        for first, rank in enumerate(self.mean_ranks):
            last = max(i for i, other in enumerate(self.mean_ranks) if other - rank <= self.critical_difference)
            if last > first and (not found or last > found[-1][1]):
                found.append((first, last))
        return found


def rank(sections: list[Section]) -> Ranking | None:
    """The cells that stand in every section, ranked in each by the mean of its metric; ties share their mean rank.

    A task that occurs with several states of its data counts once, with the one that has most cells; one with a single
    cell ranks nothing, and is passed over; so is a cell that stands in a section twice, trained for several losses. The
    critical difference is q √(k (k + 1) / (6 N)) for k cells and N tasks, q from the studentised range at 0.05 over √2.
    None where there are fewer than two tasks or two cells: nothing could be said.
    """
    ranked: dict[str, tuple[Section, dict[str, Entry]]] = {}
    for section in sections:
        entries = [entry for entry in section.entries if entry.kind == "cell"]
        times = Counter(entry.cell for entry in entries)
        once = {entry.cell: entry for entry in entries if times[entry.cell] == 1}
        if len(once) > (len(ranked[section.task][1]) if section.task in ranked else 1):
            ranked[section.task] = (section, once)
    seen = [set(entries) for _, entries in ranked.values()]
    cells = sorted(set[str].intersection(*seen)) if seen else []
    if len(ranked) < 2 or len(cells) < 2:
        return None
    ranks = np.array([_ranks(section, [entries[cell] for cell in cells]) for section, entries in ranked.values()])
    mean_ranks = ranks.mean(axis=0)
    order = np.argsort(mean_ranks, kind="stable")
    tasks, count = ranks.shape
    studentised = float(stats.studentized_range.ppf(1 - SIGNIFICANCE, count, np.inf))
    return Ranking(
        cells=[cells[index] for index in order],
        mean_ranks=[float(mean_ranks[index]) for index in order],
        tasks=[section.title for section, _ in ranked.values()],
        p_value=_friedman(ranks),
        critical_difference=studentised / np.sqrt(2) * np.sqrt(count * (count + 1) / (6 * tasks)),
        left_out=sorted(set[str]().union(*seen) - set(cells)),
        unequal=[
            section.title
            for section, entries in ranked.values()
            if not tuned_alike([entries[cell].trials for cell in cells])
            or not trained_alike([entries[cell] for cell in cells])
        ],
        few=[
            section.title
            for section, entries in ranked.values()
            if any(len(entries[cell].by_seed) < ENOUGH_SEEDS for cell in cells)
        ],
    )


def _ranks(section: Section, entries: list[Entry]) -> Array:
    sign = 1 if section.direction == "min" else -1
    ranks: Array = stats.rankdata([sign * entry.summary[section.metric] for entry in entries])
    return ranks


def _friedman(ranks: Array) -> float:
    """Friedman's test by permutation: how often orders drawn by chance, one for each task, agree as well as these do.

    No approximation for many tasks, of which there are few: two tasks of three cells never give less than 1/6.
    """
    rng = np.random.default_rng(0)
    drawn = rng.permuted(np.tile(ranks, (PERMUTATIONS, 1, 1)), axis=2)
    spread = drawn.mean(axis=1).var(axis=1)
    at_least = spread >= ranks.mean(axis=0).var() - 1e-9
    return float((1 + at_least.sum()) / (1 + PERMUTATIONS))


def in_words(found: Ranking | None) -> str:
    """What the ranks over all tasks say, and what they cannot say."""
    if found is None:
        return "No two cells stand on two tasks or more, each once: there are no ranks to compare."
    order = ", ".join(f"{cell} {mean:.2f}" for cell, mean in zip(found.cells, found.mean_ranks, strict=True))
    text = f"Mean rank over {len(found.tasks)} tasks ({', '.join(found.tasks)}): {order}. {_verdict(found)}"
    if found.left_out:
        text += f" Left out, for they are not on every task: {', '.join(found.left_out)}."
    if found.few:
        text += f" Fewer than three seeds of a cell on {', '.join(found.few)}: others might turn the ranks there."
    if found.unequal:
        text += (
            f" The cells were not tuned or trained alike on {', '.join(found.unequal)}: not a fair comparison there."
        )
    return text


def _verdict(found: Ranking) -> str:
    if found.p_value >= SIGNIFICANCE:
        return f"Friedman's test sees no difference between the cells (p = {found.p_value:.2f})."
    best = found.mean_ranks[0]
    beaten = [
        cell
        for cell, mean in zip(found.cells, found.mean_ranks, strict=True)
        if mean - best > found.critical_difference
    ]
    text = f"Friedman's test says that they differ (p = {found.p_value:.2g}), "
    if not beaten:
        return (
            text + f"but no two by the critical difference of {found.critical_difference:.2f}: more tasks would tell."
        )
    return text + f"and {found.cells[0]} ranks before {', '.join(beaten)} by more than {found.critical_difference:.2f}."


def draw(found: Ranking) -> Figure:
    """The critical-difference diagram: cells on an axis of mean ranks, a bar over those that are not told apart."""
    count, groups = len(found.cells), found.groups()
    half = (count + 1) // 2
    figure = Figure(figsize=(8, 1.1 + 0.3 * half + 0.16 * len(groups)), layout="constrained")
    axes = figure.subplots()
    low, high = 1, count
    top = 0.5 + 0.16 * len(groups)
    axes.set_xlim(low - 0.28 * (high - low) - 0.2, high + 0.28 * (high - low) + 0.2)
    axes.set_ylim(-0.3 * half - 0.25, top + 0.75)
    axes.axis("off")
    axes.plot([low, high], [top, top], color="black", lw=1)
    for tick in range(low, high + 1):
        axes.plot([tick, tick], [top, top + 0.07], color="black", lw=1)
        axes.text(tick, top + 0.1, str(tick), ha="center", va="bottom", fontsize=9)
    axes.plot([low, low + found.critical_difference], [top + 0.5, top + 0.5], color="C3", lw=2)
    label = f"critical difference {found.critical_difference:.2f}"
    axes.text(low + found.critical_difference + 0.03 * (high - low), top + 0.5, label, va="center", fontsize=9)
    for index, (cell, mean) in enumerate(zip(found.cells, found.mean_ranks, strict=True)):
        left = index < half
        depth = -0.3 * (index if left else count - 1 - index)
        edge = low - 0.04 * (high - low) - 0.1 if left else high + 0.04 * (high - low) + 0.1
        axes.plot([mean, mean, edge], [top, depth, depth], color="0.35", lw=0.9)
        text = f"{cell}  {mean:.2f}" if left else f"{mean:.2f}  {cell}"
        axes.text(edge, depth, f" {text} ", ha="right" if left else "left", va="center", fontsize=10)
    for number, (first, last) in enumerate(groups):
        y = top - 0.14 * (number + 1)
        axes.plot([found.mean_ranks[first] - 0.03, found.mean_ranks[last] + 0.03], [y, y], color="C0", lw=3.5)
    return figure
