"""Raw input: every task answers it without its data, with the numbers that it has of the prepared test split."""

import json
import pickle
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hydra.utils import instantiate
from mlflow.models.utils import _enforce_schema, convert_input_example_to_serving_input
from mlflow.pyfunc.scoring_server import infer_and_parse_data
from omegaconf import DictConfig

from rnnlab.config.stages import compose_task
from rnnlab.data.audio import wav_file
from rnnlab.data.midi import midi_file, notes_of
from rnnlab.data.splits import split_by_class
from rnnlab.datasets.chorales import LOWEST
from rnnlab.errors import MissingExtra, UserError
from rnnlab.modules.build import build_module
from rnnlab.serving.answers import answers_to
from rnnlab.serving.model import signature_of
from rnnlab.serving.predictor import Predictor
from rnnlab.serving.reading import read_input
from rnnlab.tasks.classification.sentiment.data import _each_once
from rnnlab.tasks.raw_input import RowError, tone
from rnnlab.tasks.task import Task
from rnnlab.training.prepare import open_task, prepared_data
from tests.tasks.examples.catalogue import Example, examples
from tests.tasks.parts import judging_of

EXAMPLES = examples()
by_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.label)

Opened = Callable[[Example], tuple[DictConfig, Task, Path]]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """The task of an example with its data, and its data set's folder; prepared once for all tests of a process."""
    root = tmp_path_factory.mktemp("raw")

    @cache
    def opened(example: Example) -> tuple[DictConfig, Task, Path]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RNNLAB_ROOT", str(root))
            patch.delenv("RNNLAB_MIRROR", raising=False)
            cfg = compose_task(example.task, *example.overrides)
            try:
                return cfg, open_task(cfg, 0), prepared_data(cfg).raw
            except MissingExtra as error:
                pytest.skip(str(error))

    return opened


def without_data(cfg: DictConfig, task: Task) -> Predictor:
    """The same task, from what its checkpoint would have; the net with fresh weights."""
    alone: Task = instantiate(cfg.task.data)
    alone.restore(json.loads(json.dumps(task.state_dict())))
    torch.manual_seed(0)
    return Predictor(judging_of(cfg, alone), build_module(cfg, task))


@by_example
def test_what_was_learnt_is_all_that_raw_input_needs(opened: Opened, example: Example) -> None:
    cfg, task, _ = opened(example)
    predictor = without_data(cfg, task)
    assert predictor.task.spec == task.spec
    # an exported net carries it on
    learnt, carried = (json.loads(json.dumps(each.state_dict())) for each in (task, predictor.task))
    assert carried == learnt
    table = predictor.task.raw_example()
    assert list(table.columns) == list(predictor.task.raw_columns())
    options = {"length": 5} if "length" in predictor.judging.raw_options() else {}
    answers = predictor.predict(table, **options)
    assert len(answers) >= (1 if "date" in table else len(table))
    numbers = answers.select_dtypes("number").to_numpy()
    assert np.isfinite(numbers).all()
    assert answers.notna().all(axis=None)


@by_example
def test_a_column_that_is_missing_is_named_with_those_there_are(opened: Opened, example: Example) -> None:
    cfg, task, _ = opened(example)
    predictor = without_data(cfg, task)
    *_, name = predictor.task.raw_columns()
    table = predictor.task.raw_example().rename(columns={name: "other"})
    with pytest.raises(UserError, match=f"no column '{name}'.*other"):
        predictor.predict(table)


@by_example
def test_what_is_no_raw_input_at_all_is_refused_with_its_row(opened: Opened, example: Example) -> None:
    cfg, task, _ = opened(example)
    predictor = without_data(cfg, task)
    table = predictor.task.raw_example().astype(object)
    *_, name = predictor.task.raw_columns()
    table[name] = pd.Series([object()] * len(table), index=table.index)
    with pytest.raises(UserError, match=rf"input row .*'{name}'"):
        predictor.predict(table)
    with pytest.raises(UserError, match="no rows"):
        predictor.predict(table.iloc[:0])


