"""Kernels for a CPU: C++, compiled by the machine's own compiler."""

from functools import cache

import torch
from torch import Tensor

from rnnlab.cells.cell import Cell
from rnnlab.unroll.cpp.build import NoCompiler, compiler, say_slow
from rnnlab.unroll.cpp.kernel import CppKernel
from rnnlab.unroll.program import Program

FUSED_BELOW = 800_000
"""time · batch · hidden_size up to which oneDNN's LSTM is faster, by up to a fifth; above, ours is."""


class Cpp:
    """The `rnnlab.unroll.backends.Backend` of the processor."""

    dtypes = frozenset((torch.float32, torch.float64))
    uses_inductor = False
    """What no kernel takes is bound by its matrices, and Inductor would compile for minutes to gain little."""

    def choose(self, cell: Cell, x: Tensor, fuses: bool, scans: bool, masked: bool) -> str:
        if scans and (cell.recurrence == "none" or not cell.rowwise):
            return "scan"
        if not cell.rowwise:
            return "loop"
        if fuses and cell.fuses_on_cpu and x.shape[0] * x.shape[1] * cell.hidden_size < FUSED_BELOW and not masked:
            return "fused"
        if not has_compiler():
            return "fused" if fuses else "scan" if scans else "loop"
        return "compiled"

    def compile(self, program: Program, dtype: torch.dtype) -> CppKernel:
        """Raises: `NoCompiler`, `BrokenKernel`."""
        try:
            return CppKernel(program, dtype)
        except NoCompiler as reason:
            say_slow(reason)
            raise


@cache
def has_compiler() -> bool:
    """Looked for once, and the lack of one reported."""
    try:
        compiler()
    except NoCompiler as reason:
        say_slow(reason)
        return False
    return True
