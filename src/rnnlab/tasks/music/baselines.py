"""What predicts notes without recurrence."""

from functools import cached_property
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logit

from rnnlab.output import progress
from rnnlab.tasks.baselines.baselines import Baselines, Predict
from rnnlab.tasks.baselines.several_answers import Features, Logits, logistic_regressions
from rnnlab.tasks.music.data import MusicData, following
from rnnlab.tasks.music.judging import MusicJudging
from rnnlab.tasks.music.repetition import repetition
from rnnlab.tasks.task import Split

FRAMES = (1, 2, 4, 8)

PENALTIES = (1e-3, 3e-4, 1e-4)

AT_LEAST = 10
"""Frames of training in which two keys sound together, for the pair to be a feature."""


class MusicBaselines(Baselines):
    """linear: logistic regression of each key on all keys of the last frames; how many, and the penalty, are those of
    the lowest nll on validation. chords: on the same frames, and on which two keys sound together in the last one.
    repetition: what sounds goes on. unigram: each key as often as in training, with half an observation of either kind
    added.

    The regressions are fitted when the first of them is asked.
    """

    task: MusicData
    judging: MusicJudging
    trivial: ClassVar[str] = "unigram"

    def fitted(self) -> dict[str, Predict]:
        after = following(self.task.rolls["train"]).astype(float)
        unigram = logit((after.sum(axis=0) + 0.5) / (len(after) + 1))
        repeated = repetition(self.task)
        return {
            "chords": self._chords,
            "linear": self._linear,
            "repetition": lambda split: self.judging.table(repeated(split), split),
            "unigram": lambda split: self.judging.table(np.tile(unigram, (len(self.task.actual(split)), 1)), split),
        }

    def _linear(self, split: Split) -> pd.DataFrame:
        logits, frames = self._of_frames
        return self.judging.table(logits(self._last(split, frames)), split)

    def _chords(self, split: Split) -> pd.DataFrame:
        return self.judging.table(self._of_chords(self._with_pairs(split)), split)

    @cached_property
    def _of_frames(self) -> tuple[Logits, int]:
        """And how many frames it takes."""
        found = []
        for frames in progress(FRAMES, f"{self.task.spec.task}: logistic regression"):
            logits, nll = self._regressed(self._last("train", frames), self._last("validation", frames))
            found.append((nll, frames, logits))
        _, frames, logits = min(found, key=lambda each: each[0])
        return logits, frames

    @cached_property
    def _of_chords(self) -> Logits:
        return self._regressed(self._with_pairs("train"), self._with_pairs("validation"))[0]

    def _regressed(self, x: Features, x_validation: Features) -> tuple[Logits, float]:
        y, y_validation = (self.task.actual(split).astype(np.float32) for split in ("train", "validation"))
        return logistic_regressions(x, y, x_validation, y_validation, PENALTIES)

    @cached_property
    def _sounding(self) -> NDArray[np.int64]:
        """The keys that training has."""
        return np.flatnonzero(self.task.rolls["train"].values.any(axis=0))

    @cached_property
    def _pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Keys that often sound together in training."""
        x = self._last("train", 1)
        low, high = np.nonzero(np.triu(x.T @ x, 1) >= AT_LEAST)
        return low, high

    def _with_pairs(self, split: Split) -> Features:
        x = self._last(split, self._of_frames[1])
        low, high = self._pairs
        return np.concatenate([x, x[:, low] * x[:, high]], axis=1)

    def _last(self, split: Split, frames: int) -> Features:
        """The keys of the last frames before each predicted one, the newest first; silence before the first one."""
        rolls = self.task.rolls[split]
        found = []
        for piece in range(len(rolls)):
            roll = rolls[piece][:, self._sounding].astype(np.float32)
            padded = np.concatenate([np.zeros((frames - 1, roll.shape[1]), np.float32), roll])
            at = [padded[frames - 1 - back : len(padded) - 1 - back] for back in range(frames)]
            found.append(np.concatenate(at, axis=1))
        return np.concatenate(found)
