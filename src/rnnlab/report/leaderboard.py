"""Who is better, and how sure that is: ranks, verdicts, and what they say in words."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from rnnlab.report.results_table import Entry, Section, best_value
from rnnlab.results.wording import p_in_words, without_reference
from rnnlab.statistics import (
    ENOUGH_SEEDS,
    SIGNIFICANCE,
    Comparison,
    Verdicts,
    can_tell,
    least_items,
    proportion_interval,
    verdicts,
)


@dataclass(frozen=True)
class Row:
    """One line of `leaderboard.csv`; None where there is nothing to say.

    ci_low, ci_high: what the metric would be with other seeds
    and other test items, 95 %; None for a cell of one seed. trials: of tuning, spent on the entry; None where some were
    made by hand, and not counted. reference, p_value: what the verdict compares with, corrected by Holm for the rows of
    the table. solved: seeds that solve the task, where there is a value of the metric from which it counts as solved.
    data, data_digest: what its data set is called, and the digest of the prepared arrays.
    """

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
    trials: int | None
    parameters: int | None
    state_size: int | None
    train_seconds: float | None
    steps_per_second: float | None
    verdict: str
    reference: str
    p_value: float | None = None
    solved: int | None = None
    data: str = ""
    data_digest: str = ""


@dataclass(frozen=True)
class JudgedSection:
    """A section's entries by kind, with what `rnnlab.statistics.verdicts` says of their losses."""

    section: Section

    @cached_property
    def cells(self) -> list[Entry]:
        """Those of finite losses: one that is not would leave no test of the others either."""
        return [entry for entry in self.section.entries if entry.kind == "cell" and np.isfinite(entry.losses).all()]

    @cached_property
    def diverged(self) -> list[Entry]:
        """Cells whose losses are not all finite, which are not judged."""
        return [entry for entry in self.section.entries if entry.kind == "cell" and not np.isfinite(entry.losses).all()]

    @cached_property
    def baselines(self) -> list[Entry]:
        return [entry for entry in self.section.entries if entry.kind == "baseline"]

    @property
    def methods(self) -> list[Entry]:
        """In the order of the verdicts."""
        return [*self.cells, *self.baselines]

    @property
    def best(self) -> float | None:
        return best_value(self.section.metric, self.section.direction)

    @property
    def solved(self) -> float | None:
        """The mean loss up to which a seed has solved the task."""
        solved = self.section.solved
        return solved if solved is None or self.best is None else self.best - solved

    @cached_property
    def too_few(self) -> str:
        """Why no test can be made of the section's test split; empty where one can."""
        items, overlap = self.section.entries[0].losses.shape[1], self.section.overlap
        if can_tell(items, overlap):
            return ""
        shared = f", overlapping by {overlap - 1}" if overlap is not None and overlap > 1 else ""
        return f"too few to test: {items} {self.section.unit if items == 1 else self.section.units}{shared}"

    @cached_property
    def verdicts(self) -> Verdicts:
        """Only where there is enough to test."""
        names = [entry.name for entry in self.baselines]
        return verdicts(
            [entry.losses for entry in self.cells],
            [entry.losses for entry in self.baselines],
            names.index(self.section.reference),
            names.index(self.section.trivial),
            self.section.overlap,
            self.best,
            self.solved,
        )

    @cached_property
    def uneven(self) -> list[str]:
        """Cells whose seeds fall into two groups, or of which some solve the task and some do not."""
        if self.too_few:
            return []
        return [entry.name for entry, uneven in zip(self.cells, self.verdicts.uneven, strict=True) if uneven]

    def solved_seeds(self, entry: Entry) -> int | None:
        """How many seeds of a cell solve the task; None where nothing says when it is solved."""
        if self.solved is None or entry.kind != "cell":
            return None
        return int((entry.losses.mean(axis=1) <= self.solved + 1e-9).sum())

    def interval(self, index: int) -> tuple[float, float] | None:
        """Of the metric of a method; None where it is not known, of a test split that is too small, and of a cell whose
        mean stands for no seed."""
        if self.too_few or self.methods[index].name in self.uneven:
            return None
        low, high = float(self.verdicts.low[index]), float(self.verdicts.high[index])
        if np.isnan(low):
            return None
        return (low, high) if self.best is None else (self.best - high, self.best - low)


