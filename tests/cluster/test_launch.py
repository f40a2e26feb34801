"""A sweep on several processes of this machine: the same results as one after another, whatever fails."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rnnlab.cluster.job import jobs
from tests.cluster.equality import results
from tests.conftest import CHECKOUT, Run

SWEEP = ("-m", "task=xor", "cell=rnn,gru", "seed=0,1", "trainer.max_epochs=3")

FRAGILE = """
from rnnlab.tracking.callback import RunCallback

class Breaks(RunCallback):
    def bind(self, cfg, task, folder):
        if cfg.cell.name == "rnn" and cfg.seed == 1:
            raise RuntimeError("this run breaks")
"""


@pytest.fixture
def fragile(root: Path) -> tuple[str, ...]:
    """Overrides under which one run of `SWEEP` fails once it has begun, by a class of the user's own."""
    (root / "fragile.py").write_text(FRAGILE)
    return ("packages=[fragile]", "+callbacks.breaks._target_=fragile.Breaks")


@pytest.mark.slow
def test_processes_leave_what_one_after_another_would(
    run: Run, root: Path, fragile: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNNLAB_STUDIES", "postgresql://me:hunter2@host.example/studies")
    first = run("train", *SWEEP, *fragile)
    assert first.code == 1, first.err
    alone = results(root)
    (root / "runs").rename(root / "alone")

    swept = run("train", *SWEEP, *fragile, "cluster.workers=2")
    assert swept.code == 1, swept.err
    assert "4 runs: 4 to be done, in 2 jobs" in swept.out
    assert "4 runs: 3 done, 1 failed" in swept.out
    assert swept.err.count("error: xor/rnn seed 1") == 1
    assert "failed: RuntimeError: this run breaks\n    xor/rnn seed 1" in swept.out
    assert "Error executing job" not in swept.err
    assert len(alone) == 3
    assert results(root) == alone
    (left,) = jobs()  # that of the failed run, with its log
    assert "this run breaks" in left.log.read_text()
    assert not any(b"hunter2" in path.read_bytes() for path in left.folder.iterdir())

    again = run("train", *SWEEP, *fragile, "cluster.workers=2", "cell=rnn,gru,lstm")
    assert "6 runs: 3 done before, 3 to be done, in 2 jobs" in again.out
    assert "6 runs: 5 done, 3 of them before, 1 failed" in again.out


@pytest.mark.slow
def test_jobs_judge_their_nets_where_asked_and_one_process_crowns(run: Run, root: Path) -> None:
    swept = run("train", *SWEEP, "cluster.workers=2", "cluster.evaluate=true")
    assert swept.code == 0, swept.err
    assert len([*root.glob("runs/xor/*/*/*/evaluate/seeds/seed=*/metrics.json")]) == 4
    assert swept.out.count("the new champion") == 1
    again = run("train", *SWEEP, "cluster.workers=2", "cluster.evaluate=true")
    assert "4 runs: 4 done before" in again.out


@pytest.mark.slow
def test_a_setting_that_follows_from_the_seed_is_found_where_it_is(run: Run, root: Path) -> None:
    words = ("-m", "task=xor", "cell=gru", "seed=1,2", "trainer.max_epochs=${seed}", "cluster.workers=2")
    swept = run("train", *words)
    assert swept.code == 0, swept.err
    assert "2 runs: 2 done" in swept.out
    assert swept.out.count("the new champion") == 1
    assert "the MLflow store failed" not in swept.out + swept.err
    assert "2 runs: 2 done before" in run("train", *words).out


@pytest.mark.slow
def test_a_sweep_is_tried_out_by_processes_too(run: Run, root: Path) -> None:
    tried = run("train", *SWEEP, "cell=gru", "debug=fast", "cluster.workers=2")
    assert tried.code == 0, tried.err
    assert "2 runs: 2 done" in tried.out
    assert not [*root.glob("runs/xor/*/*/*/train/*")]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_ctrl_c_or_a_closed_terminal_ends_the_jobs_and_the_same_command_goes_on(
    root: Path, tmp_path_factory: pytest.TempPathFactory, number: signal.Signals, code: int
) -> None:
    command = long_sweep("tracking=none", epochs=400)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    until = time.monotonic() + 120
    while len([*root.glob("runs/xor/*/*/*/checkpoints/seed=0/last.ckpt")]) < 2:
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == code, out
    assert "the same command goes on with what is missing, each run from its last epoch" in out
    begun = [job.outcome for job in jobs()]
    assert len(begun) == 2
    assert not any(outcome["finished"] for outcome in begun)

    done = subprocess.run(command, capture_output=True, text=True)
    assert "2 runs: 2 to be done (2 of them from their last epoch), in 2 jobs" in done.stdout
    assert "2 runs: 2 done" in done.stdout, done.stdout + done.stderr
    other = tmp_path_factory.mktemp("other")
    subprocess.run(command[:-1], env={**os.environ, "RNNLAB_ROOT": str(other)}, check=True, capture_output=True)
    assert results(root) == results(other)


@pytest.mark.slow
def test_a_sweep_detaches_once_wherever_that_is_asked_for(run: Run, root: Path) -> None:
    (root / "conf/experiment").mkdir(parents=True)
    (root / "conf/experiment/away.yaml").write_text("# @package _global_\ncluster:\n  detach: true\n")
    begun = run("train", *SWEEP, "experiment=away", "cluster.workers=2", "tracking=none")
    assert begun.code == 0, begun.err
    log = root / "runs/.sweep/detached.log"
    until = time.monotonic() + 120
    while "4 runs: 4 done" not in (text := log.read_text()):
        assert time.monotonic() < until, text
        time.sleep(0.2)
    assert "detached.log" in begun.out
    assert "detached.log" not in text, "the process that runs it detaches again"


@pytest.mark.slow
def test_a_killed_process_takes_no_other_with_it(root: Path) -> None:
    command = long_sweep("tracking=none", epochs=200)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    until = time.monotonic() + 120
    while not [*root.glob("runs/xor/*/rnn/*/checkpoints/seed=0/last.ckpt")]:
        assert time.monotonic() < until
        time.sleep(0.05)
    (folder,) = {job.folder for job in jobs() if job.name == "xor/rnn"}
    subprocess.run(["pkill", "-KILL", "-f", f"rnnlab.cluster.worker {folder}"], check=True)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "xor/rnn seed 0 epochs=200 patience=null: its process was killed by SIGKILL before it was done" in out
    assert "2 runs: 1 done, 1 failed" in out


def long_sweep(*words: str, epochs: int = 100) -> list[str]:
    """A command whose two jobs last for some seconds."""
    sweep = (
        "-m",
        "task=xor",
        "cell=rnn,gru",
        "seed=0",
        f"trainer.max_epochs={epochs}",
        "trainer.patience=null",
        *words,
    )
    return [sys.executable, str(CHECKOUT / "pipelines/train.py"), *sweep, "cluster.workers=2"]


def begun(root: Path, process: subprocess.Popen[str]) -> None:
    """Wait until both runs of `long_sweep` are under way."""
    until = time.monotonic() + 240
    while len([*root.glob("runs/xor/*/*/*/checkpoints/seed=0/last.ckpt")]) < 2:
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.05)


