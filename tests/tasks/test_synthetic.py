"""Tasks drawn by rule: the targets are right by another reckoning, the parts share nothing, chance is as in theory."""

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from torch import Tensor

from rnnlab.data.batches import Batch
from rnnlab.data.vocabulary import IGNORED
from rnnlab.datasets.generated import Generated
from rnnlab.errors import UserError
from rnnlab.modules.gru import GRU
from rnnlab.results.paths import CONF
from rnnlab.tasks.classification.judging import ClassificationJudging
from rnnlab.tasks.synthetic.adding.baselines import AddingBaselines
from rnnlab.tasks.synthetic.adding.data import AddingData
from rnnlab.tasks.synthetic.adding.judging import AddingJudging
from rnnlab.tasks.synthetic.baselines import BagBaselines, ChanceBaselines, WindowBaselines
from rnnlab.tasks.synthetic.copy.data import CopyData
from rnnlab.tasks.synthetic.data import SyntheticClassificationData, SyntheticData
from rnnlab.tasks.synthetic.delay.data import DelayData
from rnnlab.tasks.synthetic.modular.data import ModularData
from rnnlab.tasks.synthetic.next_word_gap.data import LANGUAGES, NextWordGapData
from rnnlab.tasks.synthetic.parity.data import ParityData
from rnnlab.tasks.synthetic.recall.baselines import RecallBaselines
from rnnlab.tasks.synthetic.recall.data import RecallData
from rnnlab.tasks.synthetic.xor.baselines import XorBaselines
from rnnlab.tasks.synthetic.xor.data import XorData
from tests.conftest import Run

TASKS: dict[str, type[SyntheticData]] = {
    "adding": AddingData,
    "copy": CopyData,
    "delay": DelayData,
    "parity": ParityData,
    "modular": ModularData,
    "recall": RecallData,
    "next_word_gap": NextWordGapData,
}

# what is due, as words, by a reckoning of its own: of the whole sequence, or None where a timestep has no target
Due = Callable[[list[str]], list[str | None]]


def due_in_copy(words: list[str], items: int = 10) -> list[str | None]:
    assert words.count("|") == 1
    assert words[-items - 1] == "|"
    assert set(words[items : -items - 1] + words[-items:]) <= {"·"}
    return [None] * (len(words) - items) + list(words[:items])


def due_in_delay(words: list[str], delay: int) -> list[str | None]:
    return [words[place - delay] if place >= delay else None for place in range(len(words))]


def due_in_parity(words: list[str]) -> list[str | None]:
    return ["odd" if words[: place + 1].count("1") % 2 else "even" for place in range(len(words))]


def due_in_modular(words: list[str]) -> list[str | None]:
    return [str(eval("".join(words)) % 5)]


def due_in_recall(words: list[str]) -> list[str | None]:
    *pairs, mark, asked = words
    assert mark == "?"
    assert len(set(pairs[::2])) == len(pairs) // 2
    return [dict(zip(pairs[::2], pairs[1::2], strict=True))[asked]]


def due_in_gap(words: list[str]) -> list[str | None]:
    sentence = re.fullmatch(r"I grew up in (\w+)( \w+)* I speak fluent", " ".join(words))
    assert sentence
    return [LANGUAGES[sentence[1]]]


REFERENCES: dict[str, tuple[dict[str, Any], Due]] = {
    "copy": ({}, due_in_copy),
    "delay": ({"delay": 3, "symbols": 4}, partial(due_in_delay, delay=3)),
    "parity": ({}, due_in_parity),
    "modular": ({}, due_in_modular),
    "recall": ({}, due_in_recall),
    "next_word_gap": ({}, due_in_gap),
}


def make(name: str, **options: Any) -> Any:
    return TASKS[name](**{"name": name, "length": 8, "batch_size": 8, **options})


def prepared(folder: Path, name: str, seed: int = 0, **options: Any) -> Any:
    task = make(name, **{"train": 60, "validation": 20, "test": 20, **options})
    dataset = Generated("generated")
    folder.mkdir(parents=True, exist_ok=True)
    dataset.fetch(folder)
    task.check()
    task.open(folder, {**task.prepare(dataset, folder, folder), "digest": ""}, seed)
    return task


def judging_of(task: SyntheticData) -> Any:
    """What judges the task, as conf/task names it."""
    return instantiate(OmegaConf.load(CONF / "task" / f"{task.task_name}.yaml").judging, task)


