"""Learning curves: the losses of each epoch, as they are kept with every trained seed, and a figure of them."""

from textwrap import fill

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rnnlab.results.paths import Results

LEGEND_WIDTH = 28
"""Of a name in a legend, in characters: longer ones go on in a new line."""


def learning_curves(results: Results, seeds: list[int]) -> pd.DataFrame:
    """The losses `train` and `validation` of each `seed` and `epoch`, from 1."""
    tables = []
    for seed in seeds:
        rows = pd.read_parquet(results.train(seed) / "history.parquet")
        rows = rows[rows["key"].isin(["loss/train", "loss/validation"])]
        table = rows.pivot(index="epoch", columns="key", values="value").rename(columns=lambda key: key[5:])
        tables.append(table.reset_index().rename_axis(columns=None).assign(seed=seed))
    return pd.concat(tables, ignore_index=True)


def draw_learning_curves(curves: dict[str, pd.DataFrame]) -> Figure:
    """Losses by epoch: a colour for each cell, a line for each seed. Two panels, for the two may be on other scales."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    for split, axes in zip(("train", "validation"), figure.subplots(1, 2), strict=True):
        for number, (name, table) in enumerate(curves.items()):
            for index, (_, seed) in enumerate(table.groupby("seed")):
                label = fill(name, LEGEND_WIDTH, break_long_words=False) if index == 0 else None
                marker = "o" if len(seed) == 1 else None  # a line through one point is not seen
                axes.plot(seed["epoch"], seed[split], color=f"C{number}", lw=1.2, alpha=0.8, marker=marker, label=label)
        axes.set_title(f"{split} loss, a line for each seed")
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_ylabel("loss")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", frameon=False)
    return figure
