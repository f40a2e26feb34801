"""How answers about utterances are judged."""

from typing import Any

from rnnlab.tasks.classification.judging import ClassificationJudging
from rnnlab.tasks.classification.speech.data import SpeechData


class SpeechJudging(ClassificationJudging):
    """Beside what every classification has, a row of predictions has the `timesteps` and the `speaker`."""

    task: SpeechData

    def columns(self) -> dict[str, Any]:
        return {"timesteps": self.task.series["test"].lengths.numpy(), "speaker": self.task.meta["test_speakers"]}
