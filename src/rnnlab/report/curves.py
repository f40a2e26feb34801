"""Figures of a whole section: its metric against what was set, against what it cost, and by part of the test split."""

from collections.abc import Callable
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from rnnlab.report.results_table import Entry, Section
from rnnlab.results.learning_curves import LEGEND_WIDTH
from rnnlab.results.wording import with_direction, words

COSTS = {
    "parameters": "parameters",
    "multiply_adds": "multiply-adds a timestep",
    "train_seconds": "training, seconds",
}
"""Facts of training, and how an axis calls them."""

LOGARITHMIC = 8
"""An axis is logarithmic where its largest number is so many times its smallest."""

DASHES = ("--", ":")


def draw_curves(section: Section) -> dict[str, Figure]:
    """By title: the metric against each number that was varied, against cost, and by part.

    A colour is a cell, a point one of its settings: the mean over seeds, the bar from the lowest to the highest. A ring
    marks the setting of least validation loss, where there are several. Grey lines are the reference and, where that is
    another, the baseline that is best on the test split.
    """
    metric = f"test {words(section.metric)}"
    keys = dict.fromkeys(key for entry in section.tried for key in entry.settings)
    varied = [key for key in keys if _is_varied(section, key)]
    shown = [words(key) for key in varied]
    names = {key: name if shown.count(name) == 1 else key for key, name in zip(varied, shown, strict=True)}
    figures = {f"{metric} against {name}": _draw(section, {key: name}, _setting) for key, name in names.items()}
    if len(section.tried) > 1:
        figures[f"{metric} against cost"] = _draw(section, COSTS, _cost)
    if len(parts(section)) > 1:
        figures[f"{metric} by {section.parts}"] = _draw_parts(section)
    return figures


def _is_varied(section: Section, key: str) -> bool:
    """Whether one and the same cell was tried with several numbers."""
    return any(
        len({value for entry in group if (value := _setting(entry, key)) is not None}) > 1
        for group in _by_cell(section.tried).values()
    )


def _setting(entry: Entry, key: str) -> float | None:
    value = entry.settings.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _cost(entry: Entry, key: str) -> float | None:
    return float(np.mean([facts[key] for facts in entry.training]))


def _by_cell(entries: list[Entry]) -> dict[str, list[Entry]]:
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.cell, []).append(entry)
    return groups


def _draw(section: Section, keys: dict[str, str], value_of: Callable[[Entry, str], float | None]) -> Figure:
    figure = Figure(figsize=(7.2 if len(keys) == 1 else 4.2 * len(keys), 4.2), layout="constrained")
    panels = figure.subplots(1, len(keys), sharey=True, squeeze=False)[0]
    chosen = {entry.results for entry in section.entries}
    for (key, axis), axes in zip(keys.items(), panels, strict=True):
        seen = []
        for number, (cell, group) in enumerate(_by_cell(section.tried).items()):
            points = sorted(
                ((x, entry) for entry in group if (x := value_of(entry, key)) is not None), key=lambda point: point[0]
            )
            seen += [x for x, _ in points]
            _draw_cell(axes, section.metric, points, cell, f"C{number}")
            best = [(x, entry) for x, entry in points if entry.results in chosen and len(points) > 1]
            for x, entry in best:
                axes.plot(x, entry.summary[section.metric], "o", ms=11, mfc="none", mec=f"C{number}")
        for style, (label, entry) in zip(DASHES, _baselines(section).items(), strict=False):
            axes.axhline(entry.summary[section.metric], linestyle=style, color="0.4", lw=1.2, label=label)
        _scale(axes, seen)
        axes.set_xlabel(axis)
    _finish(figure, panels, section)
    return figure


def _draw_cell(axes: Axes, metric: str, points: list[tuple[float, Entry]], label: str, colour: str) -> None:
    """A line through the means, a bar over the seeds."""
    if not points:
        return
    seeds = [[by_seed[metric] for by_seed in entry.by_seed] for _, entry in points]
    means = [entry.summary[metric] for _, entry in points]
    bars = [
        [max(0.0, mean - min(values)) for mean, values in zip(means, seeds, strict=True)],
        [max(0.0, max(values) - mean) for mean, values in zip(means, seeds, strict=True)],
    ]
    axes.errorbar(
        [x for x, _ in points], means, yerr=bars, color=colour, marker="o", ms=4, lw=1.3, capsize=2, label=label
    )


def parts(section: Section) -> list[int]:
    """The parts of the test split for which every cell has the metric; a baseline may lack it."""
    prefix = f"{section.metric}_"
    found = [
        {int(key[len(prefix) :]) for key in entry.summary if key.startswith(prefix) and key[len(prefix) :].isdigit()}
        for entry in section.entries
        if entry.kind == "cell"
    ]
    return sorted(set.intersection(*found)) if found else []


def _draw_parts(section: Section) -> Figure:
    at = parts(section)
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes = figure.subplots()
    colours = {cell: f"C{number}" for number, cell in enumerate(_by_cell(section.tried))}
    for index, entry in enumerate(entry for entry in section.entries if entry.kind == "cell"):
        values = [entry.summary[f"{section.metric}_{part}"] for part in at]
        by_seed = np.array([[metrics[f"{section.metric}_{part}"] for part in at] for metrics in entry.by_seed])
        colour = colours.get(entry.cell, f"C{index}")
        axes.plot(at, values, color=colour, marker="o", ms=4, lw=1.3, label=entry.name)
        if len(by_seed) > 1:
            axes.fill_between(at, by_seed.min(axis=0), by_seed.max(axis=0), color=colour, alpha=0.15, lw=0)
    for style, (label, entry) in zip(DASHES, _baselines(section).items(), strict=False):
        values = [entry.summary.get(f"{section.metric}_{part}", np.nan) for part in at]
        axes.plot(at, values, linestyle=style, color="0.4", lw=1.2, label=label)
    _scale(axes, [float(part) for part in at])
    axes.set_xlabel(section.parts)
    _finish(figure, np.array([axes]), section)
    return figure


def _baselines(section: Section) -> dict[str, Entry]:
    """By what a legend says of them: the reference, and the best of the others where that is better."""
    sign = 1 if section.direction == "min" else -1
    baselines = [entry for entry in section.entries if entry.kind == "baseline"]
    best = min(baselines, key=lambda entry: sign * entry.summary[section.metric])
    reference = next(entry for entry in baselines if entry.name == section.reference)
    if best.summary[section.metric] == reference.summary[section.metric]:
        return {f"{reference.name}, the best baseline": reference}
    return {f"{reference.name}, best baseline on validation": reference, f"{best.name}, best baseline on test": best}


def _scale(axes: Axes, seen: list[float]) -> None:
    if seen and min(seen) > 0 and max(seen) / min(seen) >= LOGARITHMIC:
        axes.set_xscale("log")
        span = max(seen) / min(seen)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if span < 20 else (1, 3) if span < 1000 else (1,)))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _finish(figure: Figure, panels: "np.ndarray[tuple[int], np.dtype[np.object_]]", section: Section) -> None:
    """The metric on the first axis, the legend beside the last."""
    for axes in panels:
        axes.grid(linewidth=0.4)
    panels[0].set_ylabel(with_direction(section.metric, section.direction))
    handles, labels = panels[0].get_legend_handles_labels()
    names = [fill(label, LEGEND_WIDTH, break_long_words=False) for label in labels]
    figure.legend(handles, names, loc="outside right upper", frameon=False)
