"""The GRU of the paper and what was made of it, each gate written out with its own weights."""

import numpy as np

from rnnlab.cells.gru import LayerNormGRUCell, LightGRUCell, MGUCell, MinimalRNNCell, OriginalGRUCell, UGRNNCell
from tests.cells.families import Array, Example, Weights
from tests.cells.families.elman import relu
from tests.cells.families.long_short_term import gates, normalised
from tests.cells.families.reference import sigmoid


def gru_original(weights: Weights, x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    (h,) = state
    (w_r, u_r, b_r), (w_z, u_z, b_z), (w, u, b) = gates(weights, "rzn").values()
    outputs = []
    for x_t in x:
        r = sigmoid(x_t @ w_r.T + h @ u_r.T + b_r)
        z = sigmoid(x_t @ w_z.T + h @ u_z.T + b_z)
        candidate = np.tanh(x_t @ w.T + (r * h) @ u.T + b)
        h = z * h + (1 - z) * candidate
        outputs.append(h)
    return np.stack(outputs), (h,)


def mgu(weights: Weights, x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    (h,) = state
    (w_f, u_f, b_f), (w_h, u_h, b_h) = gates(weights, "fh").values()
    outputs = []
    for x_t in x:
        f = sigmoid(x_t @ w_f.T + h @ u_f.T + b_f)
        candidate = np.tanh((f * h) @ u_h.T + x_t @ w_h.T + b_h)
        h = (1 - f) * h + f * candidate
        outputs.append(h)
    return np.stack(outputs), (h,)


def gru_layer_norm(weights: Weights, x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    (h,) = state
    both, alone = {}, {}  # of the two gates together, of the candidate
    for name, packed in weights.items():
        r, z, n = np.split(packed, 3)
        both[name], alone[name] = np.concatenate([r, z]), n
    outputs = []
    for x_t in x:
        r, z = np.split(
            normalised(h @ both["weight_hh"].T, both["gain_hh"], both["bias_hh"])
            + normalised(x_t @ both["weight_ih"].T, both["gain_ih"], both["bias_ih"]),
            2,
            axis=-1,
        )
        candidate = np.tanh(
            normalised(x_t @ alone["weight_ih"].T, alone["gain_ih"], alone["bias_ih"])
            + sigmoid(r) * normalised(h @ alone["weight_hh"].T, alone["gain_hh"], alone["bias_hh"])
        )
        h = (1 - sigmoid(z)) * h + sigmoid(z) * candidate
        outputs.append(h)
    return np.stack(outputs), (h,)


def light_gru(weights: Weights, x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    (h,) = state
    (w_z, u_z, b_z), (w_h, u_h, b_h) = gates(weights, "zh").values()
    outputs = []
    for x_t in x:
        z = sigmoid(x_t @ w_z.T + h @ u_z.T + b_z)
        candidate = relu(x_t @ w_h.T + h @ u_h.T + b_h)
        h = z * h + (1 - z) * candidate
        outputs.append(h)
    return np.stack(outputs), (h,)


def minimal_rnn(weights: Weights, x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    (h,) = state
    outputs = []
    for x_t in x:
        z = np.tanh(x_t @ weights["weight_ih"].T + weights["bias_ih"])
        u = sigmoid(h @ weights["weight_hh"].T + z @ weights["weight_zh"].T + weights["bias_hh"])
        h = u * h + (1 - u) * z
        outputs.append(h)
    return np.stack(outputs), (h,)


def ugrnn(weights: Weights, x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    (h,) = state
    (w_g, u_g, b_g), (w_c, u_c, b_c) = gates(weights, "gc").values()
    outputs = []
    for x_t in x:
        c = np.tanh(h @ u_c.T + x_t @ w_c.T + b_c)
        g = sigmoid(h @ u_g.T + x_t @ w_g.T + b_g)
        h = g * h + (1 - g) * c
        outputs.append(h)
    return np.stack(outputs), (h,)


def _two(inputs: int, hidden: int) -> int:
    return 2 * hidden * (inputs + hidden + 2)


def _state(hidden: int) -> int:
    return hidden


EXAMPLES = {
    "gru_original": Example(
        OriginalGRUCell, lambda inputs, hidden: 3 * hidden * (inputs + hidden + 2), _state, gru_original
    ),
    "mgu": Example(MGUCell, _two, _state, mgu),
    "gru_layer_norm": Example(
        LayerNormGRUCell, lambda inputs, hidden: 3 * hidden * (inputs + hidden + 4), _state, gru_layer_norm
    ),
    "light_gru": Example(LightGRUCell, _two, _state, light_gru),
    "minimal_rnn": Example(
        MinimalRNNCell, lambda inputs, hidden: hidden * (inputs + 2 * hidden + 2), _state, minimal_rnn
    ),
    "ugrnn": Example(UGRNNCell, _two, _state, ugrnn),
}
