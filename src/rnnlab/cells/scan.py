"""Recurrences that are linear in the state: all timesteps at once, the gradient in one pass back through time.

No cumulative product of decays is ever divided by, nor its logarithm taken: a decay may be zero, negative or complex.
The gradients cannot be differentiated once more.
"""

from collections.abc import Callable
from itertools import repeat
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from rnnlab.cells.batched_gradients import one_by_one

Gates = Callable[..., tuple[Tensor, Tensor]]
"""Pointwise in time: the parts of `projected`, each (time, batch, n) -> decay, drive, both (time, batch, n)."""

WIDE = 1024
"""On a CPU, with at least so many numbers in a timestep, one call for each timestep beats reading all of it twice."""

BLOCK = 1 << 17
"""Numbers of a block of timesteps that a core's cache holds together with what is computed from it."""


def linear_recurrence(decay: Tensor, drive: Tensor, initial: Tensor) -> Tensor:
    """hₜ = aₜ ⊙ hₜ₋₁ + bₜ, all hₜ: (time, batch, n), real or complex.

    decay: a, (time, batch, n), or (n,) where it is the same at all times. drive: b, (time, batch, n).
    initial: the state before the first timestep, (batch, n).
    """
    kind = torch.promote_types(torch.promote_types(decay.dtype, drive.dtype), initial.dtype)
    states: Tensor = _Recurrence.apply(decay.to(kind), drive.to(kind), initial.to(kind))  # type: ignore[no-untyped-call]
    return states


def gated_recurrence(gates: Gates, projected: Tensor, parts: int, initial: Tensor) -> Tensor:
    """`linear_recurrence(*gates(*projected.chunk(parts, dim=-1)), initial)`, on a CPU in blocks that fit its cache.

    There backward computes the gates of each block anew: neither they nor their gradients ever fill the memory. `gates`
    may use no other tensor that needs a gradient.
    """
    if _is_wide(initial) and projected.dtype == initial.dtype:
        states: Tensor = _GatedRecurrence.apply(gates, parts, projected, initial)  # type: ignore[no-untyped-call]
        return states
    return linear_recurrence(*gates(*projected.chunk(parts, dim=-1)), initial)


def solve(decay: Tensor, drive: Tensor, initial: Tensor, out: Tensor) -> None:
    """`linear_recurrence` into `out`, without a gradient. With `adjoint`, all that a compiled kernel would replace."""
    if _is_wide(initial):
        decays = repeat(decay) if decay.dim() == 1 else decay.unbind(0)
        state = initial
        for factor, addend, target in zip(decays, drive.unbind(0), out.unbind(0), strict=False):
            state = torch.addcmul(addend, factor, state, out=target)
    else:
        _solve_in_chunks(decay, drive, initial, out)


def adjoint(decay: Tensor, gradient: Tensor, last: Tensor, out: Tensor) -> Tensor:
    """gₜ = ∂/∂hₜ + āₜ₊₁ ⊙ gₜ₊₁ back through time, into `out`: the gradient of the loss with respect to each drive.

    gradient: ∂/∂hₜ, what comes from the outputs. last: what comes from after the last timestep, (batch, n).
    Returns: the gradient with respect to the initial state.
    """
    factors = decay.conj().resolve_conj()
    if _is_wide(last):
        factors_back = repeat(factors) if decay.dim() == 1 else reversed(factors.unbind(0))
        state = torch.add(gradient[-1], last, out=out[-1])
        for addend, target, factor in zip(
            reversed(gradient.unbind(0)[:-1]), reversed(out.unbind(0)[:-1]), factors_back, strict=False
        ):
            state = torch.addcmul(addend, factor, state, out=target)
    else:
        # the same recurrence, time reversed; its first factor meets a state of zeros
        turned = factors if decay.dim() == 1 else factors.roll(-1, 0).flip(0)
        drive = gradient.flip(0)
        drive[0] += last
        backwards = torch.empty_like(drive)
        _solve_in_chunks(turned, drive, torch.zeros_like(last), backwards)
        out.copy_(backwards.flip(0))
    return (factors if decay.dim() == 1 else factors[0]) * out[0]


def _is_wide(state: Tensor) -> bool:
    return state.device.type == "cpu" and state.numel() >= WIDE


