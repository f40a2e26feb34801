"""`unroll=compiled`: the fastest that this step, this device and this machine allow."""

import logging
from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from rnnlab.cells.cell import Projected, Shared, State, matmul_of
from rnnlab.errors import UserError
from rnnlab.unroll.backends import Backend, backend_of
from rnnlab.unroll.compiled import Compiled
from rnnlab.unroll.loop import Step
from rnnlab.unroll.masks import detached
from rnnlab.unroll.no_kernel import NoKernel
from rnnlab.unroll.program import parts_of, rebuilt
from rnnlab.unroll.recompute import Chunks

log = logging.getLogger("rnnlab")


ROWS = 61
"""Of a batch in which a row is compared with itself alone."""


class Runner:
    """A step over all timesteps: by a kernel that the device's backend makes of it, else in chunks."""

    def __init__(self, step: Step, name: str) -> None:
        self.step = step
        self.name = name
        self.kernel = Compiled(step)
        self.chunks: Chunks | None = None
        self.checked = False

    def __call__(self, projected: Projected, state: State, shared: Shared) -> tuple[Tensor, State]:
        tensors = (*parts_of(projected), *state, *shared.values())
        kinds = {tensor.dtype for tensor in tensors if tensor.is_floating_point() or tensor.is_complex()}
        device = tensors[0].device
        backend = backend_of(device)
        if any(kind.is_complex for kind in kinds) or (len(kinds) == 1 and (backend is None or kinds <= backend.dtypes)):
            return self._run(projected, state, shared, backend)
        # under autocast types are mixed, and not every backend computes in half precision
        kind = reduce(torch.promote_types, kinds, torch.float32)
        with torch.autocast(device.type, enabled=False):
            held = {name: _as(tensor, kind) for name, tensor in shared.items()}
            output, last = self._run(_as(projected, kind), _as(state, kind), held, backend)
        return output.to(state[0].dtype), type(last)._make(
            part.to(old.dtype) for part, old in zip(last, state, strict=True)
        )

    def _run(self, projected: Projected, state: State, shared: Shared, backend: Backend | None) -> tuple[Tensor, State]:
        if not self.checked and not torch.is_inference_mode_enabled():
            self._check(projected, state, shared)
            self.checked = True
        if self.chunks is None and backend is not None and not parts_of(projected)[0].is_complex():
            try:
                return self.kernel(projected, state, shared)
            except NoKernel as reason:
                log.log(reason.level, "%s runs in chunks of torch's operations: %s", self.name, reason)
        if self.chunks is None:
            self.chunks = self._make_chunks(backend)
        return self.chunks(projected, state, shared)

    def _make_chunks(self, backend: Backend | None) -> Chunks:
        return Chunks(self.step, compile=backend is None or backend.uses_inductor)

    def _check(self, projected: Projected, state: State, shared: Shared) -> None:
        """A step of nothing that needs a gradient must make nothing that does: else it took a parameter of its own.

        And it must draw no random numbers, since the backward pass may run it again.
        """
        parts = [part[0].detach() for part in parts_of(projected)]
        held = {name: tensor.detach() for name, tensor in shared.items()}
        draws = _Draws()  # type: ignore[no-untyped-call]
        with torch.enable_grad(), draws:
            output, after = self.step(rebuilt(projected)(parts), detached(state), matmul_of(held), held)
        if not self._is_the_same_in_any_batch(projected, state, held):
            self.chunks = self._make_chunks(backend_of(parts[0].device))  # of the batch as it is
        if any(tensor.requires_grad for tensor in (output, *after)):
            raise UserError(
                f"{self.name}.step takes a parameter from the cell itself, where its gradient would be lost: let "
                "prepare() give it, and take it from `shared`."
            )
        if draws.found:
            raise UserError(
                f"{self.name}.step draws random numbers: let project() draw them, for all timesteps, as one more part "
                "of what it gives."
            )

    def _is_the_same_in_any_batch(self, projected: Projected, state: State, shared: Shared) -> bool:
        """Whether a row alone and among others gives the same: a kernel is traced for a batch of one size."""
        results = []
        for rows in (1, ROWS):
            parts = [part[0, :1].detach().repeat(rows, *[1] * (part.dim() - 2)) for part in parts_of(projected)]
            before = type(state)._make(old[:1].detach().repeat(rows, *[1] * (old.dim() - 1)) for old in state)
            with torch.no_grad():
                output, after = self.step(rebuilt(projected)(parts), before, matmul_of(shared), shared)
            results.append([tensor[0] for tensor in (output, *after)])
        return all(
            torch.allclose(one, other, rtol=1e-2, atol=1e-4, equal_nan=True)
            for one, other in zip(*results, strict=True)
        )


class _Draws(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Whether this thread draws random numbers while it lasts; the generators themselves belong to all threads."""

    found = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.found |= torch.Tag.nondeterministic_seeded in func.tags
        return func(*args, **(kwargs or {}))


def _as(tensors: Any, kind: torch.dtype) -> Any:
    """A tensor or a tuple of them in this type; truth values and whole numbers stay what they are."""
    if isinstance(tensors, Tensor):
        return tensors.to(kind) if tensors.is_floating_point() else tensors
    return getattr(type(tensors), "_make", tuple)([_as(tensor, kind) for tensor in tensors])
