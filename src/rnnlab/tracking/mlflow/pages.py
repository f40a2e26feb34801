"""What a person reads in the MLflow UI: the description of a run and of a task, and the charts set up for a task."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rnnlab.results.wording import words

DIGITS = 5
"""Significant digits of a metric: the UI shows all it gets, in columns of ten characters. Files have every digit."""

CURVES, TABLE, SECTION = "learning-curves", "results", "charts"

BETTER = {"min": "lower", "max": "higher"}

GROUPED = {"aggregateFunction": "average", "groupByKeys": [{"mode": "tag", "groupByData": "variant"}]}
"""Runs that differ in their seed alone: the mean of other settings or data would be of nothing."""


def rounded(value: float) -> float:
    """A metric as the UI shows it; whole numbers stay as they are."""
    return value if float(value).is_integer() else float(f"{value:.{DIGITS}g}")


def name_of_test(key: str) -> str:
    """A metric of the test split in the UI, which folds by what stands before the slash: those of the whole split, and
    those of its parts, which end in a number."""
    return f"{'test_parts' if key.rpartition('_')[2].isdigit() else 'test'}/{key}"


def run_note(run: dict[str, Any], facts: dict[str, Any], evaluation: Path | None = None, page: str = "") -> str:
    """Markdown: the headline and, once the test split has been judged, links to its figures.

    page: the run's address in the UI.
    """
    cell, task = run["cell"], run["task"]
    lines = []
    if evaluation is not None and "rank_by" in run:
        value = json.loads((evaluation / "metrics.json").read_text(encoding="utf-8"))[run["rank_by"]]
        better = BETTER[run["direction"]]
        lines.append(f"**{cell} on {task}: test {words(run['rank_by'])} {value:.4g}** ({better} is better)")
    else:
        lines.append(f"**{cell} on {task}**" if evaluation else f"**{cell} on {task}: not yet evaluated**")
    lines.append(
        f"Validation loss {facts['validation_loss']:.4g} in epoch {facts['best_epoch']} of {facts['epochs']}; "
        f"{facts['parameters']:,} parameters; {facts['train_seconds']:.1f} s, "
        f"{facts['steps_per_second']:.0f} steps/s; seed {run['seed']}."
    )
    # links, since the UI folds what is higher than three lines: of a figure a sliver would be seen
    links = [
        f"[{words(name)}]({page}/artifacts/evaluate/{quote(name)}.png?workflowType=machine_learning)"
        for name in (_figures(evaluation) if evaluation else [])
    ]
    if links:
        lines.append(" · ".join(links))
    return "\n\n".join(lines)


def _figures(evaluation: Path) -> list[str]:
    """The task's own before the learning curves, which the UI draws itself."""
    return sorted((path.stem for path in evaluation.glob("*.png")), key=lambda name: (name == "learning_curves", name))


def task_note(run: dict[str, Any], experiment: str) -> str:
    """Markdown: what the task asks, how it is judged, and the way to its charts and its table."""
    address = f"#/experiments/{experiment}/runs?workflowType=machine_learning"
    return (  # the links first: folded, the UI shows one line
        f"[Learning curves]({address}&viewStateShareKey={CURVES}&compareRunsMode=CHART) · "
        f"[Table of results]({address}&viewStateShareKey={TABLE}) · judged by **{words(run['rank_by'])}**, "
        f"{BETTER[run['direction']]} is better\n\n{run['asks']}.\n\n"
        "The metric is of the test split; epochs and champions are chosen on the validation split."
    )


def saved_views(run: dict[str, Any], created: int) -> dict[str, str]:
    """The entries of the UI's menu "Views", by key: how the UI itself keeps them, as a tag of the experiment.

    created: milliseconds since 1970.
    """
    test, loss = name_of_test(run["rank_by"]), "validation_loss"
    charts = [
        _lines(["loss/train", "loss/validation"]),
        _chart("BAR", test),
        _lines(["loss/train_step"]),
        *(_chart("BAR", metric) for metric in (loss, "steps_per_second")),
    ]
    section = {"uuid": SECTION, "name": "Means over seeds", "display": True, "isReordered": True, "columns": 2}
    sections = [{**section, "deleted": False, "isGenerated": False}]
    columns = [
        "tags.`cell`",
        *(f"metrics.`{metric}`" for metric in (test, loss, "parameters", "train_seconds")),
    ]
    views = {
        CURVES: (
            "Learning curves",
            # reordered: else the UI adds a section and a chart for every metric
            {"compareRunCharts": charts, "compareRunSections": sections, "isAccordionReordered": True}
            | {"groupBy": GROUPED, "runsHiddenMode": "SHOW_ALL"},
        ),
        TABLE: (
            "Table of results",
            {"selectedColumns": columns, "orderByKey": f"metrics.`{test}`", "orderByAsc": run["direction"] == "min"},
        ),
    }
    return {
        f"mlflow.sharedViewState.{key}": json.dumps(
            {"name": name, "createdAt": created, "updatedAt": created, "state": json.dumps(state)}
        )
        for key, (name, state) in views.items()
    }


def _lines(metrics: list[str]) -> dict[str, Any]:
    return {
        **_chart("LINE", metrics[0]),
        "selectedMetricKeys": metrics,
        "xAxisKey": "step",
        "xAxisScaleType": "linear",
        # a linear axis begins at zero where runs are grouped, which flattens every curve
        "scaleType": "log",
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "lineSmoothness": 0,
        "range": {},
        "ignoreOutliers": False,
        "useGlobalXaxisKey": True,
        "useGlobalLineSmoothing": True,
        "selectedXAxisMetricKey": "",
    }


def _chart(kind: str, metric: str) -> dict[str, Any]:
    return {
        "uuid": metric,
        "type": kind,
        "displayName": metric,
        "metricKey": metric,
        "metricSectionId": SECTION,
        "runsCountToCompare": 100,
        "deleted": False,
        "isGenerated": False,
    }
