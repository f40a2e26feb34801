"""Timesteps of labelled sequences, handed over one by one, are encoded as within their sequence."""

import numpy as np
import pandas as pd
import pytest
import torch

from rnnlab.data.sequences.sequences import Sequences
from rnnlab.errors import UserError
from rnnlab.tasks.raw_input import Timestep, decoded_timestep
from rnnlab.tasks.sequences.data import SequencesData

NAN = float("nan")


@pytest.fixture(scope="module")
def task() -> SequencesData:
    """Of a channel without gaps, one with gaps, and one of categories."""
    rng = np.random.default_rng(0)
    values = [rng.normal(3, 2, (5, 3)) for _ in range(8)]
    for each in values:
        each[1, 1] = NAN
        each[:, 2] = rng.integers(0, 2, 5)
    found = Sequences(values, ["x", "gaps", "mode"], ["a", "b"] * 4, ["?"] * 8, categories={2: ["on", "off"]})
    task = SequencesData("sequences")
    task.hold(found, seed=0)
    return task


CELLS = {"x": [1.0, 2.0, 3.0, 4.0], "gaps": [None, 5.0, None, None], "mode": ["off", None, "never met", "on"]}


def test_timesteps_are_encoded_as_within_their_sequence(task: SequencesData) -> None:
    whole = task.encode(pd.DataFrame({name: [cells] for name, cells in CELLS.items()})).inputs
    before: Timestep | None = None
    for number, cells in enumerate(zip(*CELLS.values(), strict=True)):
        given = cells if number % 2 else dict(zip(CELLS, cells, strict=True))
        before = task.read_timestep(given, before)
        assert torch.equal(before.batch.inputs[:, 0], whole[:, number])


def test_a_line_of_csv_is_a_timestep_with_gaps(task: SequencesData) -> None:
    column = task.raw_timestep()
    ours, theirs = (task.read_timestep(value) for value in (decoded_timestep("1.5,,off", column), [1.5, None, "off"]))
    assert torch.equal(ours.batch.inputs, theirs.batch.inputs)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1.0, 2.0], "found 2 values, 3 are needed, of x, gaps, mode"),
        ({"x": 1.0, "gaps": 2.0}, "column 'mode': it is missing"),
        ({"x": 1.0, "gaps": 2.0, "mode": "on", "z": 1}, "column 'z': there is no such channel"),
        (["far", 2.0, "on"], "column 'x': not all of its values are numbers"),
    ],
)
def test_what_is_no_timestep_is_refused(task: SequencesData, value: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        task.read_timestep(value)
