"""Forward and backward of our cells against peers: which pairs, in groups.

kernels  compiled RNN, LSTM and GRU against torch.nn's
loops    the same against loops over torch.nn's cells and over [h, x] joined
gates    every other cell, compiled, against our compiled LSTM
package  compiled cells against the same ones of torchrecurrent
scans    cells with a scan against nn.GRU and against their own loop
"""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any, NamedTuple

from benchmarks.nets import TORCH, Shape, compilable
from benchmarks.timing import compare

GROUPS = ("kernels", "loops", "gates", "package", "scans")

SHAPES: list[Shape] = [
    (128, 28, 28, 128),
    (32, 500, 32, 32),
    (64, 100, 128, 256),
    (64, 784, 1, 128),
    (16, 2048, 64, 64),
]
LONG: Shape = (32, 500, 32, 32)
SCANNED: list[Shape] = [(64, 784, 1, 128), (16, 2048, 64, 64)]

SCANS = ("mingru", "minlstm", "lru", "s4d", "s5", "mlstm")

LARGE = {("mlstm", (64, 784, 1, 128))}
"""Whose loop keeps a matrix memory for each sequence and timestep: more than 20 GB."""

GATED = (
    "cfc", "gru_layer_norm", "gru_original", "janet", "lem", "light_gru", "lstm_1997", "lstm_coupled",
    "lstm_layer_norm", "lstm_multiplicative", "lstm_peephole", "lstm_projection", "mgu", "mingru", "minimal_rnn",
    "minlstm", "qrnn", "slstm", "sru", "ugrnn",
)  # fmt: skip

PACKAGE = {
    "antisymmetric": "AntisymmetricRNN", "cornn": "coRNN", "indrnn": "IndRNN", "janet": "JANET", "lem": "LEM",
    "light_gru": "LiGRU", "lstm_1997": "OriginalLSTM", "lstm_multiplicative": "MultiplicativeLSTM",
    "lstm_peephole": "PeepholeLSTM", "mgu": "MGU", "minimal_rnn": "MinimalRNN", "ugrnn": "UGRNN",
    "unicornn": "UnICORNN",
}  # fmt: skip


class Pair(NamedTuple):
    """input_gradient: false for torchrecurrent, whose slices of an input with a gradient make it quadratic in time."""

    group: str
    cell: str
    unroll: str
    peer: str
    shape: Shape
    threads: tuple[int, ...] = (1, 2)
    input_gradient: bool = True


def pairs() -> Iterator[Pair]:
    for shape in SHAPES:
        for cell, name in TORCH.items():
            yield Pair("kernels", cell, "compiled", f"nn.{name}", shape)
            yield Pair("loops", cell, "compiled", f"nn.{name}Cell loop", shape, (1,))
            yield Pair("loops", cell, "compiled", f"[h, x] {cell} loop", shape, (1,))
    for cell in compilable():
        if cell not in (*TORCH, "feedforward"):
            yield Pair("gates", cell, "compiled", "lstm compiled", LONG)
    if find_spec("torchrecurrent"):
        for cell, name in PACKAGE.items():
            yield Pair("package", cell, "compiled", f"torchrecurrent.{name}", LONG, (1,), input_gradient=False)
    for shape in SCANNED:
        for cell in SCANS:
            yield Pair("scans", cell, "scan", "nn.GRU", shape)
            if (cell, shape) not in LARGE:
                yield Pair("scans", cell, "scan", f"{cell} loop", shape, (1,))
                yield Pair("scans", cell, "compiled", "nn.GRU", shape)


def measure(
    cells: list[str], groups: list[str], threads: list[int], device: str, seconds: float
) -> Iterator[dict[str, Any]]:
    for count in threads if device == "cpu" else [1]:
        for pair in pairs():
            if (not cells or pair.cell in cells) and pair.group in groups and count in pair.threads:
                yield compare(
                    pair.cell, pair.unroll, pair.peer, pair.shape, count, device, seconds, pair.input_gradient
                )
