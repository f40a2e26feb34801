"""What predicts notes without recurrence."""

from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.special import logit

from rnnlab.tasks.baselines.baselines import Baselines
from rnnlab.tasks.music.data import MusicData, following
from rnnlab.tasks.music.judging import MusicJudging
from rnnlab.tasks.music.repetition import repetition


class MusicBaselines(Baselines):
    """repetition: what sounds goes on. unigram: each key as often as in training, with half an observation of either
    kind added."""

    task: MusicData
    judging: MusicJudging
    reference: ClassVar[str] = "repetition"

    def predictions(self) -> dict[str, pd.DataFrame]:
        after = following(self.task.rolls["train"]).astype(float)
        unigram = (after.sum(axis=0) + 0.5) / (len(after) + 1)
        return {
            "repetition": self.judging.table(repetition(self.task)),
            "unigram": self.judging.table(np.tile(logit(unigram), (len(self.task.actual), 1))),
        }
