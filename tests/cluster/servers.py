"""Slurm on this machine alone, for as long as a test lasts."""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CONFIG = """
ClusterName=lab
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
CryptoType=crypto/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,default_queue_depth=100
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
KillWait=5
MinJobAge=300
SlurmdParameters=config_overrides
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
{further}
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=16000 State=UNKNOWN
PartitionName=cpu Nodes={host} Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes={host} MaxTime=INFINITE State=UP PriorityTier=10
"""

NEEDED = ("slurmctld", "slurmd", "sbatch", "munged")


def missing() -> str:
    """Why Slurm cannot run here; empty where it can."""
    lacking = [name for name in NEEDED if shutil.which(name, path=PATH) is None]
    if lacking:
        return f"{', '.join(lacking)} of Debian's slurmctld, slurmd, slurm-client and munge are not installed"
    return "" if os.geteuid() == 0 else "slurmd needs to be run by root"


PATH = f"{os.environ['PATH']}:/usr/sbin"


def _free_ports(number: int) -> list[int]:
    held = [socket.socket() for _ in range(number)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


@contextmanager
def slurm(folder: Path, cpus: int = 2, further: str = "", hidden: Path | None = None) -> Iterator[dict[str, str]]:
    """Slurm with one node. Yields: the environment in which its commands find it.

    further: lines of its configuration. hidden: a folder that the node sees as an empty one.
    """
    host = socket.gethostname().partition(".")[0]
    for name in ("state", "spool", "munge"):
        (folder / name).mkdir(parents=True)
    config = folder / "slurm.conf"
    config.write_text(CONFIG.format(host=host, ports=_free_ports(2), folder=folder, cpus=cpus, further=further))
    key = folder / "munge/key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    (folder / "munge").chmod(0o755)
    environment = {**os.environ, "PATH": PATH, "SLURM_CONF": str(config)}
    # --force: as root, and below folders that others may write to
    munged = [
        "munged",
        "--foreground",
        "--force",
        "--num-threads=1",
        f"--key-file={key}",
        f"--socket={folder}/munge/socket",
    ]
    munged += [f"--pid-file={folder}/munge/pid", f"--seed-file={folder}/munge/seed", f"--log-file={folder}/munge/log"]
    processes = []
    try:
        node = ["slurmd", "-D"]
        if hidden is not None:
            node = ["unshare", "--mount", "sh", "-c", f"mount -t tmpfs none {hidden}; exec slurmd -D"]
        for command in (munged, ["slurmctld", "-D"], node):
            with (folder / f"{Path(command[0]).name}.out").open("wb") as out:
                processes.append(subprocess.Popen(command, env=environment, stdout=out, stderr=out))
            time.sleep(0.3)
        until = time.monotonic() + 60
        while not re.search(r"idle", _asked(environment, "sinfo", "--noheader", "--format=%T")):
            assert time.monotonic() < until, (folder / "slurmctld.log").read_text()[-2000:]
            time.sleep(0.3)
        yield environment
    finally:
        _asked(environment, "scancel", "--user=root")
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def _asked(environment: dict[str, str], *command: str) -> str:
    return subprocess.run(command, env=environment, capture_output=True, text=True).stdout
