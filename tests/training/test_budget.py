"""The same for every cell: as many parameters, as many steps, as many seconds."""

import json
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf

from rnnlab.config.fingerprint import plain, train_setting
from rnnlab.config.sizing import sizing_setting
from rnnlab.config.stages import compose_task
from rnnlab.errors import UserError
from rnnlab.modules.build import build_module
from rnnlab.tracking import clock
from rnnlab.tracking.recorder import KeepHistory, Recorder
from rnnlab.training.budget import Budget
from rnnlab.training.prepare import open_task
from rnnlab.training.sizing import match_parameters, nearest_size
from tests.conftest import Run, start
from tests.training.test_train import same, wait_for, weights

# one of each file of cells, and those whose sizes have rules of their own
CELLS = ["rnn", "gru", "lstm", "lru", "s5", "sru", "lem", "lmu", "mlstm", "feedforward", "torchrecurrent"]
QUIET = "tracking=none"


@pytest.mark.parametrize("heads", [1, 3, 48])
@pytest.mark.parametrize("target", [1, 17, 500, 12345, 99999])
def test_the_nearest_size_is_the_nearest_of_all_that_a_cell_can_have(heads: int, target: int) -> None:
    def count(size: int) -> int:
        if size % heads:
            raise UserError("heads")
        return 4 * size * (size + 3) + 10

    allowed = range(heads, 400, heads)
    assert nearest_size(count, target) == min(allowed, key=lambda size: abs(count(size) - target))


def test_a_cell_that_can_have_no_size_says_why() -> None:
    def count(size: int) -> int:
        raise UserError("no such activation")

    with pytest.raises(UserError, match="no such activation"):
        nearest_size(count, 100)
    with pytest.raises(UserError, match="No hidden_size"):
        nearest_size(lambda _: 7, 100)


def test_a_cell_comes_near_to_the_reference_and_draws_no_random_number(root: Path) -> None:
    task = open_task(compose_task("price"), 0)
    target = build_module(compose_task("price", "cell=lstm"), task).parameter_count
    before = torch.get_rng_state()
    far = {}
    for cell in CELLS:
        if cell == "torchrecurrent":
            pytest.importorskip("torchrecurrent", reason="the extra torchrecurrent is not installed")
        cfg = compose_task("price", f"cell={cell}", "parameters=matched")
        cfg = match_parameters(cfg, task)
        assert cfg.parameters.count == target
        assert torch.get_rng_state().equal(before), cell
        found = build_module(cfg, task).parameter_count
        torch.set_rng_state(before)
        if abs(found - target) > 0.05 * target:
            far[cell] = found
    assert not far
    cfg = compose_task("price", "cell=lstm", "parameters=matched")
    cfg = match_parameters(cfg, task)
    assert cfg.cell.hidden_size == cfg.task.training.hidden_size


