"""docs/calibration.md from benchmarks/calibration.json: how often verdicts err, and how often they see a difference."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from benchmarks import store
from benchmarks.calibration import ALIKE, AVERAGE, LEAST_COVERAGE, MEAN_COVERAGE, POINTS, UNLIKE, settings
from benchmarks.table import table
from rnnlab.results.paths import CHECKOUT

PAGE = CHECKOUT / "docs" / "calibration.md"

Row = dict[str, Any]

OTHERS = ("earlier", "seeds alone", "items alone", "Nadeau and Bengio", "nested bootstrap", "Newey and West")


def write() -> None:
    order = [setting.name for setting in settings()]
    rows = sorted(store.read("calibration"), key=lambda row: order.index(row["stage"]))
    if rows:
        PAGE.write_text("\n\n".join(page(rows)) + "\n", encoding="utf-8")
        print(f"wrote {PAGE.relative_to(CHECKOUT)}")


def page(rows: list[Row]) -> Iterator[str]:
    yield "<!-- Written by `make bench ARGS=calibration` (benchmarks/calibration_page.py): edits here are lost. -->"
    yield "# How often verdicts err"
    yield (
        "Tables in which no cell differs from the baseline are drawn and judged by `rnnlab.statistics.verdicts`, the "
        "function behind the verdicts of the leaderboard: whatever difference it sees is an error. "
        "`benchmarks/calibration.py` says how the losses are drawn. Beside it, on the same tables, other ways to "
        "compare, each corrected by Holm for the cells of the table like the verdicts. Standard errors are in brackets."
    )
    beyond = {setting.name for setting in settings() if setting.beyond}
    judged = [row for row in rows if row["stage"] not in beyond]
    yield (
        "*Earlier*: this project's test before: the variances of items and of a cell's own seeds added, with "
        "Satterthwaite's degrees of freedom; in time Diebold and Mariano's (1995). *Seeds alone*: Student's t over the "
        "means of the seeds. *Items alone*: over items, the mean of the seeds being one method. *Nadeau and Bengio* "
        "(2003): t over seeds, with a variance that is larger by a quarter. *Nested bootstrap*: of seeds, and of items "
        "within. *Newey and West* (1987): items alone, with their weights and the usual number of lags."
    )
    yield "\n".join(goals(judged))
    yield "## Independent items, cells that spread alike"
    yield (
        "Spread is the standard deviation of a cell's seeds, in standard errors of the items. *Order* is the share of "
        "tables in which any two cells are said to differ. *Holds* is the share of 95 % intervals that hold the truth: "
        "of cells, and of the baseline."
    )
    yield shares(row for row in judged if not row["horizon"] and row["cells"] == "alike")
    yield "## Cells that spread unlike each other"
    yield (
        "*unlike*: by factors that are lognormal, σ = 0.7, so that of six cells one spreads some seven times as far "
        "as another. *one apart*: one cell three times as far as the others."
    )
    unlike = [row for row in judged if row["cells"] != "alike"]
    better = np.sum([row["false_better"] for row in unlike]) / max(np.sum([row["false"] for row in unlike]), 1e-9)
    yield (
        f"Of the tables with a false verdict {better:.0%} call a cell *better*: where accuracies fall far below 0.9 "
        "and cannot rise far above it, few seeds are bad, and those may be absent from three."
    )
    yield shares(unlike)
    yield "## Forecasts, which depend on each other in time"
    yield (
        "Three seeds. *MA*: what overlaps, moving sums over the horizon, as errors of ideal forecasts have it. *AR φ*: "
        "an autoregression with that factor from one origin to the next; with an MA it has 0.4 of the variance, which "
        "is about what the errors of forecasts of the weather have."
    )
    yield shares(row for row in judged if row["horizon"])
    yield "## What losses do not show"
    yield from failing(row for row in rows if row["cells"] == "failing")
    yield from slow(row for row in rows if row["stage"] in beyond and row["horizon"])
    yield "## Power"
    yield (
        f"Six cells, one of which is better by {', '.join(map(str, POINTS))} points of accuracy, 0.9 being that of "
        "the others: the share of tables in which it is found so. *As stated* is what the leaderboard says; all others "
        "are at equal actual size, each with the bound that one table in twenty without any difference falls below, so "
        "that no method gains from erring more often than it says. Three seeds and a thousand items see five points "
        "where seeds agree, and rarely two."
    )
    yield powers(row for row in judged if row["power"] and row["cells"] == "alike")


def goals(rows: list[Row]) -> Iterator[str]:
    for kind, bound, chosen in (
        ("cells spread alike", ALIKE, [row for row in rows if row["cells"] == "alike"]),
        ("cells spread unlike", UNLIKE, [row for row in rows if row["cells"] != "alike"]),
    ):
        shown = [rate(row) for row in chosen if row["false"] - 1.96 * row["false_se"] > bound]
        most = rate(max(chosen, key=lambda row: row["false"]))
        yield (
            f"- Where {kind}, no setting is shown (95 %) to hold a false verdict in over {bound:.2f} of its tables: "
            + (f"**exceeded** in {len(shown)} of {len(chosen)} settings: {'; '.join(shown)}." if shown else
               f"**met** in all {len(chosen)} settings; the highest is {most}.")
        )  # fmt: skip
    mean, before = (np.mean([get(row) for row in rows]) for get in (lambda row: row["false"], earlier))
    yield f"- On the average of all settings {mean:.3f} (goal {AVERAGE}); by the earlier test {before:.3f}."
    pairs = [
        (row[key], float(np.sqrt(row[key] * (1 - row[key]) / row["tables"])), f"{name}, {row['stage']}")
        for row in rows
        for key, name in (("coverage", "cells"), ("coverage_baseline", "baseline"))
    ]
    least, error, stage = min(pairs)
    low = [
        f"{held:.3f} ({error:.3f}) {name}"
        for held, error, name in sorted(pairs)
        if held + 1.96 * error < LEAST_COVERAGE
    ]
    yield (
        f"- No setting is shown (95 %) to have intervals that hold the truth in under {LEAST_COVERAGE} of its tables: "
        + (f"**missed** in {len(low)} of {len(pairs)}: {'; '.join(low)}." if low else
           f"**met**; the lowest is {least:.3f} ({error:.3f}), {stage}.")
        + f" On the average {np.mean([held for held, _, _ in pairs]):.3f} (goal: at most {MEAN_COVERAGE})."
    )  # fmt: skip


def rate(row: Row) -> str:
    return f"{row['false']:.3f} ({row['false_se']:.3f}), {row['stage']}"


def earlier(row: Row) -> float:
    return float(row["others"]["earlier"])


def shares(rows: Iterable[Row]) -> str:
    chosen = list(rows)
    used = [name for name in OTHERS if any(name in row["others"] for row in chosen)]
    timed = any(row["horizon"] for row in chosen)
    kinds = len({row["cells"] for row in chosen}) > 1
    body = [
        (
            *((f"{row['horizon']}, {row['dependence']}",) if timed else (row["losses"],)),
            row["seeds"],
            row["rows"],
            f"{row['items']:,}",
            f"{row['spread']:g}",
            *((row["cells"],) if kinds else ()),
            row["tables"],
            f"{row['false']:.3f} ({row['false_se']:.3f})",
            f"{row['false_order']:.3f}",
            f"{row['coverage']:.3f}, {row['coverage_baseline']:.3f}",
            *(f"{row['others'][name]:.2f}" if name in row["others"] else "" for name in used),
        )
        for row in chosen
    ]
    first = "steps, dependence" if timed else "losses"
    kind = ("cells spread",) if kinds else ()
    names = (first, "seeds", "cells", "items", "spread", *kind, "tables", "false verdict", "order", "holds", *used)
    return table(names, body)


def failing(rows: Iterable[Row]) -> Iterator[str]:
    for row in rows:
        yield (
            "One seed in seven fails, at an accuracy of 0.6 instead of 0.9, and the baseline has the accuracy that is "
            f"to be expected of them: in {row['false_better']:.2f} of the tables of {row['rows']} cells of "
            f"{row['seeds']} seeds one is called better (by the earlier test {earlier(row):.2f} hold a verdict). Where "
            "none of three seeds happened to fail, no test can know that others do: on tasks that a seed solves or "
            "fails, `copy` and `adding` among them, the leaderboard gives the share of seeds that solve it with its "
            "interval, 0.44 to 1 for three of three. Of cells of which it sees a seed fail, "
            f"{row['uneven']:.2f} of those here, it gives no verdict."
        )


def slow(rows: Iterable[Row]) -> Iterator[str]:
    for row in rows:
        yield (
            f"A dependence that is nearly as long as the test part, {row['dependence']} over {row['items']} forecasts "
            f"{row['horizon']} steps ahead, looks like a difference: {row['false']:.2f} of the tables hold a false "
            f"verdict (by the earlier test {earlier(row):.2f}), and {row['coverage_baseline']:.2f} of a baseline's "
            "intervals the truth. Take a longer test part."
        )


def powers(rows: Iterable[Row]) -> str:
    chosen = list(rows)
    names = ["stated", "ours", *(name for name in OTHERS if any(name in row["power"] for row in chosen))]
    body = [
        (
            row["seeds"],
            f"{row['items']:,}",
            f"{row['spread']:g}",
            *(
                " / ".join(f"{row['power'][name][str(points)]:.2f}" for points in POINTS)
                if name in row["power"]
                else ""
                for name in names
            ),
        )
        for row in chosen
    ]
    titles = {"stated": "as stated", "ours": "ours"}
    return table(("seeds", "items", "spread", *(titles.get(name, name) for name in names)), body)
