"""Figures of numbers that belong to sequences or texts."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rnnlab.tasks.figures import Figures


class RegressionFigures(Figures):
    """Left: what is predicted against what is true. Right: the errors, by what is predicted."""

    def figures(self, predictions: list[pd.DataFrame], name: str) -> dict[str, Figure]:
        actual = predictions[0]["actual"].to_numpy()
        predicted = np.mean([table["predicted"].to_numpy() for table in predictions], axis=0)
        figure = Figure(figsize=(9.5, 4.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        ends = [min(actual.min(), predicted.min()), max(actual.max(), predicted.max())]
        left.plot(ends, ends, color="black", linewidth=1, linestyle="--")
        left.scatter(actual, predicted, s=14, alpha=0.6, color="C1", linewidths=0)
        left.set_xlabel("true")
        left.set_ylabel("predicted")
        seeds = f", mean of {len(predictions)} seeds" if len(predictions) > 1 else ""
        error = float(np.abs(predicted - actual).mean())
        left.set_title(f"{name}{seeds}: mean absolute error {error:.4g}", fontsize=10)
        right.axhline(0, color="black", linewidth=1, linestyle="--")
        right.scatter(predicted, predicted - actual, s=14, alpha=0.6, color="C1", linewidths=0)
        right.set_xlabel("predicted")
        right.set_ylabel("predicted - true")
        return {"predicted": figure}
