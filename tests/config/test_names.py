"""What a config from a stranger may name: nothing of it runs unless the command line or the environment allows it."""

from pathlib import Path

import pandas as pd
import pytest

from rnnlab.config.names import given_packages
from rnnlab.errors import UserError
from tests.conftest import Outcome, Run, start

SHORT = ("task=digits", "cell=rnn", "trainer.max_epochs=1", "trainer.limit_batches=2", "tracking=none")

OWN = """
from pathlib import Path

from pytorch_lightning.callbacks import Callback
from rnnlab.tracking.callback import RunCallback
from rnnlab.tracking.tracker import Tracker

Path(__file__).with_name("imported").touch()


def touch(path, **_):
    Path(path).touch()


class CountSteps(RunCallback):
    def __init__(self, start: int) -> None:
        self.count = start

    def bind(self, cfg, task, folder):
        self.task = task

    def on_train_batch_end(self, *_):
        self.count += 1

    def write(self, folder, name):
        (folder / "count.txt").write_text(f"{self.task.spec.task} {self.count} {name}")


class Listing(Tracker):
    def __init__(self, path: str) -> None:
        self.path = path

    def put(self, results, seed, live=None):
        with open(self.path, "a") as file:
            print(results.folder.parent.name, seed, file=file)
"""


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a package of one's own, which can be imported; `imported` lies there once it was."""
    folder = tmp_path_factory.mktemp("own") / "ownpackage"
    folder.mkdir()
    (folder / "__init__.py").write_text(OWN)
    monkeypatch.syspath_prepend(folder.parent)
    return folder


# of a file of --config-dir; FILE is what it would make if it ran, by a function that Hydra itself would call
STRANGE = {
    "optimizer": "optimizer: {_target_: ownpackage.touch, path: FILE}",
    "task.data": "task: {data: {_target_: ownpackage.touch, path: FILE}}",
    "nested": "optimizer: {foreach: {_target_: ownpackage.touch, path: FILE}}",
    "in a list": "optimizer: {betas: [{_target_: ownpackage.touch, path: FILE}]}",
    "where nothing is made": "trainer: {patience: {_target_: ownpackage.touch, path: FILE}}",
    "callback": "callbacks: {x: {_target_: ownpackage.touch, path: FILE}}",
    "tracker": "tracking: {_target_: ownpackage.touch, path: FILE}",
    "partial": "callbacks: {x: {_target_: rnnlab.diagnosis.gradients.LogNorms, _partial_: true}}",
    "arguments": "callbacks: {x: {_target_: rnnlab.diagnosis.gradients.LogNorms, _args_: [1]}}",
    "by way of an import of ours": ("callbacks: {x: {_target_: rnnlab.results.files.os.mkdir, path: FILE}}"),
    "a function of ours": "callbacks: {x: {_target_: rnnlab.results.files.write_json, path: FILE, content: x}}",
    "an import": "callbacks: {x: {_target_: ownpackage.CountSteps, start: 1}}",
    "by interpolation": "callbacks: {x: {_target_: '${oc.select:nothing,ownpackage.touch}', path: FILE}}",
    "a made node": "optimizer: {foreach: \"${oc.create:{_target_:ownpackage.touch,path:'FILE'}}\"}",
    "its own packages": "packages: [ownpackage]\ncallbacks: {x: {_target_: ownpackage.CountSteps, start: 1}}",
    "packages among the overrides": (
        "hydra: {overrides: {task: ['packages=[ownpackage]']}}\n"
        "callbacks: {x: {_target_: ownpackage.CountSteps, start: 1}}"
    ),
    "packages of the environment": (
        "hydra: {job: {env_set: {RNNLAB_PACKAGES: ownpackage}}}\n"
        "callbacks: {x: {_target_: ownpackage.CountSteps, start: 1}}"
    ),
    "packages of a sweep": (
        "hydra: {mode: MULTIRUN, sweeper: {params: {packages: '[[ownpackage]]'}}}\n"
        "callbacks: {x: {_target_: ownpackage.CountSteps, start: 1}}"
    ),
    "a callback of Hydra's": "hydra: {callbacks: {x: {_target_: ownpackage.touch, path: FILE}}}",
    "that of ours": "hydra: {callbacks: {sweep: {_target_: ownpackage.touch, path: FILE}}}",
    "a function of Hydra's": (
        "hydra: {callbacks: {x: {_target_: hydra.utils.call, config: {_target_: ownpackage.touch, path: FILE}}}}"
    ),
    "a launcher": "hydra: {mode: MULTIRUN, launcher: {_target_: ownpackage.touch, path: FILE}}",
    "a sweeper": "hydra: {mode: MULTIRUN, sweeper: {x: {_target_: ownpackage.touch, path: FILE}}}",
    "logging": "hydra: {job_logging: {formatters: {x: {(): ownpackage.touch, path: FILE}}}}",
    "Hydra's logging": "hydra: {hydra_logging: {handlers: {x: {class: ownpackage.touch, path: FILE}}}}",
    "a search path": "hydra: {job: {env_set: {PATH: DIRECTORY}}}",
    "a circle": "search: {space: '${search}'}",
}


