"""Who is better, and how sure that is: ranks, verdicts, and what they say in words."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from rnnlab.report.results_table import ENOUGH_SEEDS, Entry, Section
from rnnlab.statistics import Comparison, can_tell, compare, holm, mean_interval

SIGNIFICANCE = 0.05

LIMITS = dict.fromkeys(("accuracy", "exact_match", "macro_f1"), (0.0, 1.0))
"""Of metrics that cannot leave them, as Student's interval can: what lies beyond is cut off, and coverage stays."""


@dataclass(frozen=True)
class Row:
    """One line of `leaderboard.csv`; None where there is nothing to say. Intervals: 95 %, Student's, over seeds.

    task: with the state of its data where there are several. trials: of tuning, spent on the entry; None where some
    were made by hand, and not counted.
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


def rows(section: Section) -> list[Row]:
    """The entries ranked, each with its verdict against the reference baseline.

    A difference counts as seen when the losses say so, over seeds and items of the test split at once (`compare`), with
    p-values corrected by Holm for the number of entries, and the metric that ranks lies on the same side. Where the
    test split has too few items for that, the verdict says so.
    """
    reference = next(entry for entry in section.entries if entry.name == section.reference)
    too_few = _too_few(section)
    pairs = {} if too_few else {entry.name: (entry, reference) for entry in section.entries if entry is not reference}
    tests = dict(zip(pairs, _compared(section, list(pairs.values())), strict=True))
    sign = 1 if section.direction == "min" else -1
    ordered = sorted(section.entries, key=lambda entry: sign * entry.summary[section.metric])
    result = []
    for rank, entry in enumerate(ordered, start=1):
        row = _row(section, entry, rank)
        if entry is not reference:
            gain = sign * (reference.summary[section.metric] - row.mean)
            row = replace(row, verdict=too_few or _verdict(row, gain, section.reference, tests[entry.name]))
        result.append(row)
    return result


def _too_few(section: Section) -> str:
    """Why no test can be made of the section's test split; empty where one can."""
    items = section.entries[0].losses.shape[1]
    if can_tell(items, section.overlap):
        return ""
    if section.overlap == 1:
        return f"too few test items to test: {items}"
    return f"too few forecasts to test: {items}, overlapping by {section.overlap - 1}"


def _compared(section: Section, pairs: list[tuple[Entry, Entry]]) -> list[Comparison]:
    """Each pair, the p-values corrected for how many there are."""
    tests = [compare(one.losses, other.losses, section.overlap) for one, other in pairs]
    corrected = holm([test.p_value for test in tests])
    return [Comparison(test.statistic, p_value) for test, p_value in zip(tests, corrected, strict=True)]


def _verdict(row: Row, gain: float, reference: str, test: Comparison) -> str:
    if test.p_value >= SIGNIFICANCE:
        p_value = f"{test.p_value:.2f}" if test.p_value >= 0.1 else f"{test.p_value:.3f}"  # never 0.05
        return f"no difference from {reference} seen (p = {p_value})"
    p_value = f"p = {test.p_value:.2g}" if test.p_value >= 1e-4 else "p < 0.0001"
    if gain * test.statistic >= 0:
        return f"no difference from {reference} seen: loss and {row.metric} disagree"
    word = f"{'better' if gain > 0 else 'worse'} than {reference}"
    if row.kind == "cell" and row.seeds < ENOUGH_SEEDS:
        return f"{word} with {'this one seed' if row.seeds == 1 else 'these two seeds'} ({p_value})"
    return f"{word} ({p_value})"


def _row(section: Section, entry: Entry, rank: int) -> Row:
    interval = mean_interval(np.array([metrics[section.metric] for metrics in entry.by_seed]))
    low, high = (float(end) for end in np.clip(interval, *LIMITS.get(section.metric, (-np.inf, np.inf))))
    known = len(entry.by_seed) > 1
    return Row(
        task=section.title,
        name=entry.name,
        kind=entry.kind,
        metric=section.metric,
        direction=section.direction,
        mean=entry.summary[section.metric],
        ci_low=low if known else None,
        ci_high=high if known else None,
        rank=rank,
        seeds=len(entry.by_seed),
        trials=entry.trials,
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
    winners = [row.name for row in better if row.seeds >= ENOUGH_SEEDS]
    if too_few := _too_few(section):
        text = f"No difference was tested, as there are {too_few}; at least {2 * section.overlap} are needed."
    elif winners:
        text = f"Better than {section.reference}, with evidence: {', '.join(winners)}."
    elif better:
        names = ", ".join(row.name for row in better)
        text = f"Better than {section.reference}, but with fewer than three seeds: {names}. Train three or more."
    else:
        text = f"No cell beats {section.reference}: what differs is within the noise, or worse."
    best_baseline = next(row for row in table if row.kind == "baseline")
    if best_baseline.rank < cells[0].rank:
        text += f" The first in rank is {best_baseline.name}, which uses no recurrent net."
    return text + _among(section, cells) + _unequal_tuning(cells) + _unequal_budgets(section) + _unequal_beams(section)


def _among(section: Section, cells: list[Row]) -> str:
    """Which other cells the first in rank is better than, corrected for all pairs, any of which might have led."""
    if len(cells) < 2 or _too_few(section):
        return ""
    if any(row.seeds < ENOUGH_SEEDS for row in cells):
        return " Fewer than three seeds of a cell do not tell the cells' own order: train three or more."
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
    rest = "" if len(beaten) == len(others) else "; no difference from the others is significant"
    return f" Among the cells, {first.name} is better than {', '.join(beaten)}{rest}."


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
