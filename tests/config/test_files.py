"""Where the files of a config are found: rnnlab's conf/, --config-dir, and the workspace's."""

from pathlib import Path

import pytest

from rnnlab.config.files import find
from rnnlab.config.stages import compose_task
from rnnlab.results.paths import CONF
from tests.conftest import Run

FAST = ("trainer.max_epochs=1", "trainer.limit_batches=1", "tracking=none")


@pytest.fixture
def own(root: Path) -> Path:
    """A task, a cell and an experiment of the workspace's own."""
    for group in ("task", "cell", "experiment"):
        (root / "conf" / group).mkdir(parents=True)
    (root / "conf/task/tiny.yaml").write_text("defaults: [xor, _self_]\nname: tiny\n")
    (root / "conf/cell/narrow.yaml").write_text("defaults: [gru, _self_]\nname: narrow\nhidden_size: 3\n")
    (root / "conf/experiment/both.yaml").write_text(
        "# @package _global_\ndefaults:\n- override /task: tiny\n- override /cell: narrow\n"
    )
    return root / "conf"


def test_groups_of_the_workspace_s_own_are_options_like_any_other(run: Run, root: Path, own: Path) -> None:
    assert run("train", "experiment=both", *FAST).code == 0
    assert list(root.glob("runs/tiny/*/narrow/*/train/seed=0/weights.safetensors"))
    assert compose_task("tiny", "cell=narrow").cell.hidden_size == 3
    assert find("cell/narrow") == own / "cell/narrow.yaml"
    options = run("train", "--help").out
    assert " narrow," in options
    assert ", tiny," in options


def test_a_file_that_would_never_be_read_is_named(run: Run, root: Path, own: Path) -> None:
    hidden = own / "task/price.yaml"
    hidden.write_text("defaults: [xor, _self_]\n")
    outcome = run("train", "task=tiny", *FAST)
    assert outcome.code == 2
    assert f"{hidden} would never be read, because rnnlab has a conf/task/price.yaml itself" in outcome.err
    assert outcome.err.count("\n") == 1
    (own / "config.yaml").touch()
    assert f"{own / 'config.yaml'} (and 1 more) would never be read" in run("compose").err


def test_settings_under_a_name_that_means_none_are_refused(run: Run, root: Path, own: Path) -> None:
    """The default, tuning=none, would apply them."""
    (own / "tuned/none").mkdir(parents=True)
    (own / "tuned/none/tiny_narrow.yaml").write_text("# @package _global_\nseed: 9\n")
    outcome = run("train", "task=tiny", "cell=narrow", *FAST)
    assert outcome.code == 2
    assert f"{own / 'tuned/none'}: tuning=none, the default, applies no settings" in outcome.err


def test_a_file_of_a_further_folder_that_would_never_be_read_is_named(run: Run, root: Path, tmp_path: Path) -> None:
    (tmp_path / "more/cell").mkdir(parents=True)
    (tmp_path / "more/cell/gru.yaml").touch()
    outcome = run("train", f"--config-dir={tmp_path / 'more'}", "task=xor", *FAST)
    assert outcome.code == 2
    assert f"{tmp_path / 'more/cell/gru.yaml'} would never be read" in outcome.err


def test_a_conf_that_has_nothing_to_do_with_rnnlab_is_no_hindrance(run: Run, root: Path) -> None:
    (root / "conf/model").mkdir(parents=True)
    (root / "conf/model/price.yaml").write_text("a: 1\n")
    assert run("train", "task=xor", "cell=rnn", *FAST).code == 0


def test_rnnlab_s_own_folder_hides_nothing(run: Run, root: Path) -> None:
    assert run("train", f"--config-dir={CONF}", "task=xor", "cell=rnn", *FAST).code == 0
