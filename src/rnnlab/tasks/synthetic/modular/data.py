"""Modular arithmetic: what does an expression come to, modulo m?"""

from typing import Any

import numpy as np

from rnnlab.errors import UserError
from rnnlab.tasks.synthetic.data import Drawn, SyntheticClassificationData
from rnnlab.tasks.task import check_whole

OPERATORS = "+-*"

MODULUS_LIMIT = 100


class ModularData(SyntheticClassificationData):
    """Numbers below m with signs between them, products before sums; with m=5:

        input    3 + 4 * 2 - 1            target   0, for 10 mod 5 = 0

    The "modular arithmetic (simple)" of Delétang et al. (2023): a finite state is enough, for any length.

    length: how many numbers. modulus: m. operators: those that are drawn from, each as often as the others.
    """

    layout = "many_to_one"
    unit = "numbers"

    def __init__(self, modulus: int = 5, operators: str = OPERATORS, **options: Any) -> None:
        super().__init__(**options)
        self.modulus = modulus
        self.operators = operators

    def check(self) -> None:
        super().check()
        check_whole("modulus", self.modulus, at_least=2)
        if self.modulus > MODULUS_LIMIT:
            raise UserError(f"task.modulus={self.modulus}: at most {MODULUS_LIMIT} numbers have a token of their own.")
        if not isinstance(self.operators, str) or not self.operators or set(self.operators) - set(OPERATORS):
            raise UserError(f'task.operators={self.operators}: one or more of {OPERATORS} are needed, such as "+-".')

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
