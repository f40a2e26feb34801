"""Runs of several folders in one report and in one store: two workspaces that have trained one seed both."""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hydra.core.hydra_config import HydraConfig
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient

from rnnlab.commands import main
from rnnlab.errors import UserError
from rnnlab.report.union import TOLERANCE, agree
from rnnlab.results.files import read_json, write_json
from rnnlab.results.folders import find_runs
from rnnlab.results.paths import Results
from rnnlab.tracking.mlflow.last_sync import LastSync
from rnnlab.training import prepare
from tests.conftest import Run
from tests.tracking.test_tracking import runs

TASKS = {
    "xor": ("task=xor", "trainer.max_epochs=1"),
    # of which intervals are over seeds and forecasts at once: no mean of those of the seeds
    "price": ("task=price", "trainer.max_epochs=1", "trainer.limit_batches=1"),
}

SHORT = ("cell=rnn", "cell.hidden_size=4", "tracking=none")

BOTH = ("report.folder=[runs,other/runs]", "tracking=none")

SYNC = ("report", "report.write=false", "report.show=false", "tracking=sync")

OF_THE_CLOCK = ["train_seconds", "steps_per_second"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three workspaces: `one` has trained and judged the seeds 0 and 1, `two` 1 and 2, and `all` has their trainings of
    all three, judged together."""
    place = tmp_path_factory.mktemp("workspaces")
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def command(patch: pytest.MonkeyPatch, workspace: str, *words: str) -> None:
        patch.setenv("RNNLAB_ROOT", str(place / workspace))
        patch.setattr(sys, "argv", ["rnnlab", *words[1:]])
        prepare._unsettled.clear()
        main.run(words[0])
        HydraConfig.instance().cfg = None

    with pytest.MonkeyPatch.context() as patch:
        for name in ("RNNLAB_MIRROR", "MLFLOW_TRACKING_URI", "RNNLAB_SWEEP"):
            patch.delenv(name, raising=False)
        for workspace, seeds in (("one", "0,1"), ("two", "1,2"), ("all", "0,1,2")):
            (place / workspace).mkdir(exist_ok=True)
            if workspace != "one":  # its data and baselines: to make them takes longer than all trainings
                copies = [place / "one/data", *(place / "one").glob("runs/*/*/baselines")]
                for source in copies:
                    shutil.copytree(source, place / workspace / source.relative_to(place / "one"))
            for words in TASKS.values():
                if workspace != "all":
                    command(patch, workspace, "train", "-m", *SHORT, *words, f"seed={seeds}")
                command(patch, workspace, "evaluate", "-m", *SHORT, *words, f"seed={seeds}")
            if workspace == "two":
                for source in ("two", "one"):  # both have trained seed 1: that of one is taken, as it is the first
                    for folder in (place / source).glob("runs/*/*/rnn/*/train/seed=*"):
                        into = place / "all" / folder.relative_to(place / source)
                        shutil.copytree(folder, into, dirs_exist_ok=True)
    for number, handler in handlers.items():
        signal.signal(number, handler)
    return place


@pytest.fixture
def both(trained: Path, root: Path) -> Path:
    """The root is `one`, moved; other/ in it is `two`."""
    shutil.copytree(trained / "one", root, dirs_exist_ok=True)
    shutil.copytree(trained / "two", root / "other")
    return root


def table(folder: Path, name: str = "leaderboard") -> pd.DataFrame:
    found = pd.read_csv(folder / f"{name}.csv")
    return found.drop(columns=[column for column in OF_THE_CLOCK if column in found])


def results(workspace: Path, task: str) -> Results:
    (folder,) = workspace.glob(f"runs/{task}/*/rnn/*")
    return Results(folder)


def edit(path: Path, change: Callable[[Any], Any]) -> None:
    content = read_json(path)
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.slow
def test_seeds_of_two_folders_are_one_entry_as_if_one_folder_had_all(
    run: Run, both: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = run("report", *BOTH)
    assert outcome.code == 0, outcome.err
    assert "differs" not in outcome.out + outcome.err
    assert "left out" not in outcome.out
    assert "The runs of runs, other/runs, united by their digests." in outcome.out
    united = both / "reports-united"
    assert set(table(united).query("kind == 'cell'")["seeds"]) == {3}
    assert "learning_curves.png" in {path.name for path in united.glob("figures/xor-*/*.png")}

    monkeypatch.setenv("RNNLAB_ROOT", str(trained / "all"))
    assert run("report", "report.folder=runs", "tracking=none").code == 0
    of_one = trained / "all/reports-runs"
    pd.testing.assert_frame_equal(table(united), table(of_one), check_exact=True)
    pd.testing.assert_frame_equal(table(united, "metrics"), table(of_one, "metrics"), check_exact=True)
    assert "skill_low" in set(table(united, "metrics")["metric"])


@pytest.mark.slow
def test_without_the_prepared_data_what_is_no_mean_over_seeds_is_left_out(run: Run, both: Path, trained: Path) -> None:
    for workspace in (both, both / "other"):
        shutil.rmtree(workspace / "data")
    assert run("report", *BOTH).code == 0
    found = table(both / "reports-united", "metrics").query("task == 'price' and kind == 'cell'")
    expected = read_json(results(trained / "all", "price").summary / "metrics.json")
    metrics = dict(zip(found["metric"], found["value"], strict=True))
    for key in ("relative_mae", "skill", "mase", "return_rmse", "relative_mae_3", "relative_mae_std"):
        assert metrics[key] == pytest.approx(expected[key], rel=1e-12), key
    assert expected.keys() - metrics.keys() == {
        key for key in expected if "_low" in key or "_high" in key or key.startswith("p_value")
    }


@pytest.mark.slow
def test_what_two_folders_say_otherwise_is_shown_in_a_line_and_the_first_is_used(run: Run, both: Path) -> None:
    assert run("report", *BOTH).code == 0
    before = table(both / "reports-united")
    xor, price = (results(both / "other", task) for task in TASKS)
    edit(xor.evaluate(1) / "metrics.json", lambda found: found.update(accuracy=found["accuracy"] - 0.5))
    ours = read_json(results(both, "price").train(1) / "metrics.json")["validation_loss"]
    edit(price.train(1) / "metrics.json", lambda found: found.update(validation_loss=1.02 * ours))
    edit(xor.train(1) / "run.json", lambda found: found["tags"].update(processor="Abacus 3", torch="1.0", host="there"))

    def as_kept_before(run: dict[str, Any]) -> None:
        for key in ("processor", "cores", "python", "numpy", "pytorch_lightning"):
            del run["tags"][key]

    edit(price.train(1) / "run.json", as_kept_before)
    (ridge,) = (both / "other").glob("runs/price/*/baselines/ridge/metrics.json")
    edit(ridge, lambda found: found.update(relative_mae=2.0))

    outcome = run("report", *BOTH)
    assert outcome.code == 0, outcome.err
    markdown = (both / "reports-united/leaderboard.md").read_text(encoding="utf-8")
    lines = [line for line in outcome.out.splitlines() if "differs by more than rounding" in line]
    of_baseline, of_price, of_xor = sorted(lines)
    assert of_xor.startswith("- rnn h4 s1 epochs=1 differs by more than rounding in runs and other/runs: accuracy ")
    assert of_xor.endswith("Abacus 3 (host there, torch 1.0). The first is shown.")
    assert f"validation loss {ours:.4g} and {1.02 * ours:.4g}. It was trained on" in of_price
    assert "an unknown processor (host" in of_price
    assert "cores unknown" in of_price
    assert of_baseline.startswith("- The baseline ridge differs by more than rounding in runs and other/runs: relative")
    html = (both / "reports-united/leaderboard.html").read_text(encoding="utf-8")
    for line in lines:
        assert line in markdown
        assert line.removeprefix("- ").partition(":")[0] in html
    pd.testing.assert_frame_equal(table(both / "reports-united"), before)

    silent = run("report", *BOTH, "report.show=false")
    assert all(line.removeprefix("- ") in silent.out.splitlines() for line in lines)


@pytest.mark.slow
def test_what_cannot_stand_beside_the_first_is_left_out_with_a_line(run: Run, both: Path) -> None:
    xor, price = (results(both / "other", task) for task in TASKS)
    edit(xor.evaluate(2) / "evaluated.json", lambda found: found["judging"].update(beam=7))
    setting = price.folder.name
    for path in price.folder.rglob("*.json"):
        path.write_text(path.read_text(encoding="utf-8").replace(setting, "0123456789"), encoding="utf-8")
    price.folder.rename(price.folder.with_name("0123456789"))
    outcome = run("report", *BOTH)
    assert outcome.code == 0, outcome.err
    assert "- rnn h4 s2 epochs=1 in other/runs is left out: it was judged with beam=7, the others with" in outcome.out
    # trained a moment later, the other code's is the one that is shown
    assert "in runs is left out: it was trained by other code (rnnlab " in outcome.out
    seeds = table(both / "reports-united").query("kind == 'cell'").set_index("task")["seeds"]
    assert seeds.to_dict() == {"price": 2, "xor": 2}


@pytest.mark.slow
def test_one_folder_alone_may_be_reported_and_a_workspace_stands_for_its_runs(run: Run, both: Path) -> None:
    outcome = run("report", f"report.folder={both}/other", "tracking=none")
    assert outcome.code == 0, outcome.err
    assert set(table(both / "reports-united").query("kind == 'cell'")["seeds"]) == {2}
    shutil.rmtree(both / "reports-united")
    chosen = run("report", "report.folder=[runs,other]", "tracking=none", "task=xor")
    assert chosen.code == 0, chosen.err
    assert set(table(both / "reports-united")["task"]) == {"xor"}
    assert run("report", "report.folder=[runs]", "tracking=none").code == 0
    assert (both / "reports-runs/leaderboard.csv").exists()


@pytest.mark.parametrize(
    ("folder", "told"),
    [
        ("[runs,nowhere]", "report.folder=nowhere: there is no such folder, from"),
        ("[runs,empty]", "report.folder=empty: no run by hand is in"),
        ("[runs,runs]", "report.folder: runs names the same folder twice:"),
        ("[runs,other,other/runs]", "report.folder: other and other/runs name the same folder twice:"),
        ("[results,runs]", "report.folder: results, the grid of `dvc repro`, is whole by itself"),
        ("grid", "report.folder=grid: no run by hand is in"),
        ("grid", "what `dvc repro` made is not united, give runs"),
        ("other/runs/xor", "as <task>/<data>/<cell>/<setting>/train/seed=<number>"),
        ("[]", "report.folder is an empty list"),
        ("''", "there is no such folder"),
        ("run", "report.folder=run: there is no such folder"),
        ("[host:/scratch/runs]", "there is no such folder"),
        ("{a: 1}", "report.folder must be a text or a list, each item a text"),
    ],
)
def test_folders_that_cannot_be_united_are_refused_in_a_line(run: Run, root: Path, folder: str, told: str) -> None:
    for place in ("runs", "other/runs"):
        write_json(root / place / "xor/xor-0/rnn/abc/train/seed=0/run.json", {})
    write_json(root / "grid/results/xor/rnn/train/seed=0/run.json", {})
    (root / "empty").mkdir()
    outcome = run("report", f"report.folder={folder}", "tracking=none")
    assert outcome.code == 2
    assert told in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_a_folder_that_may_not_be_read_is_said_to_be_so(root: Path) -> None:
    with pytest.raises(UserError, match="this folder cannot be read"):
        find_runs("report.folder", ["a" * 300])
    with pytest.raises(UserError, match="this folder cannot be read"):
        find_runs("report.folder", ["~nobody-of-this-name/runs"])


def folders_of(store: MlflowClient) -> dict[str, str]:
    found = [(run.data.tags["rnnlab.key"], run.data.tags["rnnlab.folder"]) for run in runs(store)]
    assert len(dict(found)) == len(found), "a run is there twice"
    return dict(found)


@pytest.mark.slow
def test_a_store_takes_each_run_of_two_workspaces_once_and_says_where_it_is(run: Run, both: Path) -> None:
    uri = f"sqlite:///{both}/mlflow.db"
    store = MlflowClient(uri)
    assert run(*SYNC, "report.folder=runs").code == 0
    assert len(folders_of(store)) == 4
    assert LastSync(uri).is_valid()
    assert not LastSync(uri, ["other"]).is_valid()

    synced = run(*SYNC, "report.folder=[runs,other/runs]")
    assert synced.code == 0, synced.err
    assert "2 run(s) put into the store" in synced.out
    expected = {
        read_json(path)["key"]: f"{path.parents[2]}#{path.parent.name.removeprefix('seed=')}"
        for workspace in (both / "other", both)
        for path in workspace.glob("runs/*/*/rnn/*/train/seed=*/run.json")
    }
    assert len(expected) == 6
    assert folders_of(store) == expected, "where it is now, not where it was trained"
    metrics = {run.data.tags["rnnlab.key"]: run.data.metrics for run in runs(store)}
    assert all("validation_loss" in found for found in metrics.values())

    assert LastSync(uri, [str(both / "other/runs")]).is_valid()
    again = run(*SYNC, "report.folder=runs", "tracking.roots=[other/runs]")
    assert "put into the store" not in again.out
    assert LastSync(uri, ["other/runs"]).is_valid()
    os.utime(results(both / "other", "xor").train(2) / "run.json", (0, 0))
    assert not LastSync(uri, ["other/runs"]).is_valid(), "another root has something new"
    assert folders_of(store) == expected

    refused = run(*SYNC, "report.folder=runs", "tracking.roots=[nowhere]")
    assert refused.code == 2
    assert "tracking.roots=nowhere: there is no such folder" in refused.err


@pytest.mark.slow
def test_a_run_whose_workspace_was_moved_is_said_to_be_where_it_is(run: Run, both: Path) -> None:
    words = (*SYNC, "report.folder=runs", "tracking.roots=[other]")
    assert run(*words).code == 0
    (both / "other").rename(both / "moved")
    assert run(*words[:-1], "tracking.roots=[moved]").code == 0
    places = folders_of(MlflowClient(f"sqlite:///{both}/mlflow.db")).values()
    assert sum(f"{both}/moved/runs/" in place for place in places) == 2
    assert not any("/other/" in place for place in places)


VALUES = st.floats(0, 1e6)
BEST = st.sampled_from([None, 1.0, 100.0])


@pytest.mark.slow
@pytest.mark.parametrize("target", ["os.system", "mine.Judging"])
def test_a_config_from_elsewhere_makes_nothing_but_its_judging(run: Run, both: Path, target: str) -> None:
    for workspace in (both, both / "other"):
        for path in results(workspace, "price").folder.glob("train/*/config.yaml"):
            text = path.read_text(encoding="utf-8").replace(
                "rnnlab.tasks.forecasting.price.judging.PriceJudging", target
            )
            path.write_text(text.replace("packages: []", "packages: [mine, os]"), encoding="utf-8")
    outcome = run("report", *BOTH)
    assert outcome.code == 2
    assert f"task.judging._target_={target}" in outcome.err


@given(one=VALUES, other=VALUES, best=BEST, items=st.integers(1, 10_000))
def test_agreement_is_of_both_and_holds_between_them_too(
    one: float, other: float, best: float | None, items: int
) -> None:
    assert agree(one, one, best, items)
    assert agree(one, other, best, items) == agree(other, one, best, items)
    if agree(one, other):
        assert agree(one, (one + other) / 2)
        assert agree(one, other, best, items), "what is known of the metric allows more, never less"


@given(loss=st.floats(1.0, 1e6), share=st.floats(0, 10 * TOLERANCE))
def test_losses_that_differ_by_more_than_the_tolerance_disagree(loss: float, share: float) -> None:
    assert agree(loss, loss * (1 + share)) == (share <= TOLERANCE * (1 + share) * (1 + 1e-9))


def test_what_rounding_explains_of_a_metric() -> None:
    assert agree(0.00001, 0.00009), "as good as none"
    assert not agree(0.001, 0.002)
    assert agree(0.5, 0.45, best=1.0, items=20), "one item on the other side"
    assert not agree(0.5, 0.4, best=1.0, items=20)
    assert agree(0.001, 0.005, best=1.0), "a skill near 0 is no small number"
    assert not agree(float("nan"), 0.5)
