"""Antisymmetric RNN, coRNN, UnICORNN, LEM, Lipschitz RNN and expRNN, from the equations of their papers."""

from collections.abc import Callable

import numpy as np
from scipy.linalg import expm

from rnnlab.cells.dynamical import (
    AntisymmetricRNNCell,
    CoRNNCell,
    ExpRNNCell,
    LEMCell,
    LipschitzRNNCell,
    UnICORNNCell,
)
from tests.cells.families import Array, Example, Weights
from tests.cells.families.reference import sigmoid

Transcription = Callable[[Weights, Array, tuple[Array, ...]], tuple[Array, tuple[Array, ...]]]


def skew(upper: Array, n: int) -> Array:
    matrix = np.zeros((n, n))
    matrix[np.triu_indices(n, 1)] = upper
    return matrix - matrix.T


def antisymmetric(epsilon: float, gamma: float) -> Transcription:
    def run(weights: Weights, x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
        (h,) = state
        n = h.shape[-1]
        a = skew(weights["upper"], n) - gamma * np.eye(n)
        outputs = []
        for x_t in x:
            h = h + epsilon * np.tanh(h @ a.T + x_t @ weights["weight_ih"].T + weights["bias"])
            outputs.append(h)
        return np.stack(outputs), (h,)

    return run


def antisymmetric_gated(weights: Weights, x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    (h,) = state
    n = h.shape[-1]
    a = skew(weights["upper"], n) - 0.01 * np.eye(n)
    (v_h, v_z), (b_h, b_z) = np.split(weights["weight_ih"], 2), np.split(weights["bias"], 2)
    outputs = []
    for x_t in x:
        z = sigmoid(h @ a.T + x_t @ v_z.T + b_z)
        h = h + 0.1 * z * np.tanh(h @ a.T + x_t @ v_h.T + b_h)
        outputs.append(h)
    return np.stack(outputs), (h,)


def cornn(dt: float, gamma: float, epsilon: float) -> Transcription:
    def run(weights: Weights, x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
        y, z = state
        w, w_z = np.split(weights["weight_hh"], 2, axis=-1)
        outputs = []
        for x_t in x:
            force = np.tanh(y @ w.T + z @ w_z.T + x_t @ weights["weight_ih"].T + weights["bias"])
            z = z + dt * force - dt * gamma * y - dt * epsilon * z
            y = y + dt * z
            outputs.append(y)
        return np.stack(outputs), (y, z)

    return run


def unicornn(dt: float, alpha: float) -> Transcription:
    def run(weights: Weights, x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
        y, z = state
        step = dt * (0.5 + 0.5 * np.tanh(weights["step_size"] / 2))
        outputs = []
        for x_t in x:
            force = np.tanh(weights["weight_hh"] * y + x_t @ weights["weight_ih"].T + weights["bias"])
            z = z - step * (force + alpha * y)
            y = y + step * z
            outputs.append(y)
        return np.stack(outputs), (y, z)

    return run


def lem(dt: float) -> Transcription:
    def run(weights: Weights, x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
        y, z = state
        w_2, w_1, w_z = np.split(weights["weight_hh"], 3)
        w_y = weights["weight_ch"]
        v_2, v_1, v_z, v_y = np.split(weights["weight_ih"], 4)
        b_2, b_1, b_z, b_y = np.split(weights["bias"], 4)
        outputs = []
        for x_t in x:
            delta = dt * sigmoid(y @ w_1.T + x_t @ v_1.T + b_1)
            delta_bar = dt * sigmoid(y @ w_2.T + x_t @ v_2.T + b_2)
            z = (1 - delta) * z + delta * np.tanh(y @ w_z.T + x_t @ v_z.T + b_z)
            y = (1 - delta_bar) * y + delta_bar * np.tanh(z @ w_y.T + x_t @ v_y.T + b_y)
            outputs.append(y)
        return np.stack(outputs), (y, z)

    return run


def lipschitz(epsilon: float, beta: float, gamma: float) -> Transcription:
    def mixed(m: Array) -> Array:
        return (1 - beta) * (m + m.T) + beta * (m - m.T) - gamma * np.eye(len(m))

    def run(weights: Weights, x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
        (h,) = state
        a, w = mixed(weights["matrix_a"]), mixed(weights["matrix_w"])
        outputs = []
        for x_t in x:
            h = h + epsilon * h @ a.T + epsilon * np.tanh(h @ w.T + x_t @ weights["weight_ih"].T + weights["bias"])
            outputs.append(h)
        return np.stack(outputs), (h,)

    return run


def exprnn(weights: Weights, x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    (h,) = state
    rotation = expm(skew(weights["upper"], h.shape[-1]))
    outputs = []
    for x_t in x:
        z = h @ rotation.T + x_t @ weights["weight_ih"].T
        h = np.sign(z) * np.maximum(np.abs(z) + weights["bias"], 0)
        outputs.append(h)
    return np.stack(outputs), (h,)


def triangle(hidden: int) -> int:
    return hidden * (hidden - 1) // 2


def cornn_parameters(inputs: int, hidden: int) -> int:
    return hidden * (inputs + 2 * hidden + 1)


def lem_parameters(inputs: int, hidden: int) -> int:
    return 4 * hidden * (inputs + hidden + 1)


def one(hidden: int) -> int:
    return hidden


def two(hidden: int) -> int:
    return 2 * hidden


EXAMPLES: dict[str, Example] = {
    "antisymmetric": Example(
        AntisymmetricRNNCell,
        lambda inputs, hidden: triangle(hidden) + hidden * (inputs + 1),
        one,
        antisymmetric(0.1, 0.01),
    ),
    "antisymmetric step": Example(
        AntisymmetricRNNCell,
        lambda inputs, hidden: triangle(hidden) + hidden * (inputs + 1),
        one,
        antisymmetric(0.5, 0.2),
        {"epsilon": 0.5, "gamma": 0.2},
    ),
    "antisymmetric gated": Example(
        AntisymmetricRNNCell,
        lambda inputs, hidden: triangle(hidden) + 2 * hidden * (inputs + 1),
        one,
        antisymmetric_gated,
        {"gated": True},
    ),
    "cornn": Example(CoRNNCell, cornn_parameters, two, cornn(0.042, 2.7, 4.7)),
    "cornn step": Example(
        CoRNNCell, cornn_parameters, two, cornn(0.3, 1.2, 0.4), {"dt": 0.3, "gamma": 1.2, "epsilon": 0.4}
    ),
    "unicornn": Example(UnICORNNCell, lambda inputs, hidden: hidden * (inputs + 3), two, unicornn(0.19, 30.65)),
    "unicornn step": Example(
        UnICORNNCell,
        lambda inputs, hidden: hidden * (inputs + 3),
        two,
        unicornn(0.4, 2.0),
        {"dt": 0.4, "alpha": 2.0},
    ),
    "lem": Example(LEMCell, lem_parameters, two, lem(1.0)),
    "lem step": Example(LEMCell, lem_parameters, two, lem(0.4), {"dt": 0.4}),
    "lipschitz": Example(LipschitzRNNCell, cornn_parameters, one, lipschitz(0.05, 0.7, 0.001)),
    "lipschitz step": Example(
        LipschitzRNNCell,
        cornn_parameters,
        one,
        lipschitz(0.5, 0.9, 0.3),
        {"epsilon": 0.5, "beta": 0.9, "gamma": 0.3, "init_std": 2.0},
    ),
    "exprnn": Example(ExpRNNCell, lambda inputs, hidden: triangle(hidden) + hidden * (inputs + 1), one, exprnn),
    "exprnn cayley": Example(
        ExpRNNCell,
        lambda inputs, hidden: triangle(hidden) + hidden * (inputs + 1),
        one,
        exprnn,
        {"init": "cayley"},
    ),
}
