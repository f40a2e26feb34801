"""The leaderboard as files: tables, figures, and one page that needs no other file."""

import base64
import math
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from jinja2 import Environment, PackageLoader, select_autoescape
from tabulate import tabulate

from rnnlab.report import ranks
from rnnlab.report.curves import draw_curves
from rnnlab.report.leaderboard import Row, in_short, in_words, rows, short_verdict
from rnnlab.report.results_table import Entry, Section
from rnnlab.results.figures import save, small
from rnnlab.results.files import atomic_folder
from rnnlab.results.learning_curves import draw_learning_curves, learning_curves
from rnnlab.results.wording import decimals, p_in_words, with_direction, words

INTERVAL = "95 %, seeds and items"

BASELINE = " (baseline)"

METRIC_DIGITS = 4
"""Significant digits of the largest value of the metric that ranks."""

LARGEST = 920_000
"""Characters of figures on the page: below a megabyte with its tables."""

DIAGRAM = Path("figures/critical_difference.png")

PAIRS_IN_MARKDOWN = 8
"""Cells at most of which the text shows all pairs: 28 lines."""


def write(sections: list[Section], folder: Path, wanted: tuple[str, ...] = (), united: Sequence[str] = ()) -> None:
    """leaderboard.md, .csv, .html (which needs no other file), metrics.csv and figures/, all new or all old.

    Also pairs.csv, a line for every two cells, where there are cells over several tasks.

    wanted: words by which the runs were chosen, where not all of them are shown. united: the folders that they are
    in, where these are several.
    """
    head = _head(wanted, united)
    tables = [(section, rows(section)) for section in sections]
    with atomic_folder(folder) as part:
        all_rows = [asdict(row) for _, table in tables for row in table]
        whole = dict.fromkeys(("trials", "parameters", "state_size", "solved"), "Int64")
        pd.DataFrame(all_rows).astype(whole).to_csv(part / "leaderboard.csv", index=False)
        _all_metrics(sections).to_csv(part / "metrics.csv", index=False)
        over_tasks = ranks.rank(sections)
        over_all = ranks.in_words(over_tasks) if len({section.task for section in sections}) > 1 else ""
        (part / "leaderboard.md").write_text(_markdown(tables, over_all, over_tasks, head), encoding="utf-8")
        figures = [
            _figures(section, table, part / "figures" / f"{section.task}-{section.data}") for section, table in tables
        ]
        if over_tasks is not None:
            save(ranks.draw(over_tasks), part / DIAGRAM)
            pd.DataFrame([asdict(pair) for pair in over_tasks.pairs]).to_csv(part / "pairs.csv", index=False)
        page = _html(tables, figures, over_all, over_tasks, head, part)
        (part / "leaderboard.html").write_text(page, encoding="utf-8")


def _columns(section: Section) -> list[str]:
    middle = [INTERVAL, "seeds", "trials", "parameters", "state", "steps/s", "train s"]
    return ["rank", "name", words(section.metric), *middle, "verdict"]


def _cells(table: list[Row]) -> list[list[str]]:
    """Rows as a person reads them, for `_columns`."""
    digits = decimals([value for row in table for value in (row.mean, row.ci_low, row.ci_high)], METRIC_DIGITS)
    columns = [
        [str(row.rank) for row in table],
        [row.name if row.kind == "cell" else f"{row.name}{BASELINE}" for row in table],
        _numbers([row.mean for row in table], digits),
        [f"{row.ci_low:,.{digits}f} to {row.ci_high:,.{digits}f}" if row.ci_low is not None else "" for row in table],
        [str(row.seeds) if row.kind == "cell" else "" for row in table],
        ["" if row.kind != "cell" else "by hand" if row.trials is None else str(row.trials) for row in table],
        _numbers([row.parameters for row in table], 0),
        _numbers([row.state_size for row in table], 0),
        _numbers(speeds := [row.steps_per_second for row in table], decimals(speeds, 2)),
        _numbers(seconds := [row.train_seconds for row in table], decimals(seconds, 2)),
        [row.verdict for row in table],
    ]
    return [list(cells) for cells in zip(*columns, strict=True)]


def _numbers(column: Sequence[float | None], digits: int) -> list[str]:
    """With as many decimals; empty where there is none."""
    return ["" if value is None or math.isnan(value) else f"{value:,.{digits}f}" for value in column]


def _all_metrics(sections: list[Section]) -> pd.DataFrame:
    """Every metric of every entry."""
    rows = [
        {"task": section.task, "name": entry.name, "kind": entry.kind, "metric": metric, "value": value}
        | {"data": section.called, "data_digest": section.data}
        for section in sections
        for entry in section.entries
        for metric, value in entry.summary.items()
    ]
    return pd.DataFrame(rows)


