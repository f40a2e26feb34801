"""Cells over several tasks: their mean ranks (Demšar 2006), and which pairs of them differ by more than chance.

Pairs are tested by the scores of the two alone, as Benavoli, Corani and Mangili (2016) ask: whether two mean ranks are
a critical difference apart depends on which other cells stand in the table.
"""

from collections import Counter
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import stats

from rnnlab.report.leaderboard import trained_alike, tuned_alike
from rnnlab.report.results_table import Entry, Section, best_value
from rnnlab.results.wording import p_in_words
from rnnlab.statistics import ENOUGH_SEEDS, SIGNIFICANCE, holm

Array = NDArray[np.float64]

PERMUTATIONS = 20_000

LISTED = 6
"""Cells at most that a sentence lists."""

TEST = "Wilcoxon's signed-rank test over tasks, Holm's correction"


@dataclass(frozen=True)
class Pair:
    """Two cells over the tasks, a line of `pairs.csv`: `cell` is the one that ranks before `other`.

    mean_difference: over tasks, of `relative_difference`, positive where `cell` is better. wins, ties, losses: tasks on
    which `cell` is better, as good, worse. signed_ranks: Wilcoxon's W₊ - W₋, positive where `cell` is better. p_value:
    of `signed_rank_test`. p_holm: the same after Holm's correction for all pairs.
    """

    cell: str
    other: str
    mean_difference: float
    wins: int
    ties: int
    losses: int
    signed_ranks: float
    p_value: float
    p_holm: float

    @property
    def differs(self) -> bool:
        return self.p_holm < SIGNIFICANCE

    def turned(self) -> "Pair":
        """The same, seen from the other cell."""
        numbers = (-self.mean_difference, self.losses, self.ties, self.wins, -self.signed_ranks)
        return Pair(self.other, self.cell, *numbers, self.p_value, self.p_holm)


@dataclass(frozen=True)
class Ranking:
    """Cells in the order of their mean rank over `tasks`, 1 being the best.

    p_value: of Friedman's test that all cells rank alike. pairs: every two cells once, in order of rank. tasks: by
    what their data sets are called. left_out: cells without a finite score on some of the tasks. unequal: tasks on
    which the cells were not tuned alike, or not for the same budget. few: tasks on which a cell has fewer seeds than
    evidence takes.
    """

    cells: list[str]
    mean_ranks: list[float]
    tasks: list[str]
    p_value: float
    pairs: list[Pair]
    left_out: list[str] = field(default_factory=list)
    unequal: list[str] = field(default_factory=list)
    few: list[str] = field(default_factory=list)

    def pair(self, cell: str, other: str) -> Pair:
        """Seen from `cell`."""
        found = next(pair for pair in self.pairs if {pair.cell, pair.other} == {cell, other})
        return found if found.cell == cell else found.turned()

    def cliques(self) -> list[tuple[int, int]]:
        """First and last of every longest run of at least two cells, in order of rank, of which no two differ.

        Two cells without a common run need not differ: a cell between them may differ from one of them.
        """
        apart = {(pair.cell, pair.other) for pair in self.pairs if pair.differs}
        found: list[tuple[int, int]] = []
        for first in range(len(self.cells)):
            last = first
            while last + 1 < len(self.cells) and apart.isdisjoint(
                (cell, self.cells[last + 1]) for cell in self.cells[first : last + 1]
            ):
                last += 1
            if last > first and (not found or last > found[-1][1]):
                found.append((first, last))
        return found


