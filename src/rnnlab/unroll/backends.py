"""What a backend is, which there are, and which way of unrolling `auto` takes.

A backend makes kernels of programs for one kind of device. Another one is a folder beside `cpp/` and an entry here.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor

from rnnlab.cells.cell import Cell
from rnnlab.unroll.buffers import Division
from rnnlab.unroll.cpp.backend import Cpp
from rnnlab.unroll.masks import StepModifiers
from rnnlab.unroll.program import Program


class Kernel(Protocol):
    """The compiled program of a step: all timesteps of a batch in one call."""

    @property
    def program(self) -> Program: ...

    @property
    def kept(self) -> frozenset[str]:
        """Buffers of the forward pass that the backward pass reads, or the gradient of a weight is made of."""

    def empty(self, *shape: int) -> Tensor:
        """Memory for a buffer."""

    def divide(self, time: int, batch: int) -> Division:
        """How a batch is divided; of the gradient of a vector there is one sum for each tile."""

    def run(self, function: str, places: Mapping[str, Tensor], division: Division) -> None:
        """Fill buffers. function: `forward`, which keeps what `backward` reads; `forward_only`; `backward`.

        places: at least the buffers that `rnnlab.unroll.buffers` names for it.
        """


class Backend(Protocol):
    """Makes kernels for one kind of device."""

    @property
    def dtypes(self) -> frozenset[torch.dtype]:
        """Of the numbers that kernels compute in."""

    @property
    def uses_inductor(self) -> bool:
        """Whether what no kernel takes runs in chunks compiled by `torch.compile`, or in torch's own operations."""

    def choose(self, cell: Cell, x: Tensor, fuses: bool, scans: bool, masked: bool) -> str:
        """The fastest way for this cell here. fuses, scans: whether these are open to it. masked: with lengths."""

    def compile(self, program: Program, dtype: torch.dtype) -> Kernel:
        """Raises: `NoKernel` for a program that the backend cannot compile, and on a machine where it compiles none."""


BACKENDS: dict[str, Backend] = {"cpu": Cpp()}
"""By type of device."""


def backend_of(device: torch.device) -> Backend | None:
    """None where there are no kernels of ours."""
    return BACKENDS.get(device.type)


def can(way: str, cell: Cell) -> str | None:
    """Why a cell cannot be unrolled this way; None if it can."""
    name = type(cell).__name__
    if way == "fused" and not cell.has_fused_kernel:
        return f"unroll=fused: torch.nn has no kernel for {name}; use auto, compiled or loop."
    if way == "scan" and cell.recurrence == "nonlinear":
        return f"unroll=scan: the state of {name} is not linear in the one before; use auto, compiled or loop."
    if way == "compiled" and not cell.traceable:
        return f"unroll=compiled: {name} cannot be traced; use auto or loop."
    return None


def choose(cell: Cell, x: Tensor, modifiers: StepModifiers) -> str:
    """The way that docs/benchmarks.md shows to be fastest for this cell and device."""
    if not cell.traceable or x.is_meta:
        return "loop"
    # all ways know lengths; no other modifier can be had with a scan or torch's kernels
    plain = replace(modifiers, keep=False).nothing
    fuses = plain and cell.has_fused_kernel
    scans = plain and cell.recurrence != "nonlinear" and (cell.scans_all_states or not modifiers.keep)
    backend = backend_of(x.device)
    if backend is None:
        return "fused" if fuses else "scan" if scans else "compiled"
    return backend.choose(cell, x, fuses, scans, masked=modifiers.keep)