def in_words(task: SyntheticClassificationData, inputs: Any, targets: Any) -> tuple[list[str], list[str | None]]:
    tokens, classes = task.names()
    asked = np.atleast_1d(targets).tolist()
    return [tokens[number] for number in inputs], [None if number == IGNORED else classes[number] for number in asked]


@pytest.mark.parametrize("name", REFERENCES)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), length=st.integers(4, 25))
def test_targets_are_right(name: str, seed: int, length: int) -> None:
    options, due = REFERENCES[name]
    task = make(name, **options) if name != "recall" else make(name, keys=26)
    inputs, targets = task.draw(np.random.default_rng(seed), 3, length)
    for row, target in zip(inputs, targets, strict=True):
        words, expected = in_words(task, row, target)
        assert expected == due(words)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**31), length=st.integers(2, 60))
def test_the_two_marked_numbers_are_added(seed: int, length: int) -> None:
    inputs, targets = make("adding").draw(np.random.default_rng(seed), 4, length)
    for (numbers, marks), target in zip(inputs.transpose(0, 2, 1), targets, strict=True):
        half = length // 2
        assert (marks[:half].sum(), marks[half:].sum()) == (1, 1)
        assert set(marks) <= {0, 1}
        assert ((numbers >= 0) & (numbers < 1)).all()
        assert target == pytest.approx(sum(number for number, mark in zip(numbers, marks, strict=True) if mark))


def shown(task: type[Any], line: str) -> list[str]:
    """The words of a line of the task's docstring."""
    found = re.search(rf"^ +{line} +(.+?)(   .*)?$", task.__doc__ or "", re.MULTILINE)
    assert found
    return found[1].split()


def test_the_examples_of_the_docstrings_are_true() -> None:
    assert shown(ParityData, "target") == [word[0] for word in due_in_parity(shown(ParityData, "input"))]  # type: ignore[index]
    words = shown(DelayData, "input")
    assert shown(DelayData, "target") == [word for word in due_in_delay(words, 3) if word]
    words = [word for word in shown(CopyData, "input") if word != "..."]
    assert shown(CopyData, "target") == [word for word in due_in_copy(words) if word]
    for task, due in ((ModularData, due_in_modular), (RecallData, due_in_recall), (NextWordGapData, due_in_gap)):
        target = re.search(r"target +(\w+)", task.__doc__ or "")
        assert target
        assert due(shown(task, "input")) == [target[1]]
    numbers = [float(number) for number in shown(AddingData, "input")]
    marks = [int(mark) for mark in re.findall(r"\b[01]\b(?!\.)", (AddingData.__doc__ or "").splitlines()[3])]
    assert np.dot(numbers, marks) == pytest.approx(float(shown(AddingData, "target")[0]))


@pytest.mark.parametrize("name", TASKS)
def test_no_part_has_a_sequence_of_another(tmp_path: Path, name: str) -> None:
    """Where there are few sequences, so that the same are drawn again and again."""
    few = {
        "copy": {"items": 3, "symbols": 6},
        "delay": {"delay": 1, "symbols": 2},
        "recall": {"length": 2, "keys": 5, "values": 3, "test_lengths": [3]},
        "modular": {"length": 3},
        "next_word_gap": {"length": 2, "train": 300},
    }
    task = prepared(tmp_path, name, **few.get(name, {}))
    rows = {split: [part[i].tobytes() for i in range(len(part))] for split, part in task.inputs.items()}
    assert not set(rows["train"]) & (set(rows["validation"]) | set(rows["test"]))
    assert not set(rows["validation"]) & set(rows["test"])
    assert len(rows["test"]) == 20 * len(task.lengths)


def test_too_few_sequences_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="too few different sequences of 4 bits"):
        prepared(tmp_path, "parity", length=4)


def test_the_test_part_is_the_same_whatever_is_trained_on(tmp_path: Path) -> None:
    one = prepared(tmp_path / "one", "delay", seed=1, delay=2, train=30, test_lengths=[12])
    other = prepared(tmp_path / "other", "delay", seed=2, delay=2, train=90, shortest=5, test_lengths=[12])
    assert np.array_equal(one.inputs["test"].values, other.inputs["test"].values)


def test_lengths_of_the_parts(tmp_path: Path) -> None:
    task = prepared(tmp_path, "parity", length=11, shortest=9, test_lengths=[15, 13])
    assert np.bincount(task.inputs["train"].lengths)[9:].tolist() == [20, 20, 20]
    assert set(task.inputs["validation"].lengths.tolist()) == {11}
    assert (
        task.inputs["test"].lengths.tolist() == np.repeat([11, 13, 15], 20).tolist() == task.length_of["test"].tolist()
    )