def test_a_reference_and_an_overlay_may_be_files_of_one_s_own(run: Run, root: Path, tmp_path: Path) -> None:
    files = {
        "cell/mine.yaml": "defaults: [/recurrent@_here_, _self_]\n_target_: rnnlab.modules.rnn.RNN\nname: mine\n",
        "tuning/mine.yaml": "name: mine\ntrials: null\nstudy: null\n",
        "tuned/mine/xor_mine.yaml": "# @package _global_\ncell:\n  hidden_size: 3\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    words = ("--config-dir", str(tmp_path), "task=xor", QUIET, "debug=fast")
    matched = run("train", *words, "cell=gru", "parameters=matched", "parameters.reference=mine")
    assert matched.code == 0, matched.err
    assert "(mine of " in matched.out
    tuned = run("train", *words, "cell=mine", "tuning=mine")
    assert tuned.code == 0, tuned.err
    untuned = run("train", *words, "cell=gru", "tuning=mine")
    assert "nothing is tuned for this pair: there is no conf/tuned/mine/xor_gru.yaml" in untuned.err


def test_heads_divide_the_size_that_is_found(root: Path) -> None:
    cfg = compose_task("price", "cell=mlstm", "cell.num_heads=6", "parameters=matched", "parameters.count=2000")
    assert match_parameters(cfg, open_task(cfg, 0)).cell.hidden_size % 6 == 0


def test_a_matched_run_is_that_of_its_size_and_is_found_by_the_same_words(run: Run, root: Path) -> None:
    words = ("cell=gru", "parameters=matched", "parameters.count=1500", "trainer.max_epochs=1", QUIET)
    trained = run("train", *words)
    assert trained.code == 0
    assert "matched to 1,500 (parameters.count)" in trained.out
    (path,) = root.glob("runs/price/*/gru/*/train/seed=0/run.json")
    about = json.loads(path.read_text())
    size, has = about["params"]["cell.hidden_size"], about["params"]["parameters"]
    assert about["tags"]["parameters"] == f"matched (target 1500, has {has})"
    assert abs(has - 1500) < 75
    assert about["name"].startswith(f"gru h{size} ")
    assert run("evaluate", *words).code == 0
    assert list(root.glob("runs/price/*/gru/*/evaluate/metrics.json"))
    again = run("train", "cell=gru", f"cell.hidden_size={size}", "trainer.max_epochs=1", QUIET)
    assert "already trained under this setting" in again.out


def test_what_comes_no_nearer_is_said(run: Run, root: Path) -> None:
    outcome = run("train", "cell=lstm", "parameters=matched", "parameters.count=20", "debug=fast")
    assert outcome.code == 0
    assert "no other size comes nearer to the 20 wanted" in outcome.out


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["parameters=matched", "cell.hidden_size=8"], "cell.hidden_size=8 is given"),
        (["parameters=matched", "parameters.count=-1"], "parameters.count must be an integer >= 1 or null, got -1."),
        (["parameters=matched", "parameters.reference=lstn"], "there is no conf/cell/lstn.yaml"),
        (["parameters.count=1000"], "add parameters=matched"),
        (["parameters=matched", "tuning=cpu", "task=digits", "cell=gru"], "parameters.count="),
        (["budget=steps"], "budget=steps needs budget.steps"),
        (["budget=steps", "budget.steps=2.5"], "budget.steps must be an integer >= 1 or null, got 2.5."),
        (["budget=seconds", "budget.seconds=0"], "budget.seconds must be a number > 0 or null, got 0."),
        (["budget.seconds=3"], "add budget=seconds"),
        (["trainer.max_epochs=null"], "trainer.max_epochs must be an integer >= 1 with budget=epochs, got null."),
        (["schedule.T_max=null"], "schedule.T_max must be an integer"),
    ],
)
def test_what_cannot_go_together_is_said_before_any_work(
    run: Run, root: Path, overrides: list[str], message: str
) -> None:
    outcome = run("train", *overrides, QUIET)
    assert outcome.code == 2
    assert message in outcome.err
    assert not list(root.iterdir())


def test_the_setting_of_a_run_by_epochs_is_what_it_was() -> None:
    free = compose_task("price")
    assert "budget" not in train_setting(free)
    assert sizing_setting(free) == {}
    assert train_setting(compose_task("price", "budget=steps", "budget.steps=9"))["budget"]["steps"] == 9
    one, other = (
        sizing_setting(compose_task("price", "parameters=matched", f"task.training.hidden_size={size}"))
        for size in (8, 9)
    )
    assert one != other, "a stage of dvc.yaml sees what decides the size"


def facts(root: Path, cell: str) -> tuple[dict, pd.DataFrame]:
    (folder,) = root.glob(f"runs/price/*/{cell}/*/train/seed=0")
    return json.loads((folder / "metrics.json").read_text()), pd.read_parquet(folder / "history.parquet")


STEPS = ("budget=steps", "budget.steps=50", "trainer.log_every_n_steps=1", QUIET)


def test_a_budget_of_steps_ends_within_an_epoch_and_the_rate_falls_to_its_end(run: Run, root: Path) -> None:
    """36 batches make an epoch of price: 50 steps are one and a half."""
    assert run("train", *STEPS, "cell=rnn").code == 0
    found, history = facts(root, "rnn")
    assert found["steps"] == 50
    epochs = history[history["key"] == "loss/validation"]
    assert list(epochs["epoch"]) == [1, 2], "what is cut short is validated as well"
    per_epoch = int(history[(history["key"] == "loss/train_step") & (history["epoch"] == 1)].shape[0])
    assert per_epoch < 50 < 2 * per_epoch
    lr = plain(compose_task("price").optimizer)["lr"]
    rates = list(history[history["key"] == "learning_rate"]["value"])
    scheduled = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(scheduled, T_max=50)
    expected = []
    for _ in range(50):
        expected.append(cosine.get_last_lr()[0])
        scheduled.step()
        cosine.step()
    assert rates == pytest.approx([expected[per_epoch - 1], expected[-1]], rel=1e-6)


@pytest.mark.slow
def test_a_budget_of_steps_goes_on_after_a_kill_and_ends_as_if_nothing_had_happened(run: Run, root: Path) -> None:
    long = ("budget=steps", "budget.steps=500", QUIET)
    process = start(root, "train", *long)
    wait_for(process, lambda: list(root.glob("runs/price/*/lstm/*/checkpoints/seed=0/last.ckpt")))
    process.kill()
    process.communicate()
    assert "going on where it stopped" in run("train", *long).out
    resumed = weights(root)
    assert facts(root, "lstm")[0]["steps"] == 500
    assert run("train", *long, "force=true").code == 0
    assert same(resumed, weights(root))


