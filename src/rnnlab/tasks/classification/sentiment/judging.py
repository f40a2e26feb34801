"""How answers about reviews are judged."""

from typing import Any

import numpy as np
import pandas as pd

from rnnlab.statistics import proportion_interval
from rnnlab.tasks.classification.judging import ClassificationJudging
from rnnlab.tasks.classification.sentiment.data import SentimentData
from rnnlab.tasks.task import Split

BUCKETS = 5
"""Of about as many test reviews each, by length."""


class SentimentJudging(ClassificationJudging):
    """Beside what every classification has, a row of predictions has the `length` of the review."""

    task: SentimentData

    def columns(self, split: Split) -> dict[str, Any]:
        """length: of the review, in words."""
        return {"length": self.task.reviews[split].lengths.numpy()}

    def plot_rows(self, predictions: list[pd.DataFrame]) -> pd.DataFrame:
        """Accuracy by length: `part` in words, with how many reviews and its 95 % interval."""
        return by_length(predictions)


def by_length(predictions: list[pd.DataFrame]) -> pd.DataFrame:
    """Accuracy in `BUCKETS` of about as many reviews each, from the shortest to the longest, mean of the tables."""
    length = predictions[0]["length"].to_numpy()
    right = np.mean([table["label"] == table["predicted"] for table in predictions], axis=0)
    edges = np.unique(np.quantile(length, np.linspace(0, 1, BUCKETS + 1)[1:], method="lower"))
    bucket = np.searchsorted(edges, length)
    rows = []
    for number in np.unique(bucket):
        inside = bucket == number
        first, last = length[inside].min(), length[inside].max()
        low, high = proportion_interval(right[inside])
        part = f"{first} to {last}" if first < last else str(first)
        rows.append({"part": part, "score": right[inside].mean(), "low": low, "high": high, "reviews": inside.sum()})
    return pd.DataFrame(rows)
