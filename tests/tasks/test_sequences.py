"""Labelled numbers over time: what becomes of channels, gaps, categories and parts."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from rnnlab.data.batches import Batch
from rnnlab.data.sequences.reading import read_sequences
from rnnlab.data.sequences.sequences import Reading, Sequences
from rnnlab.data.tables.values import Notation
from rnnlab.errors import UserError
from rnnlab.layouts.layout import Entry
from rnnlab.tasks.sequences.data import SequencesData
from rnnlab.tasks.task import SPLITS
from tests.data.sequences import writing
from tests.data.sequences.writing import walks


def opened(found: Sequences, folder: Path, reading: dict[str, Any] | None = None, **options: Any) -> SequencesData:
    task = SequencesData("sequences", **options)
    facts = task.prepare_sequences(found, folder, reading or {})
    facts.pop("report")
    task.open(folder, json.loads(json.dumps({**facts, "digest": ""})), seed=0)
    return task


def read(path: Path, **how: Any) -> Sequences:
    return read_sequences(path, path.name, Reading(**how))


def test_raw_input_is_encoded_as_training_was(tmp_path: Path) -> None:
    frame = walks().drop(columns="patient")
    frame["mode"] = np.where(frame["x"] > 0, "on", "off")
    frame.loc[5:8, "x"] = np.nan
    path = writing.long_csv(frame, tmp_path)
    task = opened(read(path), tmp_path)
    found = task.read_file(path, Notation())
    table, called = found.table, found.names
    batch = task.encode(table)
    assert batch.lengths is not None
    number = {name: row for row, name in enumerate(called)}
    for split in SPLITS:
        for place, name in enumerate(task.names[split]):
            expected = task.series[split][place]
            row = number[name]
            assert int(batch.lengths[row]) == len(expected)
            np.testing.assert_allclose(batch.inputs[row, : len(expected)].numpy(), expected)


def test_a_gap_is_the_last_value_known_and_marked(tmp_path: Path) -> None:
    frame = walks().drop(columns="patient")
    frame.loc[[0, 5, 6], "x"] = np.nan  # all of the first sequence
    found = read(writing.long_csv(frame, tmp_path))
    task = opened(found, tmp_path)
    assert task.spec.input_size == 3
    encoded = task.encoding.encode(found.values[0], found.categories)
    x, y, measured = encoded.T
    assert measured.tolist() == [0, 1, 1, 1, 1, 0, 0, *[1] * (len(encoded) - 7)]
    assert x[0] == 0  # the mean of training
    assert x[5] == x[6] == x[4]
    assert y.std() > 0


def test_the_scale_is_that_of_the_training_part(tmp_path: Path) -> None:
    found = read(writing.long_csv(walks().drop(columns="patient"), tmp_path))
    task = opened(found, tmp_path)
    training = np.concatenate([task.series["train"][index] for index in range(len(task.series["train"]))])
    np.testing.assert_allclose(training.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(training.std(axis=0), 1, atol=1e-5)


def test_a_category_that_training_lacks_is_the_unknown_one(tmp_path: Path) -> None:
    found = read(writing.long_csv(walks().assign(mode="on").drop(columns="patient"), tmp_path))
    task = opened(found, tmp_path)
    assert task.spec.categories == (2,)
    codes = task.encoding.encode(found.values[0], {2: ["another"]})[:, -1]
    assert set(codes.tolist()) == {0.0}


def test_categories_enter_as_learnt_vectors(tmp_path: Path) -> None:
    frame = walks().drop(columns="patient")
    task = opened(read(writing.long_csv(frame.assign(mode=np.where(frame["x"] > 0, "on", "off")), tmp_path)), tmp_path)
    entry = Entry(task.spec, embedding_size=8, dropout=0.0)
    batch: Batch = next(iter(task.loader("train")))
    out = entry(batch.inputs)
    assert out.shape[-1] == entry.size == 2 + 2
    table = entry.categories[0].weight
    np.testing.assert_array_equal(out[..., 2:].detach(), table[batch.inputs[..., 2].long()].detach())


def test_one_hot_columns_stand_for_categories_in_baselines(tmp_path: Path) -> None:
    frame = walks().drop(columns="patient")
    task = opened(read(writing.long_csv(frame.assign(mode=np.where(frame["x"] > 0, "on", "off")), tmp_path)), tmp_path)
    features = task.features("test")[0]
    assert features.shape[1] == 2 + 3
    assert (features[:, 2:].sum(axis=1) == 1).all()


def test_sequences_in_two_parts_are_reported(tmp_path: Path) -> None:
    found = read(writing.long_csv(walks().drop(columns="patient"), tmp_path))
    twice = replace(
        found, values=[*found.values, *found.values], labels=[*(found.labels or ()), *(found.labels or ())],
        places=[*found.places, *found.places], starts=None, ids=None,
    )  # fmt: skip
    report = SequencesData("sequences").prepare_sequences(twice, tmp_path, {})["report"]
    assert any("occur in two parts" in note for note in report["notes"])


def test_a_constant_channel_is_reported(tmp_path: Path) -> None:
    found = read(writing.long_csv(walks().assign(z=1.5).drop(columns="patient"), tmp_path))
    report = SequencesData("sequences").prepare_sequences(found, tmp_path, {})["report"]
    assert any("channel 'z' is always 1.5" in note for note in report["notes"])


@pytest.mark.parametrize(
    ("labels", "parts", "said"),
    [
        (["a"] * 12, None, "has the label 'a' alone"),
        (["a", "b"] * 4 + ["c"] * 4, ["train"] * 8 + ["test"] * 4, "no sequence with the label c"),
    ],
)
def test_labels_that_teach_nothing_are_refused(
    labels: list[str], parts: list[str] | None, said: str, tmp_path: Path
) -> None:
    values = [np.arange(6.0)[:, None] for _ in labels]
    found = Sequences(values, ["x"], list(labels), [f"line {row}" for row in range(12)], parts=parts)
    with pytest.raises(UserError, match=said):
        SequencesData("sequences").prepare_sequences(found, tmp_path, {})


def test_numbers_that_are_asked_for_are_scaled_and_come_back_in_their_unit(tmp_path: Path) -> None:
    frame = walks().drop(columns="patient")
    frame["label"] = 1000 + 50 * frame.groupby("id")["x"].transform("mean")
    task = opened(read(writing.long_csv(frame, tmp_path), kind="regression"), tmp_path, kind="regression")
    loader = task.loader("train")
    targets = torch.cat([batch.targets for batch in loader])
    assert targets.std(correction=0) == pytest.approx(1, abs=1e-5)
    back = task.target_scaler.unscale(targets.double().numpy())
    assert sorted(back[:, 0]) == pytest.approx(sorted(task.targets["train"]))


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"x": [[1.0, 2.0]], "y": [[1.0]]}, "column 'y': 1 timesteps, and channel 'x' has 2"),
        ({"x": [[1.0, "a"]], "y": [[1.0, 2.0]]}, "column 'x': not all of its values are numbers"),
        ({"x": [1.0], "y": [[1.0]]}, "column 'x': a list of a value for each timestep"),
        ({"x": [[float("inf")]], "y": [[1.0]]}, "finite"),
    ],
)
def test_raw_input_that_cannot_be_read_is_named(cells: dict[str, Any], said: str, tmp_path: Path) -> None:
    task = opened(read(writing.long_csv(walks().drop(columns="patient"), tmp_path)), tmp_path)
    with pytest.raises(UserError, match=said):
        task.encode(pd.DataFrame(cells))
