"""Peak memory of forward and backward, each side in a process of its own.

Counted from what the process holds with the net, its input and the gradient of its output made, after a call on a short
sequence, which loads the libraries and compiles: what is left is what a training step takes.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks.nets import TORCH, Shape, build, training_step
from benchmarks.timing import fresh, pin, report

SHAPES: list[Shape] = [(64, 100, 128, 256), (64, 784, 1, 128), (16, 2048, 64, 64)]
MIB = 1 << 20


def measure(cells: list[str], device: str) -> Iterator[dict[str, Any]]:
    sides = [(cell, "compiled", f"nn.{name}") for cell, name in TORCH.items()]
    sides += [(cell, "scan", "nn.GRU") for cell in ("mingru", "minlstm", "lru")]
    for shape in SHAPES:
        for cell, unroll, peer in sides:
            if not cells or cell in cells:
                load = os.getloadavg()[0]
                ours, theirs = (fresh(peak, name, shape, device) for name in (f"{cell} {unroll}", peer))
                row = {"cell": cell, "unroll": unroll, "peer": peer, "device": device}
                row |= dict(zip(("batch", "timesteps", "input_size", "hidden_size"), shape, strict=True))
                row |= {"ours_mib": round(ours, 1), "peer_mib": round(theirs, 1), "ratio": round(ours / theirs, 3)}
                row["load"] = round(load, 2)
                report(row, f"{ours:.0f} / {theirs:.0f} MiB = {ours / theirs:.2f}")
                yield row


def peak(name: str, shape: Shape, device: str) -> float:
    """MiB that a training step adds at its peak."""
    pin(1)
    net = build(name, *shape[2:])
    training_step(net, (2, 3, *shape[2:]), device)()
    run = training_step(net, shape, device)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        return (torch.cuda.max_memory_allocated() - before) / MIB
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = _status("VmRSS")
    run()
    return _status("VmHWM") - before


def _status(key: str) -> float:
    found = re.search(rf"{key}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024