def test_what_stands_behind_the_end_is_no_target(tmp_path: Path) -> None:
    task = prepared(tmp_path, "parity", length=12, shortest=9)
    batches = list(task.loader("train"))
    uneven = [batch for batch in batches if batch.lengths is not None]
    assert uneven
    for batch in uneven:
        real = torch.arange(batch.inputs.shape[1]) < batch.lengths[:, None]
        assert ((batch.targets == IGNORED) == ~real).all()
    assert sum(len(batch.inputs) for batch in batches) == 60


def module(task: SyntheticData) -> GRU:
    torch.manual_seed(0)
    layout = {"many_to_one": "ManyToOne", "many_to_many": "ManyToMany"}[task.layout]
    net = {"_target_": f"rnnlab.layouts.per_timestep.{layout}"}
    return GRU("gru", task.spec.as_dict(), {}, net=net, hidden_size=6)


@pytest.mark.parametrize("name", ["parity", "recall", "adding"])
def test_predictions_stand_where_their_sequences_do(tmp_path: Path, name: str) -> None:
    """Against one sequence at a time, which knows no padding and no order."""
    length = {"recall": {"length": 4, "test_lengths": [6, 2]}}.get(name, {"length": 12, "test_lengths": [17, 10]})
    task = prepared(tmp_path, name, test=21, **length)
    net = module(task).eval()
    table = judging_of(task).predict(net)
    for number in range(63):
        inputs = torch.from_numpy(np.array(task.inputs["test"][number]))[None]
        batch = Batch(inputs if name == "adding" else inputs.long(), torch.zeros(1, dtype=torch.long))
        with torch.no_grad():
            outputs = net(batch)[0].double()
        if name == "adding":
            assert table["predicted"][number] == pytest.approx(outputs.item(), abs=1e-5)
            continue
        rows = table[table["sequence"] == number]
        expected = outputs.reshape(-1, task.spec.output_size).softmax(-1)
        assert len(rows) == len(expected)
        assert rows["confidence"].to_numpy() == pytest.approx(expected.amax(1).numpy(), abs=1e-5)
        targets = task.targets["test"][number]
        labels = [int(targets)] if isinstance(targets, Tensor) else targets.tolist()
        assert rows["label"].tolist() == labels
        assert rows["position"].tolist() == list(range(1, len(labels) + 1))


def test_chance_is_what_theory_says(tmp_path: Path) -> None:
    """Arjovsky et al. (2016): 10 ln 8 / (T + 20) for the cross-entropy of copying; ln n for a choice among n."""
    task = prepared(tmp_path / "copy", "copy", length=30, test_lengths=[100], test=400)
    judging = judging_of(task)
    chance = ChanceBaselines(judging).chance()
    metrics = judging.judge(chance)
    assert metrics["loss_over_all_30"] == metrics["loss_over_all"] == pytest.approx(10 * np.log(8) / 50)
    assert metrics["loss_over_all_100"] == pytest.approx(10 * np.log(8) / 120)
    assert metrics["accuracy_30"] == metrics["accuracy_100"] == 1 / 8
    assert judging.losses(chance).mean() == pytest.approx(1 - metrics["accuracy"])
    for name, options, classes in (
        ("parity", {"length": 14}, 2),
        ("delay", {"symbols": 4, "delay": 3}, 4),
        ("recall", {"length": 4, "values": 4}, 4),
        ("next_word_gap", {"length": 5, "train": 400, "test_lengths": [9]}, 20),
    ):
        task = prepared(tmp_path / name, name, test=400, **options)
        judging = judging_of(task)
        chance = ChanceBaselines(judging).chance()
        metrics = judging.judge(chance)
        assert metrics["nll"] == pytest.approx(np.log(classes))
        answers = len(task.labels["test"]) / len(task.lengths)
        assert metrics["accuracy"] == pytest.approx(1 / classes, abs=1 / answers)
        said = np.bincount(chance["predicted"], minlength=classes) / len(task.labels["test"])
        assert np.abs(said - 1 / classes).max() < 4 * np.sqrt(1 / classes / len(task.labels["test"]))


