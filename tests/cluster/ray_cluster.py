"""A Ray cluster of two hosts with one processor each, on this machine; the second dies once every job has begun.

python ray_cluster.py ROOT COMMAND...: where the network is the loopback device alone, as Ray dials the outward address.
"""

import subprocess
import sys
import time
from pathlib import Path

from ray.cluster_utils import Cluster


def main() -> int:
    root, command = Path(sys.argv[1]), sys.argv[2:]
    host = {"num_cpus": 1, "object_store_memory": 100_000_000, "node_ip_address": "127.0.0.1"}
    cluster = Cluster(initialize_head=True, head_node_args={**host, "include_dashboard": False})
    second = cluster.add_node(**host)
    sweep = subprocess.Popen([*command, "cluster=ray", f"cluster.address={cluster.address}"])
    while sweep.poll() is None and len([*root.glob("runs/xor/*/*/*/checkpoints/*/last.ckpt")]) < 2:
        time.sleep(0.05)
    print("a host dies", flush=True)
    cluster.remove_node(second, allow_graceful=False)
    code = sweep.wait()
    cluster.shutdown()
    return code


if __name__ == "__main__":
    sys.exit(main())
