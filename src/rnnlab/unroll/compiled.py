"""Any cell at the speed of a fused kernel: its step traced, differentiated and compiled, and run over all timesteps.

What compiles it is a backend's; here are what all of them share: the derivative that autograd asks for, and the memory
that a kernel reads and writes.
"""

from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from rnnlab.cells.batched_gradients import one_by_one
from rnnlab.cells.cell import Projected, Shared, State
from rnnlab.unroll.backends import Kernel, backend_of
from rnnlab.unroll.buffers import shared_gradient
from rnnlab.unroll.expression import NotRowwise
from rnnlab.unroll.loop import Step
from rnnlab.unroll.no_kernel import NoKernel
from rnnlab.unroll.program import Program, parts_of, trace

TRACING = Lock()
"""Held while a kernel is made: torch.fx traces for one thread at a time."""


class Unrolled(torch.autograd.Function):
    """Inputs: the kernel, whether a gradient will be asked for, then parts, initial states, weights, vectors.

    Outputs: the outputs of all timesteps, then the last state.
    """

    @staticmethod
    def forward(ctx: Any, kernel: Kernel, keeps: bool, *tensors: Tensor) -> tuple[Tensor, ...]:
        program = kernel.program
        parts, initial, weights, vectors = _split(program, tensors)
        time, batch = parts[0].shape[:2]
        empty = kernel.empty
        places = {f"projected{i}": part for i, part in enumerate(parts)}
        places |= {f"initial{i}": state for i, state in enumerate(initial)}
        for i, width in enumerate(program.state):
            places[f"states{i}"] = empty(time if keeps or i == program.output_field else 2, batch, width)
        places |= {f"weight{i}": weight for i, weight in enumerate(weights)}
        places |= {f"vector{i}": vector for i, vector in enumerate(vectors)}
        if keeps and program.saved:
            places["saved"] = empty(time, batch, program.saved_width)
        for i, product in enumerate(program.products):
            if keeps and product.operand == f"argument{i}":
                places[product.operand] = empty(time, batch, product.columns)
        if program.output_field is None:
            output = places["output"] = empty(time, batch, program.output)
        else:
            output = places[f"states{program.output_field}"]
        division = kernel.divide(time, batch)
        kernel.run("forward" if keeps else "forward_only", places, division)
        last = [
            places[f"states{i}"][(time - 1) if keeps or i == program.output_field else (time - 1) % 2].clone()
            for i in range(len(program.state))
        ]
        if keeps:
            ctx.kernel, ctx.division = kernel, division
            ctx.vectors = [vector.shape for vector in vectors]
            ctx.kept = [name for name in places if name in kernel.kept]
            ctx.save_for_backward(*(places[name] for name in ctx.kept))
        return (output, *last)

    @staticmethod
    @once_differentiable
    @one_by_one
    def backward(ctx: Any, d_output: Tensor, *d_last: Tensor) -> tuple[Tensor | None, ...]:
        kernel: Kernel = ctx.kernel
        program, division = kernel.program, ctx.division
        places: dict[str, Tensor] = dict(zip(ctx.kept, ctx.saved_tensors, strict=True))
        time, batch = division.time, division.batch
        empty = kernel.empty
        places["d_output"] = d_output.contiguous()
        for i, width in enumerate(program.state):
            places[f"d_states{i}"] = empty(2, batch, width)
            places[f"d_states{i}"][time % 2] = d_last[i]
        for i, width in enumerate(program.parts):
            if f"d_projected{i}" in program.backward:
                places[f"d_projected{i}"] = empty(time, batch, width)
        for i, product in enumerate(program.products):
            shared = shared_gradient(program, i)
            places[f"d_product{i}"] = places[shared] if shared else empty(time, batch, product.rows)
        for i, width in enumerate(program.vectors.values()):
            if f"d_vector{i}" in program.backward:
                places[f"d_vector{i}"] = d_output.new_zeros(division.tiles, width)
        kernel.run("backward", places, division)
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


class Compiled:
    """A step's kernels: traced and compiled at first use for each type of numbers, and for what is learnt."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.kernels: dict[Any, dict[tuple[bool, ...], Kernel]] = {}

    def __call__(self, projected: Projected, state: State, shared: Shared) -> tuple[Tensor, State]:
        """Raises: `NoKernel`."""
        parts = tuple(_rows_in_place(part) for part in parts_of(projected))
        if len({tensor.dtype for tensor in (*parts, *state)}) > 1:
            raise NotRowwise("its state and projected input have several types of numbers")
        kernel = self._kernel(projected, parts, state, shared)
        weights = [shared[product.weight].contiguous() for product in kernel.program.products]
        # truth values and whole numbers as well: a kernel knows one type
        vectors = [shared[name].to(parts[0].dtype).contiguous() for name in kernel.program.vectors]
        tensors = (*parts, *(part.contiguous() for part in state), *weights, *vectors)
        keeps = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
        output, *last = Unrolled.apply(  # type: ignore[no-untyped-call]
            kernel, keeps, *tensors
        )
        return output, type(state)._make(last)

    def _kernel(self, projected: Projected, parts: tuple[Tensor, ...], state: State, shared: Shared) -> Kernel:
        device, dtype = parts[0].device, parts[0].dtype
        shapes = (
            device.type,
            dtype,
            tuple(part.shape[-1] for part in (*parts, *state)),
            tuple((name, tensor.shape) for name, tensor in shared.items()),
        )
        kernels = self.kernels.setdefault(shapes, {})
        learnt = tuple(tensor.requires_grad for tensor in (*parts, *shared.values()))
        if learnt in kernels:
            return kernels[learnt]
        backend = backend_of(device)
        if backend is None or dtype not in backend.dtypes:
            raise NoKernel(f"there are no kernels of {dtype} for the device {device.type}")
        with TRACING:
            if kernels and not torch.is_grad_enabled():
                return next(iter(kernels.values()))  # without a gradient, any will do
            if learnt not in kernels:
                with ThreadPoolExecutor(1) as apart:  # where no hook or mode of the caller's is active
                    program = apart.submit(trace, self.step, projected, state, shared).result()
                kernels[learnt] = backend.compile(program, dtype)
            return kernels[learnt]


def _rows_in_place(part: Tensor) -> Tensor:
    """The same numbers with the rows of a timestep one after the other; timesteps may share memory (a mask does)."""
    return part if part[0].is_contiguous() else part.contiguous()
