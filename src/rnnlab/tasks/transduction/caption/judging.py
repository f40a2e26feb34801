"""What captions are worth: by how many digits a picture has, and some of them drawn."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import torch

from rnnlab.extras import require
from rnnlab.results.figures import png
from rnnlab.tasks.judging import Model
from rnnlab.tasks.task import Split
from rnnlab.tasks.transduction.caption.data import MOST, NAMES, CaptionData
from rnnlab.tasks.transduction.caption.drawing import draw_captions
from rnnlab.tasks.transduction.judging import TransductionJudging, spread

SHOWN = 8


class CaptionJudging(TransductionJudging):
    """Its parts are the pictures with one digit, two, three and four."""

    task: CaptionData
    parts = "digits in the picture"

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> None:
        """Raises: `MissingExtra` without sacrebleu, beside what each judging raises."""
        super().check_options(options)
        require("tasks", "task=caption", "sacrebleu")

    def text(self, numbers: list[int]) -> str:
        return super().text(numbers).replace(" ,", ",")

    def columns(self, split: Split) -> dict[str, Any]:
        return {"digits": self.task.counts[split]}

    def part(self, predictions: pd.DataFrame) -> "pd.Series[str]":
        names = pd.Categorical([NAMES[count] for count in predictions["digits"]], NAMES[1 : MOST + 1], ordered=True)
        return pd.Series(names, predictions.index)

    def samples(self, model: Model) -> dict[str, str | bytes]:
        """Validation pictures with what the net writes of them."""
        indices = spread(len(self.task.captions["validation"]), SHOWN)
        batch = self.task.take("validation", torch.from_numpy(indices))
        references = [self.task.captions["validation"][index] for index in indices]
        figure = draw_captions(self.task.pictures["validation"][indices], references, self.write(model, batch))
        return {"written.png": png(figure)}
