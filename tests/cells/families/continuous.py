"""The cells from continuous time, from the equations of their papers."""

from collections.abc import Callable

import numpy as np

from rnnlab.cells.continuous import CfCCell, LMUCell, LTCCell
from tests.cells.families import Array, Example, Weights
from tests.cells.families.reference import sigmoid

States = tuple[Array, ...]
Transcription = Callable[[Weights, Array, States], tuple[Array, States]]


def softplus(x: Array) -> Array:
    return np.log(1 + np.exp(x))


def cfc(mode: str) -> Transcription:
    def transcription(weights: Weights, x: Array, state: States) -> tuple[Array, States]:
        (h,) = state
        outputs = []
        for x_t in x:
            u = np.concatenate([x_t, h], axis=-1) @ np.hstack([weights["weight_ih"], weights["weight_hh"]]).T
            u = 1.7159 * np.tanh(0.666 * (u + weights["bias_ih"]))
            layer = 0
            while f"weight_backbone_{layer}" in weights:
                u = u @ weights[f"weight_backbone_{layer}"].T + weights[f"bias_backbone_{layer}"]
                u = 1.7159 * np.tanh(0.666 * u)
                layer += 1
            heads = u @ weights["weight_head"].T + weights["bias_head"]
            if mode == "pure":
                h = -weights["rest"] * np.exp(-(abs(weights["rate"]) + abs(heads))) * heads + weights["rest"]
            else:
                g, k, a, b = np.split(heads, 4, axis=-1)
                gate = sigmoid(a + b)
                h = (np.tanh(g) if mode == "no_gate" else np.tanh(g) * (1 - gate)) + gate * np.tanh(k)
            outputs.append(h)
        return np.stack(outputs), (h,)

    return transcription


def ltc(solver_steps: int) -> Transcription:
    def transcription(weights: Weights, x: Array, state: States) -> tuple[Array, States]:
        def synapses(prefix: str, v: Array) -> tuple[Array, Array]:
            """Current pulling to the reversal potentials, and conductance, summed over the senders."""
            current, conductance = 0.0, 0.0
            for i in range(v.shape[-1]):
                steepness, threshold = weights[prefix + "steepness"][i], weights[prefix + "threshold"][i]
                open_ = softplus(weights[prefix + "weight"][i]) * sigmoid(steepness * (v[:, [i]] - threshold))
                current, conductance = current + open_ * weights[prefix + "reversal"][i], conductance + open_
            return current, conductance

        (v,) = state
        capacitance, leak = softplus(weights["capacitance"]), softplus(weights["leak"])
        outputs = []
        for x_t in x:
            sensory = synapses("sensory_", x_t * weights["input_scale"] + weights["input_offset"])
            for _ in range(solver_steps):
                own = synapses("", v)
                rate = capacitance / (1 / solver_steps)
                v = (rate * v + leak * weights["leak_reversal"] + own[0] + sensory[0]) / (
                    rate + leak + own[1] + sensory[1]
                )
            outputs.append(v * weights["output_scale"] + weights["output_offset"])
        return np.stack(outputs), (v,)

    return transcription


def lmu(weights: Weights, x: Array, state: States) -> tuple[Array, States]:
    h, m = state
    outputs = []
    for x_t in x:
        u = x_t @ weights["encoder_input"] + h @ weights["encoder_hidden"] + m @ weights["encoder_memory"]
        m = m @ weights["memory_transition"].T + np.outer(u, weights["memory_drive"])
        h = np.tanh(x_t @ weights["weight_ih"].T + h @ weights["weight_hh"].T + m @ weights["weight_mh"].T)
        outputs.append(h)
    return np.stack(outputs), (h, m)


EXAMPLES = {
    "cfc": Example(
        CfCCell,
        lambda inputs, hidden: 128 * (inputs + hidden + 1) + 4 * hidden * 129,
        lambda hidden: hidden,
        cfc("default"),
    ),
    "cfc pure": Example(
        CfCCell,
        lambda inputs, hidden: 7 * (inputs + hidden + 1) + 2 * 7 * 8 + hidden * 10,
        lambda hidden: hidden,
        cfc("pure"),
        {"mode": "pure", "backbone_units": 7, "backbone_layers": 3},
    ),
    "cfc no_gate": Example(
        CfCCell,
        lambda inputs, hidden: 7 * (inputs + hidden + 1) + 7 * 8 + 4 * hidden * 8,
        lambda hidden: hidden,
        cfc("no_gate"),
        {"mode": "no_gate", "backbone_units": 7, "backbone_layers": 2},
    ),
    "ltc": Example(
        LTCCell,
        lambda inputs, hidden: 4 * hidden * (hidden + inputs) + 5 * hidden + 2 * inputs,
        lambda hidden: hidden,
        ltc(6),
    ),
    "ltc steps": Example(
        LTCCell,
        lambda inputs, hidden: 4 * hidden * (hidden + inputs) + 5 * hidden + 2 * inputs,
        lambda hidden: hidden,
        ltc(2),
        {"solver_steps": 2},
    ),
    "lmu": Example(
        LMUCell,
        lambda inputs, hidden: (hidden + 1) * (inputs + hidden + 32),
        lambda hidden: hidden + 32,
        lmu,
    ),
    "lmu short": Example(
        LMUCell,
        lambda inputs, hidden: (hidden + 1) * (inputs + hidden + 5),
        lambda hidden: hidden + 5,
        lmu,
        {"memory_size": 5, "theta": 4.0},
    ),
}
