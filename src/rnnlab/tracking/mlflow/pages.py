"""What a person reads in the MLflow UI: the description of a run and of a task, and the charts set up for a task."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

CURVES, TABLE, SECTION = "learning-curves", "results", "charts"

BETTER = {"min": "lower", "max": "higher"}

GROUPED = {"aggregateFunction": "average", "groupByKeys": [{"mode": "tag", "groupByData": "variant"}]}
"""Runs that differ in their seed alone: the mean of other settings or data would be of nothing."""


def run_note(run: dict[str, Any], run_id: str, facts: dict[str, Any], evaluation: Path | None) -> str:
    """Markdown: the headline, and a picture of the test split once it has been judged."""
    cell, task = run["cell"], run["task"]
    lines = []
    if evaluation is not None and "rank_by" in run:
        value = json.loads((evaluation / "metrics.json").read_text(encoding="utf-8"))[run["rank_by"]]
        better = BETTER[run["direction"]]
        lines.append(f"**{cell} on {task}: test {run['rank_by']} {value:.4g}** ({better} is better)")
    else:
        lines.append(f"**{cell} on {task}**" if evaluation else f"**{cell} on {task}: not yet evaluated**")
    lines.append(
        f"Validation loss {facts['validation_loss']:.4g} in epoch {facts['best_epoch']} of {facts['epochs']}; "
        f"{facts['parameters']:,} parameters; {facts['train_seconds']:.1f} s, "
        f"{facts['steps_per_second']:.0f} steps/s; seed {run['seed']}."
    )
    if evaluation is not None and (name := _picture(evaluation)):
        lines.append(f"![{name}](get-artifact?path={quote(f'evaluate/{name}.png', safe='')}&run_uuid={run_id})")
    return "\n\n".join(lines)


def _picture(evaluation: Path) -> str | None:
    """The task's own picture before the learning curves, which the UI draws itself."""
    names = sorted(path.stem for path in evaluation.glob("*.png"))
    return next((name for name in names if name != "learning_curves"), names[0] if names else None)


def task_note(run: dict[str, Any], experiment: str) -> str:
    """Markdown: what the task asks, how it is judged, and the way to its charts and its table."""
    address = f"#/experiments/{experiment}/runs?workflowType=machine_learning"
    return (  # the links first: folded, the UI shows one line
        f"[Learning curves]({address}&viewStateShareKey={CURVES}&compareRunsMode=CHART) · "
        f"[Table of results]({address}&viewStateShareKey={TABLE}) · judged by **{run['rank_by']}**, "
        f"{BETTER[run['direction']]} is better\n\n{run['asks']}.\n\n"
        "The metric is of the test split; epochs and champions are chosen on the validation split."
    )


def saved_views(run: dict[str, Any], created: int) -> dict[str, str]:
    """The entries of the UI's menu "Views", by key: how the UI itself keeps them, as a tag of the experiment.

    created: milliseconds since 1970.
    """
    test, loss = f"test/{run['rank_by']}", "summary/validation_loss"
    charts = [
        _lines(["loss/train", "loss/validation"]),
        _lines(["loss/train_step"]),
        *(_chart("BAR", metric) for metric in (test, loss, "summary/steps_per_second")),
    ]
    section = {"uuid": SECTION, "name": "Means over seeds", "display": True, "isReordered": True}
    sections = [{**section, "deleted": False, "isGenerated": False}]
    columns = [
        *(f"tags.`{tag}`" for tag in ("cell", "sweep")),
        *(f"metrics.`{metric}`" for metric in (test, loss, "summary/parameters", "summary/train_seconds")),
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
