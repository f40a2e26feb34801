"""Searching for settings: resumable, shared by processes, blind to the test split, counted where cells are compared."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from omegaconf import DictConfig, OmegaConf

from rnnlab.commands.search import search
from rnnlab.config.stages import compose_task
from rnnlab.errors import MissingExtra, UserError
from rnnlab.report.leaderboard import in_words, rows
from rnnlab.report.page import write
from rnnlab.report.results_table import _chosen
from rnnlab.results.files import read_json
from rnnlab.results.paths import CONF
from tests.conftest import Run, start
from tests.report.test_report import entry, section, tried
from tests.training.test_train import wait_for

optuna = pytest.importorskip("optuna", reason="the extra search is not installed")

from rnnlab.search import study  # noqa: E402
from rnnlab.search.space import distributions, starting_point  # noqa: E402

SMALL = ("cell=rnn", "trainer.max_epochs=1", "search.space.cell.hidden_size.choices=[4,8,32]", "tracking=none")
FILES = sorted(path.stem for path in (CONF / "search").glob("*.yaml"))


@pytest.fixture
def conf(root: Path) -> Path:
    """The workspace's conf/, which overlays are written to."""
    return root / "conf"


def trials(root: Path, cell: str = "*") -> list[Any]:
    """Of the one study there is, in the order in which they began."""
    (journal,) = root.glob(f"searches/*/{cell}/*/journal.log")
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(journal)))
    return optuna.load_study(study_name=None, storage=storage).get_trials()


def states(root: Path) -> list[str]:
    return [trial.state.name for trial in trials(root)]


@pytest.mark.parametrize("name", FILES)
def test_a_saved_space_fits_its_task_and_holds_what_the_config_says(name: str) -> None:
    for task in ["price", "digits", "sentiment"] if name == "default" else [name]:
        cfg = compose_task(task, f"search={name}")
        space = distributions(cfg)
        assert {"optimizer.lr", "cell.hidden_size"} <= space.keys()
        assert "optimizer.lr" in starting_point(cfg, space)


def test_a_leaf_says_what_is_drawn() -> None:
    cfg = compose_task(
        "price",
        "+search.space.trainer.max_epochs={low: 2, high: 10, step: 2}",
        "+search.space.cell.dropout={low: 0, high: 0.5}",
        "search.space.trainer.gradient_clip_val=null",
        "search.space.cell.hidden_size.choices=[8,16]",
    )
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    assert distributions(cfg) == {
        "optimizer.lr": FloatDistribution(0.0003, 0.03, log=True),
        "cell.hidden_size": CategoricalDistribution([8, 16]),
        "cell.dropout": FloatDistribution(0, 0.5),
        "trainer.max_epochs": IntDistribution(2, 10, step=2),
    }
    assert "cell.hidden_size" not in starting_point(cfg, distributions(cfg)), "32 is none of the choices"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["+search.space.optimizer.momentum={low: 0, high: 1}"], "there is no config key optimizer.momentum"),
        (["+search.space.seed={low: 0, high: 9}"], "only keys of"),
        (["search.space.optimizer.lr.low=0.5"], "search.space.optimizer.lr: "),
        (["search.space.optimizer.lr.low=-1"], "search.space.optimizer.lr must be a number > 0, got -1."),
        (["+search.space.optimizer.lr.choices=[1]"], "search.space.optimizer.lr: "),
        (["search.space.cell.hidden_size.choices=[[4]]"], "search.space.cell.hidden_size: "),
        (
            ["search.space.optimizer.lr must be {low, high}, {choices} or null, got 3."],
            "search.space.optimizer.lr must be {low, high}, {choices} or null, got 3.",
        ),
        (["search.space=null", "+search.space={}"], "search.space is empty"),
        (["parameters=matched"], "search.space.cell.hidden_size=null"),
        (["search.trials=0"], "search.trials must be an integer >= 1, got 0."),
        (["search.pruner=meridian"], "search.pruner must be one of median, hyperband, none, got meridian."),
        (["search.name=a/b"], "search.name must be a name of"),
        (["task=digits", "cell=gru", "search.name=cpu"], "is rnnlab's own, and would be read first"),
        (["task=digits", "cell=gru", "tuning=cpu"], "tuning=cpu"),
    ],
)
def test_what_cannot_be_searched_is_said_before_any_work(
    run: Run, root: Path, overrides: list[str], message: str
) -> None:
    outcome = run("search", *overrides, "tracking=none")
    assert outcome.code == 2
    assert message in outcome.err
    assert not list(root.iterdir())