def rows(section: Section) -> list[Row]:
    """The entries ranked, each with its verdict against the reference: the baseline that is best on validation. Equal
    means share a rank, and the next one is that much lower: 1, 1, 3.

    A difference counts as seen when the losses say so, over seeds and items of the test split at once, with p-values
    corrected by Holm for the number of entries. Where the test split has too few items for that, the verdict says so;
    where a cell's seeds fall into two groups, how many are in which, as its mean stands for neither.
    """
    judged = JudgedSection(section)
    sign = 1 if section.direction == "min" else -1
    values = [round(sign * entry.summary[section.metric], 12) for entry in judged.methods]
    ordered = sorted(range(len(values)), key=values.__getitem__)
    ranked = [_row(judged, index, judged.methods[index], 1 + sorted(values).index(values[index])) for index in ordered]
    return ranked + [_row(judged, None, entry, len(values) + 1) for entry in judged.diverged]


def _row(judged: JudgedSection, index: int | None, entry: Entry, rank: int) -> Row:
    """index: among the methods; None of a cell that is not judged."""
    section = judged.section
    low, high = (None if index is None else judged.interval(index)) or (None, None)
    row = Row(
        task=section.task,
        name=entry.name,
        kind=entry.kind,
        metric=section.metric,
        direction=section.direction,
        mean=entry.summary[section.metric],
        ci_low=low,
        ci_high=high,
        rank=rank,
        seeds=len(entry.by_seed),
        trials=entry.trials,
        parameters=_mean(entry.training, "parameters", int),
        state_size=_mean(entry.training, "state_size", int),
        train_seconds=_mean(entry.training, "train_seconds", float),
        steps_per_second=_mean(entry.training, "steps_per_second", float),
        verdict="the reference",
        reference=section.reference,
        solved=judged.solved_seeds(entry),
        data=section.called,
        data_digest=section.data,
    )
    if entry.kind == "baseline" and entry.name == section.reference:
        return row
    solved = _solved(row)
    if index is None:
        return replace(row, verdict=_joined("no verdict: not all its losses are finite", solved))
    if entry.name in judged.uneven and entry.kind == "cell":
        return replace(row, verdict=solved or _groups(section, entry))
    if judged.too_few:
        return replace(row, verdict=_joined(judged.too_few, solved))
    found = judged.verdicts.reference
    test = Comparison(float(found.statistic[index]), float(found.p_value[index]))
    return replace(row, p_value=test.p_value, verdict=_joined(_verdict(row, test), solved))


def _joined(verdict: str, solved: str) -> str:
    return f"{verdict}; {solved}" if solved else verdict


def _verdict(row: Row, test: Comparison) -> str:
    p_value = f"p {p_in_words(test.p_value)}"
    if test.p_value >= SIGNIFICANCE:
        return f"no difference from {row.reference} seen ({p_value})"
    word = f"{'better' if test.statistic < 0 else 'worse'} than {row.reference}"
    if row.kind == "cell" and row.seeds < ENOUGH_SEEDS:
        return f"{word} with {'this one seed' if row.seeds == 1 else 'these two seeds'} ({p_value})"
    return f"{word} ({p_value})"


def _solved(row: Row) -> str:
    """How many seeds solve the task, with the interval of their share (Wilson); empty where nothing says when."""
    if row.solved is None:
        return ""
    low, high = proportion_interval((np.arange(row.seeds) < row.solved).astype(np.float64))
    return f"{row.solved} of {row.seeds} seeds solve{'s' if row.solved == 1 else ''} it (share {low:.2f} to {high:.2f})"


