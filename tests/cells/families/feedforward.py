"""The feed-forward network over a window."""

import numpy as np

from rnnlab.cells.feedforward import FeedforwardCell
from tests.cells.families import Array, Example, Weights


def feedforward(weights: Weights, x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    (past,) = state
    outputs = []
    for x_t in x:
        seen = np.concatenate([past, x_t], axis=-1)
        outputs.append(np.tanh(seen @ weights["weight"].T + weights["bias"]))
        past = seen[:, x_t.shape[-1] :]
    return np.stack(outputs), (past,)


def example(window: int, input_size: int = 3) -> Example:
    """`input_size` is that of the tests: the state is as long as the inputs it keeps."""
    return Example(
        FeedforwardCell,
        lambda inputs, hidden: hidden * (window * inputs + 1),
        lambda hidden: (window - 1) * input_size,
        feedforward,
        {"window": window},
    )


EXAMPLES = {"feedforward": example(4), "feedforward window 1": example(1)}
