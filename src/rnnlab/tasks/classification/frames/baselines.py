"""What labels the frames of a video without recurrence."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnlab.tasks.baselines.baselines import Predict
from rnnlab.tasks.baselines.classifiers import Classify
from rnnlab.tasks.baselines.images import deskewed, edge_features, ink_of
from rnnlab.tasks.baselines.linear import logistic_regression
from rnnlab.tasks.baselines.svm import rbf_svm
from rnnlab.tasks.classification.baselines import ClassificationBaselines
from rnnlab.tasks.classification.frames.data import SIDE, FramesData, Videos
from rnnlab.tasks.classification.frames.judging import unseen
from rnnlab.tasks.images import Images
from rnnlab.tasks.task import Split

BASELINE_FRAMES = 10_000
"""Training frames that a baseline learns from, at most: what a support vector machine takes grows with their square."""

PART = 4
"""Pixels on each side of the parts of a frame in which the directions of edges are counted."""

Features = Callable[[Images], NDArray[np.floating]]
"""What is known of each frame, (frames, ...)."""


class FramesBaselines(ClassificationBaselines):
    """edges: a support vector machine on the directions of edges in each of 5 x 5 parts of a frame that is moved until
    its centre of mass stands in the middle, the digit upright, and for a hidden frame its answer to the last that
    showed the digit: motion undone and a memory, both made by hand. svm: the same on the pixels of the centred frame.
    centred: logistic regression on these. carried: the same on the frame as it is. linear: without the memory, too.
    frequency: each class as often as in training."""

    task: FramesData

    def fitted(self) -> dict[str, Predict]:
        self._learnt = visible_frames(self.task.filmed["train"], BASELINE_FRAMES)
        pixels = self._regression(_pixels)
        return {
            "edges": self._carried_svm(lambda frames: edge_features(deskewed(centred(frames)), PART)),
            "svm": self._carried_svm(_centred_pixels),
            "centred": self._carried(self._regression(_centred_pixels)),
            "carried": self._carried(pixels),
            "linear": lambda split: self.judging.table(pixels(self._frames(split)), split),
            **super().fitted(),
        }

    def _regression(self, features: Features) -> Classify:
        """Of frames, by logistic regression on what `features` makes of them, carried over hidden ones."""
        frames, y = self._learnt
        shown, last = self._last_shown("validation")
        classify = logistic_regression(
            features(frames),
            y,
            features(self._frames("validation")[shown]),
            self.task.labels["validation"][shown],
            10,
            lambda answers: self.score(answers[last]),
        )
        return lambda frames: classify(features(frames))

    def _carried(self, classify: Classify) -> Predict:
        """Of a hidden frame, the answer to the last that showed the digit."""

        def predict(split: Split) -> pd.DataFrame:
            shown, last = self._last_shown(split)
            return self.judging.table(classify(self._frames(split)[shown])[last], split)

        return predict

    def _carried_svm(self, features: Features) -> Predict:
        """The same by a support vector machine on what `features` makes of a frame."""
        frames, y = self._learnt
        shown, last = self._last_shown("validation")
        x_validation = features(self._frames("validation")[shown])
        answer = rbf_svm(features(frames), y, x_validation, lambda answers: self.score(answers[last]))

        def predict(split: Split) -> pd.DataFrame:
            shown, last = self._last_shown(split)
            answers = answer(features(self._frames(split)[shown]))
            return self.judging.table_of_answers(answers[last], split)

        return predict

    def _last_shown(self, split: Split) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The frames that show the digit, and of each frame which of these was the last."""
        last = np.arange(len(self.task.labels[split])) - unseen(self.task.filmed[split].is_hidden).ravel()
        shown, inverse = np.unique(last, return_inverse=True)
        return shown, inverse

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


def _pixels(frames: Images) -> NDArray[np.float32]:
    return ink_of(frames).reshape(len(frames), -1)


def _centred_pixels(frames: Images) -> NDArray[np.float32]:
    return _pixels(centred(frames))