def raw_test_split(task: Any, cfg: DictConfig, raw: Path) -> pd.DataFrame:
    """What `prepare` was given of the test split, as a user would have it."""
    dataset, kind = instantiate(cfg.task.dataset), cfg.task.name
    if kind == "sentiment":
        reviews = _each_once(dataset.read(raw))[0]
        splits = split_by_class(reviews.labels, task.validation, task.test, reviews.is_test, dataset.classes)
        return pd.DataFrame({"text": [reviews.texts[index] for index in splits["test"]]})
    if kind == "names":
        found = dataset.read(raw)
        kept = task._drawn(found.labels)
        test = split_by_class(found.labels[kept], task.validation, task.test, names=found.classes)["test"]
        return pd.DataFrame({"name": [found.names[index].title() for index in kept[test]]})
    if kind in ("digits", "caption"):
        images = task.images if kind == "digits" else task.pictures
        return pd.DataFrame({"image": [image.ravel().tolist() for image in images["test"]]})
    if kind == "frames":
        return pd.DataFrame({"frames": list(task.filmed["test"].frames)})
    if kind == "translate":
        return pd.DataFrame({"source": task.texts("test")[0]})
    if kind == "tagging":
        words = np.split(np.array(task.text["test"], dtype=object), task.words["test"].offsets[1:-1].numpy())
        return pd.DataFrame({"sentence": [" ".join(sentence) for sentence in words]})
    if kind == "sequences":
        found = dataset.read(raw)
        values = [each for each, part in zip(found.values, found.parts, strict=True) if part == "test"]
        return pd.DataFrame({name: [each[:, place] for each in values] for place, name in enumerate(found.channels)})
    if kind == "speech":
        return pd.DataFrame({"frames": [series.tolist() for series in dataset.read_vowels(raw)[1].series]})
    if kind == "transcribe":
        return pd.DataFrame({"sound": [wav_file(*sound) for split, _, sound in task._synthetic() if split == "test"]})
    if kind == "handwriting":
        strokes = {character.text: list(character.strokes) for character in dataset.read(raw)}
        return pd.DataFrame({"strokes": [strokes[character] for character in task.texts["test"]]})
    if kind == "music":
        rolls = task.rolls["test"]
        pieces = [[np.flatnonzero(frame) + LOWEST for frame in rolls[index][:-1]] for index in range(len(rolls))]
        return pd.DataFrame({"notes": pieces})
    if kind == "xor":
        return task.raw_example()
    inputs = task.inputs["test"]
    if kind == "adding":
        return pd.DataFrame({"sequence": [inputs[index].tolist() for index in range(len(inputs))]})
    return pd.DataFrame({"sequence": [[task.tokens[n] for n in inputs[index]] for index in range(len(inputs))]})


SERIES = ("price", "bitcoin", "series", "weather")
TEXT = ("text", "shakespeare")


@pytest.mark.parametrize(
    "example", [one for one in EXAMPLES if one.task not in SERIES + TEXT], ids=lambda example: example.label
)
def test_raw_input_of_the_test_split_has_the_numbers_of_evaluate(opened: Opened, example: Example) -> None:
    cfg, task, raw = opened(example)
    predictor = without_data(cfg, task)
    expected = judging_of(cfg, task).predict(predictor.module)
    answers = predictor.predict(raw_test_split(task, cfg, raw))
    if "written" in expected:
        assert answers["written"].tolist() == expected["written"].tolist()
    elif "confidence" not in expected and "predicted" in expected:
        assert np.allclose(answers["predicted"], expected["predicted"], rtol=0, atol=1e-6)
    elif example.task == "music":
        keys = [name for name in expected if name.startswith("p_")]
        assert np.allclose(answers[keys], expected[keys], rtol=0, atol=1e-6)
    else:
        if "position" in expected and task.layout == "many_to_many":
            sequences, steps = np.nonzero(asked(task))
            answers = answers.set_index(["row", "timestep"]).loc[list(zip(sequences, steps + 1, strict=True))]
        assert len(answers) == len(expected)
        assert np.allclose(answers["confidence"], expected["confidence"], rtol=0, atol=1e-6)
        p_true = answers[[f"p_{name}" for name in task.classes]].to_numpy()[np.arange(len(expected)), expected["label"]]
        assert np.allclose(p_true, expected["p_true"], rtol=0, atol=1e-6)


def asked(task: Any) -> np.ndarray:
    targets = task.targets["test"]
    found, _ = targets.take(torch.arange(len(targets)), padding=-100)
    return np.asarray(found != -100)


@pytest.mark.parametrize("example", [one for one in EXAMPLES if one.task in SERIES], ids=lambda example: example.label)
def test_a_raw_series_has_the_forecasts_of_evaluate(opened: Opened, example: Example) -> None:
    cfg, task, raw = opened(example)
    predictor = without_data(cfg, task)
    expected = judging_of(cfg, task).predict(predictor.module)
    frame = instantiate(cfg.task.dataset).read(raw).frame
    table = frame if "date" in frame else frame.rename_axis("date").reset_index()
    table["date"] = table["date"].dt.strftime("%Y-%m-%dT%H:%M:%S")
    answers = predictor.predict(table)
    last = pd.Timestamp(table["date"].iloc[-1])
    assert (answers["origin"].tail(task.meta["horizon"]) == last).all(), "the last forecasts are of the future"
    found = expected[["origin", "horizon"]].merge(answers, on=["origin", "horizon"], how="left")
    name, mine = ("predicted_return",) * 2 if "predicted_return" in expected else ("predicted", "predicted")
    scale = expected[name].abs().max()
    assert np.allclose(found[mine], expected[name], rtol=0, atol=1e-6 * scale)


