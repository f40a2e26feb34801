"""How answers about characters are judged."""

from typing import Any

from rnnlab.tasks.classification.handwriting.data import HandwritingData
from rnnlab.tasks.classification.judging import ClassificationJudging
from rnnlab.tasks.task import Split


class HandwritingJudging(ClassificationJudging):
    """Beside what every classification has, a row of predictions has the `character` and its number of `strokes`."""

    task: HandwritingData

    def columns(self, split: Split) -> dict[str, Any]:
        strokes = [int((moves[:, 2] == 0).sum()) for moves in self.task.characters(split)]
        return {"character": self.task.texts[split], "strokes": strokes}
