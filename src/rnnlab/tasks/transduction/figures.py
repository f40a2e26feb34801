"""Figures of written texts: how good they are by part of the test split, and some of them with their errors."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnnlab.tasks.figures import Figures
from rnnlab.tasks.transduction.data import TransductionData
from rnnlab.tasks.transduction.judging import SAMPLES, TransductionJudging, exact, spread

SHOWN_CHARACTERS = 64


class TransductionFigures(Figures):
    """The measure that ranks by part, and a table of texts."""

    task: TransductionData
    judging: TransductionJudging

    def figures(self, predictions: list[pd.DataFrame], name: str) -> dict[str, Figure]:
        return {
            "parts": draw_parts(self.judging.plot_rows(predictions), self.task.measures[0], self.judging.parts, name),
            "written": draw_written(predictions[0], name),
        }


def draw_parts(rows: pd.DataFrame, measure: str, parts: str, name: str) -> Figure:
    """A bar for each part of the test split; parts: what they differ in."""
    figure = Figure(figsize=(max(4.0, 1.6 + 0.6 * len(rows)), 3.6), layout="constrained")
    axes: Axes = figure.subplots()
    bars = axes.bar(rows["part"], rows["score"], color="C1", width=0.7)
    axes.bar_label(bars, fmt="%.3g" if rows["score"].max() <= 1 else "%.0f", fontsize=8)
    axes.set_xlabel(parts)
    axes.set_ylabel(measure.replace("_", " "))
    axes.margins(y=0.1)
    axes.tick_params(axis="x", rotation=90 if rows["part"].str.len().max() > 8 else 0)
    axes.set_title(name, fontsize=10)
    return figure


def draw_written(predictions: pd.DataFrame, name: str) -> Figure:
    """Some rows of the table of predictions, half of them with an error where there are as many; errors are red."""
    right = exact(predictions) == 1
    shown = max(SAMPLES // 2, SAMPLES - int((~right).sum()))
    with_error, without = np.flatnonzero(~right), np.flatnonzero(right)
    without = without[spread(len(without), shown)]
    with_error = with_error[spread(len(with_error), SAMPLES - len(without))]
    rows = np.sort(np.concatenate([without, with_error]))
    columns = ["source", "reference", "written"]
    cells = [columns, *([_shortened(str(cell)) for cell in row] for row in predictions[columns].to_numpy()[rows])]
    widths = [3 + max(len(row[index]) for row in cells) for index in range(len(columns))]
    figure = Figure(figsize=(0.2 + 0.08 * sum(widths), 0.5 + 0.24 * len(cells)), layout="constrained")
    axes: Axes = figure.subplots()
    axes.set(xlim=(0, sum(widths)), ylim=(len(cells) - 0.5, -0.5))
    axes.set_title(f"{name}: {right.mean():.1%} of all texts are right; errors are red", fontsize=10, loc="left")
    axes.set_axis_off()
    axes.axhline(0.5, color="black", linewidth=0.8)
    for row, texts in enumerate(cells):
        colour = "black" if row == 0 or right[rows[row - 1]] else "C3"
        for index, text in enumerate(texts):
            # no formulas: a dollar is a dollar
            axes.text(
                sum(widths[:index]),
                row,
                text,
                color=colour if index == 2 else "black",
                va="center",
                fontsize=9,
                parse_math=False,
            )
    return figure


def _shortened(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"
