"""Derivatives for `torch.autograd.grad(..., is_grads_batched=True)`, and so for `jacobian(vectorize=True)`.

torch asks for many vector-Jacobian products in one call, by tensors that stand for a batch of gradients. Its own
operations compute with these; a kernel, or an operation that writes in place, cannot.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

Backward = TypeVar("Backward", bound=Callable[..., tuple[Tensor | None, ...]])


def one_by_one(backward: Backward) -> Backward:
    """A `backward` that is called for each gradient of such a batch."""

    @wraps(backward)
    def each(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        is_batched = [torch._C._functorch.is_legacy_batchedtensor(gradient) for gradient in gradients]
        if not any(is_batched):
            return backward(ctx, *gradients)
        # how deep calls of such batches are nested, which names their dimension
        level = torch._C._vmapmode_increment_nesting() - 1
        torch._C._vmapmode_decrement_nesting()
        whole = [
            torch._remove_batch_dim(gradient, level, 1, 0) if batched else gradient
            for gradient, batched in zip(gradients, is_batched, strict=True)
        ]
        size = len(next(gradient for gradient, batched in zip(whole, is_batched, strict=True) if batched))
        results = [
            backward(ctx, *(g[i] if batched else g for g, batched in zip(whole, is_batched, strict=True)))
            for i in range(size)
        ]
        return tuple(
            None if found[0] is None else torch._add_batch_dim(torch.stack(found), 0, level)
            for found in zip(*results, strict=True)
        )

    return cast(Backward, each)
