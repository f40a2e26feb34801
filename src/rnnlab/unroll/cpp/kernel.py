"""A program compiled to C++, called through its C functions."""

import ctypes
from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from rnnlab.unroll.buffers import Division, backward_buffers, forward_buffers, size_of
from rnnlab.unroll.cpp.build import library
from rnnlab.unroll.cpp.emit import source
from rnnlab.unroll.cpp.workspace import WORKSPACE
from rnnlab.unroll.program import Program

TILE = 32
"""Rows of a batch that go through time together: their states and gates fit into the nearest caches."""


class CppKernel:
    """The compiled program of one step, for one type of numbers: a `rnnlab.unroll.backends.Kernel`.

    Raises: `NoCompiler`, `BrokenKernel`.
    """

    def __init__(self, program: Program, dtype: torch.dtype) -> None:
        self.program = program
        self.dtype = dtype
        self.empty = partial(WORKSPACE.take, dtype=dtype)
        self.library = library(source(program, dtype))
        self.names = {
            "forward": forward_buffers(program, keeps=True),
            "forward_only": forward_buffers(program, keeps=False),
            "backward": backward_buffers(program),
        }
        self.sizes = {
            function: [size_of(program, name, keeps=function != "forward_only") for name in names]
            for function, names in self.names.items()
        }
        self.kept = frozenset(self.names["backward"]) | {
            product.operand for product in program.products if product.operand.startswith("argument")
        }

    def divide(self, time: int, batch: int) -> Division:
        threads = min(torch.get_num_threads(), batch)
        return Division(time, batch, threads, min(TILE, -(-batch // threads)))

    def run(self, function: str, places: Mapping[str, Tensor], division: Division) -> None:
        """Raises: `RuntimeError` for a tensor that is not what the kernel reads and writes memory as."""
        names = self.names[function]
        time, batch = division.time, division.batch
        rows = {"timestep": time * batch, "pair": 2 * batch, "sequence": batch, "tile": division.tiles, "once": 1}
        addresses, dtype = [], self.dtype
        for name, (of, width) in zip(names, self.sizes[function], strict=True):
            tensor = places[name]
            if (
                tensor.numel() != rows[of] * width
                or tensor.dtype != dtype
                or not tensor.is_cpu
                # timesteps of the projected input may share memory: a step from one to the next is among the sizes
                or not (tensor.is_contiguous() or (name.startswith("projected") and tensor[0].is_contiguous()))
            ):
                raise RuntimeError(
                    f"The buffer {name} is {tuple(tensor.shape)} of {tensor.dtype} on {tensor.device}; {rows[of]} "
                    f"rows of {width} {dtype} on the CPU are needed, contiguous."
                )
            addresses.append(tensor.data_ptr())
        # of the tensors that are given: hooks on saved tensors may have changed them since the forward pass
        projected = (places.get(f"projected{i}") for i in range(len(self.program.parts)))
        sizes = (*division, *(0 if part is None else part.stride(0) for part in projected))
        buffers = (ctypes.c_void_p * len(names))(*addresses)
        getattr(self.library, function)(buffers, (ctypes.c_long * len(sizes))(*sizes))
