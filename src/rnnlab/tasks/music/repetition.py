"""What sounds goes on: a baseline, and what figures draw beside a net."""

from collections.abc import Callable

import numpy as np
from scipy.special import logit

from rnnlab.tasks.music.data import MusicData, following, preceding
from rnnlab.tasks.task import Array, Split


def repetition(task: MusicData) -> Callable[[Split], Array]:
    """ln p/(1 - p) of each key at each predicted frame of a split, (frames, 88).

    Frequencies of training, of each key by itself, one where it sounded at the frame before and one where it did not,
    with half an observation of either kind added.
    """
    rolls = task.rolls["train"]
    before, after = preceding(rolls).astype(float), following(rolls).astype(float)
    going_on = ((before * after).sum(axis=0) + 0.5) / (before.sum(axis=0) + 1)
    beginning = (((1 - before) * after).sum(axis=0) + 0.5) / ((1 - before).sum(axis=0) + 1)

    def logits(split: Split) -> Array:
        sounded = preceding(task.rolls[split]).astype(bool)
        result: Array = logit(np.where(sounded, going_on, beginning))
        return result

    return logits
