"""What an evaluation is of: the weights of now, all seeds alike, and a summary of just these."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from rnnlab.config.fingerprint import SOURCE, evaluate_setting
from rnnlab.config.stages import compose_task
from rnnlab.results.files import read_json
from rnnlab.results.locks import locked
from rnnlab.results.paths import Results
from rnnlab.tasks.classification.judging import ClassificationJudging
from rnnlab.tasks.task import Task
from rnnlab.training import evaluate
from tests.conftest import Run
from tests.tracking.test_tracking import client, runs

XOR = ("task=xor", "trainer.max_epochs=3", "tracking=none")
REPORT = ("report.folder=runs", "tracking=none")
DATES = ("task=translate", "task.examples=240", "task.locales=[de_DE,en_US]", "cell=gru", "cell.hidden_size=8",
         "trainer.max_epochs=1", "tracking=none")  # fmt: skip


class Weighed(ClassificationJudging):
    """With an option of its own."""

    def __init__(self, task: Task, weight: float = 1.0) -> None:
        super().__init__(task)
        self.weight = weight


WEIGHED = ("packages=[tests]", "task.judging._target_=tests.training.test_evaluate.Weighed")


def judged(run: Run, *overrides: str) -> None:
    for stage in ("train", "evaluate"):
        outcome = run(stage, *overrides)
        assert outcome.code == 0, outcome.err


def results_of(root: Path, cell: str = "rnn") -> Results:
    (folder,) = root.glob(f"runs/*/*/{cell}/*/train")
    return Results(folder.parent)


def leaderboard(run: Run, root: Path) -> pd.DataFrame:
    outcome = run("report", *REPORT)
    assert outcome.code == 0, outcome.err
    table = pd.read_csv(root / "reports-runs/leaderboard.csv")
    return table[table["kind"] == "cell"].set_index("name")


def train_otherwise(results: Results, seed: int) -> None:
    """As a budget of seconds may: other weights under the same setting."""
    path = results.train(seed) / "weights.safetensors"
    save_file({name: -3 * weight for name, weight in load_file(path).items()}, path)


def test_an_evaluation_of_earlier_weights_is_not_shown_beside_the_new_ones(run: Run, root: Path) -> None:
    judged(run, *XOR, "cell=rnn")
    train_otherwise(results_of(root), 0)
    stale = run("report", *REPORT)
    assert stale.code == 2
    assert "is of an earlier training than the one on disk" in stale.err
    assert run("evaluate", *XOR, "cell=rnn").code == 0
    assert list(leaderboard(run, root).index) == ["rnn"]


def test_a_summary_that_was_not_written_is_missed(run: Run, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in (0, 1):
        judged(run, *XOR, "cell=rnn", f"seed={seed}")
    results = results_of(root)
    before = leaderboard(run, root).loc["rnn"]

    def stop(*_: object) -> None:
        raise SystemExit(143)

    train_otherwise(results, 1)
    with monkeypatch.context() as patch:
        patch.setattr(evaluate, "_summarise", stop)
        assert run("evaluate", *XOR, "cell=rnn", "seed=1").code == 143
    torn = run("report", *REPORT)
    assert torn.code == 2
    assert "does not sum up the seeds in it" in torn.err
    assert "run `rnnlab evaluate` again" in torn.err

    assert run("evaluate", *XOR, "cell=rnn", "seed=1").code == 0
    after = leaderboard(run, root).loc["rnn"]
    assert after["seeds"] == before["seeds"] == 2
    by_seed = [read_json(results.evaluate(seed) / "metrics.json")["accuracy"] for seed in (0, 1)]
    assert after["mean"] == pytest.approx(sum(by_seed) / 2)
    assert (after["ci_low"] + after["ci_high"]) / 2 == pytest.approx(after["mean"])


def test_seeds_judged_with_another_beam_are_not_mixed(run: Run, root: Path) -> None:
    for seed in (0, 1):
        judged(run, *DATES, f"seed={seed}")
    assert leaderboard(run, root)["seeds"].tolist() == [2]
    assert run("evaluate", *DATES, "task.beam=2").code == 0
    assert leaderboard(run, root)["seeds"].tolist() == [1]
    assert run("evaluate", *DATES, "task.beam=2", "seed=1").code == 0
    assert leaderboard(run, root)["seeds"].tolist() == [2]


def test_seeds_judged_under_other_options_are_not_mixed_whatever_they_are(run: Run, root: Path) -> None:
    for seed in (0, 1):
        judged(run, *XOR, "cell=rnn", f"seed={seed}", *WEIGHED)
    assert leaderboard(run, root)["seeds"].tolist() == [2]
    results = results_of(root)
    assert run("evaluate", *XOR, "cell=rnn", *WEIGHED, "+task.judging.weight=2").code == 0
    kept = [read_json(results.evaluate(seed) / "evaluated.json")["judging"] for seed in (0, 1)]
    assert kept == [{"_target_": WEIGHED[1].partition("=")[2], **more} for more in ({"weight": 2}, {})]
    assert leaderboard(run, root)["seeds"].tolist() == [1]
    assert run("evaluate", *XOR, "cell=rnn", *WEIGHED, "+task.judging.weight=2", "seed=1").code == 0
    assert leaderboard(run, root)["seeds"].tolist() == [2]


def test_what_is_said_of_a_checkpoint_says_how_it_was_judged(run: Run, root: Path) -> None:
    assert run("train", *XOR, "cell=rnn").code == 0
    checkpoint = results_of(root).checkpoints(0) / "best.ckpt"
    assert run("evaluate", *XOR, "cell=rnn", f"checkpoint='{checkpoint}'", *WEIGHED, "+task.judging.weight=2").code == 0
    (facts,) = root.glob("runs/xor/*/rnn/checkpoint-*/evaluate/seeds/seed=0/evaluated.json")
    assert read_json(facts)["judging"]["weight"] == 2


def test_the_store_has_the_options_of_the_evaluation_that_it_shows(run: Run, root: Path) -> None:
    """Also where the metrics are the same."""
    for options in ((), ("+task.judging.weight=2",)):
        judged(run, *XOR[:2], "cell=rnn", *WEIGHED, *options)
        kept = read_json(results_of(root).evaluate(0) / "evaluated.json")["judging"]
        (found,) = runs(client(root))
        assert json.loads(found.data.tags["judging"]) == kept
        shown = client(root).download_artifacts(found.info.run_id, "evaluate/evaluated.json")
        assert read_json(Path(shown))["judging"] == kept
    assert kept["weight"] == 2


def test_what_a_killed_training_left_does_not_stand_in_the_way_of_a_report(run: Run, root: Path) -> None:
    judged(run, *XOR, "cell=rnn")
    (root / "runs/xor/two-bits-0/lstm/abc/train/.seed=0.x.part").mkdir(parents=True)
    assert list(leaderboard(run, root).index) == ["rnn"]


def test_a_setting_that_decides_nothing_is_no_tuning_trial(run: Run, root: Path) -> None:
    judged(run, *XOR, "cell=rnn")
    judged(run, *XOR, "cell=rnn", "trainer.log_every_n_steps=7")
    assert leaderboard(run, root)["trials"].to_dict() == {"rnn": 0}
    judged(run, *XOR, "cell=rnn", "trainer.max_epochs=4")
    table = leaderboard(run, root)
    assert table["trials"].tolist() == [2]
    assert table.index[0].startswith("rnn trainer.max_epochs=")
    assert "T_max" not in table.index[0]


def test_a_seed_that_another_process_works_at_is_not_judged(run: Run, root: Path) -> None:
    assert run("train", *XOR, "cell=rnn").code == 0
    with locked(results_of(root).lock(0)):
        outcome = run("evaluate", *XOR, "cell=rnn")
    assert outcome.code == 2
    assert "Another process works in" in outcome.err


@pytest.mark.parametrize("left", [{}, None])
def test_a_checkpoint_without_a_digest_of_its_data_is_of_an_earlier_version(
    run: Run, root: Path, left: dict | None
) -> None:
    assert run("train", *XOR, "cell=rnn").code == 0
    checkpoint = results_of(root).checkpoints(0) / "best.ckpt"
    content = torch.load(checkpoint, weights_only=True)
    assert content.pop("XorData")["digest"]
    torch.save(content if left is None else {**content, "XorData": left}, checkpoint)
    outcome = run("evaluate", *XOR, "cell=rnn", f"checkpoint='{checkpoint}'")
    assert outcome.code == 2
    assert "was written by an earlier version of rnnlab, or with another task.data._target_" in outcome.err
    assert "None" not in outcome.err


def test_what_chooses_the_figures_of_an_evaluation_is_part_of_its_setting() -> None:
    """Else an edit of it would rerun nothing."""
    choosing = {
        path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py") if ".passage()" in path.read_text()
    }
    assert choosing == {"training/evaluate.py"}
    assert choosing <= evaluate_setting(compose_task("price"))["sources"].keys()
