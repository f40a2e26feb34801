"""The adding problem: two numbers of a long sequence are marked, what is their sum?"""

from typing import Any

import numpy as np
import pandas as pd

from rnnlab.data.batches import Batch
from rnnlab.losses import SquaredError
from rnnlab.spec import TaskSpec
from rnnlab.tasks.raw_input import Column, arrays, sequences
from rnnlab.tasks.synthetic.data import Drawn, Several, SyntheticData
from rnnlab.tasks.task import Array, Split

SOLVED = 0.01
"""The mean squared error from which on the problem counts as solved: a sixteenth of that of always saying 1."""


class AddingData(SyntheticData):
    """Numbers drawn evenly from [0, 1], one of them marked in each half of the sequence:

        input    0.39 0.81 0.07 0.55 0.94 0.13 0.20 0.68
                 0    1    0    0    0    0    1    0
        target   1.01

    From Hochreiter and Schmidhuber (1997), in the form of Le, Jaitly and Hinton (2015). Always saying 1 has a mean
    squared error of 1/6.

    length: timesteps.
    """

    layout = "many_to_one"
    parts = "timesteps"

    def __init__(
        self,
        length: Several,  # each half has a timestep to mark
        shortest: Several | None = None,
        test_lengths: tuple[Several, ...] = (),
        **options: Any,
    ) -> None:
        super().__init__(length=length, shortest=shortest, test_lengths=test_lengths, **options)

    def restore(self, learnt: dict[str, Any]) -> None:
        self.meta = learnt
        self.spec = TaskSpec(
            task=self.task_name,
            layout=self.layout,
            input_size=2,
            output_size=1,
            loss=SquaredError(),
            metrics={"mse": "min", "mae": "min", "solved": "max"},
            rank_by="mse",
            parts=self.parts,
            unit="sequence",
            solved=SOLVED,
        )

    def draw(self, rng: np.random.Generator, size: int, length: int) -> Drawn:
        rows, half = np.arange(size), length // 2
        inputs = np.zeros((size, length, 2), np.float32)
        inputs[:, :, 0] = rng.random((size, length), np.float32)
        first, second = rng.integers(half, size=size), rng.integers(half, length, size=size)
        inputs[rows, first, 1] = inputs[rows, second, 1] = 1
        return inputs, inputs[rows, first, :1] + inputs[rows, second, :1]

    def sums(self, split: Split) -> Array:
        """(sequences,)"""
        sums: Array = self.targets[split].double().numpy()[:, 0]
        return sums

    def raw_columns(self) -> dict[str, Column]:
        return {"sequence": Column("number", "pairs of a number from 0 to 1 and its mark, 0 or 1", 2)}

    def raw_timestep(self) -> Column:
        return Column("number", "a number from 0 to 1 and its mark, 0 or 1", 1)

    def raw_example(self) -> pd.DataFrame:
        return pd.DataFrame({"sequence": [self.draw(np.random.default_rng(0), 1, self.length)[0][0].tolist()]})

    def encode(self, table: pd.DataFrame) -> Batch:
        return sequences([pairs.astype(np.float32) for pairs in arrays(table, "sequence", (None, 2))])