def test_a_folder_that_takes_no_overlay_is_named_before_any_work(root: Path, conf: Path) -> None:
    conf.mkdir()
    (conf / "tuned").write_text("a file where a folder is to be")
    with pytest.raises(UserError, match="which cannot be written"):
        study.search(compose_task("price", *SMALL))
    assert not (root / "searches").exists()


def test_without_optuna_the_extra_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtra, match=r"rnnlab\[search\]"):
        search(compose_task("price", *SMALL))


def test_a_search_goes_on_where_it_stood_and_finds_what_one_without_a_stop_finds(
    root: Path, conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rnnlab.tasks.forecasting.price.data import PriceData

    read, plain_loader = set(), PriceData.loader

    def loader(self: PriceData, split: Any) -> Any:
        read.add(split)
        return plain_loader(self, split)

    monkeypatch.setattr(PriceData, "loader", loader)
    options = (*SMALL, "search.startup_trials=2")
    study.search(compose_task("price", *options, "search.trials=2"))
    assert OmegaConf.load(conf / "tuned/search/price_rnn.yaml").tuning.trials == 2
    study.search(compose_task("price", *options, "search.trials=4"))
    assert read == {"train", "validation"}, "the test split is read by evaluate alone"
    stopped = trials(root)
    assert len(stopped) == 4
    assert stopped[0].params["optimizer.lr"] == compose_task("price", *SMALL).optimizer.lr
    assert len({trial.params["optimizer.lr"] for trial in stopped}) == 4
    monkeypatch.setenv("RNNLAB_ROOT", str(root / "other"))
    study.search(compose_task("price", *options, "search.trials=4", "search.name=mine"))
    whole = trials(root / "other")
    assert [trial.params for trial in stopped] == [trial.params for trial in whole]
    assert [trial.value for trial in stopped] == [trial.value for trial in whole]
    table = pd.read_csv(next((root / "other").glob("searches/*/*/*/trials.csv")))
    assert list(table["value"]) == pytest.approx([trial.value for trial in whole])
    assert not list(root.rglob("*.ckpt")), "weights are thrown away"
    assert not (conf / "tuning/search.yaml").exists(), "rnnlab has one"
    found = compose_task("price", "cell=rnn", "tuning=mine")
    assert (found.tuning.name, found.tuning.trials) == ("mine", 4)
    assert found.optimizer.lr == min(whole, key=lambda trial: trial.value).params["optimizer.lr"]


def test_the_config_s_own_values_are_tried_again_when_that_trial_was_stopped(
    root: Path, conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: Any) -> None:
        raise SystemExit(143)

    cfg = compose_task("price", *SMALL, "search.trials=1")
    with monkeypatch.context() as patched:
        patched.setattr(study, "fit", stopped)
        with pytest.raises(SystemExit):
            study.search(cfg)
    study.search(cfg)
    assert states(root) == ["FAIL", "COMPLETE"]
    first, again = trials(root)
    assert first.params == again.params == starting_point(cfg, distributions(cfg))


def test_another_config_is_another_study(root: Path, conf: Path) -> None:
    for name, change in enumerate(("seed=0", "seed=1", "search.seed=1", "search.pruner=none")):
        study.search(compose_task("price", *SMALL, change, "search.trials=1", f"search.name=n{name}"))
    assert len(list(root.glob("searches/price/rnn/*/journal.log"))) == 4


def test_an_overlay_made_by_hand_is_kept(root: Path, conf: Path) -> None:
    path = conf / "tuned/search/price_rnn.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("# @package _global_\noptimizer: {lr: 0.1}\n")
    with pytest.raises(UserError, match="is made by hand, and a search does not replace it"):
        study.search(compose_task("price", *SMALL, "search.trials=1"))
    assert "lr: 0.1" in path.read_text()


def test_another_study_does_not_replace_an_overlay_and_more_trials_do(root: Path, conf: Path) -> None:
    """Else the trials of the first would be forgotten."""
    study.search(compose_task("price", *SMALL, "search.trials=1"))
    with pytest.raises(UserError, match="is of another search"):
        study.search(compose_task("price", *SMALL, "search.trials=1", "search.space.cell.hidden_size.choices=[4,8]"))
    study.search(compose_task("price", *SMALL, "search.trials=2"))
    found = OmegaConf.load(conf / "tuned/search/price_rnn.yaml").tuning
    (folder,) = root.glob("searches/price/rnn/*")
    assert found == {"trials": 2, "study": folder.name}


def test_a_trial_without_prospect_is_pruned_and_counts(root: Path, conf: Path) -> None:
    """A rate so low that nothing is learnt: no epoch of it beats the median of those before."""
    only = ("~search.space.optimizer.lr.low", "~search.space.optimizer.lr.high", "~search.space.optimizer.lr.log")
    cfg = compose_task(
        "digits", "cell=gru", "cell.hidden_size=16", "trainer.max_epochs=4", "trainer.limit_batches=10", *only,
        "+search.space.optimizer.lr.choices=[0.002,0.0000001]", "search.space.cell.hidden_size=null",
        "search.space.trainer.gradient_clip_val=null", "search.trials=6", "search.startup_trials=1",
        "search.warmup_epochs=0", "tracking=none",
    )  # fmt: skip
    study.search(cfg)
    by_rate = {trial.params["optimizer.lr"]: trial for trial in trials(root)}
    assert by_rate[1e-7].state.name == "PRUNED"
    assert len(by_rate[1e-7].intermediate_values) < 4
    assert by_rate[0.002].state.name == "COMPLETE"
    assert len(trials(root)) == 6
    assert OmegaConf.load(conf / "tuned/search/digits_gru.yaml").tuning.trials == 6


def test_a_trial_that_diverges_counts_and_the_search_goes_on(root: Path, conf: Path) -> None:
    wild = (
        "cell=rnn", "cell.activation=relu", "optimizer=sgd", "optimizer.lr=1e18", "schedule=constant",
        "task.loss=SquaredError", "trainer.gradient_clip_val=null", "trainer.max_epochs=1",
        "search.space.trainer.gradient_clip_val=null",
        "search.space.optimizer.lr.high=1e19", "search.space.cell.hidden_size=null", "tracking=none",
    )  # fmt: skip
    with pytest.raises(UserError, match="None of 1 trials came to its end"):
        study.search(compose_task("price", *wild, "search.trials=1"))
    assert not list(conf.rglob("price_rnn.yaml"))
    study.search(compose_task("price", *wild, "search.trials=1", "search.space.optimizer.lr.high=0.01"))


def test_a_space_that_changes_the_data_is_refused(root: Path, conf: Path) -> None:
    cfg = compose_task("price", *SMALL, "+search.space.task.validation={low: 0.2, high: 0.3}", "search.trials=2")
    with pytest.raises(UserError, match=r"changes the data or the loss \(task.validation\)"):
        study.search(cfg)


def test_a_matched_search_keeps_the_number_of_parameters(root: Path, conf: Path) -> None:
    cfg = compose_task(
        "price", "cell=gru", "trainer.max_epochs=1", "parameters=matched", "parameters.count=3000",
        "search.space.cell.hidden_size=null", "+search.space.cell.num_layers={choices: [1, 2]}", "search.trials=3",
        "tracking=none",
    )  # fmt: skip
    study.search(cfg)
    found = trials(root)
    assert len({trial.params["cell.num_layers"] for trial in found}) > 1
    assert all(abs(trial.user_attrs["parameters"] - 3000) < 150 for trial in found)


# --- in processes of their own ---

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def begin(root: Path) -> Start:
    return lambda name, *overrides: start(root, name, *overrides, "tracking=none")


def output(process: subprocess.Popen[str]) -> str:
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 0, printed
    return printed


@pytest.mark.slow
def test_a_kill_loses_one_trial_and_another_takes_its_place(root: Path, begin: Start, conf: Path) -> None:
    words = (*SMALL, "trainer.max_epochs=12", "search.trials=3", "search.pruner=none")
    process = begin("search", *words)
    wait_for(process, lambda: list(root.glob("searches/*/*/*/trials/1/**/last.ckpt")))
    process.kill()
    process.communicate()
    assert states(root) == ["COMPLETE", "RUNNING"]
    printed = output(begin("search", *words))
    assert "trial 1 had been killed: another takes its place" in printed
    assert states(root) == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert trials(root)[1].params == trials(root)[2].params, "as if it had not been killed"
    assert not list(root.glob("searches/*/*/*/trials/*"))
    assert OmegaConf.load(conf / "tuned/search/price_rnn.yaml").tuning.trials == 3


@pytest.mark.slow
def test_two_processes_share_the_trials(root: Path, begin: Start, conf: Path) -> None:
    words = (*SMALL, "trainer.max_epochs=4", "search.trials=8")
    printed = [output(process) for process in [begin("search", *words), begin("search", *words)]]
    found = trials(root)
    assert len(found) == 8
    assert not {"FAIL", "RUNNING"} & set(states(root))
    took = [text.count("price/rnn trial") for text in printed]
    assert sum(took) == 8
    assert min(took) > 0, "both had their share"
    starts = sorted((trial.datetime_start, trial.datetime_complete) for trial in found)
    assert any(next_start < end for (_, end), (next_start, _) in pairwise(starts)), "at once"
    assert len({trial.params["optimizer.lr"] for trial in found}) == 8, "none was tried twice"
    assert OmegaConf.load(conf / "tuned/search/price_rnn.yaml").tuning.trials == 8


@pytest.mark.slow
def test_one_of_two_processes_is_killed_and_the_other_takes_its_trial(root: Path, begin: Start, conf: Path) -> None:
    words = (*SMALL, "trainer.max_epochs=8", "search.trials=6", "search.pruner=none")
    one, other = begin("search", *words), begin("search", *words)
    wait_for(one, lambda: len(list(root.glob("searches/*/*/*/trials/*/**/last.ckpt"))) == 2, 120)
    one.kill()
    one.communicate()  # until then it stays in the table of processes
    printed = output(other)
    assert printed.count("another takes its place") == 1
    assert sorted(states(root)) == ["COMPLETE"] * 6 + ["FAIL"]
    done = [trial for trial in trials(root) if trial.state.name == "COMPLETE"]
    assert sorted(trial.user_attrs["draw"] for trial in done) == list(range(6))
    assert OmegaConf.load(conf / "tuned/search/price_rnn.yaml").tuning.trials == 6
    assert not list(root.glob("searches/*/*/*/trials/*"))


@pytest.mark.slow
def test_what_was_found_is_applied_on_request_and_its_trials_stand_in_the_leaderboard(
    root: Path, run: Run, begin: Start
) -> None:
    short = "trainer.max_epochs=1"
    output(begin("search", "-m", "cell=rnn,gru", short, "search.trials=2", "search.name=mine"))
    best = min(trial.value for trial in trials(root, "rnn"))
    for name in ("train", "evaluate"):
        output(begin(name, "cell=rnn", "tuning=mine", short))
        assert run(name, "cell=gru", short, "tracking=none").code == 0
    (path,) = root.glob("runs/price/*/rnn/*/train/seed=0/run.json")
    assert read_json(path)["trials"] == 2
    assert read_json(path)["tags"]["tuning"] == "mine"
    assert read_json(path.with_name("metrics.json"))["validation_loss"] == best
    reported = run("report", "report.folder=runs", "tracking=none").out
    assert "The cells had different numbers of tuning trials" in reported
    table = pd.read_csv(root / "reports-runs/leaderboard.csv")
    assert dict(table[table["kind"] == "cell"][["name", "trials"]].values) == {"rnn": 2, "gru": 0}


# --- in words ---


def test_trials_of_searches_and_settings_tried_by_hand_are_added() -> None:
    one, other = (replace(tried("gru", lr, lr, lr), trials=20) for lr in (0.1, 0.01))
    by_hand = replace(one, trials=None)
    assert [_chosen([one], tried=1)[0].trials, _chosen([one, other], tried=3)[0].trials] == [20, 43]
    assert _chosen([by_hand, other], tried=2)[0].trials is None


def tuned(*numbers: int | None) -> tuple[str, Any]:
    cells = [replace(entry(f"cell{i}", 0.9 + 0.01 * i, 1.0), trials=number) for i, number in enumerate(numbers)]
    found = section(*cells)
    return in_words(found, rows(found)), found


def test_only_equal_and_known_numbers_of_trials_make_a_fair_comparison(tmp_path: Path) -> None:
    for fair in ((0, 0), (20, 20), (None,)):
        assert "fair" not in tuned(*fair)[0]
    text, found = tuned(20, 0, None)
    assert text.endswith(
        "The cells had different numbers of tuning trials (cell0 20, cell1 0, cell2 an unknown number): not a fair "
        "comparison."
    )
    assert "unknown numbers of tuning trials" in tuned(None, None)[0]
    write([found], tmp_path / "reports")
    assert "by hand" in (tmp_path / "reports/leaderboard.md").read_text()
    assert list(pd.read_csv(tmp_path / "reports/leaderboard.csv", dtype=str)["trials"].fillna("")) == [
        "20",
        "0",
        "",
        "0",
    ]


def test_a_rehearsal_keeps_nothing(conf: Path, root: Path) -> None:
    cfg: DictConfig = compose_task("price", *SMALL, "search.trials=1", "debug=fast")
    study.search(cfg)
    assert not conf.exists()
    assert not (root / "searches").exists()
