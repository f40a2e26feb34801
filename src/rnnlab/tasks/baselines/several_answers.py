"""Logistic regression of several answers, each yes or no, to the same features."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logit
from torch.nn.functional import binary_cross_entropy_with_logits

from rnnlab.tasks.task import Array

Features = NDArray[np.float32]
Logits = Callable[[Features], Array]
"""From features (examples, size), ln p/(1 - p) of each answer, (examples, answers)."""

STEPS = 60
"""Of L-BFGS, at most, for each penalty."""


def logistic_regressions(
    x: Features, y: Features, x_validation: Features, y_validation: Features, penalties: tuple[float, ...]
) -> tuple[Logits, float]:
    """The W and b that minimise -Σ over the answers of ln p(y | σ(Wx + b)), the mean over the examples, + c ΣW².

    c: the one of `penalties` under which the validation part is the likeliest; give the largest first, as each begins
    where the one before it ended. An answer that all training examples have is left out: half an observation of either
    kind is added.

    x: (examples, size); y: (examples, answers), of zeros and ones.

    Returns: the model, and its nll per example on the validation part.
    """
    examples = len(y)
    shares = (y.sum(axis=0, dtype=np.float64) + 0.5) / (examples + 1)
    fitted = y.any(axis=0) & ~y.all(axis=0)
    inputs, targets = torch.from_numpy(x), torch.from_numpy(np.ascontiguousarray(y[:, fitted]))
    weights = torch.zeros(x.shape[1], int(fitted.sum()), requires_grad=True)
    bias = torch.from_numpy(logit(shares[fitted])).float().requires_grad_()

    def logits(w: Any, b: Any, features: Features) -> Array:
        found = np.tile(logit(shares), (len(features), 1))
        found[:, fitted] = features @ w + b
        return found

    def loss(penalty: float) -> float:
        weights.grad = bias.grad = None
        wrong = binary_cross_entropy_with_logits(inputs @ weights + bias, targets, reduction="sum") / examples
        total = wrong + penalty * weights.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return float(total.detach())

    best: tuple[Logits, float] | None = None
    for penalty in penalties:
        optimizer = torch.optim.LBFGS([weights, bias], max_iter=STEPS, line_search_fn="strong_wolfe")
        optimizer.step(partial(loss, penalty))  # type: ignore[no-untyped-call]
        w, b = weights.detach().numpy().copy(), bias.detach().numpy().copy()
        found = logits(w, b, x_validation)
        nll = float((np.logaddexp(0, found) - found * y_validation).sum(axis=1).mean())
        if best is None or nll < best[1]:
            best = partial(logits, w, b), nll
    assert best is not None
    return best
