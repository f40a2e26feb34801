"""What puts pictures into words without recurrence."""

from typing import ClassVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from rnnlab.output import progress
from rnnlab.tasks.baselines.baselines import Baselines, Predict
from rnnlab.tasks.task import Split
from rnnlab.tasks.transduction.caption.data import CaptionData
from rnnlab.tasks.transduction.caption.judging import CaptionJudging

DISTANCES = 200
"""Images that are compared with all training images at a time."""


class CaptionBaselines(Baselines):
    """nearest: the caption of the training picture whose pixels differ least (Euclid). frequent: the caption that most
    training pictures have."""

    task: CaptionData
    judging: CaptionJudging
    trivial: ClassVar[str] = "frequent"

    def fitted(self) -> dict[str, Predict]:
        captions = self.task.captions["train"]
        commonest = pd.Series(captions).mode()[0]
        train = self._pixels("train")

        def nearest(split: Split) -> pd.DataFrame:
            found: list[int] = []
            for some in progress(torch.split(self._pixels(split), DISTANCES), f"{self.task.spec.task}: nearest"):
                found += torch.cdist(some, train).argmin(dim=1).tolist()
            return self.judging.table([captions[index] for index in found], split)

        def frequent(split: Split) -> pd.DataFrame:
            return self.judging.table([commonest] * len(self.task.pictures[split]), split)

        return {"nearest": nearest, "frequent": frequent}

    def _pixels(self, split: Split) -> Tensor:
        return torch.from_numpy(np.array(self.task.pictures[split], np.float32)).flatten(1)
