"""Backpropagation through time by hand, in NumPy: a net that predicts the next of a text's characters.

    hₜ = φ(W_xh xₜ + W_hh hₜ₋₁ + b_h)                    xₜ the character, one-hot; φ is tanh or the identity
    yₜ = W_hy hₜ + b_y
    pₜ = softmax(yₜ),  L = Σₜ -log pₜ[targetₜ]

Backwards, from the last timestep to the first, dX standing for dL/dX:

    dyₜ = pₜ - onehot(targetₜ)
    dhₜ = W_hyᵀ dyₜ + W_hhᵀ (φ'(hₜ₊₁) ⊙ dhₜ₊₁)            by way of the output at t, and of all that comes later
    dW_hy = Σₜ dyₜ hₜᵀ                                    db_y = Σₜ dyₜ
    dW_hh = Σₜ (φ'(hₜ) ⊙ dhₜ) hₜ₋₁ᵀ                       db_h = Σₜ φ'(hₜ) ⊙ dhₜ
    dW_xh = Σₜ (φ'(hₜ) ⊙ dhₜ) xₜᵀ

where φ' is written by the value of φ: 1 - h² for tanh, 1 for the identity. All vectors are columns of one number a row.
"""

from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Weights:
    """W_xh: (hidden, characters), W_hh: (hidden, hidden), W_hy: (characters, hidden), b_h, b_y: columns."""

    xh: Array
    hh: Array
    hy: Array
    bh: Array
    by: Array


@dataclass(frozen=True)
class Pass:
    """loss: L. weights: dL/d of each. hidden: hₜ, and hidden_gradients: dL/dhₜ, each for t = 0 ... T - 1 in order.

    start_gradient: dL/dh₋₁, of the state before the first character.
    """

    loss: float
    weights: Weights
    hidden: list[Array]
    hidden_gradients: list[Array]
    start_gradient: Array


def one_hot(character: int, characters: int) -> Array:
    column = np.zeros((characters, 1))
    column[character] = 1
    return column


def loss_and_gradients(
    inputs: list[int], targets: list[int], start: Array, weights: Weights, activation: str = "tanh"
) -> Pass:
    """Forward, loss and backward over one text. start: h₋₁, (hidden, 1)."""
    characters, timesteps = len(weights.hy), len(inputs)
    xs = [one_hot(character, characters) for character in inputs]

    hidden, probabilities, loss = [], [], 0.0
    h = start
    for t in range(timesteps):
        h = weights.xh @ xs[t] + weights.hh @ h + weights.bh
        if activation == "tanh":
            h = np.tanh(h)
        y = weights.hy @ h + weights.by
        p = np.exp(y - y.max())
        p /= p.sum()
        loss -= np.log(p[targets[t], 0])
        hidden.append(h)
        probabilities.append(p)

    d = Weights(*(np.zeros_like(weight) for weight in (weights.xh, weights.hh, weights.hy, weights.bh, weights.by)))
    hidden_gradients = []
    from_later = np.zeros_like(start)
    for t in reversed(range(timesteps)):
        dy = probabilities[t] - one_hot(targets[t], characters)
        dh = weights.hy.T @ dy + from_later
        slope = 1 - hidden[t] ** 2 if activation == "tanh" else np.ones_like(dh)
        before_activation = slope * dh
        d.hy[...] += dy @ hidden[t].T
        d.by[...] += dy
        d.xh[...] += before_activation @ xs[t].T
        d.hh[...] += before_activation @ (hidden[t - 1] if t > 0 else start).T
        d.bh[...] += before_activation
        from_later = weights.hh.T @ before_activation
        hidden_gradients.insert(0, dh)
    return Pass(loss, d, hidden, hidden_gradients, from_later)
