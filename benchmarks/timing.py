"""Two nets side by side, and processes of their own."""

import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import torch

from benchmarks.nets import Shape, build, training_step

LEAST = 5
"""Pairs of calls that are timed, however long they take."""


def pin(threads: int) -> None:
    """As many threads here, and in the processes that are started from here."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    torch.set_num_threads(threads)


def alternate(ours: Callable[[], None], peer: Callable[[], None], seconds: float) -> dict[str, float]:
    """Both by turns, who is first changing, for so long; a pair's ratio is taken between neighbours.

    The first call of each is not counted, nor is the first pair where there are more than `LEAST`.
    """
    ours()
    peer()
    pairs: list[tuple[float, float]] = []
    start = time.perf_counter()
    while len(pairs) < LEAST or time.perf_counter() - start < seconds:
        if len(pairs) % 2:
            second = clock(peer)
            pairs.append((clock(ours), second))
        else:
            pairs.append((clock(ours), clock(peer)))
    pairs = pairs[1:] if len(pairs) > LEAST else pairs
    ratios = [first / second for first, second in pairs]
    return {
        "ours_ms": round(statistics.median(first for first, _ in pairs), 3),
        "peer_ms": round(statistics.median(second for _, second in pairs), 3),
        "ratio_median": round(statistics.median(ratios), 3),
        "ratio_min": round(min(ratios), 3),
        "ratio_max": round(max(ratios), 3),
    }


def clock(run: Callable[[], None]) -> float:
    """Milliseconds of one call."""
    start = time.perf_counter()
    run()
    return (time.perf_counter() - start) * 1000


def compare(
    cell: str, unroll: str, peer: str, shape: Shape, threads: int, device: str, seconds: float, input_gradient: bool
) -> dict[str, Any]:
    """A row of results.json."""
    pin(threads)
    torch.manual_seed(0)
    load = os.getloadavg()[0]
    steps = [
        training_step(build(name, *shape[2:]), shape, device, input_gradient) for name in (f"{cell} {unroll}", peer)
    ]
    measured = alternate(*steps, seconds)
    row = {"cell": cell, "unroll": unroll, "peer": peer, "device": device, "threads": threads}
    row |= dict(zip(("batch", "timesteps", "input_size", "hidden_size"), shape, strict=True))
    row |= {**measured, "load": round(load, 2)}
    report(row, f"{measured['ours_ms']:.1f} / {measured['peer_ms']:.1f} ms = {measured['ratio_median']:.2f}")
    return row


def report(row: dict[str, Any], figures: str) -> None:
    """A line on the terminal, with the load before and after."""
    shape = tuple(row[key] for key in ("batch", "timesteps", "input_size", "hidden_size"))
    threads = f" {row['threads']} thread(s)," if "threads" in row else ""
    load = f"load {row['load']:.1f} to {os.getloadavg()[0]:.1f}"
    print(f"{row['cell']} {row['unroll']} / {row['peer']} {shape}:{threads} {figures}, {load}", flush=True)


def fresh(function: Callable[..., Any], *arguments: Any) -> Any:
    """The function's value, from a process in which nothing has run yet, its imports apart."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.overhead"])  # imports all that any of them needs
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()