def _headline(section: Section) -> str:
    return f"{section.title} ({with_direction(section.metric, section.direction)})"


def _markdown(
    tables: list[tuple[Section, list[Row]]], over_all: str, over_tasks: ranks.Ranking | None, head: list[str]
) -> str:
    parts = ["# Leaderboard", *head]
    for section, table in tables:
        alignment = ("right", "left", "right", "left", *["right"] * 6, "left")
        grid = _table(_cells(table), _columns(section), alignment)
        heading = _headline(section).replace("<", r"\<")  # of a column <b>, which is no tag
        parts += [f"## {heading}", grid, in_words(section, table)]
        parts += ["\n".join(f"- {line}" for line in section.remarks)] if section.remarks else []
    if over_all:
        parts += ["## Over all tasks", over_all]
    if over_tasks is not None:
        parts += _pairs_in_markdown(over_tasks)
    return "\n\n".join(parts) + "\n"


def _table(lines: list[list[str]], columns: list[str], alignment: tuple[str, ...]) -> str:
    escaped = [[cell.replace("|", r"\|") for cell in line] for line in (columns, *lines)]
    return tabulate(escaped[1:], escaped[0], "github", colalign=alignment, disable_numparse=True)


def _pairs_in_markdown(found: ranks.Ranking) -> list[str]:
    if len(found.cells) > PAIRS_IN_MARKDOWN:
        return [f"All {len(found.pairs)} pairs of cells are in pairs.csv."]
    lines = [
        [pair.cell, pair.other, _percent(pair.mean_difference), _count(pair), _p_value(pair)] for pair in found.pairs
    ]
    columns = ["cell", "other", "less error", "won/tied/lost", "p (Holm)"]
    alignment = ("left", "left", "right", "right", "right")
    return [
        _table(lines, columns, alignment),
        "Less error: of `cell` than of `other`, as a share of the larger of both, mean over tasks; negative: more.",
    ]


def _percent(share: float) -> str:
    return f"{100 * share + 0.0:+.1f} %"


def _count(pair: ranks.Pair) -> str:
    return f"{pair.wins}/{pair.ties}/{pair.losses}"


def _p_value(pair: ranks.Pair) -> str:
    return p_in_words(pair.p_holm).removeprefix("= ")


def _matrix(found: ranks.Ranking) -> list[tuple[str, list[dict[str, Any] | None]]]:
    """A row for each cell, of what it shows against each other one; None against itself.

    shade: from -1, where the row is worst, to 1, of the largest difference there is.
    """
    largest = max(abs(pair.mean_difference) for pair in found.pairs) or 1.0

    def shown(pair: ranks.Pair) -> dict[str, Any]:
        return {
            "difference": _percent(pair.mean_difference),
            "count": _count(pair),
            "p_value": p_in_words(pair.p_holm),
            "shade": round(pair.mean_difference / largest, 2),
            "differs": pair.differs,
        }

    return [
        (cell, [None if other == cell else shown(found.pair(cell, other)) for other in found.cells])
        for cell in found.cells
    ]


def _head(wanted: tuple[str, ...], united: Sequence[str]) -> list[str]:
    """What runs they are, in a line each."""
    chosen = [f"Of the runs with {' '.join(wanted)}."] if wanted else []
    return chosen + ([f"The runs of {', '.join(united)}, united by their digests."] if united else [])


class Figures(NamedTuple):
    """Files by title: of all cells together, and of each cell in order of rank."""

    together: dict[str, Path]
    own: list[dict[str, Path]]


def _figures(section: Section, table: list[Row], folder: Path) -> Figures:
    folder.mkdir(parents=True)
    together = draw_curves(section)
    curves = {}
    for entry in section.entries:
        if entry.places:
            of_seeds = [learning_curves(results, [seed]) for seed, results in entry.places.items()]
            curves[entry.name] = pd.concat(of_seeds, ignore_index=True)
    cells = {entry.name: entry for entry in section.entries if entry.kind == "cell"}
    own = [
        {
            f"{row.name}: {words(path.stem)}{_seeds_drawn(entry)}": path
            for path in sorted(entry.results.summary.glob("figures/*.png"))
            if path.stem != "learning_curves"
        }
        for row in table
        if row.kind == "cell" and (entry := cells[row.name]).results is not None
    ]
    if curves:
        together = {"learning curves": draw_learning_curves(curves), **together}
    for title, figure in together.items():
        save(figure, folder / _file_name(title))
    return Figures({title: folder / _file_name(title) for title in together}, own)


