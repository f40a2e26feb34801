"""The cells of xLSTM, from the equations of the paper, the stabilised form."""

from collections.abc import Callable

import numpy as np

from rnnlab.cells.xlstm import MLSTMCell, SLSTMCell
from tests.cells.families import Array, Example, Weights
from tests.cells.families.reference import sigmoid

States = tuple[Array, ...]
Transcription = Callable[[Weights, Array, States], tuple[Array, States]]


def slstm(log_forget: Callable[[Array], Array]) -> Transcription:
    def transcription(weights: Weights, x: Array, state: States) -> tuple[Array, States]:
        h, c, n, m = state
        hidden, (heads, _, head) = h.shape[-1], weights["weight_hh"].shape
        recurrent = np.zeros((4 * hidden, hidden))  # the block-diagonal R of each gate
        for gate in range(4):
            for k in range(heads):
                rows, columns = gate * hidden + k * head, k * head
                block = weights["weight_hh"][k, gate * head : (gate + 1) * head]
                recurrent[rows : rows + head, columns : columns + head] = block
        outputs = []
        for x_t in x:
            gates = x_t @ weights["weight_ih"].T + h @ recurrent.T + weights["bias"]
            i, f, z, o = np.split(gates, 4, axis=-1)
            before, m = m, np.maximum(log_forget(f) + m, i)
            kept, taken = np.exp(log_forget(f) + before - m), np.exp(i - m)
            c = kept * c + taken * np.tanh(z)
            n = kept * n + taken
            h = sigmoid(o) * c / n
            outputs.append(h)
        return np.stack(outputs), (h, c, n, m)

    return transcription


def mlstm(log_forget: Callable[[Array], Array]) -> Transcription:
    def transcription(weights: Weights, x: Array, state: States) -> tuple[Array, States]:
        c, n, m = (part.copy() for part in state)
        batch, heads, head = n.shape
        outputs = np.empty((len(x), batch, heads * head))
        for t, x_t in enumerate(x):
            rows = x_t @ weights["weight_ih"].T + weights["bias"]
            q, k, v, o = np.split(rows[:, : 4 * heads * head], 4, axis=-1)
            i, f = np.split(rows[:, 4 * heads * head :], 2, axis=-1)
            for b in range(batch):
                for a in range(heads):
                    of = slice(a * head, (a + 1) * head)
                    query, key, value = q[b, of], k[b, of] / np.sqrt(head), v[b, of]
                    stabilizer = max(log_forget(f[b, a]) + m[b, a], i[b, a])
                    kept, taken = np.exp(log_forget(f[b, a]) + m[b, a] - stabilizer), np.exp(i[b, a] - stabilizer)
                    c[b, a] = kept * c[b, a] + taken * np.outer(value, key)
                    n[b, a] = kept * n[b, a] + taken * key
                    m[b, a] = stabilizer
                    norm = max(abs(n[b, a] @ query), np.exp(-stabilizer))
                    outputs[t, b, of] = sigmoid(o[b, of]) * (c[b, a] @ query) / norm
        return outputs, (c, n, m)

    return transcription


def log_sigmoid(x: Array) -> Array:
    return np.log(sigmoid(x))


def identity(x: Array) -> Array:
    return x


EXAMPLES = {
    "slstm": Example(
        SLSTMCell,
        lambda inputs, hidden: 4 * hidden * (inputs + hidden + 1),
        lambda hidden: 4 * hidden,
        slstm(log_sigmoid),
    ),
    "slstm heads": Example(
        SLSTMCell,
        lambda inputs, hidden: 4 * hidden * (inputs + hidden // 2 + 1),
        lambda hidden: 4 * hidden,
        slstm(identity),
        {"num_heads": 2, "forget_gate": "exponential"},
    ),
    "mlstm": Example(
        MLSTMCell,
        lambda inputs, hidden: (4 * hidden + 2) * (inputs + 1),
        lambda hidden: hidden**2 + hidden + 1,
        mlstm(log_sigmoid),
    ),
    "mlstm heads": Example(
        MLSTMCell,
        lambda inputs, hidden: (4 * hidden + 4) * (inputs + 1),
        lambda hidden: hidden**2 // 2 + hidden + 2,
        mlstm(identity),
        {"num_heads": 2, "forget_gate": "exponential"},
    ),
}
