"""Associative recall: which value stood with this key?"""

from string import ascii_lowercase, digits
from typing import Annotated, Any

import numpy as np

from rnnlab.arguments import Range, refusal
from rnnlab.errors import UserError
from rnnlab.tasks.synthetic.data import Drawn, SyntheticClassificationData


class RecallData(SyntheticClassificationData):
    """Pairs of a letter and a digit, no letter twice, and one of the letters again; with three pairs:

        input    c 9 k 8 j 3 ? k            target   8

    The task of Ba et al. (2016). What has to be kept grows with the pairs, and is asked for by its content and not by
    its place.

    length: pairs. keys: how many different letters. values: how many different digits.
    """

    layout = "many_to_one"
    parts = "pairs"

    def __init__(
        self,
        keys: Annotated[int, Range(at_least=2, at_most=len(ascii_lowercase))] = 26,
        values: Annotated[int, Range(at_least=2, at_most=len(digits))] = 10,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.keys = keys
        self.values = values

    def check_length(self, key: str, length: int) -> None:
        if length > self.keys:
            raise UserError(refusal(f"task.{key}", f"at most task.keys={self.keys}, for no letter comes twice", length))

    def names(self) -> tuple[list[str], list[str]]:
        values = list(digits[: self.values])
        return [*ascii_lowercase[: self.keys], *values, "?"], values

    def draw(self, rng: np.random.Generator, size: int, length: int) -> Drawn:
        keys = rng.permuted(np.tile(np.arange(self.keys), (size, 1)), axis=1)[:, :length]
        values = rng.integers(self.values, size=(size, length))
        rows, asked = np.arange(size), rng.integers(length, size=size)
        inputs = np.empty((size, 2 * length + 2), np.int8)
        inputs[:, : 2 * length : 2] = keys
        inputs[:, 1 : 2 * length : 2] = values + self.keys
        inputs[:, -2] = self.keys + self.values
        inputs[:, -1] = keys[rows, asked]
        return inputs, values[rows, asked]