def test_the_baselines_of_adding_are_what_theory_says(tmp_path: Path) -> None:
    """Var(x + y) = 1/6; a line in the mean explains Cov(x + y, mean)² / Var(mean) = 1 / 3T of it."""
    task = prepared(tmp_path, "adding", length=10, test_lengths=[40], train=20_000, test=20_000)
    judging = AddingJudging(task)
    fitted = AddingBaselines(judging).fitted()
    constant, linear = (judging.judge(fitted[name]("test")) for name in ("constant", "linear"))
    assert constant["mse"] == pytest.approx(1 / 6, abs=0.005)
    assert constant["mse_40"] == pytest.approx(1 / 6, abs=0.005)
    assert constant["mse"] - linear["mse"] == pytest.approx(1 / 30, abs=0.004)
    assert constant["solved"] == 0
    exact = judging.judge(judging.table(task.sums("test")))
    assert exact == {key: float(key.startswith("solved")) for key in exact}
    products = judging.judge(fitted["products"]("test"))
    assert products == pytest.approx(exact, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "options", "solved"),
    [
        ("delay", {"length": 12, "delay": 5, "symbols": 4, "test_lengths": [30]}, {"12", "30"}),
        ("copy", {"length": 4, "items": 6, "symbols": 4, "test_lengths": [9]}, {"4"}),
        ("next_word_gap", {"length": 6, "shortest": 5, "test_lengths": [30]}, {"6", "30"}),
        ("parity", {"length": 12}, set()),
    ],
)
def test_a_window_solves_what_stands_at_a_fixed_place_and_nothing_else(
    tmp_path: Path, name: str, options: dict[str, Any], solved: set[str]
) -> None:
    """Of copy the place moves with the length; a parity is in no place."""
    task = prepared(tmp_path, name, train=600, test=100, **options)
    judging = judging_of(task)
    metrics = judging.judge(WindowBaselines(judging).fitted()["window"]("test"))
    for length in map(str, task.lengths):
        accuracy = metrics[f"accuracy_{length}"]
        assert accuracy == 1 if length in solved else accuracy < 0.7


def test_what_stands_beside_the_letter_asked_for_is_found_at_any_length(tmp_path: Path) -> None:
    task = prepared(tmp_path, "recall", length=4, train=600, test=100, test_lengths=[2, 8], keys=8, values=4)
    judging = judging_of(task)
    fitted = RecallBaselines(judging).fitted()
    beside, linear, window = (judging.judge(fitted[name]("test")) for name in ("beside", "linear", "window"))
    for length in (2, 4, 8):
        assert beside[f"accuracy_{length}"] == 1 > max(linear[f"accuracy_{length}"], window[f"accuracy_{length}"])


def test_an_untold_order_tells_the_bag_little(tmp_path: Path) -> None:
    """The linear baseline knows which words occur, not which country was named first."""
    task = prepared(tmp_path, "next_word_gap", length=30, train=2000, test=500)
    judging = judging_of(task)
    accuracy = judging.judge(BagBaselines(judging).fitted()["linear"]("test"))["accuracy"]
    assert 1 / 20 < accuracy < 0.5


def test_exact_asks_for_every_answer_of_a_sequence(tmp_path: Path) -> None:
    task = prepared(tmp_path, "parity", length=12)
    judging = judging_of(task)
    table = ChanceBaselines(judging).chance().assign(predicted=task.labels["test"])
    table.loc[[3, 4, 30], "predicted"] = 1 - table["predicted"]
    metrics = judging.judge(table)
    assert metrics["accuracy"] == pytest.approx(1 - 3 / 240)
    assert metrics["exact"] == pytest.approx(18 / 20)
    assert judging.losses(table).tolist() == pytest.approx([2 / 12, 0, 1 / 12] + [0] * 17)
    # a task may ask some sequences more than others
    fewer = table.drop(index=[0, 1, 2])
    assert judging.losses(fewer).mean() == pytest.approx(1 - judging.judge(fewer)["accuracy"])


@pytest.mark.parametrize("name", [*TASKS])
def test_a_table_of_validation_is_judged_as_one_of_the_test(tmp_path: Path, name: str) -> None:
    """It has the length of training alone."""
    longer = {"recall": {"length": 4, "test_lengths": [6]}}.get(name, {"length": 12, "test_lengths": [17]})
    task = prepared(tmp_path, name, train=300, **longer)
    baselines = instantiate(OmegaConf.load(CONF / "task" / f"{name}.yaml").baselines, judging_of(task))
    for predict in baselines.fitted().values():
        table = predict("validation")
        assert set(table["length"]) == {task.length}
        metrics = baselines.judging.judge(table)
        metric, losses = metrics[task.spec.rank_by], baselines.judging.losses(table)
        assert losses.shape == (20,)
        assert losses.mean() == pytest.approx(metric if name == "adding" else 1 - metric)
        assert f"{task.spec.rank_by}_{task.length}" in metrics
        assert not any(key.endswith(f"_{length}") for key in metrics for length in longer["test_lengths"])


