"""Time of forward and backward over the length of the sequences."""

from collections.abc import Iterator
from typing import Any

from benchmarks.timing import compare

LENGTHS = (500, 1000, 2000, 4000)
BATCH, SIZE = 32, 32

PAIRS = [
    ("rnn", "compiled", "nn.RNN"),
    ("lstm", "compiled", "nn.LSTM"),
    ("gru", "compiled", "nn.GRU"),
    ("mingru", "scan", "nn.GRU"),
]


def measure(cells: list[str], device: str, seconds: float) -> Iterator[dict[str, Any]]:
    for cell, unroll, peer in PAIRS:
        if not cells or cell in cells:
            for time in LENGTHS:
                yield compare(cell, unroll, peer, (BATCH, time, SIZE, SIZE), 1, device, seconds, True)
