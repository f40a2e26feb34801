"""How answers about utterances are judged."""

from typing import Any

import pandas as pd

from rnnlab.tasks.classification.judging import ClassificationJudging, losses_by
from rnnlab.tasks.classification.speech.data import SpeechData
from rnnlab.tasks.task import Array, Split


class SpeechJudging(ClassificationJudging):
    """Beside what every classification has, a row of predictions has the `timesteps` and the `speaker`."""

    task: SpeechData

    def columns(self, split: Split) -> dict[str, Any]:
        return {"timesteps": self.task.series[split].lengths.numpy(), "speaker": self.task.meta["speakers"][split]}

    def losses(self, predictions: pd.DataFrame) -> Array:
        """As of any classification; where a speaker is held out, of each speaker the share of wrong answers."""
        if self.task.spec.unit == "speaker":
            return losses_by("speaker", predictions)
        return super().losses(predictions)

    def judge(self, predictions: pd.DataFrame) -> dict[str, float]:
        """As of any classification; no interval of the accuracy where a speaker is held out."""
        metrics = super().judge(predictions)
        if self.task.spec.unit == "speaker":
            # it would take the recordings of one voice for independent
            del metrics["accuracy_low"], metrics["accuracy_high"]
        return metrics