def _groups(section: Section, entry: Entry) -> str:
    values = np.sort([metrics[section.metric] for metrics in entry.by_seed])
    split = int(np.diff(values).argmax()) + 1
    sides = values[:split], values[split:]
    groups = ", ".join(f"{len(side)} near {side.mean():.3g}" for side in sides)
    return f"no verdict: its seeds are far apart ({groups})"


def _mean(training: list[dict[str, Any]], key: str, kind: type) -> Any:
    return kind(np.mean([facts[key] for facts in training])) if training else None


def in_words(section: Section, table: list[Row]) -> str:
    """What a reader would conclude: against the best baseline, against the trivial one, and among the cells."""
    cells = [row for row in table if row.kind == "cell"]
    if not cells:
        return "No cell has been evaluated."
    judged = JudgedSection(section)
    if judged.too_few:
        least = least_items(section.overlap)
        text = f"No difference was tested, as there are {judged.too_few}; at least {least} are needed."
    else:
        text = _against_reference(section, cells) + _against_trivial(judged, cells)
    best_baseline = next(row for row in table if row.kind == "baseline")
    if best_baseline.rank < cells[0].rank:
        text += f" The first in rank is {best_baseline.name}, which uses no recurrent net."
    if not judged.too_few:
        text += _among(judged, cells)
    if judged.uneven:
        text += f" Of {', '.join(judged.uneven)} the mean stands for no seed: some are good and some are not."
    if judged.diverged:
        text += f" Not judged, as not all losses are finite: {', '.join(entry.name for entry in judged.diverged)}."
    return text + _unequal_tuning(cells) + _unequal_budgets(section) + _unequal_beams(section)


def in_short(section: Section, table: list[Row]) -> str:
    """The first sentence of `in_words`, in a few words."""
    cells = [row for row in table if row.kind == "cell"]
    if not cells:
        return "no cell evaluated"
    if JudgedSection(section).too_few:
        return "too few to test"
    winners, unsure = _better(cells)
    if winners or unsure:
        few = "" if winners else ", but with fewer than three seeds"
        return f"{', '.join(winners or unsure)} better than {section.reference}{few}"
    return f"no cell seen to be better than {section.reference}"


def short_verdict(row: Row) -> str:
    """Without the name of the reference, which is the same in all rows, and the interval of a share of seeds."""
    return without_reference(row.verdict, row.reference).partition(" (share ")[0]


def _better(cells: list[Row]) -> tuple[list[str], list[str]]:
    """Those that are better than the reference: with enough seeds, and with fewer."""
    better = [row for row in cells if row.verdict.startswith("better")]
    enough = [row.name for row in better if row.seeds >= ENOUGH_SEEDS]
    return enough, [row.name for row in better if row.name not in enough]


def _against_reference(section: Section, cells: list[Row]) -> str:
    winners, unsure = _better(cells)
    worse = [row.name for row in cells if row.verdict.startswith("worse") and row.seeds >= ENOUGH_SEEDS]
    reference = f"{section.reference}, the best baseline on validation"
    if winners:
        return f"Better than {reference}, with evidence: {', '.join(winners)}."
    if unsure:
        return f"Better than {reference}, but with fewer than three seeds: {', '.join(unsure)}. Train three or more."
    text = f"No cell is seen to be better than {reference}"
    return f"{text}; worse: {', '.join(worse)}." if worse else f"{text}."


