"""The leaderboard as files: tables, pictures, and one page that needs no other file."""

import base64
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from jinja2 import Environment, PackageLoader, select_autoescape
from tabulate import tabulate

from rnnlab.report import ranks
from rnnlab.report.curves import draw_curves
from rnnlab.report.leaderboard import Row, in_words, rows
from rnnlab.report.results_table import Section
from rnnlab.results.files import atomic_folder
from rnnlab.results.learning_curves import draw_learning_curves, learning_curves

INTERVAL = "95 %, seeds and items"

DIAGRAM = Path("figures/critical_difference.png")

PAIRS_IN_MARKDOWN = 8
"""Cells at most of which the text shows all pairs: 28 lines."""


def write(sections: list[Section], folder: Path, words: tuple[str, ...] = ()) -> None:
    """leaderboard.md, .csv, .html (which needs no other file), metrics.csv and figures/, all new or all old.

    Also pairs.csv, a line for every two cells, where there are cells over several tasks.

    words: by which the runs were chosen, where not all of them are shown.
    """
    tables = [(section, rows(section)) for section in sections]
    with atomic_folder(folder) as part:
        all_rows = [asdict(row) for _, table in tables for row in table]
        whole = dict.fromkeys(("trials", "parameters", "state_size", "solved"), "Int64")
        pd.DataFrame(all_rows).astype(whole).to_csv(part / "leaderboard.csv", index=False)
        _all_metrics(sections).to_csv(part / "metrics.csv", index=False)
        over_tasks = ranks.rank(sections)
        over_all = ranks.in_words(over_tasks) if len({section.task for section in sections}) > 1 else ""
        (part / "leaderboard.md").write_text(_markdown(tables, over_all, over_tasks, words), encoding="utf-8")
        figures = [_figures(section, part / "figures" / f"{section.task}-{section.data}") for section in sections]
        if over_tasks is not None:
            ranks.draw(over_tasks).savefig(part / DIAGRAM, dpi=110)
            pd.DataFrame([asdict(pair) for pair in over_tasks.pairs]).to_csv(part / "pairs.csv", index=False)
        page = _html(tables, figures, over_all, over_tasks, words, part)
        (part / "leaderboard.html").write_text(page, encoding="utf-8")


def _columns(section: Section) -> list[str]:
    middle = [INTERVAL, "seeds", "trials", "parameters", "state", "steps/s", "train s"]
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
    trials = "" if row.kind != "cell" else "by hand" if row.trials is None else str(row.trials)
    seeds = str(row.seeds) if row.kind == "cell" else ""
    name = row.name if row.kind == "cell" else f"{row.name} (baseline)"
    return [str(row.rank), name, f"{row.mean:.4f}", interval, seeds, trials, *numbers, row.verdict]


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
    return f"{section.title} ({section.metric}, {'lower' if section.direction == 'min' else 'higher'} is better)"


def _markdown(
    tables: list[tuple[Section, list[Row]]], over_all: str, over_tasks: ranks.Ranking | None, words: tuple[str, ...]
) -> str:
    parts = ["# Leaderboard", *_chosen_by(words)]
    for section, table in tables:
        alignment = ("right", "left", "right", "left", *["right"] * 6, "left")
        grid = _table([_cells(row) for row in table], _columns(section), alignment)
        parts += [f"## {_headline(section)}", grid, in_words(section, table)]
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
    return ranks.p_in_words(pair.p_holm).removeprefix("= ")


def _matrix(found: ranks.Ranking) -> list[tuple[str, list[dict[str, Any] | None]]]:
    """A row for each cell, of what it shows against each other one; None against itself.

    shade: from -1, where the row is worst, to 1, of the largest difference there is.
    """
    largest = max(abs(pair.mean_difference) for pair in found.pairs) or 1.0

    def shown(pair: ranks.Pair) -> dict[str, Any]:
        return {
            "difference": _percent(pair.mean_difference),
            "count": _count(pair),
            "p_value": ranks.p_in_words(pair.p_holm),
            "shade": round(pair.mean_difference / largest, 2),
            "differs": pair.differs,
        }

    return [
        (cell, [None if other == cell else shown(found.pair(cell, other)) for other in found.cells])
        for cell in found.cells
    ]


def _chosen_by(words: tuple[str, ...]) -> list[str]:
    return [f"Of the runs with {' '.join(words)}."] if words else []


class Figures(NamedTuple):
    """Pictures by title: of all cells together, and each cell's own."""

    together: dict[str, Path]
    own: dict[str, Path]


def _figures(section: Section, folder: Path) -> Figures:
    folder.mkdir(parents=True)
    together = draw_curves(section)
    curves = {}
    own: dict[str, Path] = {}
    for entry in section.entries:
        if entry.results is None:
            continue
        curves[entry.name] = learning_curves(entry.results, [facts["seed"] for facts in entry.training])
        for path in sorted(entry.results.summary.glob("figures/*.png")):
            if path.stem != "learning_curves":
                own[f"{entry.name}: {path.stem}"] = path
    if curves:
        together = {"learning curves": draw_learning_curves(curves), **together}
    for title, figure in together.items():
        figure.savefig(folder / _file_name(title), dpi=100)
    return Figures({title: folder / _file_name(title) for title in together}, own)


def _file_name(title: str) -> str:
    return title.replace(" ", "_") + ".png"


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


def _html(
    tables: list[tuple[Section, list[Row]]],
    figures: list[Figures],
    over_all: str,
    over_tasks: ranks.Ranking | None,
    words: tuple[str, ...],
    folder: Path,
) -> str:
    environment = Environment(loader=PackageLoader("rnnlab", "report"), autoescape=select_autoescape(default=True))
    return environment.get_template("page.html.jinja").render(
        chosen_by=_chosen_by(words),
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
                "columns": _columns(section),
                "rows": [(row.kind, _cells(row)) for row in table],
                "by_part": by_part(section).to_dict("split"),
                "together": _all_embedded(section_figures.together),
                "own": _all_embedded(section_figures.own),
            }
            for (section, table), section_figures in zip(tables, figures, strict=True)
        ],
    )


def _all_embedded(pictures: dict[str, Path]) -> dict[str, str]:
    return {title: _embedded(path) for title, path in pictures.items()}


def _embedded(picture: Path) -> str:
    return base64.b64encode(picture.read_bytes()).decode()
