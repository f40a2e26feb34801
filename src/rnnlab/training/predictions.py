"""Predictions of the test split on disk: of a trained net as of a baseline."""

from pathlib import Path

import numpy as np
import pandas as pd

from rnnlab.results.files import write_json
from rnnlab.tasks.judging import Judging


def write_predictions(judging: Judging, predictions: pd.DataFrame, folder: Path) -> dict[str, float]:
    """A table of predictions, the losses of its items and its metrics. Returns: the metrics."""
    metrics = judging.metrics([predictions])
    predictions.to_parquet(folder / "predictions.parquet", index=False)
    np.save(folder / "losses.npy", judging.losses(predictions))
    write_json(folder / "metrics.json", metrics)
    return metrics
