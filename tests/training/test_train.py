"""Training as a user runs it: seeded, resumable, never on stale data, and stopped without a mess."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file

from rnnlab.results.files import read_json, write_json
from rnnlab.results.origin import FORMAT
from tests.conftest import CHECKOUT, Run, experiment_of, start
from tests.test_bad_input import GOOD, HEADER

SHORT = ("trainer.max_epochs=2", "tracking=none")


def weights(root: Path, cell: str = "lstm", seed: int = 0) -> dict:
    (path,) = root.glob(f"runs/price/*/{cell}/*/train/seed={seed}/weights.safetensors")
    return load_file(path)


def same(ours: dict, theirs: dict) -> bool:
    return all(ours[key].equal(theirs[key]) for key in ours)


def test_the_same_seed_gives_the_same_net_and_another_seed_another(run: Run, root: Path) -> None:
    found = {}
    for seed in (0, 1):
        for again in (False, True):
            assert run("train", *SHORT, f"seed={seed}", f"force={again}").code == 0
            found[seed, again] = weights(root, seed=seed)
    assert same(found[0, False], found[0, True])
    assert same(found[1, False], found[1, True])
    assert not same(found[0, False], found[1, False])


def test_the_same_setting_finds_its_own_result_and_another_setting_its_own_folder(run: Run, root: Path) -> None:
    run("train", *SHORT)
    second = run("train", *SHORT)
    assert "already trained under this setting" in second.out
    rounded = run("train", *SHORT, "trainer.threads=2", "trainer.deterministic=false")
    assert "already trained under this setting" in rounded.out, "what decides rounding alone"
    run("train", *SHORT, "optimizer.lr=0.01")
    assert len(list(root.glob("runs/price/*/lstm/*/train/seed=0"))) == 2
    assert {yaml.safe_load(path.read_text())["trainer"]["threads"] for path in root.rglob("seed=0/config.yaml")} == {1}


def test_an_edited_csv_is_prepared_anew_and_trained_anew(run: Run, root: Path) -> None:
    path = root / "my.csv"
    overrides = (*SHORT, "task.source=csv", f"task.path={path}")
    path.write_text("\n".join([HEADER, *GOOD]))
    assert "preparing it in" in run("train", *overrides).out
    assert "preparing it in" not in run("train", *overrides).out
    path.write_text("\n".join([HEADER, *GOOD[:-1], "2020-12-28,250.0,5"]))
    third = run("train", *overrides)
    assert "preparing it in" in third.out
    assert "already trained" not in third.out


def test_the_pipeline_s_own_data_is_used_where_it_was_made_under_this_config(run: Run, root: Path) -> None:
    assert run("fetch", "dvc=true").code == 0
    assert run("preprocess", "dvc=true").code == 0
    assert "preparing it in" not in run("train", *SHORT).out
    assert "preparing it in" in run("train", *SHORT, "task.window=16").out
    stale = run("train", *SHORT, "task.window=16", "dvc=true")
    assert stale.code == 2
    assert "dvc repro" in stale.err


def test_debug_runs_everything_and_keeps_nothing(run: Run, root: Path) -> None:
    outcome = run("train", "debug=fast")
    assert outcome.code == 0
    assert "test relative_mae" in outcome.out
    kept = {path.name for path in root.iterdir()}
    assert kept == {"data"}, "the prepared data is a cache and may stay; runs, results and the store may not"


def test_what_a_run_leaves_behind(run: Run, root: Path) -> None:
    outcome = run("train", *SHORT)
    assert outcome.code == 0
    (folder,) = root.glob("runs/price/*/lstm/*/train/seed=0")
    names = {"config.yaml", "history.parquet", "learnt.json", "metrics.json", "run.json", "weights.safetensors"}
    assert {path.name for path in folder.iterdir()} == names
    history = pd.read_parquet(folder / "history.parquet")
    by_epoch = history[history["key"] == "loss/validation"]
    assert list(by_epoch["epoch"]) == [1, 2]
    best = int(by_epoch["epoch"].iloc[by_epoch["value"].argmin()])
    assert read_json(folder / "metrics.json")["best_epoch"] == best
    assert re.search(rf"price/lstm seed 0: validation loss \d\.\d+ in epoch {best},", outcome.out)
    assert set(history["key"]) == {"loss/train", "loss/train_step", "loss/validation", "learning_rate"}


def test_a_checkpoint_of_one_s_own_is_not_taken_for_the_best_one(run: Run, root: Path) -> None:
    keep = "pytorch_lightning.callbacks.ModelCheckpoint"
    own = f"+callbacks.own={{_target_:{keep},dirpath:{root}/own,filename:second,every_n_epochs:2}}"
    for given in ((), (own,)):
        outcome = run("train", *SHORT, *given)
        assert outcome.code == 0, outcome.err
    assert len(list(root.glob("own/*.ckpt"))) == 1
    with_own, without = (read_json(path) for path in root.glob("runs/price/*/lstm/*/train/seed=0/metrics.json"))
    assert with_own["validation_loss"] == without["validation_loss"]


@pytest.mark.parametrize("options", ["save_top_k:1", "monitor:loss/validation"])
def test_callbacks_of_one_s_own_may_be_those_that_every_training_has(run: Run, root: Path, options: str) -> None:
    """Also of a training that is resumed: each has the state that it left."""
    monitor = "monitor:loss/validation"
    own = (
        f"+callbacks.keep={{_target_:pytorch_lightning.callbacks.ModelCheckpoint,dirpath:{root}/own,{options}}}",
        f"+callbacks.stop={{_target_:pytorch_lightning.callbacks.EarlyStopping,{monitor}}}",
    )
    outcome = run("train", *SHORT, *own)
    assert outcome.code == 0, outcome.err
    assert len(list(root.glob("own/*.ckpt"))) == 1
    (last,) = root.glob("runs/price/*/lstm/*/checkpoints/seed=0/last.ckpt")
    states = torch.load(last, weights_only=True)["callbacks"]
    assert states["rnnlab.last"]["dirpath"] == str(last.parent)
    assert sum(state.get("dirpath") == str(root / "own") for state in states.values()) == 1
    shutil.rmtree(last.parents[2] / "train")
    again = run("train", *SHORT, *own)
    assert again.code == 0, again.err
    assert "going on where it stopped" in again.out


def test_two_callbacks_whose_states_have_one_key_are_refused_in_one_line(run: Run, root: Path) -> None:
    own = [f"+callbacks.{name}._target_=pytorch_lightning.callbacks.ModelCheckpoint" for name in ("one", "two")]
    outcome = run("train", *SHORT, *own)
    assert outcome.code == 2
    assert outcome.err.startswith("error: callbacks.one and callbacks.two would keep their state under the same key, ")
    assert outcome.err.count("\n") == 1
    assert run("train", *SHORT, *own, "+callbacks.two.every_n_epochs=2").code == 0


def test_the_first_step_is_not_timed(run: Run, root: Path) -> None:
    """It may compile a kernel. Of the only step of a run nothing is left."""
    for epochs in (1, 2):
        assert run("train", f"trainer.max_epochs={epochs}", "trainer.limit_batches=1").code == 0
    facts = [read_json(path) for path in root.glob("runs/price/*/lstm/*/train/seed=0/metrics.json")]
    one, two = sorted(facts, key=lambda each: each["steps"])
    assert (one["steps"], one["train_seconds"], one["steps_per_second"]) == (1, 0.0, 0.0)
    assert two["steps"] == 2
    assert two["steps_per_second"] == pytest.approx(1 / two["train_seconds"])


def test_a_csv_at_an_address_is_fetched_anew_each_time(run: Run, root: Path) -> None:
    """It may have changed there: the same command trains again when it has, and only then."""
    before, after = "\n".join([HEADER, *GOOD]), "\n".join([HEADER, *GOOD[:-1], "2020-12-28,250.0,5"])
    server = ThreadingHTTPServer(("127.0.0.1", 0), serving(iter([before, before, after])))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    overrides = (*SHORT, "task.source=csv", f"task.path=http://127.0.0.1:{server.server_port}/my.csv")
    assert run("train", *overrides).code == 0
    assert "already trained" in run("train", *overrides).out
    assert "already trained" not in run("train", *overrides).out
    server.shutdown()


def test_a_command_is_about_one_state_of_data_that_changes_meanwhile(run: Run, root: Path) -> None:
    """Else a net would be trained on other data than the folder of its run is named by."""
    states = ("\n".join([HEADER, *GOOD[:-1], f"2020-12-28,{250 + count}.0,5"]) for count in range(10))
    server = ThreadingHTTPServer(("127.0.0.1", 0), serving(states))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    train = (*SHORT, "task.source=csv", f"task.path=http://127.0.0.1:{server.server_port}/my.csv", "cell=rnn,gru")
    assert run("train", "-m", *train).code == 0
    assert next(states).endswith("251.0,5"), "it was fetched once"
    server.shutdown()
    for path in root.glob("runs/price/*/*/*/train/seed=0/metrics.json"):
        assert read_json(path)["setting"] == path.parents[2].name
    (prepared,) = root.glob("data/cache/price/*/processed/meta.json")
    assert prepared.parents[1].name.endswith(read_json(prepared)["digest"])


def test_a_password_in_netrc_is_sent_and_neither_told_nor_kept(
    run: Run, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor that of an address that a sweep is given as an environment variable."""
    asked = []
    states = repeat("\n".join([HEADER, *GOOD]))
    server = ThreadingHTTPServer(("127.0.0.1", 0), serving(states, asked))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    short = ("-m", "trainer.max_epochs=1", "task.source=csv", "cell=rnn")
    address = f"127.0.0.1:{server.server_port}/my.csv"
    monkeypatch.setenv("TABLE", f"http://me:s3cret@{address}")
    outcomes = [run("train", *short, "task.path=${oc.env:TABLE}")]
    netrc = root.with_name("netrc")
    netrc.write_text("machine 127.0.0.1 login me password s3cret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    outcomes.append(run("train", *short, f"task.path=http://{address}"))
    server.shutdown()
    assert [outcome.code for outcome in outcomes] == [0, 0]
    assert asked == [f"Basic {b64encode(b'me:s3cret').decode()}"] * 2
    assert "s3cret" not in "".join(outcome.out + outcome.err for outcome in outcomes)
    kept = [path for path in root.rglob("*") if path.is_file()]
    assert {"config.yaml", "mlflow.db", "multirun.yaml"} <= {path.name for path in kept}
    assert not [path for path in kept if b"s3cret" in path.read_bytes()]


def serving(states: Iterator[str], asked: list[str | None] | None = None) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if asked is not None:
                asked.append(self.headers["Authorization"])
            body = next(states).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    return Handler


MIRROR = os.environ.get("RNNLAB_MIRROR")


@pytest.mark.mirror
@pytest.mark.skipif(not MIRROR, reason="RNNLAB_MIRROR names no mirror of the full data sets")
def test_bitcoin_from_a_mirror_trains_and_is_judged(run: Run, root: Path) -> None:
    overrides = (*SHORT, "task=bitcoin", f"fetch.mirror={MIRROR}")
    assert "rows: 3484" in run("train", *overrides).out
    judged = run("evaluate", *overrides)
    assert judged.code == 0
    assert "bitcoin/persistence: test relative_mae" in judged.out


def test_without_internet_yahoo_names_other_ways(run: Run, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy, nothing listens: whatever this machine can reach, the request ends at once."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    outcome = run("train", *SHORT, "task=bitcoin", "task.dataset.retries=1", "task.dataset.backoff_seconds=0.01")
    assert outcome.code == 2
    assert "BTC-USD" in outcome.err
    assert "RNNLAB_MIRROR" in outcome.err
    assert "task.source=csv" in outcome.err


@pytest.mark.parametrize("precision", ["bf16-mixed", "64-true"])
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_other_precisions_train(run: Run, root: Path, cell: str, precision: str) -> None:
    assert run("train", f"trainer.precision={precision}", f"cell={cell}", "debug=fast").code == 0


def wait_for(process: subprocess.Popen[str], condition: object, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.05)


def epochs_done(root: Path) -> int:
    return len(list(root.glob("runs/price/*/lstm/*/checkpoints/seed=0/last.ckpt")))


LONG = ("trainer.max_epochs=12", "trainer.patience=12")


def test_a_killed_run_goes_on_and_ends_as_if_nothing_had_happened(run: Run, root: Path, tmp_path: Path) -> None:
    """SIGKILL in mid-training, then the same command: the weights are those of an uninterrupted run, bit for bit."""
    process = start(root, "train", *LONG)
    wait_for(process, lambda: epochs_done(root))
    process.kill()
    process.communicate()
    assert not list(root.glob("runs/price/*/lstm/*/train/*"))

    resumed = run("train", *LONG)
    assert resumed.code == 0
    assert "going on where it stopped" in resumed.out
    assert "had been killed: marked FAILED" in resumed.out
    after_kill = weights(root)
    (folder,) = root.glob("runs/price/*/lstm/*/train/seed=0")
    history = pd.read_parquet(folder / "history.parquet")
    assert list(history[history["key"] == "loss/train"]["epoch"]) == list(range(1, 13))

    assert run("train", *LONG, "force=true").code == 0
    assert same(after_kill, weights(root))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_run_says_so_by_its_exit_code_and_its_status(root: Path, number: signal.Signals, code: int) -> None:
    from mlflow import MlflowClient

    process = start(root, "train", "trainer.max_epochs=500", "trainer.patience=500")
    wait_for(process, lambda: epochs_done(root))
    process.send_signal(number)
    printed, _ = process.communicate(timeout=30)
    assert process.returncode == code, printed
    assert "Traceback" not in printed
    client = MlflowClient(f"sqlite:///{root}/mlflow.db")
    (found,) = client.search_runs([experiment_of(client, "price")])
    assert found.info.status == "KILLED"


def test_a_moved_folder_is_trained_from_the_start(run: Run, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint holds the path of the best one so far; where that is gone, going on would lose it."""
    old = root / "old"
    monkeypatch.setenv("RNNLAB_ROOT", str(old))
    old.mkdir()
    process = start(old, "train", *LONG, "tracking=none")
    wait_for(process, lambda: epochs_done(old))
    process.kill()
    process.communicate()
    old.rename(root / "new")
    monkeypatch.setenv("RNNLAB_ROOT", str(root / "new"))
    outcome = run("train", *LONG, "tracking=none")
    assert outcome.code == 0
    assert "going on where it stopped" not in outcome.out


def test_what_an_earlier_version_left_unfinished_is_trained_from_the_start(run: Run, root: Path) -> None:
    """Its rows may say another thing: of FORMAT 2 they counted epochs from 0."""
    for version, resumed in ((FORMAT, True), (FORMAT - 1, False)):
        assert run("train", *SHORT).code == 0
        (checkpoints,) = root.glob("runs/price/*/lstm/*/checkpoints/seed=0")
        shutil.rmtree(checkpoints.parents[1] / "train")
        begun = read_json(checkpoints / "run.json")
        write_json(checkpoints / "run.json", {**begun, "format": version})
        outcome = run("train", *SHORT)
        assert outcome.code == 0, outcome.err
        assert ("going on where it stopped" in outcome.out) == resumed
        history = pd.read_parquet(checkpoints.parents[1] / "train/seed=0/history.parquet")
        assert list(history[history["key"] == "loss/validation"]["epoch"]) == [1, 2]


def test_two_processes_do_not_train_the_same_run_at_once(run: Run, root: Path) -> None:
    process = start(root, "train", "trainer.max_epochs=500", "trainer.patience=500", "tracking=none")
    wait_for(process, lambda: epochs_done(root))
    second = run("train", "trainer.max_epochs=500", "trainer.patience=500", "tracking=none")
    process.kill()
    process.communicate()
    assert second.code == 2
    assert "Another process works in" in second.err


@pytest.mark.parametrize(
    "job",
    [
        {},
        {"SLURM_NTASKS": "1", "SLURM_PROCID": "0"},
        {"SLURM_NTASKS": "4", "SLURM_PROCID": "3"},
        {"SLURM_NTASKS": "4", "SLURM_PROCID": "3", "SLURM_NTASKS_PER_NODE": "2", "SLURM_NNODES": "2"},
    ],
    ids=["login", "one task", "four tasks", "two nodes"],
)
def test_on_a_machine_with_slurm_a_run_is_one_process_without_hints(
    job: dict[str, str], run: Run, root: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    srun = root / "bin" / "srun"
    srun.parent.mkdir()
    srun.touch(0o755)
    monkeypatch.setenv("PATH", f"{srun.parent}{os.pathsep}{os.environ['PATH']}")
    for name, value in job.items():
        monkeypatch.setenv(name, value)
    outcome = run("train", "task=xor", "cell=gru", "cell.unroll=loop", "trainer.max_epochs=1", "tracking=none")
    assert outcome.code == 0, outcome.err
    assert [str(each.message) for each in recwarn if "lightning" in each.filename] == []
    assert list(root.glob("runs/xor/*/gru/*/train/seed=0/metrics.json"))


def test_a_run_whose_output_nobody_reads_any_longer_goes_on_in_silence(root: Path) -> None:
    """As in `train.py | head -1`."""
    reading, writing = os.pipe()
    os.close(reading)
    train = [sys.executable, CHECKOUT / "pipelines/train.py", *SHORT]
    ended = subprocess.run(
        train, env={**os.environ, "PYTHONPATH": str(CHECKOUT / "src")}, stdout=writing, stderr=subprocess.PIPE
    )
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert list(root.glob("runs/*/*/*/*/train/seed=0/metrics.json"))