def rank(sections: list[Section]) -> Ranking | None:
    """The cells that stand in every section, ranked in each by the mean of its metric; ties share their mean rank.

    A task that occurs with several data sets counts once, with the one that has most cells; one with a single
    cell ranks nothing, and is passed over; so is a cell that stands in a section twice, trained for several losses, or
    whose metric is not finite. None where there are fewer than two tasks or two cells: nothing could be said.

    Two cells are compared by `signed_rank_test` of their `relative_difference` on each task. The tasks count as a
    sample of those one would like to know about, each independent of the others: of several tasks of one kind, such
    as three forecasts of one series, the p-value is too small.
    """
    ranked: dict[str, tuple[Section, dict[str, Entry]]] = {}
    for section in sections:
        entries = [entry for entry in section.entries if entry.kind == "cell"]
        times = Counter(entry.cell for entry in entries)
        once = {
            entry.cell: entry
            for entry in entries
            if times[entry.cell] == 1 and np.isfinite(entry.summary[section.metric])
        }
        if len(once) > (len(ranked[section.task][1]) if section.task in ranked else 1):
            ranked[section.task] = (section, once)
    seen = [set(entries) for _, entries in ranked.values()]
    cells = sorted(set[str].intersection(*seen)) if seen else []
    if len(ranked) < 2 or len(cells) < 2:
        return None
    ranks = np.array([_ranks(section, [entries[cell] for cell in cells]) for section, entries in ranked.values()])
    mean_ranks = ranks.mean(axis=0)
    order = np.argsort(mean_ranks, kind="stable")
    in_order = [cells[index] for index in order]
    return Ranking(
        cells=in_order,
        mean_ranks=[float(mean_ranks[index]) for index in order],
        tasks=[section.title for section, _ in ranked.values()],
        p_value=_friedman(ranks),
        pairs=_pairs(in_order, list(ranked.values())),
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


def _pairs(cells: list[str], ranked: list[tuple[Section, dict[str, Entry]]]) -> list[Pair]:
    """Every two of the cells, which are in order of rank."""
    tests = []
    for cell, other in combinations(cells, 2):
        differences = np.array(
            [
                relative_difference(
                    entries[cell].summary[section.metric],
                    entries[other].summary[section.metric],
                    section.metric,
                    section.direction,
                )
                for section, entries in ranked
            ]
        )
        tests.append((cell, other, differences, *signed_rank_test(differences)))
    corrected = holm([p_value for *_, p_value in tests])
    return [
        Pair(
            cell=cell,
            other=other,
            mean_difference=float(differences.mean()),
            wins=int((differences > 0).sum()),
            ties=int((differences == 0).sum()),
            losses=int((differences < 0).sum()),
            signed_ranks=signed_ranks,
            p_value=p_value,
            p_holm=p_holm,
        )
        for (cell, other, differences, signed_ranks, p_value), p_holm in zip(tests, corrected, strict=True)
    ]


def relative_difference(value: float, other: float, metric: str, direction: str) -> float:
    """By what share the better one's error is below the other's; positive where `value` is the better one.

    d = (e' - e) / max(|e|, |e'|) of the errors e of `value` and e' of `other`. A metric that is to be low is the error
    itself; of one that is to be high it is what is missing to its best value, such as 1 - accuracy, or, where one of
    the two exceeds that, the negative metric. d has no unit, and is the same for nats and bits. Between errors of one
    sign it is between -1 and 1, and its size orders tasks as that of log(e'/e) does, but it is finite also where an
    error is 0. Equal errors: 0.

    Signed ranks order the tasks by the size of the difference, so it must be comparable across metrics. Neither the
    spread of all cells on the task nor their mean serves as its unit: the verdict on two cells would then depend on the
    others. Nor does the error of the task's reference baseline: where it is nearly perfect, such as one of 0.98 on
    vowels, every difference would be larger than on all tasks that are hard for it.

    Its limit: it takes an error of 0 for reachable. Where noise or entropy leaves a rest that no model can remove, as
    in a cross-entropy of text, differences look smaller than on a task that can be solved, and such tasks get the
    smaller ranks. From an accuracy of 0.98 to 0.99 is half the error, from 0.50 to 0.51 a fiftieth. Wins and losses do
    not depend on it.
    """
    best = best_value(metric, direction)
    if best is not None:
        best = best if max(value, other) <= best else 0.0
        value, other = best - value, best - other
    largest = max(abs(value), abs(other))
    # rounded, so that what 1 - accuracy loses in its last digits breaks no tie
    return round((other - value) / largest, 12) if largest > 0 else 0.0


def signed_rank_test(differences: Array) -> tuple[float, float]:
    """Wilcoxon's signed-rank test (1945): W₊ - W₋ and its two-sided p-value, which is exact.

    differences: (n,). Zeros are left out before ranking ("wilcox"): a task on which both are alike speaks for neither,
    and counts as if it were not there. Ties share their mean rank. Where the two are alike, a difference of each size
    is as likely for the one as for the other, so that all 2ⁿ signs of what is left are equally likely. How many of them
    give each W₊ is counted by convolution, over twice the ranks, which are whole numbers. scipy's exact distribution is
    one without ties, and from 14 tasks on it takes a normal distribution where there are any.

    p is never below 2^(1 - n); nothing but zeros: 1.
    """
    kept = differences[differences != 0]
    doubled = np.rint(2 * stats.rankdata(np.abs(kept))).astype(int)
    chance = np.ones(1)
    for each in doubled:
        none = np.zeros(each)
        chance = (np.concatenate([chance, none]) + np.concatenate([none, chance])) / 2
    positive, total = int(doubled[kept > 0].sum()), int(doubled.sum())
    tail = float(chance[: min(positive, total - positive) + 1].sum())
    return (2 * positive - total) / 2, min(1.0, 2 * tail)


def tasks_needed(pairs: int) -> int:
    """The fewest tasks on which one of so many pairs can differ: 2^(1 - n) · pairs is then below 0.05."""
    return next(tasks for tasks in range(1, 1000) if pairs * 2.0 ** (1 - tasks) < SIGNIFICANCE)


def in_words(found: Ranking | None) -> str:
    """What the ranks and pairs over all tasks say, and what they cannot say."""
    if found is None:
        return "No two cells stand on two tasks or more, each once: there are no ranks to compare."
    order = ", ".join(f"{cell} {mean:.2f}" for cell, mean in zip(found.cells, found.mean_ranks, strict=True))
    text = f"Mean rank over {len(found.tasks)} tasks ({'; '.join(found.tasks)}): {order}. {_verdict(found)}"
    if found.left_out:
        names = ", ".join(found.left_out)
        text += f" Left out, as they are not judged on every task, or have no finite score there: {names}."
    if found.few:
        text += f" Fewer than three seeds of a cell on {'; '.join(found.few)}: others might turn the ranks there."
    if found.unequal:
        text += (
            f" The cells were not tuned or trained alike on {'; '.join(found.unequal)}: not a fair comparison there."
        )
    return text


def _verdict(found: Ranking) -> str:
    says = "sees no difference between" if found.p_value >= SIGNIFICANCE else "sees a difference among"
    return f"Friedman's test {says} the cells (p {p_in_words(found.p_value)}). {_verdict_on_pairs(found)}"


def _verdict_on_pairs(found: Ranking) -> str:
    tasks, pairs = len(found.tasks), len(found.pairs)
    least = 2.0 ** (1 - tasks)
    if least * pairs >= SIGNIFICANCE:
        text = f"With {tasks} tasks no pair can differ significantly: the smallest p is {least:.3g}"
        if least < SIGNIFICANCE:
            text += f", and {min(1.0, least * pairs):.2g} after Holm's correction for {pairs} pairs"
        return f"{text}. Among {len(found.cells)} cells a difference takes at least {tasks_needed(pairs)} tasks."
    apart = [pair for pair in found.pairs if pair.differs]
    if not apart:
        return f"Pair by pair ({TEST}) no difference is seen: more tasks might show one."
    first, *others = found.cells
    against = [found.pair(first, other) for other in others]
    groups = {
        "better than": [pair.other for pair in against if pair.differs and pair.signed_ranks > 0],
        "worse than": [pair.other for pair in against if pair.differs and pair.signed_ranks < 0],
        "not seen to differ from": [pair.other for pair in against if not pair.differs],
    }
    says = ", and ".join(f"{words} {_listed(names, len(others))}" for words, names in groups.items() if names)
    text = f"Pair by pair ({TEST}) {first}, the first in rank, is {says}."
    if pairs == 1:
        return text
    return f"{text} Of {pairs} pairs {len(apart)} {'differs' if len(apart) == 1 else 'differ'} significantly."


def _listed(names: list[str], others: int) -> str:
    """Some of the other cells: a few of them by name."""
    if len(names) == others > 1:
        return "any other"
    return ", ".join(names) if len(names) <= LISTED else f"{len(names)} others"


def draw(found: Ranking) -> Figure:
    """The critical-difference diagram: cells on an axis of mean ranks, a bar over each of their cliques."""
    count, cliques = len(found.cells), found.cliques()
    half = (count + 1) // 2
    low, high = 1, count
    # a unit in height is an inch; so is `margin`, which takes the longest name
    margin = 0.9 + 0.095 * max(map(len, found.cells))
    bottom, top = -0.3 * (half - 1) - 0.2, 0.4 + 0.14 * len(cliques)
    figure = Figure(figsize=(max(8.0, 4 + 2 * margin), top + 0.4 - bottom))
    axes = figure.add_axes((0, 0, 1, 1))
    inch = (high - low) / (figure.get_figwidth() - 2 * margin)
    axes.set_xlim(low - margin * inch, high + margin * inch)
    axes.set_ylim(bottom, top + 0.4)
    axes.axis("off")
    axes.plot([low, high], [top, top], color="black", lw=1)
    for tick in range(low, high + 1):
        axes.plot([tick, tick], [top, top + 0.07], color="black", lw=1)
        if (tick - low) % (1 + count // 21) == 0:
            axes.text(tick, top + 0.1, str(tick), ha="center", va="bottom", fontsize=9)
    for index, (cell, mean) in enumerate(zip(found.cells, found.mean_ranks, strict=True)):
        left = index < half
        depth = -0.3 * (index if left else count - 1 - index)
        edge = low - 0.2 * inch if left else high + 0.2 * inch
        axes.plot([mean, mean, edge], [top, depth, depth], color="0.35", lw=0.9)
        text = f"{cell}  {mean:.2f}" if left else f"{mean:.2f}  {cell}"
        axes.text(edge, depth, f" {text} ", ha="right" if left else "left", va="center", fontsize=10)
    for number, (first, last) in enumerate(cliques):
        y = top - 0.14 * (number + 1)
        ends = [found.mean_ranks[first] - 0.04 * inch, found.mean_ranks[last] + 0.04 * inch]
        axes.plot(ends, [y, y], color="C0", lw=3.5, solid_capstyle="butt")
    return figure
