"""What the data of all tasks have in common that answer with a text: references, a vocabulary, texts on disk."""

from abc import abstractmethod
from pathlib import Path
from typing import Literal

import numpy as np

from rnnlab.data.ragged import Ragged
from rnnlab.data.vocabulary import Vocabulary
from rnnlab.tasks.task import Split, Task

MEASURES: dict[str, Literal["min", "max"]] = {
    "exact_match": "max",
    "character_error_rate": "min",
    "word_error_rate": "min",
    "bleu": "max",
    "chrf": "max",
}


class TransductionData(Task):
    """A text for each example, token by token. A task that derives from it sets what `open` finds:

    measures: some of `MEASURES`; the first one ranks, any but chrf.
    vocabulary: of what is written. separator: what stands between two tokens of a text: "" where tokens are characters,
    " " where they are words.
    longest: how many tokens may be written, END included.
    """

    measures: tuple[str, ...]
    vocabulary: Vocabulary
    separator: str
    longest: int

    @abstractmethod
    def texts(self, split: Split) -> tuple[list[str], list[str]]:
        """Sources and references of a split, in the order in which the examples lie; what has no text has a name."""


def write_texts(folder: Path, name: str, texts: list[str]) -> None:
    """Keep texts beside the arrays that were made of them."""
    Ragged.write(folder, name, [np.frombuffer(text.encode(), np.uint8) for text in texts], np.uint8)


def read_texts(folder: Path, name: str) -> list[str]:
    texts = Ragged.open(folder, name)
    return [texts[index].tobytes().decode() for index in range(len(texts))]
