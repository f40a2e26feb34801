"""What the config says, what a result's setting depends on, and what dvc.yaml and conf/ name."""

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from rnnlab.commands.main import COMMANDS
from rnnlab.config import fingerprint, stages
from rnnlab.config.schema import Decides, decides
from rnnlab.results.paths import CONF
from tests.conftest import CHECKOUT, Run

CELLS = sorted(path.stem for path in (CONF / "cell").glob("*.yaml"))
TASKS = sorted(path.stem for path in (CONF / "task").glob("*.yaml"))


@pytest.mark.parametrize("group", ["cell", "task"])
def test_a_file_is_named_as_what_it_describes(group: str) -> None:
    """But for torchrecurrent.yaml, which stands for all cells of a package: its `name` chooses one of them."""
    for path in (CONF / group).glob("*.yaml"):
        if path.stem != "torchrecurrent":
            assert OmegaConf.load(path).name == path.stem


def test_all_cells_share_the_keys_that_sweeps_override() -> None:
    shared = {"_target_", "name", "hidden_size", "num_layers", "dropout", "bidirectional", "unroll"}
    for cell in CELLS:
        assert shared <= stages.compose_task("price", f"cell={cell}").cell.keys()


@pytest.mark.parametrize("path", sorted((CONF / "tuned").glob("*/*.yaml")), ids=lambda path: path.stem)
def test_what_is_tuned_is_laid_over_its_pair_and_names_no_new_key(path: Path) -> None:
    """Hydra would take a misspelt key of an overlay for a new one."""
    tasks = [task.stem for task in (CONF / "task").glob("*.yaml")]
    (task,) = (task for task in tasks if path.stem.startswith(f"{task}_"))
    pair = (task, f"cell={path.stem.removeprefix(f'{task}_')}")
    tuned, plain = stages.compose_task(*pair, f"tuning={path.parent.name}"), stages.compose_task(*pair)
    found = leaves(OmegaConf.to_container(OmegaConf.load(path)))
    assert found
    for key, value in found:
        assert OmegaConf.select(tuned, key) == value
        # what a layout or an initialisation takes, it checks itself
        if not key.startswith(("task.net.", "cell.initialization.")):
            assert OmegaConf.select(plain, key, default="absent") != "absent", key


def leaves(node: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """Every value with its dotted key; a list is a value."""
    if not isinstance(node, dict):
        return [(prefix, node)]
    return [leaf for key, value in node.items() for leaf in leaves(value, f"{prefix}.{key}" if prefix else key)]


def keys_of_price() -> list[str]:
    """Those with values of their own. What is read, its data set says (see tests/datasets), with rules of its own."""
    cfg = stages.compose_task("price")
    found = leaves(OmegaConf.to_container(cfg))
    keys = [key for key, value in found if "${" not in str(value) and key != "task.batch_options"]
    keys = [key for key in keys if not key.startswith(("task.dataset.", "search.", "callbacks."))]
    return [key for key in keys if not (key.startswith("task.") and key.partition(".")[2] in cfg.task.dataset)]


def other(value: Any) -> Any:
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int | float) else f"{value}x" if isinstance(value, str) else "x"


OPEN = {"budget": "with budget=epochs", "parameters": "by the size it gives", "tuning": "without trials"}
"""Groups that decide a training at times, and not in the config below."""


@pytest.mark.parametrize("key", keys_of_price())
def test_a_key_decides_what_it_says_and_nothing_else(key: str) -> None:
    """The folder of a run, and what DVC reruns, follow from what each key of the config decides."""
    cfg = stages.compose_task("price")

    def settings() -> list[dict[str, Any]]:
        found = [fingerprint.data_setting(cfg), fingerprint.train_setting(cfg), fingerprint.evaluate_setting(cfg)]
        return [{name: value for name, value in each.items() if name != "sources"} for each in found]

    before = settings()
    OmegaConf.update(cfg, key, other(OmegaConf.select(cfg, key)))
    data, training, judging = (old != new for old, new in zip(before, settings(), strict=True))
    decided = decides(key)
    if decided in (Decides.NOTHING, Decides.ROUNDING, Decides.DECODING):
        assert not data
        assert not training
    elif key != "seed" and key.partition(".")[0] not in OPEN:
        assert data or training, "it decides a run"
    if decided is Decides.TRAINING:
        assert not data
    if key.startswith("task.judging."):
        assert judging


def test_with_a_budget_of_seconds_the_machine_s_settings_are_part_of_the_run() -> None:
    def setting(*overrides: str) -> str:
        return fingerprint.fingerprint(fingerprint.train_setting(stages.compose_task("price", *overrides)))

    seconds = ("budget=seconds", "budget.seconds=5")
    assert setting(*seconds) != setting(*seconds, "trainer.threads=2")
    assert setting() == setting("trainer.threads=2")


