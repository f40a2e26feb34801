"""What works without the packages of the extra `tasks`, and what says that it needs them."""

import re
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hydra.utils import instantiate

from rnnlab.config.stages import compose_task
from rnnlab.data.midi import notes_of
from rnnlab.errors import MissingExtra
from rnnlab.extras import require
from rnnlab.results.paths import CONF
from rnnlab.training.prepare import checked_task
from tests.conftest import CHECKOUT, Run, imported_by

PROJECT: dict[str, Any] = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]

PACKAGES = sorted(re.split("[><=]", line)[0] for line in PROJECT["optional-dependencies"]["tasks"])

NEEDED = {"translate": "sacrebleu", "caption": "sacrebleu", "transcribe": "jiwer", "music": "mido"}

OFFLINE = {"text": ["task.path=my.txt"], "transcribe": ["task.source=full"]}
"""Overrides under which a task's options can be checked without anything else."""


@pytest.fixture
def hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in PACKAGES:
        monkeypatch.setitem(sys.modules, package, None)  # what makes `import` fail


def test_a_package_is_looked_for_and_not_imported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "of_no_one.py").write_text("raise AssertionError")
    monkeypatch.syspath_prepend(tmp_path)
    require("tasks", "This", "of-no-one")
    with pytest.raises(MissingExtra) as error:
        require("tasks", "This", "of-no-one", "not-there", instead=", or that")
    message = "This needs the package not-there, which is not installed: pip install 'rnnlab[tasks]', or that."
    assert str(error.value) == message


def test_a_finder_that_refuses_a_package_counts_as_its_absence(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        def find_spec(self, name: str, *_: Any) -> None:
            if name == "refused":
                raise ModuleNotFoundError(name)

    monkeypatch.setattr(sys, "meta_path", [Refusing(), *sys.meta_path])
    with pytest.raises(MissingExtra):
        require("tasks", "This", "refused")


def test_the_extra_brings_what_the_tasks_name() -> None:
    assert {*NEEDED.values(), "babel", "rapidfuzz"} == set(PACKAGES)
    assert all(find_spec(package) for package in PACKAGES)
    assert not any(line.startswith(tuple(PACKAGES)) for line in PROJECT["dependencies"])


@pytest.mark.usefixtures("hidden")
@pytest.mark.parametrize("task", sorted(path.stem for path in (CONF / "task").glob("*.yaml")))
def test_only_the_tasks_that_need_a_package_ask_for_it(task: str) -> None:
    cfg = compose_task(task, *OFFLINE.get(task, []))
    if task in NEEDED:
        with pytest.raises(
            MissingExtra, match=rf"^task={task} needs the package {NEEDED[task]}, .*'rnnlab\[tasks\]'.$"
        ):
            checked_task(cfg)
    else:
        checked_task(cfg)
    if task == "translate":
        with pytest.raises(MissingExtra, match=r"^task=translate with task.source=dates needs the package babel, "):
            instantiate(cfg.task.dataset).check()
    elif task != "text":  # whose file is not there
        instantiate(cfg.task.dataset).check()


@pytest.mark.parametrize(
    ("package", "overrides"),
    [
        ("sacrebleu", ["task=translate"]),
        ("babel", ["task=translate"]),
        ("sacrebleu", ["task=caption"]),
        ("jiwer", ["task=transcribe", "task.source=full"]),
        ("rapidfuzz", ["task=translate"]),
        ("mido", ["task=music"]),
    ],
)
@pytest.mark.parametrize("name", ["train", "evaluate", "baseline"])
def test_without_its_package_a_task_says_so_in_one_line_before_anything_is_written(
    run: Run, root: Path, monkeypatch: pytest.MonkeyPatch, name: str, package: str, overrides: list[str]
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    outcome = run(name, *overrides, "tracking=none")
    assert outcome.code == 2
    (line,) = outcome.err.splitlines()
    assert line.startswith(f"error: {overrides[0]}")
    assert f"needs the package {package}, which is not installed: pip install 'rnnlab[tasks]'." in line
    assert not list(root.iterdir())


@pytest.mark.usefixtures("hidden")
def test_a_sweep_leaves_out_the_tasks_that_lack_a_package(run: Run) -> None:
    outcome = run("train", "-m", "task=music,xor", "cell=rnn", "debug=fast", "tracking=none")
    assert outcome.code == 0, outcome.err
    assert "task=music cell=rnn debug=fast tracking=none: skipped. task=music needs the package mido" in outcome.out
    assert "trained and evaluated rnn on xor as a test" in outcome.out


@pytest.mark.usefixtures("hidden")
def test_help_needs_no_package_of_the_extra(run: Run) -> None:
    for task in NEEDED:
        outcome = run("train", f"task={task}", "--help")
        assert outcome.code == 0, outcome.err
        assert "batch_size" in outcome.out


@pytest.mark.usefixtures("hidden")
def test_a_net_answers_texts_without_the_package_that_judges_them() -> None:
    for task in ("translate", "caption", "transcribe"):
        cfg = compose_task(task, "task.beam=2")
        assert instantiate(cfg.task.judging, object()).beam == 2


@pytest.mark.usefixtures("hidden")
def test_a_score_that_is_read_names_what_reads_it() -> None:
    with pytest.raises(MissingExtra, match=r"^Reading tune.mid needs the package mido, "):
        notes_of(b"MThd", "tune.mid")


def test_other_tasks_import_none_of_the_packages(root: Path) -> None:
    for task in ("adding", "price"):
        assert not imported_by(root, "train", f"task={task}", "debug=fast") & set(PACKAGES)
