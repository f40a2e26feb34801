"""What predicts notes without recurrence."""

from typing import ClassVar

import numpy as np
from scipy.special import logit

from rnnlab.tasks.baselines.baselines import Baselines, Predict
from rnnlab.tasks.music.data import MusicData, following
from rnnlab.tasks.music.judging import MusicJudging
from rnnlab.tasks.music.repetition import repetition


class MusicBaselines(Baselines):
    """repetition: what sounds goes on. unigram: each key as often as in training, with half an observation of either
    kind added."""

    task: MusicData
    judging: MusicJudging
    trivial: ClassVar[str] = "unigram"

    def fitted(self) -> dict[str, Predict]:
        after = following(self.task.rolls["train"]).astype(float)
        unigram = logit((after.sum(axis=0) + 0.5) / (len(after) + 1))
        repeated = repetition(self.task)
        return {
            "repetition": lambda split: self.judging.table(repeated(split), split),
            "unigram": lambda split: self.judging.table(np.tile(unigram, (len(self.task.actual(split)), 1)), split),
        }
