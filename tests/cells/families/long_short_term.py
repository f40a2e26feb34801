"""The variants of the LSTM, each gate written out with its own weights."""

import numpy as np

from rnnlab.cells.lstm import (
    CoupledLSTMCell,
    JANETCell,
    LayerNormLSTMCell,
    LSTM1997Cell,
    MultiplicativeLSTMCell,
    PeepholeLSTMCell,
    ProjectionLSTMCell,
)
from tests.cells.families import Array, Example, Weights
from tests.cells.families.reference import sigmoid


def gates(weights: Weights, names: str) -> dict[str, tuple[Array, Array, Array]]:
    """w, u and b of each gate, named by its letter; b is the sum of both biases."""
    packed = (weights["weight_ih"], weights["weight_hh"], weights["bias_ih"] + weights["bias_hh"])
    return dict(zip(names, zip(*(np.split(part, len(names)) for part in packed), strict=True), strict=True))


def lstm_1997(weights: Weights, x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    """With the paper's own squashing functions g and h, whose cell is twice ours."""

    def g(net: Array) -> Array:
        return 4 / (1 + np.exp(-net)) - 2

    def h(s: Array) -> Array:
        return 2 / (1 + np.exp(-s)) - 1

    y, s = state[0], 2 * state[1]
    of = gates(weights, "igo")
    outputs = []
    for x_t in x:
        net_in, net_c, net_out = (x_t @ w.T + y @ u.T + b for w, u, b in of.values())
        s = s + sigmoid(net_in) * g(2 * net_c)
        y = sigmoid(net_out) * h(s)
        outputs.append(y)
    return np.stack(outputs), (y, s / 2)


def peephole(weights: Weights, x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    h, c = state
    of = gates(weights, "ifgo")
    p_i, p_f, p_o = (np.diag(weights[f"peephole_{gate}"]) for gate in ("input", "forget", "output"))
    outputs = []
    for x_t in x:
        net = {gate: x_t @ w.T + h @ u.T + b for gate, (w, u, b) in of.items()}
        i = sigmoid(net["i"] + c @ p_i)
        f = sigmoid(net["f"] + c @ p_f)
        c = f * c + i * np.tanh(net["g"])
        h = sigmoid(net["o"] + c @ p_o) * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs), (h, c)


def coupled(weights: Weights, x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    h, c = state
    of = gates(weights, "fgo")
    outputs = []
    for x_t in x:
        net = {gate: x_t @ w.T + h @ u.T + b for gate, (w, u, b) in of.items()}
        f = sigmoid(net["f"])
        i = 1 - f
        c = f * c + i * np.tanh(net["g"])
        h = sigmoid(net["o"]) * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs), (h, c)


def janet(beta: float, weights: Weights, x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    (c,) = state
    of = gates(weights, "fg")
    outputs = []
    for x_t in x:
        s, candidate = (x_t @ w.T + c @ u.T + b for w, u, b in of.values())
        c = sigmoid(s) * c + (1 - sigmoid(s - beta)) * np.tanh(candidate)
        outputs.append(c)
    return np.stack(outputs), (c,)


def projection(weights: Weights, x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    r, c = state
    of = gates(weights, "ifgo")
    outputs = []
    for x_t in x:
        net = {gate: x_t @ w.T + r @ u.T + b for gate, (w, u, b) in of.items()}
        c = sigmoid(net["f"]) * c + sigmoid(net["i"]) * np.tanh(net["g"])
        m = sigmoid(net["o"]) * np.tanh(c)
        r = m @ weights["weight_hr"].T
        outputs.append(r)
    return np.stack(outputs), (r, c)


def normalised(v: Array, gain: Array, bias: Array) -> Array:
    """LN(v; gain, bias) of Ba et al., over the last dimension."""
    mean = v.mean(-1, keepdims=True)
    variance = ((v - mean) ** 2).mean(-1, keepdims=True)
    return gain * (v - mean) / np.sqrt(variance + 1e-5) + bias


def layer_norm(weights: Weights, x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    h, c = state
    outputs = []
    for x_t in x:
        of_hidden = normalised(h @ weights["weight_hh"].T, weights["gain_hh"], weights["bias_hh"])
        of_input = normalised(x_t @ weights["weight_ih"].T, weights["gain_ih"], weights["bias_ih"])
        i, f, g, o = np.split(of_hidden + of_input, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(normalised(c, weights["gain_cell"], weights["bias_cell"]))
        outputs.append(h)
    return np.stack(outputs), (h, c)


def multiplicative(weights: Weights, x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    h, c = state
    of = gates(weights, "ifgo")
    outputs = []
    for x_t in x:
        m = (x_t @ weights["weight_mx"].T) * (h @ weights["weight_mh"].T)
        net = {gate: x_t @ w.T + m @ u.T + b for gate, (w, u, b) in of.items()}
        c = sigmoid(net["f"]) * c + sigmoid(net["i"]) * np.tanh(net["g"])
        h = sigmoid(net["o"]) * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs), (h, c)


def _parameters(blocks: int, inputs: int, hidden: int) -> int:
    return blocks * hidden * (inputs + hidden + 2)


def _both(hidden: int) -> int:
    return 2 * hidden


EXAMPLES = {
    "lstm_1997": Example(LSTM1997Cell, lambda inputs, hidden: _parameters(3, inputs, hidden), _both, lstm_1997),
    "lstm_peephole": Example(
        PeepholeLSTMCell, lambda inputs, hidden: _parameters(4, inputs, hidden) + 3 * hidden, _both, peephole
    ),
    "lstm_coupled": Example(CoupledLSTMCell, lambda inputs, hidden: _parameters(3, inputs, hidden), _both, coupled),
    "janet": Example(
        JANETCell,
        lambda inputs, hidden: _parameters(2, inputs, hidden),
        lambda hidden: hidden,
        lambda *run: janet(1.0, *run),
    ),
    "janet without beta": Example(
        JANETCell,
        lambda inputs, hidden: _parameters(2, inputs, hidden),
        lambda hidden: hidden,
        lambda *run: janet(0.0, *run),
        {"beta": 0.0},
    ),
    "lstm_projection": Example(
        ProjectionLSTMCell,
        lambda inputs, hidden: 4 * hidden * (inputs + hidden // 2 + 2) + hidden * (hidden // 2),
        lambda hidden: hidden + hidden // 2,
        projection,
    ),
    "lstm_projection to 1": Example(
        ProjectionLSTMCell,
        lambda inputs, hidden: 4 * hidden * (inputs + 1 + 2) + hidden,
        lambda hidden: hidden + 1,
        projection,
        {"projection_size": 1},
    ),
    "lstm_layer_norm": Example(
        LayerNormLSTMCell, lambda inputs, hidden: 4 * hidden * (inputs + hidden + 4) + 2 * hidden, _both, layer_norm
    ),
    "lstm_multiplicative": Example(
        MultiplicativeLSTMCell, lambda inputs, hidden: hidden * (5 * inputs + 5 * hidden + 8), _both, multiplicative
    ),
}
