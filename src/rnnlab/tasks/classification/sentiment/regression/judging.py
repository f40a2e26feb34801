"""How numbers that belong to texts are judged."""

from typing import Any

from rnnlab.tasks.classification.sentiment.regression.data import SentimentData
from rnnlab.tasks.regression.judging import RegressionJudging
from rnnlab.tasks.task import Split


class SentimentJudging(RegressionJudging):
    """Beside what every regression has, a row of predictions has the `length` of the text."""

    task: SentimentData

    def columns(self, split: Split) -> dict[str, Any]:
        """length: of the text, in words."""
        return {"length": self.task.reviews[split].lengths.numpy()}