@pytest.mark.parametrize("content", STRANGE.values(), ids=STRANGE)
def test_nothing_that_a_strangers_experiment_names_is_run(run: Run, root: Path, own: Path, content: str) -> None:
    outcome = with_strange_experiment(run, root, "train", content)
    assert outcome.code == 2, outcome.out
    assert outcome.err.startswith("error: "), outcome.err
    assert "Traceback" not in outcome.err
    assert not (root / "made").exists()
    assert not (own / "imported").exists()
    assert not (root / "runs").exists()


@pytest.mark.parametrize("content", [STRANGE["tracker"], STRANGE["a callback of Hydra's"]])
def test_nor_by_an_entry_point_that_makes_nothing_of_it(run: Run, root: Path, own: Path, content: str) -> None:
    assert with_strange_experiment(run, root, "compose", content).code == 2
    assert not (root / "made").exists()


def with_strange_experiment(run: Run, root: Path, stage: str, content: str) -> Outcome:
    made, strange = root / "made", root / "strange"
    (strange / "experiment").mkdir(parents=True)
    text = content.replace("FILE", str(made)).replace("DIRECTORY", str(strange))
    (strange / "experiment" / "theirs.yaml").write_text(f"# @package _global_\n{text}\n")
    return run(stage, "--config-dir", str(strange), "experiment=theirs", *SHORT)


def test_all_that_may_not_be_named_is_said_at_once_with_what_is_wrong_otherwise(run: Run) -> None:
    outcome = run(
        "train", *SHORT, "optimizer._target_=os.system", "+optimizer.x._target_=os.system", "seed=true",
    )  # fmt: skip
    for fault in (
        "optimizer._target_=os.system: a class of",
        "optimizer.x._target_=os.system: nothing",
        "seed must be an integer",
    ):
        assert fault in outcome.err


OWN_CALLBACK = ("+callbacks.count._target_=ownpackage.CountSteps", "+callbacks.count.start=40")


@pytest.mark.parametrize("by", ["the command line", "the environment"])
def test_a_callback_and_a_tracker_of_ones_own_are_a_class_each(
    run: Run, root: Path, own: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    if by == "the environment":
        monkeypatch.setenv("RNNLAB_PACKAGES", "elsewhere, ownpackage")
    words = ("packages=[ownpackage]",) if by == "the command line" else ()
    tracker = ("tracking._target_=ownpackage.Listing", f"+tracking.path={root / 'list.txt'}")
    outcome = run("train", *SHORT, *OWN_CALLBACK, *tracker, *words)
    assert outcome.code == 0, outcome.err
    (folder,) = root.glob("runs/digits/*/rnn/*/train/seed=0")
    assert (folder / "count.txt").read_text().startswith("digits 42 rnn h64 ")
    assert (root / "list.txt").read_text() == "rnn 0\n"
    without = run("train", *SHORT, *OWN_CALLBACK)
    assert (without.code == 0) is (by == "the environment")


def test_a_callback_that_may_change_the_training_is_part_of_its_setting(run: Run, root: Path) -> None:
    """Ours look on, and are not."""
    averaging = "pytorch_lightning.callbacks.StochasticWeightAveraging"
    averaged = (f"+callbacks.swa._target_={averaging}", "+callbacks.swa.swa_lrs=0.1")
    for words in ((), ("callbacks=[norms,timestep_gradients]",), averaged):
        outcome = run("train", *SHORT, *words)
        assert outcome.code == 0, outcome.err
        assert ("already trained" in outcome.out) is (words == ("callbacks=[norms,timestep_gradients]",))
    assert len(list(root.glob("runs/digits/*/rnn/*"))) == 2
    params = [pd.read_json(path, typ="series")["params"] for path in root.glob("runs/digits/*/rnn/*/train/*/run.json")]
    assert {(each.get("callbacks.swa"), each.get("callbacks.swa.swa_lrs")) for each in params} == {
        (None, None),
        ("StochasticWeightAveraging", 0.1),
    }


def test_packages_are_named_by_the_command_line_and_the_environment() -> None:
    assert given_packages([], {}) == []
    assert given_packages(["seed=1", "packages=[a,b.c]"], {"RNNLAB_PACKAGES": "d, a"}) == ["d", "a", "b.c"]
    assert given_packages(["packages=[a]", "+packages=b"], {}) == ["b"]
    for words in (["packages=[1]"], ["packages=[a-b]"], ["packages=["], ["packages=a,b"]):
        with pytest.raises(UserError, match="names of packages are needed"):
            given_packages(words, {})


@pytest.mark.slow
def test_the_processes_of_a_sweep_may_name_the_same_packages(
    root: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(own.parent))
    process = start(
        root, "train", "-m", *SHORT, "cluster.workers=2", "seed=0,1",
        *OWN_CALLBACK, "packages=[ownpackage]",
    )  # fmt: skip
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    assert len(list(root.glob("runs/digits/*/rnn/*/train/seed=*/count.txt"))) == 2
