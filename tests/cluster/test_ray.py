"""The same sweep on a real Ray cluster of two hosts, of which one dies in the middle."""

import os
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.cluster.equality import results
from tests.conftest import CHECKOUT, Run

pytestmark = pytest.mark.server

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: make install EXTRAS=ray")
SWEEP = ("-m", "task=xor", "cell=rnn,gru", "seed=0,1,2,3", "trainer.max_epochs=80", "trainer.patience=null")


def alone() -> list[str]:
    """Words before a command that give it a network of the loopback device alone; [] where that cannot be."""
    if shutil.which("unshare") is None or shutil.which("ip", path=f"{os.environ['PATH']}:/usr/sbin") is None:
        return []
    words = ["unshare", "--net", "sh", "-c", 'PATH="$PATH:/usr/sbin" ip link set lo up && exec "$@"', "sh"]
    return words if subprocess.run([*words, "true"], capture_output=True).returncode == 0 else []


@needs_ray
def test_a_sweep_of_which_a_host_dies_equals_a_local_one(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    if not alone():
        pytest.skip("a network of its own needs unshare, ip and root")
    train = [sys.executable, str(CHECKOUT / "pipelines/train.py"), *SWEEP]
    here = tmp_path_factory.mktemp("local")
    local = subprocess.run([*train, "tracking=none"], env={**os.environ, "RNNLAB_ROOT": str(here)}, capture_output=True)
    assert local.returncode == 0

    cluster = [*alone(), sys.executable, str(CHECKOUT / "tests/cluster/ray_cluster.py"), str(root), *train]
    # not pytest's folder: the path of a socket has room for 107 characters, and those of Ray's take half of them
    with tempfile.TemporaryDirectory(prefix="ray-") as folder:
        environment = {**os.environ, "RAY_TMPDIR": folder, "RAY_USAGE_STATS_ENABLED": "0"}
        swept = subprocess.run(cluster, env=environment, capture_output=True, text=True, timeout=300)
    assert swept.returncode == 0, swept.stdout + swept.stderr
    assert "a host dies" in swept.stdout
    assert "8 runs: 8 to be done, in 2 jobs" in swept.stdout
    assert "8 runs: 8 done" in swept.stdout
    assert "the new champion" in swept.stdout
    assert len(results(here)) == 8
    assert results(root) == results(here)


@needs_ray
def test_without_a_cluster_it_is_said_before_any_work(run: Run, root: Path) -> None:
    nowhere = run("train", *SWEEP, "cluster=ray", "cluster.address=127.0.0.1:1", "tracking=none")
    assert nowhere.code == 2
    assert "cluster.address=127.0.0.1:1: there is no Ray cluster to be reached" in nowhere.err
    assert "ray start --head" in nowhere.err
    none = run("train", *SWEEP, "cluster=ray", "tracking=none")
    assert none.code == 2
    assert "cluster.address=auto: there is no Ray cluster to be reached" in none.err


@needs_ray
@pytest.mark.parametrize("word", ["cluster.cores=1000", "cluster.gpus=1000", "cluster.memory_gb=1e5"])
def test_a_job_that_no_host_has_room_for_is_refused(root: Path, word: str) -> None:
    if not alone():
        pytest.skip("a network of its own needs unshare, ip and root")
    local = ("cluster=ray", "cluster.address=local", "tracking=none")
    train = [*alone(), sys.executable, str(CHECKOUT / "pipelines/train.py"), *SWEEP, *local, word]
    refused = subprocess.run(train, capture_output=True, text=True, timeout=120)
    assert refused.returncode == 2, refused.stderr
    key, _, value = word.partition("=")
    assert f"error: {key}={float(value):.4g}: no host of the Ray cluster has more than" in refused.stderr
    assert not [*root.glob("runs/xor*")]
