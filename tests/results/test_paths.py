"""Where files are: the workspace of a working directory, and files of the user's own."""

from pathlib import Path

import pytest

from rnnlab.errors import UserError
from rnnlab.results.paths import own_file, root, store_root
from rnnlab.tracking.mlflow.client import store_uri


def workspace(folder: Path) -> Path:
    (folder / "conf").mkdir(parents=True)
    (folder / "conf/grid.yaml").touch()
    (folder / "dvc.yaml").touch()
    return folder


@pytest.fixture(autouse=True)
def _no_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RNNLAB_ROOT", raising=False)


def test_the_root_is_the_nearest_workspace_or_else_where_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plain/deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "plain/deep")
    assert root() == tmp_path / "plain/deep"
    outer = workspace(tmp_path / "outer")
    (outer / "a/b").mkdir(parents=True)
    monkeypatch.chdir(outer / "a/b")
    assert root() == outer
    inner = workspace(outer / "a/inner")
    monkeypatch.chdir(inner)
    assert root() == inner
    (inner / "dvc.yaml").unlink()
    assert root() == outer, "a conf/ alone is no workspace"
    monkeypatch.setenv("RNNLAB_ROOT", str(tmp_path / "plain"))
    assert root() == tmp_path / "plain"


def test_an_experiment_that_dvc_runs_in_a_copy_writes_to_the_store_of_the_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outer = workspace(tmp_path / "outer")
    copy = workspace(outer / ".dvc/tmp/exps/tmpabc/sub")
    monkeypatch.chdir(copy)
    assert (root(), store_root()) == (copy, outer)
    assert store_uri(None) == f"sqlite:///{outer}/mlflow.db"
    monkeypatch.setenv("RNNLAB_ROOT", str(outer))
    assert (root(), store_root()) == (copy, outer), "all copies inherit the variable"
    monkeypatch.chdir(outer)
    assert (root(), store_root()) == (outer, outer)


def test_a_file_of_one_s_own_is_found_from_anywhere_in_the_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outer = workspace(tmp_path / "outer")
    (outer / "data").mkdir()
    (outer / "data/mine.csv").touch()
    monkeypatch.chdir(outer)
    assert own_file("data/mine.csv") == Path("data/mine.csv"), "as it is given"
    monkeypatch.chdir(outer / "data")
    assert own_file("mine.csv") == Path("mine.csv")
    assert own_file("data/mine.csv") == outer / "data/mine.csv"
    copy = workspace(outer / ".dvc/tmp/exps/tmpabc")
    monkeypatch.chdir(copy)
    assert own_file("data/mine.csv") == outer / "data/mine.csv", "git does not know it, so it is not in the copy"
    assert own_file("nowhere.csv") == Path("nowhere.csv")
    assert own_file(str(outer / "data/mine.csv")) == outer / "data/mine.csv"


def test_a_file_that_could_be_either_of_two_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outer = workspace(tmp_path / "outer")
    (outer / "sub").mkdir()
    for path in (outer / "mine.csv", outer / "sub/mine.csv"):
        path.touch()
    monkeypatch.chdir(outer / "sub")
    with pytest.raises(UserError, match=f"mine.csv is both {outer}/sub/mine.csv and {outer}/mine.csv: give the whole"):
        own_file("mine.csv")
    assert own_file("../mine.csv") == Path("../mine.csv")


def test_a_root_is_a_whole_path_without_dots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = workspace(tmp_path / "outer")
    monkeypatch.chdir(inside)
    monkeypatch.setenv("RNNLAB_ROOT", "../beside")
    assert root() == tmp_path / "beside"
