"""A delay line: say at each timestep what was read some timesteps ago."""

from string import ascii_uppercase
from typing import Any

import numpy as np

from rnnlab.arguments import Natural, refusal
from rnnlab.data.vocabulary import IGNORED
from rnnlab.errors import UserError
from rnnlab.tasks.synthetic.data import Drawn, Letters, SyntheticClassificationData


class DelayData(SyntheticClassificationData):
    """Random symbols, each due again `delay` timesteps later; with delay=3 and four symbols:

        input    B A D C C A B D
        target         B A D C C

    The state has to hold `delay` symbols at all times, log2(symbols) · delay bits. The first timesteps have no target.

    length: timesteps. symbols: how many different ones.
    """

    layout = "many_to_many"
    parts = "timesteps"

    def __init__(self, delay: Natural = 10, symbols: Letters = 4, **options: Any) -> None:
        super().__init__(**options)
        self.delay = delay
        self.symbols = symbols

    def check_length(self, key: str, length: int) -> None:
        if length <= self.delay:
            needed = f"more than task.delay={self.delay}, for nothing is due before"
            raise UserError(refusal(f"task.{key}", needed, length))

    def names(self) -> tuple[list[str], list[str]]:
        symbols = list(ascii_uppercase[: self.symbols])
        return symbols, symbols

    def draw(self, rng: np.random.Generator, size: int, length: int) -> Drawn:
        inputs = rng.integers(self.symbols, size=(size, length), dtype=np.int8)
        targets = np.full_like(inputs, IGNORED)
        targets[:, self.delay :] = inputs[:, : length - self.delay]
        return inputs, targets
