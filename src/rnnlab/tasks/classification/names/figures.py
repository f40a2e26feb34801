"""Figures of the origin of surnames: F1 by class."""

import pandas as pd
from matplotlib.figure import Figure

from rnnlab.tasks.classification.figures import ClassificationFigures
from rnnlab.tasks.classification.names.judging import NamesJudging


class NamesFigures(ClassificationFigures):
    """Beside those of every classification, F1 by class."""

    judging: NamesJudging

    def figures(self, predictions: list[pd.DataFrame], name: str) -> dict[str, Figure]:
        return {**super().figures(predictions, name), "f1_by_class": draw_f1(self.judging.plot_rows(predictions), name)}


def draw_f1(rows: pd.DataFrame, name: str) -> Figure:
    """F1 by class, the largest class on top."""
    rows = rows.sort_values("names", kind="stable")
    figure = Figure(figsize=(6.5, 1.2 + 0.24 * len(rows)), layout="constrained")
    axes = figure.subplots()
    axes.barh([f"{row.part} ({row.names})" for row in rows.itertuples()], rows["score"], color="C1")
    axes.axvline(rows["score"].mean(), color="black", linewidth=1, linestyle="--")
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel("F1; dashed: the mean over the classes")
    axes.set_title(f"{name}: F1 by class (names of it in the test part)", fontsize=10)
    return figure
