"""Any cell at the speed of a fused kernel: its step traced, differentiated and compiled, and run over all timesteps."""

import ctypes
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Lock
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from rnnlab.cells.cell import Projected, Shared, State
from rnnlab.unroll.cpp import emit
from rnnlab.unroll.cpp.build import library
from rnnlab.unroll.cpp.workspace import WORKSPACE
from rnnlab.unroll.expression import NotRowwise
from rnnlab.unroll.loop import Step
from rnnlab.unroll.program import Program, parts_of, trace

MAKING = Lock()
"""Held while a kernel is made: torch.fx traces for one thread at a time."""

TILE = 32
"""Rows of a batch that go through time together: their states and gates fit into the nearest caches."""


class Kernel:
    """The compiled program of one step, for one type of numbers."""

    def __init__(self, program: Program, dtype: torch.dtype) -> None:
        self.program = program
        self.dtype = dtype
        self.text = emit.source(program, dtype)
        self.library = library(self.text)
        self.names = {
            "forward": emit.forward_buffers(program, keeps=True),
            "forward_only": emit.forward_buffers(program, keeps=False),
            "backward": emit.backward_buffers(program),
        }
        self.sizes = {
            function: [emit.size_of(program, name, keeps=function != "forward_only") for name in names]
            for function, names in self.names.items()
        }
        self.twins = [emit.twin(program, i) for i in range(len(program.products))]

    def call(self, function: str, tensors: dict[str, Tensor], sizes: list[int]) -> None:
        """Raises: `RuntimeError` for a tensor that is not what the kernel reads and writes memory as."""
        names = self.names[function]
        time, batch, _, tile = sizes[:4]
        rows = {"timestep": time * batch, "pair": 2 * batch, "sequence": batch, "tile": -(-batch // tile), "once": 1}
        addresses, dtype = [], self.dtype
        for name, (of, width) in zip(names, self.sizes[function], strict=True):
            tensor = tensors[name]
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
        buffers = (ctypes.c_void_p * len(names))(*addresses)
        getattr(self.library, function)(buffers, (ctypes.c_long * len(sizes))(*sizes))


class Unrolled(torch.autograd.Function):
    """Inputs: the kernel, whether a gradient will be asked for, then parts, initial states, weights, vectors.

    Outputs: the outputs of all timesteps, then the last state.
    """

    @staticmethod
    def forward(ctx: Any, made: Kernel, keeps: bool, *tensors: Tensor) -> tuple[Tensor, ...]:
        program = made.program
        parts, initial, weights, vectors = _split(program, tensors)
        time, batch = parts[0].shape[:2]
        new = partial(WORKSPACE.take, dtype=parts[0].dtype)
        places = {f"projected{i}": part for i, part in enumerate(parts)}
        places |= {f"initial{i}": state for i, state in enumerate(initial)}
        for i, width in enumerate(program.state):
            places[f"states{i}"] = new(time if keeps or i == program.output_field else 2, batch, width)
        places |= {f"weight{i}": weight for i, weight in enumerate(weights)}
        places |= {f"vector{i}": vector for i, vector in enumerate(vectors)}
        if keeps and program.saved:
            places["saved"] = new(time, batch, program.saved_width)
        for i, product in enumerate(program.products):
            if keeps and product.operand == f"argument{i}":
                places[product.operand] = new(time, batch, product.columns)
        if program.output_field is None:
            output = places["output"] = new(time, batch, program.output)
        else:
            output = places[f"states{program.output_field}"]
        sizes = _sizes(time, batch, parts)
        made.call("forward" if keeps else "forward_only", places, sizes)
        last = [
            places[f"states{i}"][(time - 1) if keeps or i == program.output_field else (time - 1) % 2].clone()
            for i in range(len(program.state))
        ]
        if keeps:
            ctx.made, ctx.sizes = made, sizes[:4]
            ctx.vectors = [vector.shape for vector in vectors]
            wanted = set(made.names["backward"]) | {p.operand for p in program.products if p.operand in places}
            ctx.kept = [name for name in places if name in wanted]
            ctx.save_for_backward(*(places[name] for name in ctx.kept))
        return (output, *last)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_output: Tensor, *d_last: Tensor) -> tuple[Tensor | None, ...]:
        made: Kernel = ctx.made
        program = made.program
        places: dict[str, Tensor] = dict(zip(ctx.kept, ctx.saved_tensors, strict=True))
        time, batch, _, tile = ctx.sizes
        new = partial(WORKSPACE.take, dtype=d_output.dtype)
        places["d_output"] = d_output.contiguous()
        for i, width in enumerate(program.state):
            places[f"d_states{i}"] = new(2, batch, width)
            places[f"d_states{i}"][time % 2] = d_last[i]
        tiles = -(-batch // tile)
        for i, width in enumerate(program.parts):
            if f"d_projected{i}" in program.backward:
                places[f"d_projected{i}"] = new(time, batch, width)
        for i, product in enumerate(program.products):
            shared = made.twins[i]
            places[f"d_product{i}"] = places[shared] if shared else new(time, batch, product.rows)
        for i, width in enumerate(program.vectors.values()):
            if f"d_vector{i}" in program.backward:
                places[f"d_vector{i}"] = d_output.new_zeros(tiles, width)
        # strides anew: hooks on saved tensors may have given them another place
        strides = [places[f"projected{i}"].stride(0) if read else 0 for i, read in enumerate(program.reads_projected)]
        made.call("backward", places, [*ctx.sizes, *strides])
        learnt = ctx.needs_input_grad[2 + len(program.parts) + len(program.state) :]
        weights = [_weight_gradient(places, program, i) if learnt[i] else None for i in range(len(program.products))]
        vectors = [places.get(f"d_vector{i}") for i in range(len(program.vectors))]
        return (
            None,
            None,
            *(places.get(f"d_projected{i}") for i in range(len(program.parts))),
            *(places[f"d_states{i}"][0] for i in range(len(program.state))),
            *weights,
            *(v if v is None else v.sum(0).view(shape) for v, shape in zip(vectors, ctx.vectors, strict=True)),
        )


def _weight_gradient(places: dict[str, Tensor], program: Program, index: int) -> Tensor:
    """Σₜ dpₜᵀ aₜ: one product for the whole sequence."""
    gradient, product = places[f"d_product{index}"], program.products[index]
    if product.operand.startswith("state"):
        field = product.operand.removeprefix("state")
        # the state before the first step is a tensor of its own
        total = gradient[0].T @ places[f"initial{field}"]
        if len(gradient) > 1:
            total.addmm_(gradient[1:].flatten(0, 1).T, places[f"states{field}"][:-1].flatten(0, 1))
        return total
    operand = product.operand.replace("new", "states")
    return gradient.flatten(0, 1).T @ places[operand].flatten(0, 1)


def _split(program: Program, tensors: tuple[Tensor, ...]) -> list[tuple[Tensor, ...]]:
    groups, start = [], 0
    for group in (program.parts, program.state, program.products, program.vectors):
        groups.append(tensors[start : start + len(group)])
        start += len(group)
    return groups


def _sizes(time: int, batch: int, parts: tuple[Tensor, ...]) -> list[int]:
    threads = min(torch.get_num_threads(), batch)
    return [time, batch, threads, min(TILE, -(-batch // threads)), *(part.stride(0) for part in parts)]


class Compiled:
    """A step's kernels: traced and compiled at first use for each type of numbers, and for what is learnt."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.kernels: dict[Any, dict[tuple[bool, ...], Kernel]] = {}

    def __call__(self, projected: Projected, state: State, shared: Shared) -> tuple[Tensor, State]:
        """Raises: `NotRowwise`, `NoCompiler`, `BrokenKernel`."""
        parts = tuple(_rows_in_place(part) for part in parts_of(projected))
        if len({tensor.dtype for tensor in (*parts, *state)}) > 1:
            raise NotRowwise("its state and projected input have several types of numbers")
        made = self._kernel(projected, parts, state, shared)
        weights = [shared[product.weight].contiguous() for product in made.program.products]
        # truth values and whole numbers as well: a kernel knows one type
        vectors = [shared[name].to(parts[0].dtype).contiguous() for name in made.program.vectors]
        tensors = (*parts, *(part.contiguous() for part in state), *weights, *vectors)
        keeps = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
        output, *last = Unrolled.apply(  # type: ignore[no-untyped-call]
            made, keeps, *tensors
        )
        return output, type(state)._make(last)

    def _kernel(self, projected: Projected, parts: tuple[Tensor, ...], state: State, shared: Shared) -> Kernel:
        shapes = (
            parts[0].dtype,
            tuple(part.shape[-1] for part in (*parts, *state)),
            tuple((name, tensor.shape) for name, tensor in shared.items()),
        )
        kernels = self.kernels.setdefault(shapes, {})
        learnt = tuple(tensor.requires_grad for tensor in (*parts, *shared.values()))
        if learnt in kernels:
            return kernels[learnt]
        with MAKING:
            if kernels and not torch.is_grad_enabled():
                return next(iter(kernels.values()))  # without a gradient, any will do
            if learnt not in kernels:
                with ThreadPoolExecutor(1) as apart:  # where no hook of the caller's looks on
                    program = apart.submit(trace, self.step, projected, state, shared).result()
                kernels[learnt] = Kernel(program, parts[0].dtype)
            return kernels[learnt]


def _rows_in_place(part: Tensor) -> Tensor:
    """The same numbers with the rows of a timestep one after the other; timesteps may share memory (a mask does)."""
    return part if part[0].is_contiguous() else part.contiguous()
