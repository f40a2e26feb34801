"""What labels the frames of a video without recurrence."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnlab.tasks.baselines.baselines import Predict
from rnnlab.tasks.baselines.linear import Classify, logistic_regression
from rnnlab.tasks.classification.baselines import ClassificationBaselines
from rnnlab.tasks.classification.frames.data import SIDE, FramesData, Videos
from rnnlab.tasks.classification.frames.judging import unseen
from rnnlab.tasks.images import Images
from rnnlab.tasks.task import Array, Split

BASELINE_FRAMES = 10_000
"""Training frames that a linear baseline learns from, at most."""


class FramesBaselines(ClassificationBaselines):
    """centred: logistic regression on the pixels of a frame that is moved until its centre of mass stands in the
    middle, and for a hidden frame its answer to the last that showed the digit: motion undone and a memory, both
    made by hand. carried: the same on the frame as it is. linear: without the memory, too. frequency: each class
    as often as in training."""

    task: FramesData

    def fitted(self) -> dict[str, Predict]:
        centred_pixels = self._regression(lambda frames: _pixels(centred(frames)))
        pixels = self._regression(_pixels)
        return {
            "centred": lambda split: self._carried(centred_pixels, split),
            "carried": lambda split: self._carried(pixels, split),
            "linear": lambda split: self.judging.table(pixels(self._frames(split)), split),
            **super().fitted(),
        }

    def _regression(self, features: Callable[[Images], Array]) -> Classify:
        """Of frames, by logistic regression on what `features` makes of them."""
        seen, y = visible_frames(self.task.filmed["train"], BASELINE_FRAMES)
        seen_validation, y_validation = visible_frames(self.task.filmed["validation"], BASELINE_FRAMES)
        classify = logistic_regression(features(seen), y, features(seen_validation), y_validation, 10)
        return lambda frames: classify(features(frames))

    def _carried(self, classify: Classify, split: Split) -> pd.DataFrame:
        """Of a hidden frame, the answer to the last that showed the digit."""
        last_seen = np.arange(len(self.task.labels[split])) - unseen(self.task.filmed[split].is_hidden).ravel()
        return self.judging.table(classify(self._frames(split))[last_seen], split)

    def _frames(self, split: Split) -> Images:
        frames: Images = self.task.filmed[split].frames.reshape(-1, SIDE, SIDE)
        return frames


def visible_frames(videos: Videos, at_most: int) -> tuple[Images, NDArray[np.int64]]:
    """Frames that show the digit, and their labels, at even distances if they are too many."""
    places = np.flatnonzero(~videos.is_hidden.ravel())
    places = places[:: -(-len(places) // at_most)]
    return videos.frames.reshape(-1, SIDE, SIDE)[places], videos.labels.ravel()[places]


def centred(frames: Images) -> Images:
    """Each frame, (frames, SIDE, SIDE), moved by whole pixels until its centre of mass stands in the middle.

    Blank frames stay blank; what leaves at one edge comes in at the other, paper for a digit that is whole.
    """
    index = np.arange(SIDE)
    mass = np.maximum(frames.sum(axis=(1, 2)), 1)
    down, right = (np.rint(frames.sum(axis=axis) @ index / mass).astype(np.int64) - SIDE // 2 for axis in (2, 1))
    rows = (index + down[:, None]) % SIDE
    columns = (index + right[:, None]) % SIDE
    result: Images = frames[np.arange(len(frames))[:, None, None], rows[:, :, None], columns[:, None, :]]
    return result


def _pixels(frames: Images) -> Array:
    return frames.reshape(-1, SIDE * SIDE) / 255.0
