"""Any cell in chunks of timesteps: BPTT in torch's own operations, for what the C++ kernel does not reach.

That is a state of matrices, and a graphics card. The forward pass keeps the state at the start of each chunk; the
backward pass runs a chunk again with autograd. To each product with a recurrent weight it adds a probe of zeros, whose
gradient is that of the product: so the gradient of a weight is one matrix product for the whole sequence here too.
With `torch.compile`, a chunk becomes a few kernels; its length never changes (what is left over goes step by step), so
that nothing is compiled anew for another sequence.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from rnnlab.cells.batched_gradients import one_by_one
from rnnlab.cells.cell import Projected, Shared, State
from rnnlab.unroll.loop import Step
from rnnlab.unroll.program import parts_of, rebuilt

log = logging.getLogger("rnnlab")

LENGTH = 8
"""Timesteps in a chunk: fewer cost calls, more cost compile time."""


class Chunks:
    """A step run in chunks, `compile` saying whether by `torch.compile`."""

    def __init__(self, step: Step, compile: bool) -> None:  # noqa: A002
        self.step = step
        self.compile = compile
        self.bodies: dict[Any, Body] = {}

    def __call__(self, projected: Projected, state: State, shared: Shared) -> tuple[Tensor, State]:
        parts = parts_of(projected)
        learnable = {
            name: tensor for name, tensor in shared.items() if tensor.is_floating_point() or tensor.is_complex()
        }
        names = tuple(learnable)
        key = (names, len(parts))
        if key not in self.bodies:
            self.bodies[key] = Body(self.step, rebuilt(projected), type(state)._make, names, len(parts), len(state))
            if self.compile:
                self.bodies[key].compile()
        self.bodies[key].fixed = {name: tensor for name, tensor in shared.items() if name not in learnable}
        output, *last = Chunked.apply(  # type: ignore[no-untyped-call]
            self.bodies[key], *parts, *state, *learnable.values()
        )
        return output, type(state)._make(last)


class Body:
    """What is done to one chunk: plain functions of flat tensors, as a compiler wants them."""

    def __init__(
        self,
        step: Step,
        make_projected: Callable[[Sequence[Tensor]], Projected],
        make_state: Callable[[Sequence[Tensor]], State],
        names: tuple[str, ...],
        parts: int,
        states: int,
    ) -> None:
        self.step = step
        self.make_projected, self.make_state = make_projected, make_state
        self.names, self.parts, self.states = names, parts, states
        self.fixed: dict[str, Tensor] = {}
        self.forward: Callable[..., Any] = self._forward
        self.backward: Callable[..., Any] = self._backward

    def compile(self) -> None:
        self.forward = _compiled(self._forward)
        self.backward = _compiled(self._backward)

    def split(self, tensors: Sequence[Tensor]) -> tuple[Sequence[Tensor], Sequence[Tensor], dict[str, Tensor]]:
        end = self.parts + self.states
        shared = dict(zip(self.names, tensors[end:], strict=True)) | self.fixed
        return tensors[: self.parts], tensors[self.parts : end], shared

    def _forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """A chunk of parts, the state before it and the shared tensors -> outputs, the state after it."""
        parts, states, shared = self.split(tensors)
        state, outputs = self.make_state(states), []
        for timestep in zip(*(part.unbind(0) for part in parts), strict=True):
            output, state = self.step(
                self.make_projected(timestep),
                state,
                lambda name, h: torch.nn.functional.linear(h, shared[name]),
                shared,
            )
            outputs.append(output)
        return (torch.stack(outputs), *state)

    def _backward(self, *tensors: Tensor) -> tuple[tuple[Tensor, ...], list[tuple[str, Tensor, Tensor]]]:
        """The same and the gradients of what `_forward` makes -> the gradients of all it takes, and of its products.

        Gradients of the products are given as (weight, gradient of the product, factor), to be multiplied later.
        """
        count = self.parts + self.states + len(self.names)
        inputs, gradients = tensors[:count], tensors[count:]
        parts, _, shared = self.split(inputs)
        uses = self.uses(*inputs)
        probes = [
            shared[name].new_zeros(len(parts[0]), parts[0].shape[1], shared[name].shape[0]) for name in uses
        ]  # fmt: skip

        def run(flat: tuple[Tensor, ...], probes: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], list[list[Tensor]]]:
            parts, states, held = self.split(flat)
            state, outputs = self.make_state(states), []
            factors: list[list[Tensor]] = [[] for _ in probes]
            for t, timestep in enumerate(zip(*(part.unbind(0) for part in parts), strict=True)):
                order = iter(range(len(probes)))

                def matmul(name: str, h: Tensor, t: int = t, order: Iterator[int] = order) -> Tensor:
                    index = next(order)
                    factors[index].append(h)
                    # the weight of a product is a constant here: its gradient comes from those of its products
                    return torch.nn.functional.linear(h, shared[name]) + probes[index][t]

                output, state = self.step(self.make_projected(timestep), state, matmul, held)
                outputs.append(output)
            return (torch.stack(outputs), *state), factors

        _, derivative, factors = torch.func.vjp(run, inputs, probes, has_aux=True)  # type: ignore[misc]
        of_inputs, of_probes = derivative(tuple(gradients))
        products = [
            (name, gradient, torch.stack(factor))
            for name, gradient, factor in zip(uses, of_probes, factors, strict=True)
        ]
        return of_inputs, products

    def uses(self, *tensors: Tensor) -> list[str]:
        """The weights of a step's products, in order."""
        parts, states, shared = self.split(tensors)
        names: list[str] = []

        def matmul(name: str, h: Tensor) -> Tensor:
            names.append(name)
            return torch.nn.functional.linear(h, shared[name])

        self.step(self.make_projected([part[0] for part in parts]), self.make_state(states), matmul, shared)
        return names


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """By `torch.compile`, for any batch."""
    quick = torch.compile(function)

    def call(*tensors: Tensor) -> Any:
        # All bodies share their code, and with it a limit of compilations that is meant for one.
        with torch._dynamo.config.patch(recompile_limit=1024):
            return quick(*tensors)

    return call