@pytest.mark.slow
def test_a_second_command_leaves_the_jobs_of_the_first_to_it(root: Path) -> None:
    first = subprocess.Popen(long_sweep(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    until = time.monotonic() + 240
    while len([job for job in jobs() if job.owner]) < 2:  # its processes may not even have started
        assert time.monotonic() < until
        time.sleep(0.05)
    second = subprocess.run(long_sweep(), capture_output=True, text=True)
    assert second.returncode == 0, second.stderr
    assert "to be done" not in second.stdout, "each of them is running in another process, or done"
    assert "left by an earlier command" not in second.stdout
    out, _ = first.communicate(timeout=240)
    assert first.returncode == 0, out
    assert "2 runs: 2 done" in out


@pytest.mark.slow
def test_processes_of_a_killed_command_are_taken_over(root: Path) -> None:
    first = subprocess.Popen(long_sweep(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)
    begun(root, first)
    pids = [int(job.handle["id"]) for job in jobs()]
    for pid in pids:  # they are still there when the next command looks for them, however slow it is
        os.kill(pid, signal.SIGSTOP)
    first.kill()
    first.wait()
    second = subprocess.Popen(long_sweep(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert second.stdout is not None
    said = next((line for line in second.stdout if line.startswith("2 runs:")), "")
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    out, _ = second.communicate(timeout=240)
    assert said == "2 runs: 2 left by an earlier command\n"
    assert second.returncode == 0, out
    assert "2 runs: 2 done" in out
    assert len(results(root)) == 2
    assert len(pids) == 2
    assert not [*jobs()]


@pytest.mark.slow
def test_what_ended_after_its_command_was_killed_is_crowned_by_the_next(root: Path) -> None:
    short = [*long_sweep(), "trainer.max_epochs=40"]
    first = subprocess.Popen(short, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)
    begun(root, first)
    first.kill()
    first.wait()
    until = time.monotonic() + 240
    while not all(job.has_finished for job in jobs()):
        assert time.monotonic() < until
        time.sleep(0.1)
    second = subprocess.run(short, capture_output=True, text=True)
    assert second.returncode == 0, second.stderr
    assert "2 runs: 2 done before" in second.stdout
    assert second.stdout.count("the new champion") == 1
    assert not [*jobs()]


def test_what_cannot_run_is_said_before_any_work(run: Run, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(root))
    without = run("train", *SWEEP, "cluster=slurm", "tracking=none")
    assert without.code == 2
    assert "cluster=slurm: there is no sbatch on this host's PATH" in without.err
    unknown = run("train", *SWEEP, "cluster.partition=fast", "tracking=none")
    assert unknown.code == 2
    assert "cluster.partition" in unknown.err
    wrong = run("train", *SWEEP, "cluster.workers=0", "tracking=none")
    assert wrong.code == 2
    assert "error: cluster.workers must be an integer >= 1, got 0.\n" in wrong.err
    single = run("train", "task=xor", "cluster=slurm", "tracking=none")
    assert (single.code, single.err) == (2, "error: cluster=slurm runs the jobs of a sweep: add -m.\n")
    elsewhere = run("train", *SWEEP, "cluster=lsf", "tracking=none")
    assert elsewhere.code == 2
    assert "There are: local, ray, slurm" in elsewhere.err
    for key in ("cluster=local,slurm", "cluster.workers=1,2"):
        several = run("train", *SWEEP, key, "tracking=none")
        assert several.code == 2
        assert f"error: {key.partition('=')[0]}: a sweep runs all its jobs in one place" in several.err
    none = run("train", *SWEEP, "cell=glob(zz*)", "tracking=none")
    assert none.code == 2
    assert "error: the sweep has no runs" in none.err
    assert not (root / "runs").exists() or not [*root.glob("runs/xor*")]


@pytest.mark.slow
def test_runs_that_cannot_begin_are_named_and_the_others_go_on(run: Run) -> None:
    swept = run("train", *SWEEP, "cluster.workers=2", "optimizer.lr=0.01,-1", "cell=gru", "tracking=none")
    assert swept.code == 2
    assert swept.err.count("optimizer.lr must be a number > 0, got -1.") == 1
    assert "4 runs: 2 to be done, 2 failed, in 2 jobs" in swept.out
    assert "4 runs: 2 done, 2 failed" in swept.out