def _solve_in_chunks(decay: Tensor, drive: Tensor, initial: Tensor, out: Tensor) -> None:
    """√time chunks of √time timesteps: through all chunks side by side, then from chunk to chunk, then both joined."""
    time = len(drive)
    length = max(1, round(time**0.5))
    chunks = -(-time // length)
    missing = chunks * length - time

    def folded(sequence: Tensor) -> Tensor:
        """(time, batch, n) -> (length, chunks, batch, n)."""
        padded = torch.cat([sequence, sequence.new_zeros(missing, *sequence.shape[1:])]) if missing else sequence
        return torch.unflatten(padded, 0, (chunks, length)).transpose(0, 1)

    drives = folded(drive)
    decays = folded(decay) if decay.dim() > 1 else decay.expand(length, 1, 1, -1)
    local, passed = [drives[0]], [decays[0]]  # the state that began with zero, what is left of the state before
    for t in range(1, length):
        local.append(torch.addcmul(drives[t], decays[t], local[-1]))
        passed.append(decays[t] * passed[-1])
    entering = [initial]
    for k in range(chunks - 1):
        entering.append(torch.addcmul(local[-1][k], passed[-1][k if decay.dim() > 1 else 0], entering[-1]))
    joined = torch.addcmul(torch.stack(local), torch.stack(passed), torch.stack(entering))
    out.copy_(joined.transpose(0, 1).flatten(0, 1)[:time])


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, decay: Tensor, drive: Tensor, initial: Tensor) -> Tensor:
        states = torch.empty_like(drive, memory_format=torch.contiguous_format)
        solve(decay, drive, initial, states)
        ctx.save_for_backward(decay, initial, states)
        return states

    @staticmethod
    @once_differentiable
    @one_by_one
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        decay, initial, states = ctx.saved_tensors
        gradient_drive = torch.empty_like(states)
        gradient_initial = adjoint(decay, gradient, torch.zeros_like(initial), gradient_drive)
        gradient_decay = None
        if ctx.needs_input_grad[0]:
            gradient_decay = (
                (gradient_drive[0] * initial.conj()).sum(0) if decay.dim() == 1 else torch.empty_like(decay)
            )
            _gradient_of_decay(gradient_drive, initial, states, gradient_decay)
        return gradient_decay, gradient_drive, gradient_initial


def _gradient_of_decay(gradient_drive: Tensor, initial: Tensor, states: Tensor, out: Tensor) -> None:
    if out.dim() > 1:
        torch.mul(gradient_drive[0], initial.conj(), out=out[0])
        torch.mul(gradient_drive[1:], states[:-1].conj(), out=out[1:])
        return
    block = max(1, BLOCK // initial.numel()) if initial.device.type == "cpu" else len(states)
    for gradient, state in zip(torch.split(gradient_drive[1:], block), torch.split(states[:-1], block), strict=True):
        out += (gradient * state.conj()).sum((0, 1))


class _GatedRecurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gates: Gates, parts: int, projected: Tensor, initial: Tensor) -> Tensor:
        states = projected.new_empty(len(projected), *initial.shape)
        ctx.block = max(1, BLOCK // initial.numel())
        state = initial
        for ours, out in zip(torch.split(projected, ctx.block), torch.split(states, ctx.block), strict=True):
            solve(*gates(*ours.chunk(parts, dim=-1)), state, out)
            state = out[-1]
        ctx.gates, ctx.parts = gates, parts
        ctx.save_for_backward(projected, initial, states)
        return states

    @staticmethod
    @once_differentiable
    @one_by_one
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        projected, initial, states = ctx.saved_tensors
        gradient_projected = torch.empty_like(projected)
        last = torch.zeros_like(initial)
        buffers = [torch.empty_like(states[: ctx.block]) for _ in range(2)]
        for start in reversed(range(0, len(projected), ctx.block)):
            block = slice(start, start + ctx.block)
            # a leaf for each part: the gradients of slices of one leaf would each be padded to the whole and summed
            leaves = [part.detach().requires_grad_() for part in projected[block].chunk(ctx.parts, dim=-1)]
            with torch.enable_grad():
                decay, drive = ctx.gates(*leaves)
            gradient_drive, gradient_decay = (buffer[: len(decay)] for buffer in buffers)
            last = adjoint(decay.detach(), gradient[block], last, gradient_drive)
            before = states[start - 1] if start else initial
            _gradient_of_decay(gradient_drive, before, states[block], gradient_decay)
            gradients = torch.autograd.grad((decay, drive), leaves, (gradient_decay, gradient_drive))
            for target, value in zip(gradient_projected[block].chunk(ctx.parts, dim=-1), gradients, strict=True):
                target.copy_(value)
        return None, None, gradient_projected, last
