"""Which way of unrolling `auto` takes, and which ways a cell has at all."""

from dataclasses import replace
from functools import cache

from torch import Tensor

from rnnlab.cells.cell import Cell
from rnnlab.unroll.cpp.build import NoCompiler, compiler, say_slow
from rnnlab.unroll.masks import Around

WAYS = ("loop", "compiled", "scan", "fused")


FUSED_BELOW = 800_000
"""time · batch · hidden_size up to which oneDNN's LSTM is faster on a CPU, by up to a fifth; above, ours is."""


def can(way: str, cell: Cell) -> str | None:
    """Why a cell cannot be unrolled this way; None if it can."""
    name = type(cell).__name__
    if way == "fused" and not cell.has_fused_kernel:
        return f"unroll=fused: torch.nn has no kernel for {name}; use auto, compiled or loop."
    if way == "scan" and cell.recurrence == "nonlinear":
        return f"unroll=scan: the state of {name} is not linear in the one before; use auto, compiled or loop."
    if way == "compiled" and not cell.traceable:
        return f"unroll=compiled: {name} keeps its equations to itself; use auto or loop."
    return None


def choose(cell: Cell, x: Tensor, around: Around) -> str:
    """The way that docs/benchmarks.md shows to be fastest for this cell and device."""
    if not cell.traceable or x.device.type == "meta":
        return "loop"
    # all ways know lengths; nothing else that is done around a step goes with a scan or torch's kernels
    plain = replace(around, keep=False).nothing
    fuses = plain and cell.has_fused_kernel
    scans = plain and cell.recurrence != "nonlinear" and (cell.scans_all_states or not around.keep)
    if x.device.type != "cpu":
        return "fused" if fuses else "scan" if scans else "compiled"
    if scans and (cell.recurrence == "none" or not cell.rowwise):
        return "scan"
    if not cell.rowwise:
        return "loop"
    if fuses and cell.fuses_on_cpu and x.shape[0] * x.shape[1] * cell.hidden_size < FUSED_BELOW and not around.keep:
        return "fused"
    if not _has_compiler():
        return "fused" if fuses else "scan" if scans else "loop"
    return "compiled"


@cache
def _has_compiler() -> bool:
    """Looked for once, and announced where there is none."""
    try:
        compiler()
    except NoCompiler as reason:
        say_slow(reason)
        return False
    return True
