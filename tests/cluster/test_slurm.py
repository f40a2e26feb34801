"""The same sweep on a real Slurm: a job at its limit, one that is preempted, one that fails; and what may go wrong."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rnnlab.cluster.job import Job, jobs
from tests.cluster import servers
from tests.cluster.equality import results
from tests.cluster.test_launch import FRAGILE
from tests.conftest import CHECKOUT

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(bool(servers.missing()), reason=servers.missing()),
]

SHORT = ("task=xor", "trainer.max_epochs=3")
EIGHT = ("-m", "task=xor", "cell=rnn,gru", "seed=0,1,2,3", "trainer.max_epochs=80", "trainer.patience=null")
FAILS = ("packages=[fragile]", "+callbacks.breaks._target_=fragile.Breaks")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with servers.slurm(tmp_path_factory.mktemp("slurm")) as environment:
        yield environment


@pytest.fixture
def slurm(server: dict[str, str], root: Path) -> dict[str, str]:
    """The environment of a command in a workspace of its own."""
    return {**os.environ, **{key: server[key] for key in ("PATH", "SLURM_CONF")}}


def command(*words: str) -> list[str]:
    return [sys.executable, str(CHECKOUT / "pipelines/train.py"), *words]


def until(condition: Callable[[], bool], what: str, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.1)


def job_of(root: Path, label: str) -> Job | None:
    found = [Job(path.parent) for path in root.glob("runs/.sweep/jobs/*/job.json")]
    return next((job for job in found if job.parts[0].label.startswith(label)), None)


def comes_on(root: Path, label: str) -> bool:
    """Whether a run has begun, and ended an epoch."""
    job = job_of(root, label)
    return job is not None and job.parts[0].checkpoint.exists()


def test_a_sweep_with_a_limit_a_preemption_and_a_failure_equals_a_local_one(
    slurm: dict[str, str], root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    here = tmp_path_factory.mktemp("local")
    for place in (root, here):
        (place / "fragile.py").write_text(FRAGILE)
    words = (*EIGHT, *FAILS)
    on_slurm = [*command(*words), "cluster=slurm", "cluster.runs_per_job=1", "cluster.memory_gb=1"]
    with (root / "out.txt").open("w") as out:
        sweep = subprocess.Popen(on_slurm, env=slurm, stdout=out, stderr=subprocess.STDOUT)
        # what Slurm sends before the limit
        until(lambda: comes_on(root, "xor/rnn seed 0"), "the first run")
        first = job_of(root, "xor/rnn seed 0")
        assert first is not None
        subprocess.run(["scancel", "--signal=USR2", first.handle["id"]], env=slurm, check=True)
        # a job that takes the whole node ends those that are there, and Slurm puts them back into the queue
        until(lambda: comes_on(root, "xor/gru seed 1"), "a run to be preempted")
        urgent = ["sbatch", "--partition=urgent", "--cpus-per-task=2", "--output=/dev/null", "--wrap=sleep 1"]
        subprocess.run(urgent, env=slurm, check=True, capture_output=True)
        code = sweep.wait(240)
    said = (root / "out.txt").read_text()
    assert code == 1, said
    assert "8 runs: 8 to be done, in 8 jobs" in said
    assert "8 runs: 7 done, 1 failed" in said
    assert "failed: RuntimeError: this run breaks\n    xor/rnn seed 1" in said
    assert "the new champion" in said
    assert job_of(root, "xor/rnn seed 1") is not None, "the folder of a failed job is left"

    local = subprocess.run([*command(*words), "tracking=none"], env={**os.environ, "RNNLAB_ROOT": str(here)})
    assert local.returncode == 1
    assert len(results(here)) == 7
    assert results(root) == results(here)

    again = subprocess.run([*on_slurm, "cell=gru"], env=slurm, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert "4 runs: 4 done before" in again.stdout


def test_jobs_go_on_without_the_command_and_the_same_command_finds_them(slurm: dict[str, str], root: Path) -> None:
    words = ("-m", *SHORT, "cell=gru", "seed=0,1", "cluster=slurm", "cluster.memory_gb=1")
    begun = subprocess.run([*command(*words), "cluster.detach=true"], env=slurm, capture_output=True, text=True)
    assert begun.returncode == 0, begun.stderr
    assert "1 job is submitted" in begun.stdout
    then = subprocess.run(command(*words), env=slurm, capture_output=True, text=True)
    assert then.returncode == 0, then.stderr
    assert "left by an earlier command" in then.stdout or "2 done before" in then.stdout
    assert "to be done" not in then.stdout
    assert "2 runs: 2 done" in then.stdout


def test_what_jobs_did_that_nobody_followed_is_put_into_the_store(slurm: dict[str, str], root: Path) -> None:
    words = ("-m", *SHORT, "cell=gru", "seed=0,1", "cluster=slurm", "cluster.memory_gb=1")
    begun = subprocess.run([*command(*words), "cluster.detach=true"], env=slurm, capture_output=True, text=True)
    assert begun.returncode == 0, begun.stderr
    until(lambda: all(job.has_finished for job in jobs()), "the job")
    then = subprocess.run(command(*words), env=slurm, capture_output=True, text=True)
    assert then.returncode == 0, then.stderr
    assert "2 runs: 2 done, 2 of them before" in then.stdout
    assert "the new champion" in then.stdout
    assert not [*jobs()]


def test_a_workspace_that_the_nodes_do_not_see_is_said_at_once(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with servers.slurm(tmp_path_factory.mktemp("slurm"), hidden=root) as environment:
        words = ("-m", *SHORT, "cell=rnn,gru,lstm", "seed=0,1", "cluster=slurm", "cluster.memory_gb=1", "tracking=none")
        began = time.monotonic()
        swept = subprocess.run(
            command(*words), env={**environment, "RNNLAB_ROOT": str(root)}, capture_output=True, text=True, timeout=120
        )
    assert swept.returncode == 2
    assert "is the workspace to be seen there at the same path?" in swept.stderr
    assert swept.stderr.count("\n") == 1
    assert time.monotonic() - began < 100


def test_what_slurm_has_not_is_said_before_any_work(slurm: dict[str, str], root: Path) -> None:
    words = ("-m", *SHORT, "cell=gru", "cluster=slurm", "tracking=none")
    partition = subprocess.run([*command(*words), "cluster.partition=fast"], env=slurm, capture_output=True, text=True)
    assert (partition.returncode, partition.stderr) == (2, "error: cluster.partition=fast: Slurm has cpu, urgent.\n")
    large = subprocess.run([*command(*words), "cluster.memory_gb=64"], env=slurm, capture_output=True, text=True)
    assert large.returncode == 2
    refused = "error: cluster=slurm: no job was taken: Requested node configuration is not available.\n"
    assert large.stderr.endswith(refused)  # below what sbatch says itself
    config = Path(slurm["SLURM_CONF"]).read_text()
    (root / "away.conf").write_text(re.sub(r"SlurmctldPort=\d+", "SlurmctldPort=1", config))
    away = {**slurm, "SLURM_CONF": str(root / "away.conf")}
    gone = subprocess.run(command(*words), env=away, capture_output=True, text=True)
    assert gone.returncode == 2
    assert gone.stderr.startswith("error: cluster=slurm: scontrol fails (slurm_load_ctl_conf error: Unable to contact")
