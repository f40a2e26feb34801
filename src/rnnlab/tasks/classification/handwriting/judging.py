"""How answers about characters are judged."""

from typing import Any

from rnnlab.tasks.classification.handwriting.data import HandwritingData
from rnnlab.tasks.classification.judging import ClassificationJudging


class HandwritingJudging(ClassificationJudging):
    """Beside what every classification has, a row of predictions has the `character` and its number of `strokes`."""

    task: HandwritingData

    def columns(self) -> dict[str, Any]:
        strokes = [int((moves[:, 2] == 0).sum()) for moves in self.task.characters("test")]
        return {"character": self.task.test_characters, "strokes": strokes}
