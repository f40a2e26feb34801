"""Associative recall: which value stood with this key?"""

from string import ascii_lowercase, digits
from typing import Any

import numpy as np

from rnnlab.errors import UserError
from rnnlab.tasks.synthetic.data import Drawn, SyntheticClassificationData
from rnnlab.tasks.task import check_whole


class RecallData(SyntheticClassificationData):
    """Pairs of a letter and a digit, no letter twice, and one of the letters again; with three pairs:

        input    c 9 k 8 j 3 ? k            target   8

    The task of Ba et al. (2016). What has to be kept grows with the pairs, and is asked for by its content and not by
    its place.

    length: pairs. keys: how many different letters. values: how many different digits.
    """

    layout = "many_to_one"
    unit = "pairs"

    def __init__(self, keys: int = 26, values: int = 10, **options: Any) -> None:
        super().__init__(**options)
        self.keys = keys
        self.values = values

    def check(self) -> None:
        for key, size, letters in (("keys", self.keys, ascii_lowercase), ("values", self.values, digits)):
            check_whole(key, size, at_least=2)
            if size > len(letters):
                raise UserError(f"task.{key}={size}: there are {len(letters)} only, {letters}.")
        super().check()

    def check_length(self, key: str, length: Any) -> None:
        super().check_length(key, length)
        if length > self.keys:
            raise UserError(f"task.{key}={length}: no letter comes twice, and there are task.keys={self.keys}.")

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