def _seeds_drawn(entry: Entry) -> str:
    """Of an entry whose seeds are in several folders: which of them the figures of the first are of."""
    here = [str(seed) for seed in entry.places if seed not in entry.elsewhere]
    return f" (of seed{'s' if len(here) > 1 else ''} {', '.join(here)})" if entry.elsewhere else ""


def _file_name(title: str) -> str:
    return re.sub(r"[^\w.-]+", "_", title) + ".png"


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
    every: dict[str, list[float]] = {}
    for metrics in table.values():
        for key, value in metrics.items():
            every.setdefault(key, []).append(value)
    digits = {metric: decimals(values) for metric, values in every.items()}

    def written(metrics: dict[str, float], key: str) -> str:
        value = metrics.get(key)
        if value is None or math.isnan(value):
            return ""
        return p_in_words(value).removeprefix("= ") if key == "p_value" else f"{value:,.{digits[_of_interval(key)]}f}"

    shown = []
    for (name, number), metrics in table.items():
        cells: dict[str, str] = {"name": name, section.parts: str(number)}
        for metric in metrics:
            if not metric.endswith(("_low", "_high")):
                low, high = written(metrics, f"{metric}_low"), written(metrics, f"{metric}_high")
                cells[words(metric)] = written(metrics, metric) + (f" ({low} to {high})" if low else "")
        shown.append(cells)
    return pd.DataFrame(shown).fillna("")


def _of_interval(key: str) -> str:
    return key.removesuffix("_low").removesuffix("_high")


def _html(
    tables: list[tuple[Section, list[Row]]],
    figures: list[Figures],
    over_all: str,
    over_tasks: ranks.Ranking | None,
    head: list[str],
    folder: Path,
) -> str:
    environment = Environment(loader=PackageLoader("rnnlab", "report"), autoescape=select_autoescape(default=True))
    return environment.get_template("page.html.jinja").render(
        head=head,
        over_all=over_all,
        diagram=_embedded(folder / DIAGRAM) if over_tasks is not None else None,
        matrix=_matrix(over_tasks) if over_tasks is not None else [],
        sections=[
            {
                "headline": _headline(section),
                "data": section.data,
                "parts": section.parts,
                "reference": section.reference,
                "units": section.units,
                "words": in_words(section, table),
                "remarks": section.remarks,
                "columns": _columns(section),
                "short": in_short(section, table),
                "rows": [_page_row(row, cells) for row, cells in zip(table, _cells(table), strict=True)],
                "by_part": by_part(section).to_dict("split"),
                "together": together,
                "own": own,
                "cells": len(section_figures.own),
            }
            for (section, table), section_figures, (together, own) in zip(
                tables, figures, _embedded_within(figures), strict=True
            )
        ],
    )


def _page_row(row: Row, cells: list[str]) -> dict[str, Any]:
    """setting: what sets a cell apart from its other settings, which has a line of its own."""
    rank, _, *numbers, verdict = cells
    name, setting = (row.name, "baseline") if row.kind == "baseline" else row.name.partition(" ")[::2]
    return {
        "kind": row.kind,
        "rank": rank,
        "name": name,
        "setting": setting,
        "numbers": numbers,
        "verdict": verdict,
        "short": re.sub(r"p ([=<]) ", "p\u00a0\\1\u00a0", short_verdict(row)),  # which stays in one line
    }


def _embedded_within(figures: list[Figures]) -> list[tuple[dict[str, str], list[dict[str, str]]]]:
    """Of each section its figures: of all cells together, and the own ones of its first cells, at least of one; of as
    many in all sections as `LARGEST` allows."""
    together = [_all_embedded(each.together) for each in figures]
    own: list[list[dict[str, str]]] = [[] for _ in figures]
    size = sum(map(_size, together))
    for place in range(max((len(each.own) for each in figures), default=0)):
        further = [_all_embedded(each.own[place]) if place < len(each.own) else {} for each in figures]
        size += sum(map(_size, further))
        if place > 0 and size > LARGEST:
            break
        for of_section, embedded in zip(own, further, strict=True):
            of_section += [embedded] if embedded else []
    return list(zip(together, own, strict=True))


def _size(figures: dict[str, str]) -> int:
    return sum(map(len, figures.values()))


def _all_embedded(figures: dict[str, Path]) -> dict[str, str]:
    return {title: _embedded(path) for title, path in figures.items()}


def _embedded(figure: Path) -> str:
    return base64.b64encode(small(figure)).decode()