@pytest.mark.parametrize("name", [*TASKS])
def test_whoever_knows_the_rule_has_solved_the_task(tmp_path: Path, name: str) -> None:
    """And chance has not."""
    task = prepared(tmp_path, name, train=300, **({"length": 4, "keys": 26} if name == "recall" else {"length": 12}))
    judging, rank_by, solved = judging_of(task), task.spec.rank_by, task.spec.solved
    baselines = instantiate(OmegaConf.load(CONF / "task" / f"{name}.yaml").baselines, judging)
    trivial = judging.judge(baselines.fitted()[baselines.trivial]("test"))[rank_by]
    if name == "adding":
        assert judging.judge(judging.table(task.sums("test") + 0.09))["solved"] == 1
        assert judging.judge(judging.table(task.sums("test") + 0.11))["solved"] == 0
        assert solved == 0.01 < trivial
        return
    said = []
    for index in range(len(task.inputs["test"])):
        words = [task.tokens[number] for number in task.inputs["test"][index]]
        said += [task.classes.index(word) for word in known(name, words) if word is not None]
    right = judging.judge(judging.table(np.eye(len(task.classes))[said]))
    assert right["accuracy"] == 1 >= solved == 0.99 > trivial


def known(name: str, words: list[str]) -> list[str | None]:
    """What the inputs alone say is due, with the default options."""
    return due_in_delay(words, 10) if name == "delay" else REFERENCES[name][1](words)


def test_xor_has_its_four_rows_everywhere(tmp_path: Path) -> None:
    task = XorData("xor", repeats=3)
    dataset = Generated("generated")
    dataset.fetch(tmp_path)
    task.open(tmp_path, {**task.prepare(dataset, tmp_path, tmp_path), "digest": ""}, seed=0)
    for split, times in (("train", 3), ("validation", 1), ("test", 1)):
        rows = [
            (*inputs, target)
            for batch in task.loader(split)  # type: ignore[arg-type]
            for inputs, target in zip(batch.inputs.int().tolist(), batch.targets.tolist(), strict=True)
        ]
        assert sorted(rows) == sorted([(x, y, x ^ y) for x in (0, 1) for y in (0, 1)] * times)
    assert task.spec.solved == 1
    judging = ClassificationJudging(task)
    linear, product = (judging.judge(XorBaselines(judging).fitted()[name]("test")) for name in ("linear", "product"))
    assert linear["accuracy"] <= 0.75 < product["accuracy"] == 1


@pytest.mark.parametrize("name", [*TASKS, "xor"])
def test_the_config_says_what_the_class_takes(name: str) -> None:
    """Every key under `data` is one that stands at the top, and the defaults pass the checks."""
    cfg = OmegaConf.create({"task": OmegaConf.load(CONF / "task" / f"{name}.yaml")})
    raw = OmegaConf.to_container(cfg.task.data, resolve=False)
    assert all(value == f"${{..{key}}}" for key, value in raw.items() if key != "_target_")  # type: ignore[union-attr]
    instantiate(cfg.task.data).check()


def test_a_gru_learns_parity_and_carries_it_further(run: Run, root: Path) -> None:
    overrides = ("task=parity", "cell=gru", "task.length=8", "task.test_lengths=[16,32]", "task.train=180")
    overrides += ("task.validation=30", "task.test=20", "task.batch_size=10", "trainer.max_epochs=30")
    overrides += ("optimizer.lr=0.02", "tracking=none", "trainer.patience=30")
    assert run("train", *overrides).code == 0
    assert run("evaluate", *overrides).code == 0
    (path,) = root.glob("runs/parity/*/gru/*/evaluate/metrics.json")
    metrics = json.loads(path.read_text())
    assert metrics["accuracy"] == metrics["accuracy_8"] > 0.9
    assert {"accuracy_16", "exact_32", "nll_32"} <= metrics.keys()
    figures = {figure.stem for figure in path.parent.glob("figures/*.png")}
    assert {"by_length", "answers", "confusion", "learning_curves"} <= figures
