"""What puts pictures into words without recurrence."""

from typing import ClassVar

import numpy as np
import pandas as pd
import torch

from rnnlab.output import progress
from rnnlab.tasks.baselines.baselines import Baselines
from rnnlab.tasks.transduction.caption.data import CaptionData
from rnnlab.tasks.transduction.caption.judging import CaptionJudging

DISTANCES = 200
"""Test images that are compared with all training images at a time."""


class CaptionBaselines(Baselines):
    """nearest: the caption of the training picture whose pixels differ least (Euclid). frequent: the caption that most
    training pictures have."""

    task: CaptionData
    judging: CaptionJudging
    reference: ClassVar[str] = "nearest"

    def predictions(self) -> dict[str, pd.DataFrame]:
        train, test = (torch.from_numpy(np.array(self.task.pictures[split], np.float32)) for split in ("train", "test"))
        nearest: list[int] = []
        for some in progress(torch.split(test.flatten(1), DISTANCES), f"{self.task.spec.task}: nearest"):
            nearest += torch.cdist(some, train.flatten(1)).argmin(dim=1).tolist()
        captions = self.task.captions["train"]
        frequent = pd.Series(captions).mode()[0]
        return {
            "nearest": self.judging.table([captions[index] for index in nearest]),
            "frequent": self.judging.table([frequent] * len(test)),
        }
