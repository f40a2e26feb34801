"""Tokens as numbers: a vocabulary is learnt from the training split alone and travels with the model."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

PADDING, START, END, UNKNOWN = 0, 1, 2, 3
SPECIAL = ("<pad>", "<start>", "<end>", "<unknown>")

BLANK = PADDING
"""The output that stands for no token, in connectionist temporal classification."""

IGNORED = -100
"""A target that does not count: padding, or a timestep without a label."""


class Vocabulary:
    """The `SPECIAL` tokens, then the others by falling frequency (ties by the alphabet)."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = list(tokens)
        self._numbers = {token: number for number, token in enumerate(self.tokens)}

    @classmethod
    def fit(cls, sequences: Iterable[Iterable[str]], at_most: int | None = None, at_least: int = 1) -> "Vocabulary":
        """Learn from the sequences: the `at_most` most frequent tokens that occur `at_least` so often."""
        counts: Counter[str] = Counter()
        for sequence in sequences:
            counts.update(sequence)
        frequent = sorted((-count, token) for token, count in counts.items() if count >= at_least)
        return cls([*SPECIAL, *(token for _, token in frequent[:at_most])])

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: str) -> bool:
        return token in self._numbers

    def encode(self, tokens: Iterable[str], end: bool = False) -> NDArray[np.int32]:
        """Numbers of the tokens, `UNKNOWN` for those not in the vocabulary; `end`: followed by the END token."""
        numbers = [self._numbers.get(token, UNKNOWN) for token in tokens]
        return np.array([*numbers, END] if end else numbers, np.int32)

    def decode(self, numbers: Iterable[int]) -> list[str]:
        """The tokens up to END, without the special ones but `<unknown>`."""
        found = []
        for number in numbers:
            if number == END:
                break
            if number >= UNKNOWN:
                found.append(self.tokens[number])
        return found

    def as_list(self) -> list[str]:
        return self.tokens

    @classmethod
    def from_list(cls, tokens: Any) -> "Vocabulary":
        return cls(list(tokens))
