"""Modular arithmetic: what does an expression come to, modulo m?"""

from typing import Annotated, Any

import numpy as np

from rnnlab.arguments import Range
from rnnlab.tasks.synthetic.data import Drawn, SyntheticClassificationData

OPERATORS = "+-*"

MODULUS_LIMIT = 100
"""Each number below the modulus has a token of its own."""


class SomeOf:
    """Some of these characters, at least one."""

    def __init__(self, characters: str) -> None:
        self.characters = characters

    def admits(self, value: str) -> bool:
        return bool(value) and set(value) <= set(self.characters)

    def described(self, kind: str) -> str:
        return f"one or more of {self.characters}"


class ModularData(SyntheticClassificationData):
    """Numbers below m with signs between them, products before sums; with m=5:

        input    3 + 4 * 2 - 1            target   0, for 10 mod 5 = 0

    The "modular arithmetic (simple)" of Delétang et al. (2023): a finite state is enough, for any length.

    length: how many numbers. modulus: m. operators: those that are drawn from, each as often as the others.
    """

    layout = "many_to_one"
    parts = "numbers"

    def __init__(
        self,
        modulus: Annotated[int, Range(at_least=2, at_most=MODULUS_LIMIT)] = 5,
        operators: Annotated[str, SomeOf(OPERATORS)] = OPERATORS,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.modulus = modulus
        self.operators = operators

    def names(self) -> tuple[list[str], list[str]]:
        numbers = [str(number) for number in range(self.modulus)]
        return [*numbers, *OPERATORS], numbers

    def draw(self, rng: np.random.Generator, size: int, length: int) -> Drawn:
        numbers = rng.integers(self.modulus, size=(size, length))
        signs = np.array([OPERATORS.index(sign) for sign in self.operators])[
            rng.integers(len(self.operators), size=(size, length - 1))
        ]
        inputs = np.empty((size, 2 * length - 1), np.int16)
        inputs[:, ::2] = numbers
        inputs[:, 1::2] = signs + self.modulus
        # the products that are complete, and the one that a further factor may still join
        total, product = np.zeros(size, np.int64), numbers[:, 0]
        for sign, number in zip(signs.T, numbers.T[1:], strict=True):
            is_factor = sign == OPERATORS.index("*")
            total = np.where(is_factor, total, total + product)
            signed = np.where(sign == OPERATORS.index("-"), -number, number)
            product = np.where(is_factor, product * number, signed) % self.modulus
        return inputs, (total + product) % self.modulus
