"""The plain recurrent nets: Elman's and its other activations and start, Jordan's."""

from collections.abc import Callable

import numpy as np

from rnnlab.cells.rnn import IRNNCell, JordanCell, RNNCell
from tests.cells.families import Array, Example, Weights


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def identity(x: Array) -> Array:
    return x


def elman(phi: Callable[[Array], Array]) -> Callable[..., tuple[Array, tuple[Array, ...]]]:
    def run(weights: Weights, x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
        (h,) = state
        w, u = weights["weight_ih"], weights["weight_hh"]
        b = weights["bias_ih"] + weights["bias_hh"]
        outputs = []
        for x_t in x:
            h = np.stack([phi(w @ one + u @ before + b) for one, before in zip(x_t, h, strict=True)])
            outputs.append(h)
        return np.stack(outputs), (h,)

    return run


def jordan(
    phi: Callable[[Array], Array], phi_y: Callable[[Array], Array]
) -> Callable[..., tuple[Array, tuple[Array, ...]]]:
    def run(weights: Weights, x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
        (y,) = state
        w, u, v = weights["weight_ih"], weights["weight_hh"], weights["weight_output"]
        b, b_y = weights["bias_ih"] + weights["bias_hh"], weights["bias_output"]
        outputs = []
        for x_t in x:
            hidden = [phi(w @ one + u @ before + b) for one, before in zip(x_t, y, strict=True)]
            y = np.stack([phi_y(v @ h + b_y) for h in hidden])
            outputs.append(y)
        return np.stack(outputs), (y,)

    return run


def _parameters(inputs: int, hidden: int) -> int:
    return hidden * (inputs + hidden + 2)


def _jordan_parameters(inputs: int, hidden: int) -> int:
    return hidden * (inputs + 2 * hidden + 3)


def _state(hidden: int) -> int:
    return hidden


EXAMPLES = {
    "rnn relu": Example(RNNCell, _parameters, _state, elman(relu), {"activation": "relu"}),
    "rnn identity": Example(RNNCell, _parameters, _state, elman(identity), {"activation": "identity"}),
    "irnn": Example(IRNNCell, _parameters, _state, elman(relu)),
    "irnn forgetting": Example(IRNNCell, _parameters, _state, elman(relu), {"scale": 0.5}),
    "jordan": Example(JordanCell, _jordan_parameters, _state, jordan(np.tanh, np.tanh)),
    "jordan relu": Example(
        JordanCell,
        _jordan_parameters,
        _state,
        jordan(relu, identity),
        {"activation": "relu", "output_activation": "identity"},
    ),
}
