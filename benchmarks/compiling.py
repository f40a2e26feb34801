"""Seconds of a cell's first call, forward and backward: with an empty cache, then from it, each in a fresh process."""

import os
import tempfile
from collections.abc import Iterator
from typing import Any

from benchmarks.nets import Shape, build, compilable, training_step
from benchmarks.timing import clock, fresh, pin

SHAPE: Shape = (8, 20, 32, 32)


def measure(cells: list[str], device: str) -> Iterator[dict[str, Any]]:
    for cell in compilable():
        if not cells or cell in cells:
            with tempfile.TemporaryDirectory() as folder:
                load = os.getloadavg()[0]
                first, cached = (fresh(first_call, cell, device, folder) for _ in range(2))
            print(f"{cell}: first use {first:.1f} s, from the cache {cached:.2f} s", flush=True)
            yield {
                "cell": cell,
                "device": device,
                "first_seconds": round(first, 2),
                "cached_seconds": round(cached, 2),
                "load": round(load, 2),
            }


def first_call(cell: str, device: str, folder: str) -> float:
    pin(1)
    os.environ |= {"RNNLAB_CACHE": folder, "TORCHINDUCTOR_CACHE_DIR": f"{folder}/inductor"}
    return clock(training_step(build(f"{cell} compiled", *SHAPE[2:]), SHAPE, device)) / 1000
