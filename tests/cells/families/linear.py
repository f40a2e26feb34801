"""The cells that are linear in their state, from the equations of their papers, in complex numbers where those are."""

from collections.abc import Callable

import numpy as np

from rnnlab.cells.linear import LRUCell, MinGRUCell, MinLSTMCell, S4DCell, S5Cell
from tests.cells.families import Array, Example, Weights
from tests.cells.families.reference import sigmoid

States = tuple[Array, ...]


def positive(x: Array) -> Array:
    return np.where(x >= 0, x + 0.5, sigmoid(x))


def gelu(x: Array) -> Array:
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def activate(weights: Weights, value: Array, activation: str) -> Array:
    if activation == "linear":
        return value
    if activation == "gelu":
        return gelu(value)
    return gelu(value) * sigmoid(gelu(value) @ weights["weight_gate"].T + weights["bias_gate"])


def mingru(weights: Weights, x: Array, state: States) -> tuple[Array, States]:
    (h,) = state
    outputs = []
    for x_t in x:
        z, candidate = np.split(x_t @ weights["weight_ih"].T + weights["bias_ih"], 2, axis=-1)
        z = sigmoid(z)
        h = (1 - z) * h + z * positive(candidate)
        outputs.append(h)
    return np.stack(outputs), (h,)


def minlstm(weights: Weights, x: Array, state: States) -> tuple[Array, States]:
    (h,) = state
    outputs = []
    for x_t in x:
        f, i, candidate = np.split(x_t @ weights["weight_ih"].T + weights["bias_ih"], 3, axis=-1)
        f, i = sigmoid(f), sigmoid(i)
        h = f / (f + i) * h + i / (f + i) * positive(candidate)
        outputs.append(h)
    return np.stack(outputs), (h,)


def mixing(
    discretize: Callable[[Weights], tuple[Array, Array]], fold: int, activation: str
) -> Callable[[Weights, Array, States], tuple[Array, States]]:
    """LRU and S5: x = λ x + β B u, y = fold · Re(C x) + D u."""

    def transcription(weights: Weights, x: Array, state: States) -> tuple[Array, States]:
        decay, scale = discretize(weights)
        b_real, b_imaginary = np.split(weights["weight_in"], 2)
        c_real, c_negated = np.split(weights["weight_out"], 2, axis=1)
        b, c = b_real + 1j * b_imaginary, c_real - 1j * c_negated
        s = state[0] + 1j * state[1]
        outputs = []
        for x_t in x:
            s = decay * s + scale * (x_t @ b.T)
            value = fold * (s @ c.T).real + x_t @ weights["weight_skip"].T
            outputs.append(activate(weights, value, activation))
        return np.stack(outputs), (s.real, s.imag)

    return transcription


def lru(weights: Weights) -> tuple[Array, Array]:
    return np.exp(-np.exp(weights["nu_log"]) + 1j * np.exp(weights["theta_log"])), np.exp(weights["gamma_log"])


def zoh(weights: Weights) -> tuple[Array, Array]:
    rate, step = -np.exp(weights["rate_log"]) + 1j * weights["frequency"], np.exp(weights["step_log"])
    return np.exp(rate * step), (np.exp(rate * step) - 1) / rate


def bilinear(weights: Weights) -> tuple[Array, Array]:
    rate, step = -np.exp(weights["rate_log"]) + 1j * weights["frequency"], np.exp(weights["step_log"])
    return (1 + rate * step / 2) / (1 - rate * step / 2), step / (1 - rate * step / 2)


def s4d(activation: str) -> Callable[[Weights, Array, States], tuple[Array, States]]:
    """Channel by channel, the paper's x = Ā x + B̄ u, y = 2 Re(C x) + D u; the cell carries x / B̄."""

    def transcription(weights: Weights, x: Array, state: States) -> tuple[Array, States]:
        modes, channels = weights["rate_log"].shape
        step = np.exp(weights["step_log"])
        states = (state[0] + 1j * state[1]).reshape(-1, modes, channels)
        values, last = np.empty((*x.shape[:2], channels)), np.empty_like(states)
        for h in range(channels):
            a = -np.exp(weights["rate_log"][:, h]) + 1j * weights["frequency"][:, h]
            c = weights["readout_real"][:, h] + 1j * weights["readout_imaginary"][:, h]
            a_bar = np.exp(step[h] * a)
            b_bar = (a_bar - 1) / a
            s = states[:, :, h] * b_bar
            for t, x_t in enumerate(x):
                u = x_t @ weights["weight_in"][h] + weights["bias_in"][h]
                s = a_bar * s + b_bar * u[:, None]
                values[t, :, h] = 2 * (s @ c).real + weights["skip"][h] * u
            last[:, :, h] = s / b_bar
        last = last.reshape(len(last), -1)
        return activate(weights, values, activation), (last.real, last.imag)

    return transcription


def even(hidden: int) -> int:
    return hidden + hidden % 2


def mixing_parameters(inputs: int, hidden: int) -> int:
    return even(hidden) * (inputs + hidden) + hidden * inputs + 3 * even(hidden) // 2


EXAMPLES = {
    "mingru": Example(MinGRUCell, lambda inputs, hidden: 2 * hidden * (inputs + 1), lambda hidden: hidden, mingru),
    "minlstm": Example(MinLSTMCell, lambda inputs, hidden: 3 * hidden * (inputs + 1), lambda hidden: hidden, minlstm),
    "lru": Example(LRUCell, mixing_parameters, even, mixing(lru, 1, "gelu")),
    "lru linear": Example(
        LRUCell,
        lambda inputs, hidden: 6 * (inputs + hidden) + hidden * inputs + 9,
        lambda hidden: 6,
        mixing(lru, 1, "linear"),
        {"activation": "linear", "state_size": 6, "min_radius": 0.5, "max_radius": 0.99, "max_phase": 1.0},
    ),
    "lru glu": Example(
        LRUCell,
        lambda inputs, hidden: mixing_parameters(inputs, hidden) + hidden * (hidden + 1),
        even,
        mixing(lru, 1, "glu"),
        {"activation": "glu"},
    ),
    "s4d": Example(
        S4DCell, lambda inputs, hidden: hidden * (inputs + 3 + 2 * 16), lambda hidden: 16 * hidden, s4d("gelu")
    ),
    "s4d glu": Example(
        S4DCell,
        lambda inputs, hidden: hidden * (inputs + 3 + 2 * 4) + hidden * (hidden + 1),
        lambda hidden: 4 * hidden,
        s4d("glu"),
        {"state_size": 4, "activation": "glu"},
    ),
    "s5": Example(S5Cell, mixing_parameters, even, mixing(zoh, 2, "gelu")),
    "s5 bilinear": Example(
        S5Cell,
        lambda inputs, hidden: 8 * (inputs + hidden) + hidden * inputs + 12 + hidden * (hidden + 1),
        lambda hidden: 8,
        mixing(bilinear, 2, "glu"),
        {"discretization": "bilinear", "state_size": 8, "activation": "glu"},
    ),
}
