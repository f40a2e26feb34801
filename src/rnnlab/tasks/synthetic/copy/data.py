"""Copying after a wait: remember some symbols, wait, and say them in their order."""

from string import ascii_uppercase
from typing import Any

import numpy as np

from rnnlab.arguments import Positive
from rnnlab.data.vocabulary import IGNORED
from rnnlab.tasks.synthetic.data import Drawn, Letters, SyntheticClassificationData


class CopyData(SyntheticClassificationData):
    """Ten symbols of eight, T - 1 blanks, a delimiter, and ten more blanks, in which the symbols are due:

        input    C A H H B D A F E G · · · ... · | · · · · · · · · · ·
        target                                     C A H H B D A F E G

    From Hochreiter and Schmidhuber (1997), in the form of Arjovsky, Shah and Bengio (2016). The loss is that of the ten
    recalled symbols; theirs is the mean over all T + 20 timesteps, blanks being due before.

    length: T. items: how many symbols there are to recall. symbols: how many different ones.
    """

    layout = "many_to_many"
    parts = "blanks"

    def __init__(self, items: Positive = 10, symbols: Letters = 8, **options: Any) -> None:
        super().__init__(**options)
        self.items = items
        self.symbols = symbols

    def names(self) -> tuple[list[str], list[str]]:
        symbols = list(ascii_uppercase[: self.symbols])
        return [*symbols, "·", "|"], symbols

    def draw(self, rng: np.random.Generator, size: int, length: int) -> Drawn:
        blank, delimiter = self.symbols, self.symbols + 1
        items = rng.integers(self.symbols, size=(size, self.items))
        inputs = np.full((size, length + 2 * self.items), blank, np.int8)
        inputs[:, : self.items] = items
        inputs[:, -self.items - 1] = delimiter
        targets = np.full(inputs.shape, IGNORED, np.int8)
        targets[:, -self.items :] = items
        return inputs, targets
