"""The SimpleRNN, LSTM and both GRUs of Keras, with the same weights."""

import os

import pytest
import torch
from torch import Tensor

from rnnlab.cells.gru import GRUCell, OriginalGRUCell
from rnnlab.cells.lstm import LSTMCell
from rnnlab.cells.rnn import RNNCell
from rnnlab.unroll.recurrent import Recurrent
from tests.cells.families.catalogue import close

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras", reason="Keras is not installed")

GATES_OF_GRU = [1, 0, 2]
"""Keras has the update gate first."""

SINGLE = 1e-6
"""In these two Keras 3.15 on torch computes in single precision by places, whatever type it was asked for."""


@pytest.mark.parametrize(
    ("cell_class", "layer", "options", "order", "tolerance"),
    [
        (RNNCell, "SimpleRNN", {}, [0], SINGLE),
        (LSTMCell, "LSTM", {}, [0, 1, 2, 3], 1e-10),
        (GRUCell, "GRU", {"reset_after": True}, GATES_OF_GRU, 1e-10),
        (OriginalGRUCell, "GRU", {"reset_after": False}, GATES_OF_GRU, SINGLE),
    ],
)
def test_same_weights_same_numbers(
    cell_class: type, layer: str, options: dict[str, bool], order: list[int], tolerance: float
) -> None:
    theirs = getattr(keras.layers, layer)(
        4, return_sequences=True, bias_initializer="normal", dtype="float64", **options
    )
    x = torch.randn(2, 6, 3, dtype=torch.float64)
    expected = theirs(x).detach().cpu()
    ours = Recurrent(cell_class, 3, 4, batch_first=True).double()
    kernel, recurrent_kernel, bias = (torch.as_tensor(weight) for weight in theirs.get_weights())

    def rows(weight: Tensor) -> Tensor:
        """(..., gates · 4) of Keras as (gates · 4, ...) of ours."""
        blocks = weight.t().chunk(len(order))
        return torch.cat([blocks[index] for index in order])

    biases = bias if bias.dim() == 2 else torch.stack([bias, torch.zeros_like(bias)])
    (cell,) = ours
    with torch.no_grad():
        cell.weight_ih.copy_(rows(kernel))
        cell.weight_hh.copy_(rows(recurrent_kernel))
        cell.bias_ih.copy_(rows(biases[0]))
        cell.bias_hh.copy_(rows(biases[1]))
    assert close(ours(x)[0], expected, tolerance)
