"""The command `rnnlab`, and the workspace that `rnnlab init` makes."""

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import rnnlab
from rnnlab.commands import init, main
from rnnlab.config import stages
from tests.conftest import CHECKOUT, Run, start


def rnnlab_(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """The exit code of the command in this process."""
    monkeypatch.setattr(sys, "argv", ["rnnlab", *words])
    try:
        main.main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, which no RNNLAB_ROOT leads away from."""
    monkeypatch.delenv("RNNLAB_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_overview_has_every_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["--help"], ["-h"]):
        assert rnnlab_(monkeypatch, *words) == 0
        listed = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
        assert listed == ["init", *main.COMMANDS]
    assert rnnlab_(monkeypatch, "--version") == 0
    assert capsys.readouterr().out.strip() == rnnlab.__version__


def test_another_command_is_refused_with_the_nearest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rnnlab_(monkeypatch, "trian", "task=price") == 2
    told = capsys.readouterr().err
    assert told.startswith("error: rnnlab trian: there is no such command. Did you mean train? There are: init, ")
    assert told.count("\n") == 1


def test_help_shows_how_the_command_is_called(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rnnlab_(monkeypatch, "train", "--help") == 0
    assert capsys.readouterr().out.startswith("rnnlab train [group=option]")
    script = [sys.executable, str(CHECKOUT / "pipelines/train.py"), "--help"]
    assert subprocess.run(script, capture_output=True, text=True, check=True, cwd=root).stdout.startswith(
        "python pipelines/train.py [group=option]"
    )


def test_the_first_line_says_what_is_done_and_where(run: Run, root: Path) -> None:
    begin = ("task=xor", "cell=rnn", "debug=fast")
    assert run("train", *begin).out.startswith(f"train xor/rnn seed 0, in {root}\n")
    assert run("fetch", "task=xor").out.startswith(f"fetch xor, in {root}\n")
    outcome = run("train", *begin, "seed=-1")
    assert outcome.out == "", "nothing is done under a config that cannot be"
    assert outcome.code == 2
    outcome = run("predict", "input=nowhere", "model=nowhere")
    assert outcome.out == "", "standard output is for the answers"
    assert outcome.err.startswith(f"predict, in {root}\n")


# --- the workspace ---


def test_init_makes_a_workspace_and_completes_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rnnlab_(monkeypatch, "init", "mine") == 0
    workspace = folder / "mine"
    told = capsys.readouterr().out
    assert f"{workspace} is a workspace; written: .dvcignore, .gitignore, README.md, conf/grid.yaml, dvc.yaml\n" in told
    assert "needs a git repository" in told
    assert sorted(path.name for path in workspace.iterdir()) == [
        ".dvc", ".dvcignore", ".gitignore", "README.md", "conf", "dvc.yaml",
    ]  # fmt: skip
    settings = (workspace / ".dvc/config").read_text()
    assert "no_scm = True" in settings
    assert "analytics = false" in settings
    (workspace / "conf/grid.yaml").write_text("tasks: [xor]\ncells: [rnn]\nseeds: [7]\n")
    (workspace / "README.md").unlink()
    assert rnnlab_(monkeypatch, "init", "mine") == 0
    assert "written: README.md\n" in capsys.readouterr().out
    assert "[7]" in (workspace / "conf/grid.yaml").read_text(), "what is there stays"


@pytest.mark.parametrize("inside", [".", "below"])
def test_init_within_a_git_repository(folder: Path, inside: str, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(["git", "init", "-q"], check=True)
    assert rnnlab_(monkeypatch, "init", inside) == 0
    assert "no_scm" not in (folder / inside / ".dvc/config").read_text()


def test_the_stages_of_a_workspace_are_those_of_the_checkout() -> None:
    template = init.FILES["dvc.yaml"].read_text()
    for name in main.COMMANDS:
        template = template.replace(f"cmd: rnnlab {name} ", f"cmd: python pipelines/{name}.py ")
        template = template.replace(f"cmd: rnnlab {name}\n", f"cmd: python pipelines/{name}.py\n")
    assert template == (CHECKOUT / "dvc.yaml").read_text()
    assert stages.stages_of(CHECKOUT / "dvc.yaml") == stages.STAGES
    assert init.FILES[".dvcignore"].read_text() == (CHECKOUT / ".dvcignore").read_text()
    ignored = set(init.FILES[".gitignore"].read_text().splitlines())
    assert ignored - {"/configs/"} <= set((CHECKOUT / ".gitignore").read_text().splitlines())


def test_a_workspace_that_becomes_a_repository(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rnnlab_(monkeypatch, "init") == 0
    subprocess.run(["git", "init", "-q"], check=True)
    (folder / "below").mkdir()
    monkeypatch.chdir(folder / "below")
    assert rnnlab_(monkeypatch, "init", "..") == 0
    assert "no_scm" not in (folder / ".dvc/config").read_text()


def test_no_workspace_is_made_within_another_nor_in_a_checkout(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rnnlab_(monkeypatch, "init") == 0
    assert rnnlab_(monkeypatch, "init", "inner/most") == 2
    assert f"{folder}/inner/most is within the workspace {folder}: make one beside it" in capsys.readouterr().err
    assert not (folder / "inner").exists()
    assert rnnlab_(monkeypatch, "init", str(CHECKOUT)) == 2
    assert "is a checkout of rnnlab, which is a workspace already" in capsys.readouterr().err


def test_the_dvc_yaml_of_another_version_or_project(
    folder: Path, monkeypatch: pytest.MonkeyPatch, run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RNNLAB_ROOT", str(folder))
    assert rnnlab_(monkeypatch, "init") == 0
    path = folder / "dvc.yaml"
    ours = path.read_text()
    path.write_text(ours.replace(f"stages: {stages.STAGES}", f"stages: {stages.STAGES - 1}"))
    outcome = run("compose")
    assert outcome.code == 2
    assert f"{path} is of an earlier version of rnnlab: `rnnlab init` writes it" in outcome.err
    assert rnnlab_(monkeypatch, "init") == 0
    assert path.read_text() == ours
    assert f"stages: {stages.STAGES - 1}" in (folder / "dvc.yaml.old").read_text()
    path.write_text(ours.replace(f"stages: {stages.STAGES}", f"stages: {stages.STAGES + 1}"))
    assert "is of a later version of rnnlab" in run("compose").err
    path.write_text("stages:\n  other:\n    cmd: echo\n")
    for code in (run("compose").code, rnnlab_(monkeypatch, "init")):
        assert code == 2
    assert "is not rnnlab's" in capfd.readouterr().err
    assert "other:" in path.read_text(), "another project's stays as it is"


@pytest.mark.parametrize("below", ["", "/folder"])
@pytest.mark.parametrize("words", [("train", "task=xor"), ("fetch", "task=xor"), ("compose",), ("ui",)])
def test_where_nothing_can_be_written(
    root: Path, monkeypatch: pytest.MonkeyPatch, run: Run, words: tuple[str, ...], below: str
) -> None:
    (root / "file").touch()
    monkeypatch.setenv("RNNLAB_ROOT", f"{root}/file{below}")
    outcome = run(*words)
    assert outcome.code == 2, outcome.err
    assert f"cannot write {root}/file" in outcome.err
    assert "RNNLAB_ROOT" in outcome.err
    assert outcome.err.count("\n") == 1


def test_init_beside_a_workspace(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rnnlab_(monkeypatch, "init", "one") == 0
    monkeypatch.chdir(folder / "one")
    assert rnnlab_(monkeypatch, "init", "../two") == 0
    assert (folder / "two/dvc.yaml").is_file()


def test_init_adds_to_the_ignored_files_of_a_repository(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / ".gitignore").write_text("*.log\n/runs/")
    assert rnnlab_(monkeypatch, "init") == 0
    assert "more lines in .gitignore" in capsys.readouterr().out
    lines = (folder / ".gitignore").read_text().splitlines()
    assert lines[0] == "*.log"
    assert set(init.FILES[".gitignore"].read_text().splitlines()) <= set(lines)
    assert lines.count("/runs/") == 1
    before = (folder / ".gitignore").read_text()
    assert rnnlab_(monkeypatch, "init") == 0
    assert (folder / ".gitignore").read_text() == before


def test_init_completes_what_was_interrupted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rnnlab_(monkeypatch, "init") == 0
    (folder / ".dvc/config").write_text("[core]\n    no_scm = True\n")
    assert rnnlab_(monkeypatch, "init") == 0
    settings = (folder / ".dvc/config").read_text()
    assert "analytics = false" in settings
    assert "check_update = false" in settings


def test_a_workspace_that_was_moved_writes_nothing_to_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    """The database of MLflow holds whole paths."""
    short = ("train", "task=xor", "cell=rnn", "trainer.max_epochs=1")
    monkeypatch.setenv("RNNLAB_ROOT", str(tmp_path / "before"))
    assert run(*short).code == 0
    (tmp_path / "before").rename(tmp_path / "after")
    monkeypatch.setenv("RNNLAB_ROOT", str(tmp_path / "after"))
    outcome = run(*short, "seed=1")
    assert outcome.code == 2
    assert f"mlflow.db was made in {tmp_path}/before, and the workspace was moved or copied since" in outcome.err
    assert not (tmp_path / "before").exists()
    for path in (tmp_path / "after").glob("mlflow.db*"):
        path.unlink()
    shutil.rmtree(tmp_path / "after/mlartifacts")
    # in processes of their own: MLflow holds on to the database that is gone
    train = start(tmp_path / "after", *short, "seed=1", "tracking=sync")
    printed, _ = train.communicate(timeout=120)
    assert train.returncode == 0, printed
    assert not (tmp_path / "before").exists()
    (named,) = re.findall(r"rnnlab predict (model=models:/rnnlab-xor-two-bits-\S+@champion)", printed)
    predict = start(tmp_path / "after", "predict", named, "input=[0,1]")
    assert predict.wait(timeout=120) == 0, predict.stdout


def test_a_sweep_where_nothing_can_be_written(root: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    (root / "file").touch()
    monkeypatch.setenv("RNNLAB_ROOT", f"{root}/file")
    for more in ((), ("tracking=none",)):
        outcome = run("train", "-m", "task=xor", "cell=rnn,gru", *more)
        assert outcome.code == 2, outcome.err
        assert f"error: cannot write {root}/file" in outcome.err
        assert "Traceback" not in outcome.err


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"]])
def test_a_reader_that_goes_away_is_no_error(root: Path, arguments: list[str]) -> None:
    command = [sys.executable, "-c", "from rnnlab.commands.main import main; main()", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT / "src")}
    read, written = os.pipe()
    os.close(read)  # before anything is written
    done = subprocess.run(command, env=environment, stdout=written, stderr=subprocess.PIPE, text=True, check=False)
    os.close(written)
    assert (done.returncode, done.stderr) == (0, "")


def test_hydra_s_own_help(run: Run) -> None:
    assert "Configuration groups" in run("train", "--hydra-help").out


def test_a_port_where_another_program_listens(run: Run, root: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        outcome = run("ui", f"port={other.getsockname()[1]}")
    assert outcome.code == 2
    assert "cannot be listened on (Address already in use): give another." in outcome.err


# --- conf/grid.yaml ---


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("tasks: [price, {name: mine, task: series}]\ncells: [rnn]\nseeds: [0]\n", "is a file conf/task/<name>.yaml"),
        (
            "tasks: [price, price]\ncells: [rnn]\nseeds: [0]\n",
            "tasks must be a list of names of files of conf/task",
        ),
        ("tasks: [price]\ncells: rnn\nseeds: [0]\n", "cells must be a list of names of files of conf/cell"),
        ("tasks: [price]\ncells: [rnn]\nseeds: [-1]\n", "seeds must be a list of whole numbers from 0"),
        ("tasks: [price]\ncells: [rnn]\nseeds: [true]\n", "seeds must be a list of whole numbers from 0"),
        ("tasks: [price]\ncells: [rnn]\nseeds: []\n", "seeds must be a list of whole numbers from 0"),
        ("tasks: [price]\ncells: [rnn]\nseeds: [0]\ndatasets: {}\n", "the keys tasks, cells, seeds are needed, and no"),
        ("tasks: [price\n", "cannot be read"),
        ("tasks: [pirce]\ncells: [rnn]\nseeds: [0]\n", "conf/task/pirce.yaml does not exist. Did you mean price?"),
        ("tasks: [price]\ncells: [nrn]\nseeds: [0]\n", "conf/cell/nrn.yaml does not exist."),
    ],
)
def test_a_grid_that_cannot_be_is_refused_in_one_line(run: Run, root: Path, content: str, message: str) -> None:
    (root / "conf").mkdir()
    (root / "conf/grid.yaml").write_text(content)
    outcome = run("compose")
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert not (root / "configs").exists()


def test_a_task_of_the_grid_has_the_name_of_its_file(run: Run, root: Path) -> None:
    """Its results would else go where those of another task are."""
    (root / "conf/task").mkdir(parents=True)
    (root / "conf/task/mine.yaml").write_text("defaults: [price, _self_]\nwindow: 10\n")
    (root / "conf/grid.yaml").write_text("tasks: [mine]\ncells: [rnn]\nseeds: [0]\n")
    outcome = run("compose")
    assert "conf/task/mine.yaml has the name price: `dvc repro` needs name: mine." in outcome.err
    (root / "conf/task/mine.yaml").write_text("defaults: [price, _self_]\nname: mine\nwindow: 10\n")
    for content, message in (
        ("", "task.training: the key is missing."),
        ("defaults: [mine, _self_]\n", "a file of it names itself in its defaults"),
    ):
        (root / "conf/task/mine.yaml").write_text(content)
        outcome = run("compose")
        assert outcome.code == 2
        assert message in outcome.err
        assert outcome.err.count("\n") == 1
    (root / "conf/task/mine.yaml").write_text("defaults: [price, _self_]\nname: mine\nwindow: 10\n")
    assert run("compose").code == 0
    assert yaml.safe_load((root / "configs/train/mine-rnn.yaml").read_text())["task"]["window"] == 10


def test_a_workspace_may_have_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    folder = tmp_path / "o'brien's größe [1]"
    (folder / "conf/task").mkdir(parents=True)
    (folder / "conf/task/mine.yaml").write_text("defaults: [xor, _self_]\nname: mine\n")
    (folder / "conf/grid.yaml").write_text("tasks: [mine]\ncells: [rnn]\nseeds: [0]\n")
    monkeypatch.setenv("RNNLAB_ROOT", str(folder))
    assert run("compose").code == 0
    assert (folder / "configs/train/mine-rnn.yaml").is_file()
    assert run("train", "task=mine", "cell=rnn", "trainer.max_epochs=1", "tracking=none").code == 0
    assert len(list(folder.rglob("weights.safetensors"))) == 1


def test_a_working_directory_that_is_gone_is_no_traceback(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    call = f"{sys.executable} -c 'from rnnlab.commands.main import run; run(\"train\")'"
    done = subprocess.run(
        ["sh", "-c", f"cd {folder} && rmdir {folder} && {call}"],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
