"""The cells of `torch.nn`, and the functions all transcriptions share."""

import numpy as np

from rnnlab.cells.gru import GRUCell
from rnnlab.cells.lstm import LSTMCell
from rnnlab.cells.rnn import RNNCell
from tests.cells.families import Array, Example, Weights


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def rnn(weights: Weights, x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    (h,) = state
    outputs = []
    for x_t in x:
        h = np.tanh(x_t @ weights["weight_ih"].T + weights["bias_ih"] + h @ weights["weight_hh"].T + weights["bias_hh"])
        outputs.append(h)
    return np.stack(outputs), (h,)


def lstm(weights: Weights, x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    h, c = state
    outputs = []
    for x_t in x:
        gates = x_t @ weights["weight_ih"].T + weights["bias_ih"] + h @ weights["weight_hh"].T + weights["bias_hh"]
        i, f, g, o = np.split(gates, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs), (h, c)


def gru(weights: Weights, x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    (h,) = state
    outputs = []
    for x_t in x:
        r_x, z_x, n_x = np.split(x_t @ weights["weight_ih"].T + weights["bias_ih"], 3, axis=-1)
        r_h, z_h, n_h = np.split(h @ weights["weight_hh"].T + weights["bias_hh"], 3, axis=-1)
        z = sigmoid(z_x + z_h)
        n = np.tanh(n_x + sigmoid(r_x + r_h) * n_h)
        h = (1 - z) * n + z * h
        outputs.append(h)
    return np.stack(outputs), (h,)


EXAMPLES = {
    "rnn": Example(RNNCell, lambda inputs, hidden: hidden * (inputs + hidden + 2), lambda hidden: hidden, rnn),
    "lstm": Example(
        LSTMCell, lambda inputs, hidden: 4 * hidden * (inputs + hidden + 2), lambda hidden: 2 * hidden, lstm
    ),
    "gru": Example(GRUCell, lambda inputs, hidden: 3 * hidden * (inputs + hidden + 2), lambda hidden: hidden, gru),
}
