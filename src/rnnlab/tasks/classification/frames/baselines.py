"""What labels the frames of a video without recurrence."""

from collections.abc import Callable
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnlab.tasks.baselines.baselines import Baselines
from rnnlab.tasks.baselines.linear import class_frequencies, logistic_regression
from rnnlab.tasks.classification.frames.data import SIDE, FramesData, Videos
from rnnlab.tasks.classification.frames.judging import FramesJudging, unseen
from rnnlab.tasks.images import Images
from rnnlab.tasks.task import Array

BASELINE_FRAMES = 10_000
"""Training frames that a linear baseline learns from, at most."""


class FramesBaselines(Baselines):
    """centred: logistic regression on the pixels of a frame that is moved until its centre of mass stands in the
    middle, and for a hidden frame its answer to the last that showed the digit: motion undone and a memory, both
    made by hand. carried: the same on the frame as it is. linear: without the memory, too. frequency: each class
    as often as in training."""

    reference: ClassVar[str] = "centred"
    task: FramesData
    judging: FramesJudging

    def predictions(self) -> dict[str, pd.DataFrame]:
        test = self.task.filmed["test"]
        last_seen = np.arange(test.labels.size) - unseen(test.is_hidden).ravel()
        linear = self._regression(_pixels)
        frequency = class_frequencies(self.task.filmed["train"].labels.ravel(), test.labels.size, 10)
        return {
            "centred": self.judging.table(self._regression(lambda frames: _pixels(centred(frames)))[last_seen]),
            "carried": self.judging.table(linear[last_seen]),
            "linear": self.judging.table(linear),
            "frequency": self.judging.table(frequency),
        }

    def _regression(self, features: Callable[[Images], Array]) -> Array:
        """Probabilities of each test frame by logistic regression on what `features` makes of the frames."""
        seen, y = visible_frames(self.task.filmed["train"], BASELINE_FRAMES)
        seen_validation, y_validation = visible_frames(self.task.filmed["validation"], BASELINE_FRAMES)
        test = self.task.filmed["test"].frames.reshape(-1, SIDE, SIDE)
        return logistic_regression(features(seen), y, features(seen_validation), y_validation, features(test), 10)


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
