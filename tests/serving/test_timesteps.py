"""Answers at each timestep while a sequence comes: the numbers of the whole at once, in Python and in the command."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from rnnlab.commands.train import train
from rnnlab.config.stages import compose_task
from rnnlab.errors import UserError
from rnnlab.modules.build import build_module
from rnnlab.results.paths import CHECKOUT, Results
from rnnlab.serving.load import find_predictor
from rnnlab.serving.predictor import Predictor
from rnnlab.tasks.raw_input import Column, decoded_timestep
from rnnlab.tasks.task import Task
from rnnlab.training.prepare import open_task
from tests.conftest import Run
from tests.tasks.examples.catalogue import examples
from tests.tasks.parts import judging_of

SENTENCES = ["They know that dogs like that light .", "Dogs bark !", "It isn't 1984 , is it ?"]

Made = Callable[..., Predictor]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("timesteps")


@pytest.fixture(scope="module")
def made(root: Path) -> Made:
    """The predictor of a task, prepared once, with fresh weights."""

    @cache
    def opened(task: str, *overrides: str) -> Task:
        return open_task(compose_task(task, *overrides), 0)

    def made(task: str, *of_the_net: str, data: tuple[str, ...] = ()) -> Predictor:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RNNLAB_ROOT", str(root))
            patch.delenv("RNNLAB_MIRROR", raising=False)
            cfg = compose_task(task, *data, *of_the_net)
            found = opened(task, *data)
        torch.manual_seed(0)
        return Predictor(judging_of(cfg, found), build_module(cfg, found))

    return made


def same(streamed: list[dict[str, Any]], whole: pd.DataFrame) -> None:
    """Row by row, names in the same order as well."""
    table = pd.DataFrame(streamed)
    numbers = whole.select_dtypes("number").columns
    assert list(table.columns) == list(whole.columns)
    assert np.allclose(table[numbers], whole[numbers], rtol=1e-5, atol=1e-6)
    others = whole.columns.difference(numbers)
    assert table[others].to_numpy().tolist() == whole[others].to_numpy().tolist()


CELLS = ("gru", "exprnn", "lru", "slstm", "feedforward")


@pytest.mark.parametrize("cell", CELLS)
def test_a_tagged_stream_has_the_numbers_of_the_batch(made: Made, cell: str) -> None:
    model = made("tagging", f"cell={cell}", "cell.hidden_size=8", "cell.num_layers=2")
    whole = model.predict(pd.DataFrame({"sentence": SENTENCES}))
    stream = model.stream()
    for row, sentence in enumerate(SENTENCES):
        same(list(stream.over(sentence.split())), whole[whole["row"] == row].drop(columns="row"))
        stream.reset()


SMALL = {example.task: example.overrides for example in examples()}


@pytest.mark.parametrize(
    "task",
    [
        pytest.param("frames", marks=pytest.mark.slow),
        "parity",
        "recall",
        "adding",
        pytest.param("music", marks=pytest.mark.slow),
    ],
)
def test_what_is_answered_at_each_timestep_is_so_in_a_stream(made: Made, task: str) -> None:
    model = made(task, "cell=gru", "cell.hidden_size=8", data=SMALL[task])
    table = model.task.raw_example()
    (column,) = table.columns
    whole = model.predict(table)
    whole = whole[whole["row"] == 0].drop(columns="row")
    streamed = list(model.stream().over(table[column].iloc[0]))
    if model.task.spec.layout == "many_to_one":
        streamed = [{key: value for key, value in streamed[-1].items() if key != "timestep"}]
    same(streamed, whole)


@pytest.mark.parametrize("task", ["names", "speech", pytest.param("sentiment", marks=pytest.mark.slow)])
def test_a_net_that_classifies_says_at_each_timestep_what_it_would_at_the_end(made: Made, task: str) -> None:
    model = made(task, "cell=lstm", "cell.hidden_size=8")
    table = model.task.raw_example()
    (column,) = table.columns
    given = table[column].iloc[0]
    values = given.split() if task == "sentiment" else list(given)[:8]
    join = {"sentiment": " ".join, "names": "".join, "speech": list}[task]
    beginnings = pd.DataFrame({column: [join(values[:end]) for end in range(1, len(values) + 1)]})
    whole = model.predict(beginnings).drop(columns="row")
    whole.insert(0, "timestep", np.arange(len(values)) + 1)
    same(list(model.stream().over(values)), whole)


@pytest.mark.parametrize("kind", ["tagging", "classification", "regression"])
def test_sequences_with_gaps_are_answered_while_they_come(made: Made, root: Path, kind: str) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"id": np.repeat(np.arange(30), 6), "x": rng.normal(size=180), "y": rng.normal(size=180)})
    table.loc[rng.random(180) < 0.3, "y"] = np.nan
    table["mode"] = rng.choice(["on", "off"], 180)
    labels = {"tagging": table["x"] > 0, "classification": table["id"] % 2, "regression": table["id"] / 7}
    table["label"] = labels[kind].map({True: "high", False: "low"}) if kind == "tagging" else labels[kind]
    table.to_csv(root / f"{kind}.csv", index=False)
    model = made(
        "sequences", "cell=gru", "cell.hidden_size=8", data=(f"task.path={root / kind}.csv", f"task.kind={kind}")
    )
    first = table[table["id"] == 0][["x", "y", "mode"]]
    whole = model.predict(pd.DataFrame({name: [first[name].tolist()] for name in first})).drop(columns="row")
    lines = first.to_csv(index=False, header=False).splitlines()
    stream = model.stream()
    streamed = list(stream.over(decoded_timestep(line, stream.column) for line in lines))
    assert len(streamed) == 6
    if kind != "tagging":
        streamed = [{key: value for key, value in streamed[-1].items() if key != "timestep"}]
    same(streamed, whole)


@pytest.mark.parametrize("readout", ["last", "mean", "max"])
def test_any_readout_may_be_streamed(made: Made, readout: str) -> None:
    model = made("names", "cell=gru", "cell.hidden_size=8", f"task.net.readout={readout}")
    stream = model.stream()
    for name in ("kowalski", "li"):
        *_, last = stream.over(name)
        whole = model.predict(pd.DataFrame({"name": [name]})).drop(columns="row")
        same([{key: value for key, value in last.items() if key != "timestep"}], whole)
        stream.reset()


def test_a_timestep_that_is_refused_leaves_the_sequence_as_it_was(made: Made) -> None:
    model = made("tagging", "cell=gru", "cell.hidden_size=8")
    undisturbed, stream = list(model.stream().over(SENTENCES[1].split())), model.stream()
    answers = [stream.step("Dogs")]
    for bad, message in (("two words", "timestep 2, column 'sentence': found 2 timesteps"), (" ", "timestep 2.*empty")):
        with pytest.raises(UserError, match=message):
            stream.step(bad)
    answers += [stream.step("bark"), stream.step("!")]
    assert answers == undisturbed


@pytest.mark.parametrize(
    ("task", "of_the_net", "message"),
    [
        ("tagging", ("cell.bidirectional=true",), "cell.bidirectional=true: .*cannot be streamed"),
        ("names", ("cell.bidirectional=true",), "cell.bidirectional=true: .*cannot be streamed"),
        ("xor", (), "xor has no timesteps of raw input: it takes two bits as a whole"),
    ],
)
def test_a_net_that_cannot_answer_while_reading_is_refused_before_anything_is_read(
    made: Made, task: str, of_the_net: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        made(task, "cell=gru", "cell.hidden_size=8", *of_the_net).stream()


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("1.5,-2, 3e1", "number", [1.5, -2.0, 30.0]),
        ("[1.5, -2]", "number", [1.5, -2]),
        ("7", "number", [7]),
        ('{"x": 1}', "number", {"x": 1}),
        ("[]", "note", []),
        ('a,"b,c"', "text", ["a", "b,c"]),
    ],
)
def test_a_line_is_json_or_csv(text: str, kind: Any, value: Any) -> None:
    assert decoded_timestep(text, Column(kind, "values", 1)) == value


@pytest.mark.parametrize(("text", "value"), [('"dogs"', "dogs"), ('"', '"'), ("[", "["), ("1984", "1984")])
def test_a_line_that_is_a_text_may_stand_as_it_is(text: str, value: str) -> None:
    assert decoded_timestep(text, Column("text", "a word")) == value


@pytest.fixture(scope="module")
def tagger(root: Path) -> Path:
    """The folder of a run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNLAB_ROOT", str(root))
        patch.delenv("RNNLAB_MIRROR", raising=False)
        short = ("trainer.max_epochs=1", "trainer.limit_batches=2", "cell.hidden_size=8", "tracking=none")
        train(compose_task("tagging", "cell=gru", *short))
    (folder,) = root.glob("runs/tagging/*/gru/*")
    return Results(folder).folder


