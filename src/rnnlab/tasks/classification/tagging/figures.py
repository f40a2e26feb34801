"""Figures of tags: by what training knew of the word, beside the baselines."""

from functools import cached_property

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rnnlab.tasks.classification.figures import ClassificationFigures
from rnnlab.tasks.classification.tagging.baselines import TaggingBaselines
from rnnlab.tasks.classification.tagging.judging import KINDS
from rnnlab.tasks.judging import Judging


class TaggingFigures(ClassificationFigures):
    """Beside those of every classification, right tags by kind of word, of the net and of baselines."""

    def __init__(self, judging: Judging) -> None:
        super().__init__(judging)
        self.baselines = TaggingBaselines(judging)

    @cached_property
    def _beside(self) -> dict[str, pd.DataFrame]:
        """Kept, as the figures of each seed show them, too."""
        return {name: predict("test") for name, predict in self.baselines.in_figures().items()}

    def figures(self, predictions: list[pd.DataFrame], name: str) -> dict[str, Figure]:
        return {**super().figures(predictions, name), "by_kind": draw_by_kind(predictions, self._beside, name)}


def draw_by_kind(predictions: list[pd.DataFrame], baselines: dict[str, pd.DataFrame], name: str) -> Figure:
    """The share of right tags for each kind of word, of baselines and of the net."""
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    axes = figure.subplots()
    tables = {**baselines, name: pd.concat(predictions)}
    kinds = [kind for kind in KINDS if (tables[name]["kind"] == kind).any()]
    share = [(tables[name]["kind"] == kind).mean() for kind in kinds]
    places, width = np.arange(len(kinds)), 0.8 / len(tables)
    greys = (str(grey) for grey in np.linspace(0.75, 0.45, len(baselines)))
    for number, ((label, table), colour) in enumerate(zip(tables.items(), (*greys, "C1"), strict=True)):
        right = (table["label"] == table["predicted"]).groupby(table["kind"]).mean()
        at = places + width * (number - (len(tables) - 1) / 2)
        bars = axes.bar(at, [100 * right[kind] for kind in kinds], width=0.95 * width, label=label, color=colour)
        axes.bar_label(bars, fmt="%.1f", fontsize=8)
    axes.set_xticks(places, [f"{kind}\n{part:.0%} of the words" for kind, part in zip(kinds, share, strict=True)])
    axes.set_ylim(0, 119)
    axes.set_yticks(range(0, 101, 20))
    axes.set_ylabel("right tags in %")
    axes.set_title(f"{name}: by what training knew of the word", fontsize=10)
    axes.legend(frameon=False, loc="upper center", ncols=len(tables))
    return figure