class Chunked(torch.autograd.Function):
    """Inputs: the body, then parts, initial states, shared tensors. Outputs: outputs, then the last state."""

    @staticmethod
    def forward(ctx: Any, body: Body, *tensors: Tensor) -> tuple[Tensor, ...]:
        parts, state, shared = body.split(tensors)
        outputs, starts = [], []
        for first, last in _pieces(len(parts[0])):
            starts.append(tuple(state))
            output, *state = body.forward(
                *_pieces_of(parts, first, last), *_for_any_batch(state), *(shared[name] for name in body.names)
            )
            outputs.append(output)
        ctx.body, ctx.starts = body, len(starts)
        ctx.save_for_backward(
            *parts, *(shared[name] for name in body.names), *(tensor for start in starts for tensor in start)
        )
        # a state that is an input, or shares memory with an output, would confuse autograd
        return (torch.cat(outputs), *(tensor.clone() for tensor in state))

    @staticmethod
    @once_differentiable
    @one_by_one
    def backward(ctx: Any, d_output: Tensor, *d_state: Tensor) -> tuple[Tensor | None, ...]:
        body: Body = ctx.body
        parts, rest = ctx.saved_tensors[: body.parts], ctx.saved_tensors[body.parts :]
        shared, flat = rest[: len(body.names)], rest[len(body.names) :]
        starts = [flat[i * body.states : (i + 1) * body.states] for i in range(ctx.starts)]
        d_parts: list[tuple[Tensor, ...]] = []
        d_shared = [torch.zeros_like(tensor) for tensor in shared]
        products: list[list[tuple[str, Tensor, Tensor]]] = []
        for (first, last), start in reversed(list(zip(_pieces(len(parts[0])), starts, strict=True))):
            gradients, chunk_products = body.backward(
                *_pieces_of(parts, first, last),
                *_for_any_batch(start),
                *shared,
                *_pieces_of((d_output,), first, last),
                *_for_any_batch(d_state),
            )
            d_parts.append(gradients[: body.parts])
            d_state = gradients[body.parts : body.parts + body.states]
            for total, more in zip(d_shared, gradients[body.parts + body.states :], strict=True):
                total.add_(more)
            products.append(chunk_products)
        for uses in zip(*products, strict=True):
            name = uses[0][0]
            gradient = torch.cat([use[1].flatten(0, 1) for use in uses])
            factor = torch.cat([use[2].flatten(0, 1) for use in uses])
            d_shared[body.names.index(name)].addmm_(gradient.T, factor)
        return (
            None,
            *(torch.cat(pieces[::-1]) for pieces in zip(*d_parts, strict=True)),
            *d_state,
            *d_shared,
        )


def _pieces_of(parts: Sequence[Tensor], first: int, last: int) -> list[Tensor]:
    """Copies: a compiler would take every other place in memory, and every other batch, for another function."""
    return _for_any_batch([part[first:last] for part in parts], 1)


def _for_any_batch(tensors: Sequence[Tensor], dim: int = 0) -> list[Tensor]:
    copies = [tensor.clone(memory_format=torch.contiguous_format) for tensor in tensors]
    for copy in copies:
        torch._dynamo.maybe_mark_dynamic(copy, dim)
    return copies


def _pieces(time: int) -> list[tuple[int, int]]:
    """Whole chunks, then single steps."""
    whole = time // LENGTH * LENGTH
    return [(t, t + LENGTH) for t in range(0, whole, LENGTH)] + [(t, t + 1) for t in range(whole, time)]
