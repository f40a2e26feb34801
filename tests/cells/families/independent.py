"""IndRNN, SRU and QRNN, from the equations of their papers."""

from collections.abc import Callable

import numpy as np

from rnnlab.cells.independent import IndRNNCell, QRNNCell, SRUCell
from tests.cells.families import Array, Example, Weights
from tests.cells.families.reference import sigmoid

Transcription = Callable[[Weights, Array, tuple[Array, ...]], tuple[Array, tuple[Array, ...]]]


def indrnn(activation: Callable[[Array], Array]) -> Transcription:
    def run(weights: Weights, x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
        (h,) = state
        outputs = []
        for x_t in x:
            h = activation(x_t @ weights["weight_ih"].T + weights["weight_hh"] * h + weights["bias"])
            outputs.append(h)
        return np.stack(outputs), (h,)

    return run


def sru(highway_bias: float) -> Transcription:
    alpha = (1 + 2 * np.exp(highway_bias)) ** 0.5

    def run(weights: Weights, x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
        (c,) = state
        n = c.shape[-1]
        w, w_f, w_r, w_highway = (weights["weight_ih"][k * n : (k + 1) * n] for k in range(4))
        v_f, v_r = weights["peephole"][:n], weights["peephole"][n:]
        b_f, b_r = weights["bias"][:n], weights["bias"][n:]
        outputs = []
        for x_t in x:
            f = sigmoid(x_t @ w_f.T + v_f * c + b_f)
            r = sigmoid(x_t @ w_r.T + v_r * c + b_r)
            c = f * c + (1 - f) * (x_t @ w.T)
            highway = alpha * x_t if x_t.shape[-1] == n else x_t @ w_highway.T
            outputs.append(r * c + (1 - r) * highway)
        return np.stack(outputs), (c,)

    return run


def qrnn(weights: Weights, x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    c, before = state
    w_0, w_1 = np.split(weights["weight_ih"], 2)
    outputs = []
    for x_t in x:
        z, f, o = np.split(x_t @ w_0.T + before + weights["bias"], 3, axis=-1)
        c = sigmoid(f) * c + (1 - sigmoid(f)) * np.tanh(z)
        before = x_t @ w_1.T
        outputs.append(sigmoid(o) * c)
    return np.stack(outputs), (c, before)


def sru_parameters(inputs: int, hidden: int) -> int:
    return hidden * (3 * inputs + 4) + (hidden * inputs if inputs != hidden else 0)


EXAMPLES: dict[str, Example] = {
    "indrnn": Example(
        IndRNNCell,
        lambda inputs, hidden: hidden * (inputs + 2),
        lambda hidden: hidden,
        indrnn(lambda z: np.maximum(z, 0)),
    ),
    "indrnn tanh": Example(
        IndRNNCell,
        lambda inputs, hidden: hidden * (inputs + 2),
        lambda hidden: hidden,
        indrnn(np.tanh),
        {"activation": "tanh"},
    ),
    "sru": Example(SRUCell, sru_parameters, lambda hidden: hidden, sru(0.0)),
    "sru highway_bias": Example(SRUCell, sru_parameters, lambda hidden: hidden, sru(-3.0), {"highway_bias": -3.0}),
    "qrnn": Example(QRNNCell, lambda inputs, hidden: 3 * hidden * (2 * inputs + 1), lambda hidden: 4 * hidden, qrnn),
}
