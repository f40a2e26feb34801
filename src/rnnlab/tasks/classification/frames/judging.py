"""How answers to the frames of a video are judged."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnlab.data.batches import Batch
from rnnlab.statistics import proportion_interval
from rnnlab.tasks.classification.frames.data import FramesData
from rnnlab.tasks.classification.judging import ClassificationJudging, losses_by
from rnnlab.tasks.judging import Model
from rnnlab.tasks.task import Array, Split

LONGEST_HIDDEN = 4
"""Frames since a digit was seen; more are counted with as many."""


class FramesJudging(ClassificationJudging):
    """A row of the table of predictions is a frame; beside what every classification has, its `video` and `frame`,
    which `image` of a digit moves there, how many frames have shown it (`views`), and how many frames ago it was seen
    (`unseen`).
    """

    task: FramesData

    def say(self, model: Model, batch: Batch, table: pd.DataFrame) -> pd.DataFrame:
        """As of any classification, for each frame."""
        return self.named_timesteps(model(batch.to(model.device)), batch, table)

    def outputs(self, model: Model, split: Split = "test") -> Array:
        """(frames of all videos, classes)"""
        found: Array = super().outputs(model, split).reshape(-1, 10)
        return found

    def columns(self, split: Split) -> dict[str, Any]:
        videos = self.task.filmed[split]
        count, time = videos.labels.shape
        return {
            "video": np.repeat(np.arange(count), time),
            "frame": np.tile(np.arange(time), count),
            "image": videos.images.ravel(),
            "views": videos.views.ravel(),
            "unseen": unseen(videos.is_hidden).ravel(),
        }

    def losses(self, predictions: pd.DataFrame) -> Array:
        """Of each image of a digit, over all videos that it moves in, the wrong answers as `losses_by` has them."""
        return losses_by("image", predictions)

    def judge(self, predictions: pd.DataFrame) -> dict[str, float]:
        """As of any classification, frame by frame, and

        accuracy_hidden, accuracy_visible  share of right answers among the frames that hide the digit, that show it

        The interval of `accuracy` counts images of digits, not frames.
        """
        right = np.asarray(predictions["label"] == predictions["predicted"], np.float64)
        is_hidden = predictions["unseen"].to_numpy() > 0
        metrics = super().judge(predictions)
        metrics["accuracy_low"], metrics["accuracy_high"] = proportion_interval(1 - self.losses(predictions))
        metrics["accuracy_hidden"] = float(right[is_hidden].mean())
        metrics["accuracy_visible"] = float(right[~is_hidden].mean())
        return metrics

    def plot_rows(self, predictions: list[pd.DataFrame]) -> pd.DataFrame:
        """Accuracy by the number of frames since the digit was seen."""
        rows = accuracy_by("unseen", pd.concat(predictions))
        return pd.DataFrame({"part": rows.index.astype(str), "score": rows.to_numpy()})


def unseen(is_hidden: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many frames ago the digit was seen: 0 in a frame that shows it."""
    time = np.arange(is_hidden.shape[1])
    result: NDArray[np.int64] = time - np.maximum.accumulate(np.where(is_hidden, 0, time), axis=1)
    return result


def accuracy_by(column: str, predictions: pd.DataFrame) -> "pd.Series[float]":
    right = (predictions["label"] == predictions["predicted"]).astype(np.float64)
    return right.groupby(predictions[column].clip(upper=LONGEST_HIDDEN)).mean()