def test_the_setting_of_a_cell_is_its_own() -> None:
    """Equations of one cell are no part of another's setting; shared code is part of both."""
    gru, lstm = (
        fingerprint.train_setting(stages.compose_task("price", f"cell={cell}"))["sources"] for cell in ("gru", "lstm")
    )
    assert "cells/gru.py" in gru
    assert "cells/gru.py" not in lstm
    shared = {
        "modules/module.py",
        "training/train.py",
        "unroll/recurrent.py",
        "tasks/forecasting/price/data.py",
        "cells/cell.py",
    }
    assert shared <= gru.keys()
    assert shared <= lstm.keys()
    assert not any(name.startswith("tracking") for name in gru)


def test_comments_and_docstrings_are_no_part_of_a_digest_and_code_is(tmp_path: Path) -> None:
    digests = []
    for number, source in enumerate(
        ['"""One."""\ndef f(x):\n    return x + 1\n', '"""Two."""\n\n\ndef f(x):\n    # why\n    return x + 1\n',
         '"""One."""\ndef f(x):\n    return x + 2\n']
    ):  # fmt: skip
        path = tmp_path / f"{number}.py"
        path.write_text(source)
        digests.append(fingerprint._digest_and_imports(path, "some.module")[0])
    assert digests[0] == digests[1] != digests[2]


def test_a_package_of_one_s_own_is_followed_where_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its relative imports, too: an edit of any of its files that a cell imports trains the cell again."""
    package = tmp_path / "equationspackage"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "unused.py").write_text("x = 1\n")
    (package / "equations.py").write_text("def twice(x):\n    return 2 * x\n")
    (package / "mine.py").write_text(
        "from rnnlab.cells.rnn import RNNCell\nfrom .equations import twice\nclass MineCell(RNNCell):\n    f = twice\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))

    def digests(*packages: str) -> dict[str, str]:
        fingerprint._digest_and_imports.cache_clear()
        return fingerprint.source_digests(["equationspackage.mine.MineCell"], packages=packages)

    assert digests() == {}
    before = digests("equationspackage")
    assert {"equationspackage.mine", "equationspackage.equations", "cells/rnn.py", "cells/cell.py"} <= before.keys()
    assert "equationspackage.unused" not in before
    (package / "equations.py").write_text("def twice(x):\n    return x + x\n")
    after = digests("equationspackage")
    assert {name for name in before if before[name] != after[name]} == {"equationspackage.equations"}


def test_every_module_of_the_package_is_found_by_its_name() -> None:
    """A module that the import graph cannot name would be left out of every digest."""
    package = CHECKOUT / "src" / "rnnlab"
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: relative imports are not followed"
                if node.module and node.module.startswith("rnnlab."):
                    assert fingerprint._path_of(node.module) is not None


@pytest.fixture(scope="module")
def pipeline() -> dict[str, dict]:
    return yaml.safe_load((CHECKOUT / "dvc.yaml").read_text())["stages"]


def test_every_script_and_config_that_dvc_names_exists(pipeline: dict[str, dict], tmp_path: Path, run: Run) -> None:
    assert run("compose").code == 0
    pairs = stages.grid()
    items = {
        **{stage: [{"item": task} for task in pairs.tasks] for stage in ("fetch", "preprocess", "baseline")},
        "train": [{"item.task": task, "item.cell": cell} for task in pairs.tasks for cell in pairs.cells],
        "evaluate": [{"item.task": task, "item.cell": cell} for task in pairs.tasks for cell in pairs.cells],
    }
    assert set(pairs.cells) <= set(CELLS)
    assert set(pairs.tasks) <= set(TASKS)
    for name, stage in pipeline.items():
        body = stage.get("do", stage)
        script = body["cmd"].split()[1]
        assert (CHECKOUT / script).is_file(), script
        for values in items.get(name, [{}]):
            for param in body.get("params", []):
                (path,) = param
                for key, value in values.items():
                    path = path.replace(f"${{{key}}}", value)
                assert (tmp_path / path).is_file(), path


def test_composing_twice_gives_the_same_files(run: Run, root: Path) -> None:
    contents = []
    for _ in range(2):
        assert run("compose").code == 0
        contents.append({path: path.read_bytes() for path in (root / "configs").rglob("*.yaml")})
    assert contents[0] == contents[1]
    pairs = stages.grid()
    tasks, trained = len(pairs.tasks), len(pairs.tasks) * len(pairs.cells)
    assert len(contents[0]) == 3 * tasks + 2 * trained + 1


def test_pipelines_are_entry_points_without_logic() -> None:
    for path in (CHECKOUT / "pipelines").glob("*.py"):
        assert len(path.read_text().splitlines()) < 20
    assert {path.stem for path in (CHECKOUT / "pipelines").glob("*.py")} == {"checkout", *COMMANDS}


def test_the_name_of_a_sweep_has_no_address_of_a_store() -> None:
    store, mirror = "tracking.uri=http://me:s3cret@host", "fetch.mirror=http://me:s3cret@host"
    words = ["cell=rnn,gru", "tracking=sync", store, f"++{store}", mirror, "seed=0"]
    assert fingerprint.words_to_keep(words) == ["cell=rnn,gru", "seed=0"]
    assert fingerprint.words_to_keep(["task.path=http://me:s3cret@host/a.csv"]) == ["task.path=http://host/a.csv"]