class Typed(io.TextIOWrapper):
    def __init__(self, text: bytes) -> None:
        super().__init__(io.BytesIO(text))


def test_lines_of_standard_input_are_answered_with_the_numbers_of_the_batch(
    run: Run, tagger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = "\n\n" + "\n\n\n".join("\n".join(sentence.split()) for sentence in SENTENCES)
    monkeypatch.setattr(sys, "stdin", Typed(lines.encode()))
    done = run("predict", f"model={tagger}", "input=-")
    assert done.code == 0, done.err
    assert "a word or mark" in done.err
    same([json.loads(line) for line in done.out.splitlines()], find_predictor(str(tagger)).predict(
        pd.DataFrame({"sentence": SENTENCES})
    ))  # fmt: skip


@pytest.mark.parametrize(
    ("bad", "message"),
    [(b"two words", "timestep 2, column 'sentence': found 2 timesteps, one is needed: a word or mark."),
     (b"\xff", "is not UTF-8")],
)  # fmt: skip
def test_a_line_that_cannot_be_read_is_named_once_those_before_are_answered(
    run: Run, tagger: Path, monkeypatch: pytest.MonkeyPatch, bad: bytes, message: str
) -> None:
    monkeypatch.setattr(sys, "stdin", Typed(b"Dogs\n\nDogs\n" + bad + b"\nbark\n"))
    done = run("predict", f"model={tagger}", "input=-")
    assert done.code == 2
    assert len(done.out.splitlines()) == 2
    assert done.err.splitlines()[-1].startswith("error: standard input, line 4")
    assert message in done.err.splitlines()[-1]


@pytest.mark.slow
def test_each_line_is_answered_before_the_next_is_given_and_the_end_is_clean(tagger: Path, root: Path) -> None:
    command = [sys.executable, str(CHECKOUT / "pipelines" / "predict.py"), f"model={tagger}", "input=-"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        for number, word in enumerate(["Dogs", "bark"], 1):
            process.stdin.write(f"{word}\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["timestep"] == number
        process.stdout.close()  # whoever read has gone
        process.stdin.write("!\n")
        process.stdin.close()
        assert process.wait(timeout=30) == 0
        assert "Traceback" not in process.stderr.read()