@pytest.mark.slow
def test_a_budget_of_seconds_is_spent_and_no_more_also_over_a_kill(run: Run, root: Path) -> None:
    long = ("budget=seconds", "budget.seconds=3", QUIET)
    process = start(root, "train", *long)
    wait_for(process, lambda: list(root.glob("runs/price/*/lstm/*/checkpoints/seed=0/last.ckpt")))
    process.kill()
    process.communicate()
    assert "going on where it stopped" in run("train", *long).out
    (last,) = root.glob("runs/price/*/lstm/*/checkpoints/seed=0/last.ckpt")
    content = torch.load(last, weights_only=True)
    assert 3 <= content["callbacks"]["Budget"]["spent"] < 3.5
    found, history = facts(root, "lstm")
    assert list(history[history["key"] == "loss/validation"]["epoch"]) == list(range(1, found["epochs"] + 1))
    rates = history[history["key"] == "learning_rate"]["value"]
    assert rates.is_monotonic_decreasing
    assert rates.iloc[-1] < 0.01 * rates.iloc[0], "the cosine ends with the seconds"


def test_seconds_and_rate_leave_out_validation_and_the_first_step_after_each_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two starts, two epochs each: the first step takes 100 s, any other 1 s, validation 50 s."""
    now = 0.0
    monkeypatch.setattr(clock.time, "perf_counter", lambda: now)
    trainer = SimpleNamespace(global_step=0, should_stop=False)
    kept: list[dict] = [{}, {}]
    for steps, spent in ((5, 5.0), (10, 10.0)):
        recorder = Recorder(None)
        callbacks = [KeepHistory(recorder), Budget(None, 10.0, 0.1, None)]
        for callback, state in zip(callbacks, kept, strict=True):
            if state:
                callback.load_state_dict(state)
        for epoch in range(2):
            for callback in callbacks:
                callback.on_train_epoch_start(trainer, None)
            for step in range(3):
                now += 1.0 if epoch or step else 100.0
                for callback in callbacks:
                    callback.on_train_batch_end(trainer, None, None, None, step)
            now += 50.0
        kept = [callback.state_dict() for callback in callbacks]
        assert (kept[0]["seconds"], kept[0]["steps"], kept[1]["spent"]) == (spent, steps, spent)
        assert (recorder.clock.seconds, recorder.clock.steps_per_second) == (spent, 1.0)
        assert trainer.should_stop == (spent == 10.0)


def test_a_run_that_was_killed_before_its_results_were_written_takes_no_step_more(run: Run, root: Path) -> None:
    assert run("train", *STEPS, "cell=rnn").code == 0
    before = weights(root, "rnn")
    (folder,) = root.glob("runs/price/*/rnn/*/train")
    folder.rename(root / "lost")
    assert "going on where it stopped" in run("train", *STEPS, "cell=rnn").out
    assert facts(root, "rnn")[0]["steps"] == 50
    assert same(before, weights(root, "rnn"))


def test_other_schedules_go_by_epochs_under_any_budget(run: Run, root: Path) -> None:
    assert run("train", *STEPS, "cell=rnn", "schedule=constant").code == 0
    assert facts(root, "rnn")[1].query("key == 'learning_rate'")["value"].nunique() == 1
    own_end = ("schedule=cosine", "schedule.T_max=2")
    assert run("train", *STEPS, "cell=gru", *own_end).code == 0
    lr = plain(compose_task("price").optimizer)["lr"]
    rates = list(facts(root, "gru")[1].query("key == 'learning_rate'")["value"])
    # one epoch is whole and took it half-way, the other is cut short
    assert rates == pytest.approx([lr / 2, lr / 2])


def test_a_net_trained_on_a_budget_is_made_anew_from_its_folder(run: Run, root: Path) -> None:
    from rnnlab.serving.predictor import Predictor

    assert run("train", *STEPS, "cell=rnn").code == 0
    (folder,) = root.glob("runs/price/*/rnn/*/train/seed=0")
    assert same(weights(root, "rnn"), Predictor.of_run(folder).module.state_dict())


def test_a_budget_stands_among_the_parameters_of_the_run(run: Run, root: Path) -> None:
    assert run("train", *STEPS, "cell=rnn").code == 0
    (folder,) = root.glob("runs/price/*/rnn/*/train/seed=0")
    params = json.loads((folder / "run.json").read_text())["params"]
    assert (params["budget"], params["budget.steps"]) == ("steps", 50)
    assert "trainer.max_epochs" not in params
    assert OmegaConf.load(folder / "config.yaml").budget.steps == 50