def _against_trivial(judged: JudgedSection, cells: list[Row]) -> str:
    """Left out where the best baseline is the trivial one, or every cell is better than the best."""
    section = judged.section
    if section.trivial == section.reference or all(row.verdict.startswith("better") for row in cells):
        return ""
    found = judged.verdicts.trivial
    better = [
        entry.name
        for index, entry in enumerate(judged.cells)
        if found.p_value[index] < SIGNIFICANCE and found.statistic[index] < 0 and entry.name not in judged.uneven
    ]
    if not better:
        return f" None is seen to be better than {section.trivial}, the trivial one."
    few = [row.name for row in cells if row.name in better and row.seeds < ENOUGH_SEEDS]
    sure = [name for name in better if name not in few]
    text = ""
    for names, but in ((sure, ""), (few, ", but with fewer than three seeds")):
        which = "all cells" if len(names) == len(cells) > 1 else ", ".join(names)
        text += f" Better than {section.trivial}, the trivial one{but}: {which}." if names else ""
    return text


def _among(judged: JudgedSection, cells: list[Row]) -> str:
    """Which other cells the first in rank is better than, corrected for all pairs, any of which might have led."""
    if len(cells) < 2:
        return ""
    if any(row.seeds < ENOUGH_SEEDS for row in cells):
        return " Fewer than three seeds of a cell say nothing of the cells' own order: train three or more."
    number = {entry.name: index for index, entry in enumerate(judged.cells)}
    even = [row.name for row in cells if row.name in number and row.name not in judged.uneven]
    if len(even) < 2:
        return ""
    found = judged.verdicts.among
    beaten = {
        name: [
            other
            for other in even
            if found.p_value[number[name], number[other]] < SIGNIFICANCE
            and found.statistic[number[name], number[other]] < 0
        ]
        for name in even
    }
    first = even[0]
    if beaten[first]:
        rest = "" if len(beaten[first]) == len(even) - 1 else "; no difference from the others is significant"
        return f" Among the cells, {first} is better than {', '.join(beaten[first])}{rest}."
    better = next((name for name in even if beaten[name]), None)
    if better is None:
        return " Among the cells no order is seen."
    # the losses of the first may vary more than of those behind it
    behind = f"{better} is better than {', '.join(beaten[better])}"
    return f" Among the cells, {first} is not seen to be better than any; {behind}."


def tuned_alike(trials: Iterable[int | None]) -> bool:
    """Whether cells on which so many trials were spent, None being unknown, are known to be tuned alike."""
    found = list(trials)
    return len(found) < 2 or (len(set(found)) == 1 and None not in found)


def trained_alike(entries: Iterable[Entry]) -> bool:
    """Whether the same end of training was set for all of them."""
    return len({_budget(entry) for entry in entries}) < 2


def _budget(entry: Entry) -> str:
    settings = entry.settings
    limit = settings.get("trainer.limit_batches")
    part = "" if limit is None else f" of {limit} batches"
    if settings.get("budget.name") in ("steps", "seconds"):
        return f"{settings['budget.' + settings['budget.name']]} {settings['budget.name']}{part}"
    return f"{settings.get('trainer.max_epochs')} epochs{part}"


def _unequal_budgets(section: Section) -> str:
    cells = [entry for entry in section.entries if entry.kind == "cell"]
    if trained_alike(cells):
        return ""
    told = ", ".join(f"{entry.cell} {_budget(entry)}" for entry in cells)
    return f" They were trained for different budgets ({told}): not a fair comparison."


def _unequal_beams(section: Section) -> str:
    beams = {entry.cell: entry.settings["task.beam"] for entry in section.entries if "task.beam" in entry.settings}
    if len(set(beams.values())) < 2:
        return ""
    told = ", ".join(f"{cell} {beam}" for cell, beam in beams.items())
    return f" They were judged with beams of different widths ({told}): not a fair comparison."


def _unequal_tuning(cells: list[Row]) -> str:
    """A warning where the cells were not tuned alike, or not known to be."""
    trials = {row.trials for row in cells}
    if tuned_alike(row.trials for row in cells):
        return ""
    spent = ", ".join(f"{row.name} {'an unknown number' if row.trials is None else row.trials}" for row in cells)
    alike = "unknown numbers" if trials == {None} else "different numbers"
    return f" The cells had {alike} of tuning trials ({spent}): not a fair comparison."