@pytest.mark.parametrize("unit", ["character", "byte"])
def test_a_raw_text_has_the_nats_of_evaluate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unit: str) -> None:
    """The test part being short enough for one stream, which begins 100 tokens before it."""
    monkeypatch.setenv("RNNLAB_ROOT", str(tmp_path))
    text = "".join(f"line {number * number} of a text, grüßt: {number:b}\n" for number in range(300))
    (tmp_path / "my.txt").write_text(text, encoding="utf-8")
    cfg = compose_task("text", f"task.path={tmp_path / 'my.txt'}", f"task.unit={unit}", "task.largest_part=300")
    task = open_task(cfg, 0)
    predictor = without_data(cfg, task)
    expected = judging_of(cfg, task).predict(predictor.module)
    units = predictor.task.units(text)  # type: ignore[attr-defined]
    first = task.meta["splits"]["test"][0] - 100
    tail = "".join(units[first:])
    tail = tail.encode("latin-1").decode("utf-8", errors="strict") if unit == "byte" else tail
    whole = pd.concat(list(predictor.judging.score(predictor.module, [tail])))  # type: ignore[attr-defined]
    cut = [tail[start : start + 7] for start in range(0, len(tail), 7)]
    pieces = pd.concat(list(predictor.judging.score(predictor.module, cut)))  # type: ignore[attr-defined]
    assert whole["place"].tolist() == list(range(1, len(units) - first))
    assert pieces["token"].tolist() == whole["token"].tolist() == units[first + 1 :]
    assert np.allclose(whole["nats"].to_numpy()[100:], expected["nats"], rtol=0, atol=1e-5)
    assert np.allclose(pieces["nats"], whole["nats"], rtol=0, atol=1e-5)


def test_a_sound_that_cannot_be_read_is_named_by_its_file_or_row(opened: Opened, tmp_path: Path) -> None:
    cfg, task, _ = opened(next(one for one in EXAMPLES if one.task == "transcribe"))
    predictor = without_data(cfg, task)
    good, slow = tone(), wav_file(np.zeros(100, np.float32), 4000)
    with pytest.raises(UserError, match=r"^input row 1, column 'sound' has 4000 samples a second"):
        predictor.predict(pd.DataFrame({"sound": [good, slow]}))
    (tmp_path / "a.wav").write_bytes(good)
    (tmp_path / "b.wav").write_bytes(slow)
    for given in (tmp_path, tmp_path / "b.wav"):
        with pytest.raises(UserError) as told:
            list(answers_to(read_input(str(given), task), predictor, {}))
        assert str(told.value).startswith(f"{tmp_path / 'b.wav'}, column 'sound' has 4000 samples a second")


def test_a_row_that_is_refused_crosses_processes() -> None:
    """As from a job of a sweep."""
    error = pickle.loads(pickle.dumps(RowError(3, "column 'text': the text is empty.")))
    assert str(error) == "input row 3, column 'text': the text is empty."


def test_a_midi_file_says_what_sounds_at_each_quarter_note() -> None:
    roll = np.zeros((5, 88), np.uint8)
    for frame, note in enumerate((60, 60, 62, 64)):
        roll[frame, [note - LOWEST, 48 - LOWEST]] = 1
    assert notes_of(midi_file(roll, LOWEST), "a.mid") == [[48, 60], [48, 60], [48, 62], [48, 64]]
    with pytest.raises(UserError, match=r"b\.mid is cut off"):
        notes_of(midi_file(roll, LOWEST)[:30], "b.mid")
    with pytest.raises(UserError, match="no note"):
        notes_of(midi_file(0 * roll, LOWEST), "c.mid")


@by_example
def test_the_signature_takes_the_example_as_a_table_and_as_what_is_sent_to_a_server(
    opened: Opened, example: Example
) -> None:
    cfg, task, _ = opened(example)
    predictor = without_data(cfg, task)
    table = predictor.task.raw_example()
    signature = signature_of(predictor, table)
    sent = infer_and_parse_data(json.loads(str(convert_input_example_to_serving_input(table))), signature.inputs)
    options = {"length": 1} if predictor.judging.raw_options() else {}
    expected = predictor.predict(table, **options)
    assert [column.name for column in signature.outputs] == list(expected.columns)
    for given in (table, sent):
        said = predictor.predict(_enforce_schema(given, signature.inputs), **options)
        pd.testing.assert_frame_equal(said, expected)
