"""What each key of the config may hold: truth values, numbers, names, and no key that nobody reads."""

import inspect
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf

from rnnlab.arguments import INVALID, check_arguments, conform, parameters, written
from rnnlab.cells.dynamical import AntisymmetricRNNCell
from rnnlab.cells.gru import GRUCell
from rnnlab.cells.initialization import initialize
from rnnlab.commands.main import COMMANDS
from rnnlab.config.checking import check
from rnnlab.config.schema import MADE
from rnnlab.config.stages import compose_task
from rnnlab.errors import UserError
from rnnlab.layouts.ctc import ConnectionistTemporal
from rnnlab.results.paths import CONF, of_seeds
from rnnlab.search.space import distributions
from rnnlab.unroll.recurrent import Recurrent
from tests.conftest import Run, start
from tests.layouts.nets import LAYOUTS

CELLS = sorted(path.stem for path in (CONF / "cell").glob("*.yaml"))
TASKS = sorted(path.stem for path in (CONF / "task").glob("*.yaml"))

SMALL = ("task=xor", "cell=rnn", "trainer.max_epochs=1", "tracking=none")

NAMES = (
    "task.name",
    "task.dataset.name",
    "cell.name",
    "parameters.reference",
    "tuning.name",
    "search.name",
)


def leaves(node: DictConfig, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that is none of an interpolation, with its dotted key; a list is a value."""
    for name in node:
        key = f"{prefix}{name}"
        if isinstance(node[name], DictConfig):
            yield from leaves(node[name], f"{key}.")
        elif not OmegaConf.is_interpolation(node, name):
            yield key, node[name]


def checked(cfg: DictConfig, **values: Any) -> DictConfig:
    """A copy of the config with other values, after its check."""
    result = cfg.copy()
    for key, value in values.items():
        OmegaConf.update(result, key, value, force_add=True)
    check(result, MADE)
    return result


def faults(cfg: DictConfig, **values: Any) -> str:
    with pytest.raises(UserError) as error:
        checked(cfg, **values)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("task", TASKS)
def test_every_truth_value_and_every_number_of_a_task_is_held_to_its_type(task: str) -> None:
    """And every target of a task is there; pairs of tasks and cells are built in test_tasks.py."""
    check_types(compose_task(task))


@pytest.mark.parametrize("cell", CELLS)
def test_every_truth_value_and_every_number_of_a_cell_is_held_to_its_type(xor: DictConfig, cell: str) -> None:
    cfg = xor.copy()
    cfg.cell = _compose_alone(f"cell/{cell}").cell
    check_types(cfg)


def check_types(cfg: DictConfig) -> None:
    before = OmegaConf.to_yaml(cfg)
    assert OmegaConf.to_yaml(checked(cfg)) == before, "a right config stays as it is, with its interpolations"

    values = [(key, value) for key, value in leaves(cfg) if not key.startswith("search.space.")]
    truths = [key for key, value in values if isinstance(value, bool)]
    numbers = [key for key, value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    assert {"force", "discard", "dvc", "tracking.sync", "trainer.deterministic", "cell.bidirectional"} <= {*truths}
    assert {"seed", "task.training.lr", "trainer.threads", "cell.zoneout", "port"} <= {*numbers}
    found = checked(cfg, **{key: "no" if value else "yes" for key, value in values if key in truths})
    assert all(OmegaConf.select(found, key) is (not value) for key, value in values if key in truths)
    told = faults(cfg, **dict.fromkeys(truths, 7), **dict.fromkeys(numbers, True))
    for key in truths:
        assert f"{key} must be true or false, got 7." in told
    for key in numbers:
        assert re.search(rf"(^|[. ]){re.escape(key)} must be [^,]+, got true\.", told)


@pytest.fixture(scope="module")
def price() -> DictConfig:
    return compose_task("price")


@pytest.fixture(scope="module")
def xor() -> DictConfig:
    return compose_task("xor", "cell=rnn")


def truths(cfg: DictConfig) -> list[str]:
    return [key for key, value in leaves(cfg) if isinstance(value, bool) and not key.startswith("search.space.")]


@pytest.mark.parametrize("word", ["no", "off", "n", "false", "No", "OFF", "N", "False"])
def test_a_word_for_false_means_false(price: DictConfig, word: str) -> None:
    cfg = checked(price, **dict.fromkeys(truths(price), word))
    assert all(OmegaConf.select(cfg, key) is False for key in truths(price))


@pytest.mark.parametrize("word", ["yes", "on", "y", "true", "Yes", "ON", "Y", "True"])
def test_a_word_for_true_means_true(price: DictConfig, word: str) -> None:
    cfg = checked(price, **dict.fromkeys(truths(price), word))
    assert all(OmegaConf.select(cfg, key) is True for key in truths(price))


@pytest.mark.parametrize("value", ["maybe", "", 0, 1, 7, 0.5, [], ["no"], {}, None])
def test_anything_else_is_no_truth_value(price: DictConfig, value: Any) -> None:
    told = faults(price, **dict.fromkeys(truths(price), value))
    assert all(f"{key} must be true or false, got " in told for key in truths(price))


@pytest.mark.parametrize("value", [False, "yes", "12", "many", [1], math.nan, math.inf])
def test_anything_else_is_no_number(price: DictConfig, value: Any) -> None:
    numbers = [key for key, found in leaves(price) if isinstance(found, int | float) and not isinstance(found, bool)]
    numbers = [key for key in numbers if not key.startswith("search.space.")]
    told = faults(price, **dict.fromkeys(numbers, value))
    assert all(f"{key} must be a" in told for key in numbers)


def test_a_share_is_no_whole_number_and_a_whole_number_is_a_number(price: DictConfig) -> None:
    assert "cell.num_layers must be an integer >= 1, got 1.5." in faults(price, **{"cell.num_layers": 1.5})
    assert checked(price, **{"cell.zoneout": 0, "trainer.patience": None}).trainer.patience is None


def test_what_an_interpolation_points_to_is_converted_and_it_stays_one(
    price: DictConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = price.copy()
    OmegaConf.update(cfg, "task.two_ways", "no", force_add=True)
    cfg = checked(cfg, **{"cell.bidirectional": "${task.two_ways}"})
    assert OmegaConf.is_interpolation(cfg.cell, "bidirectional")
    assert OmegaConf.is_interpolation(cfg.cell, "hidden_size")
    assert cfg.task.two_ways is False
    assert "task.two_ways must be true or false, got maybe" in faults(cfg, **{"task.two_ways": "maybe"})
    assert "task.batch_size must be an integer >= 1, got true" in faults(price, **{"task.batch_size": True})

    monkeypatch.setenv("SYNCED", "off")
    assert checked(price, **{"tracking.sync": "${oc.env:SYNCED}"}).tracking.sync is False


def test_a_number_that_is_read_as_a_text_elsewhere_stays_one(xor: DictConfig) -> None:
    found = checked(xor, seed=3, **{"cell.name": "${seed}", "model": "${cell.hidden_size}"})
    assert (found.seed, found.cell.name) == (3, "3")
    assert found.cell.hidden_size == xor.cell.hidden_size


@pytest.mark.parametrize("way", ["${..hours}", "${oc.select:..hours,6}", "${task[hours]}"])
def test_a_key_of_a_task_may_be_read_in_any_way(xor: DictConfig, way: str) -> None:
    checked(xor, **{"task.hours": 6, "task.dataset.name": way})
    assert "task.hours: nothing reads this key" in faults(xor, **{"task.hours": 6})


def test_what_is_true_or_false_by_default_is_a_truth_value() -> None:
    def made(size, gate=False):  # type: ignore[no-untyped-def]  # a cell of one's own, without annotations
        return size, gate

    assert parameters(made)[0]["gate"] is bool


def test_a_text_that_looks_like_something_else(price: DictConfig) -> None:
    """Hydra's command line gives task.target=2020 as a number: as a column it is meant."""
    assert checked(price, **{"task.target": 2020}).task.dataset.target == "2020"
    assert checked(compose_task("sentiment"), **{"task.classes": [0, 1]}).task.classes == ["0", "1"]
    assert """As a text: "task.target='true'".""" in faults(price, **{"task.target": True})
    for key in ("checkpoint", "tracking.uri", "fetch.mirror", "task.path"):
        assert f"{key} must be a text or null, got [1]" in faults(price, **{key: [1]})


def test_a_group_is_no_value(price: DictConfig) -> None:
    for key in ("task.net", "task.data", "task.dataset", "task.training", "trainer", "search.space", "sampling"):
        for value in (None, 5):
            assert f"{key} must be a group of keys, got {'null' if value is None else value}" in faults(
                price, **{key: value}
            )


def test_a_name_is_one_part_of_a_path(price: DictConfig) -> None:
    for good in ("a", "7", "_", "A-1.b_c", "x" * 100):
        cfg = checked(price, **dict.fromkeys(NAMES, good))
        assert [OmegaConf.select(cfg, key) for key in NAMES] == [good] * len(NAMES)
    texts = (
        "",
        ".",
        "..",
        "../..",
        "/etc",
        "a/b",
        "a\\b",
        "a\nb",
        "a\n",
        ".a",
        "-a",
        "a b",
        "seed=0",
        "täsk",
        "x" * 101,
    )
    for bad in (*texts, "baselines", None, True, 1.5, ["a"]):
        told = faults(price, **dict.fromkeys(NAMES, bad))
        for key in NAMES:
            assert re.search(rf"\b{re.escape(key)} must be a name of at most 100 letters, digits", told), (key, bad)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_entry_point_refuses_what_nobody_reads_and_what_is_no_name(run: Run, root: Path, name: str) -> None:
    wrong = ("+foo=1", "task.name=../../outside", "tracking.sync=maybe")
    if name == "ui":  # which becomes the server, where nothing stops it
        process = start(root, name, *wrong)
        told, _ = process.communicate(timeout=60)
        code = process.returncode
    else:
        outcome = run(name, *wrong)
        code, told = outcome.code, outcome.err
    assert code == 2, told
    for fault in (
        "foo: nothing reads this key.",
        "task.name must be a name of",
        "tracking.sync must be true or false, got maybe.",
    ):
        assert fault in told
    assert not list(root.iterdir())
    assert not (root.parents[1] / "outside").exists()


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("task.foo", "task.foo: nothing reads this key."),
        ("task.lr", "task.lr: nothing reads this key."),
        ("task.training.foo", "task.training.foo: nothing reads this key."),
        ("budget.foo", "budget.foo: nothing reads this key. There are name, steps, seconds."),
        ("trainer.foo", "trainer.foo: nothing reads this key."),
        ("search.foo", "search.foo: nothing reads this key."),
        ("cell.foo", "cell.foo=1: RNN does not take it. There are "),
        ("cell.spec", "cell.spec=1: "),
        ("task.data.foo", "task.data.foo=1: XorData does not take it. There are name, repeats, batch_size."),
        ("task.dataset.foo", "task.dataset.foo=1: Generated does not take it."),
        ("task.net.foo", "task.net.foo=1: OneToOne does not take it."),
        ("schedule.foo", "schedule.foo=1: CosineAnnealingLR does not take it."),
    ],
)
def test_a_key_that_nobody_reads_is_named(xor: DictConfig, key: str, told: str) -> None:
    assert told in faults(xor, **{key: 1})


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["~trainer.patience"], "trainer.patience: the key is missing."),
        (["+cell=gru"], "+cell=gru: nothing reads it beside cell=rnn"),
        (
            ["seed=true", "optimizer.lr=inf"],
            "seed must be an integer >= 0 and <= 4294967295, got true. optimizer.lr must be a number > 0, got inf",
        ),
        (["++cell._target_=null"], "cell._target_ must be the name of a class, got null."),
        (
            ["schedule=constant", "schedule._target_=torch.optim.lr_scheduler.CyclicLR", "+schedule.cycle_momentum=7"],
            "schedule.cycle_momentum must be true or false, got 7.",
        ),
        (["+optimizer.amsgrad=maybe"], "optimizer.amsgrad must be true or false, got maybe."),
        (["cell.initialization=null"], "cell.initialization must be "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_training_cannot_read_is_said(run: Run, root: Path, overrides: list[str], told: str) -> None:
    outcome = run("train", *SMALL, *overrides)
    assert outcome.code == 2, outcome.out
    assert told in outcome.err
    assert not list(root.iterdir())


def test_what_is_added_and_read_is_accepted() -> None:
    cfg = compose_task(
        "xor",
        "cell=torchrecurrent",
        "cell.name=coRNN",
        "+cell.dt=0.5",
        "+cell.bias=no",
        "+optimizer.amsgrad=yes",
        "+optimizer.betas=[0.9,0.99]",
        "+schedule.eta_min=0",
        "+search.space.cell.num_layers={choices: [1, 2]}",
        "+task.rate=0.1",
        "optimizer.lr=${task.rate}",
        "++cell._convert_=all",
    )
    pytest.importorskip("torchrecurrent")
    check(cfg, MADE)
    assert cfg.cell.bias is False
    assert cfg.optimizer.amsgrad is True
    assert "cell.delay must be an integer" in faults(compose_task("xor", "cell=torchrecurrent", "+cell.delay=true"))


SAVED = [
    *((f"experiment={path.stem}",) for path in sorted((CONF / "experiment").glob("*.yaml"))),
    *((f"search={path.stem}", f"task={path.stem}") for path in (CONF / "search").glob("*.yaml") if path.stem in TASKS),
    *(
        (f"{group}={path.stem}",)
        for group in ("optimizer", "schedule", "budget", "parameters", "tracking", "trainer", "tuning", "debug")
        for path in sorted((CONF / group).glob("*.yaml"))
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("overrides", SAVED, ids=" ".join)
def test_all_that_is_saved_in_conf_is_right(overrides: tuple[str, ...]) -> None:
    check(_compose_alone("config", *overrides), MADE)


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted((CONF / "tuned").glob("*/*.yaml")), ids=lambda path: path.stem)
def test_all_that_is_tuned_is_right(path: Path) -> None:
    (task,) = (task for task in TASKS if path.stem.startswith(f"{task}_"))
    cell = path.stem.removeprefix(f"{task}_")
    check(_compose_alone("config", f"task={task}", f"cell={cell}", f"tuning={path.parent.name}"), MADE)


def _compose_alone(name: str, *overrides: str) -> DictConfig:
    """A file of conf/ as the command line composes it: the task of the config is that of its experiment."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(name, list(overrides))


def test_the_values_of_a_search_are_of_the_types_of_their_keys(price: DictConfig) -> None:
    cfg = price.copy()
    OmegaConf.update(cfg, "search.space.cell.bidirectional.choices", ["no", "on"], force_add=True)
    OmegaConf.update(cfg, "search.space.optimizer.lr.log", "off")
    space = distributions(cfg)
    assert space["cell.bidirectional"].choices == (False, True)  # type: ignore[attr-defined]
    assert not space["optimizer.lr"].log  # type: ignore[attr-defined]
    assert cfg.search.space.cell.bidirectional.choices == [False, True]


@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        ("cell.hidden_size.choices", [8, True], "cell.hidden_size must be an integer >= 1, got true"),
        ("cell.num_layers", {"low": 1.5, "high": 8}, "cell.num_layers must be an integer >= 1, got 1.5"),
        ("optimizer.lr.low", math.nan, "optimizer.lr must be a number > 0, got nan"),
        ("optimizer.lr.log", "maybe", "optimizer.lr.log must be true or false, got maybe"),
        ("cell.layer_norm.choices", [True, "maybe"], "cell.layer_norm must be true or false, got maybe"),
    ],
)
def test_a_value_of_a_search_that_its_key_cannot_have_is_refused(
    price: DictConfig, key: str, value: Any, fault: str
) -> None:
    cfg = price.copy()
    OmegaConf.update(cfg, f"search.space.{key}", value, force_add=True)
    with pytest.raises(UserError, match=re.escape(f"search.space.{fault}")):
        distributions(cfg)


def test_a_run_with_words_is_that_of_the_truth_values(run: Run, root: Path) -> None:
    assert run("train", *SMALL, "cell.bidirectional=false").code == 0
    (folder,) = root.glob("runs/xor/*/rnn/*")
    outcome = run(
        "train", *SMALL, "cell.bidirectional=no", "cell.layer_norm=off", "force=n",
        "discard=NO", "trainer.deterministic=yes",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert "already trained under this setting" in outcome.out
    assert [*root.glob("runs/xor/*/rnn/*")] == [folder]
    assert not (root / "mlflow.db").exists()
    assert OmegaConf.load(folder / "train/seed=0/config.yaml").cell.bidirectional is False


def test_a_wrong_value_of_a_sweep_fails_its_job_alone(run: Run, root: Path) -> None:
    outcome = run("train", "-m", *SMALL, "cell.bidirectional=maybe,no")
    assert outcome.code != 0
    assert "error: cell.bidirectional must be true or false, got maybe." in outcome.err
    assert len([*root.glob("runs/xor/*/rnn/*/train/seed=0")]) == 1
    assert not (root / "mlflow.db").exists()


def test_only_folders_of_numbers_are_those_of_seeds(tmp_path: Path) -> None:
    for name in ("seed=0", "seed=12", "seed=True", "seed=", "seed=1.5", "seed=2.part"):
        (tmp_path / "seed=True" / name).mkdir(parents=True)
        (tmp_path / "train" / name).mkdir(parents=True)
    assert [path.name for path in of_seeds(tmp_path, "train/seed=*")] == ["seed=0", "seed=12"]


CELL_CLASSES = [
    get_class(OmegaConf.load(CONF / "cell" / f"{name}.yaml")._target_).cell_class  # type: ignore[attr-defined]
    for name in CELLS
]


@pytest.mark.parametrize("cell_class", CELL_CLASSES, ids=lambda cell_class: cell_class.__name__)
def test_the_library_converts_no_word_and_takes_no_truth_value_for_a_number(cell_class: Any) -> None:
    """Each argument of `Recurrent` and of every cell, by its declared type."""
    kinds = {**parameters(cell_class)[0], **parameters(Recurrent)[0]}
    sizes = {"cell_class": cell_class, "input_size": 4, "hidden_size": 4}
    for name, kind in kinds.items():
        is_number = any(conform(number, kind) is number for number in (1, 0.5))
        wrong = "no" if kind is bool else True if is_number and conform(True, kind) is INVALID else None
        if wrong is not None:
            with pytest.raises(UserError, match=f"{name} must be .*, got {written(wrong)}"):
                Recurrent(**{**sizes, name: wrong})


def test_the_library_says_what_is_of_a_wrong_type() -> None:
    for options in ({"bidirectional": "no"}, {"dropout": True}, {"truncate": True}, {"zoneout": "high"}):
        with pytest.raises(UserError, match=next(iter(options))):
            Recurrent(GRUCell, 3, 4, **options)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="hidden_size must be an integer >= 1, got true"):
        GRUCell(3, True)
    with pytest.raises(UserError, match=r"cell\.gated must be true or false, got no"):
        AntisymmetricRNNCell(3, 4, gated="no")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="gain must be a number, got true"):
        initialize(GRUCell(3, 4), "orthogonal", gain=True)
    for layout in (*LAYOUTS.values(), ConnectionistTemporal):
        for name, parameter in [*inspect.signature(layout).parameters.items()][2:]:
            with pytest.raises(UserError, match=f"{name} must be "):
                check_arguments(layout, {name: 7 if parameter.annotation in (bool, str) else True})
