"""The Lightning modules of the cells in `rnnlab.cells.gru`."""

from typing import ClassVar

from rnnlab.cells.cell import Cell
from rnnlab.cells.gru import (
    GRUCell,
    LayerNormGRUCell,
    LightGRUCell,
    MGUCell,
    MinimalRNNCell,
    OriginalGRUCell,
    UGRNNCell,
)
from rnnlab.modules.module import SequenceModule


class GRU(SequenceModule):
    """The GRU on any task."""

    cell_class: ClassVar[type[Cell]] = GRUCell


class OriginalGRU(SequenceModule):
    """The GRU of the paper on any task."""

    cell_class: ClassVar[type[Cell]] = OriginalGRUCell


class MGU(SequenceModule):
    """The minimal gated unit on any task."""

    cell_class: ClassVar[type[Cell]] = MGUCell


class LayerNormGRU(SequenceModule):
    """The GRU with layer normalisation on any task."""

    cell_class: ClassVar[type[Cell]] = LayerNormGRUCell


class LightGRU(SequenceModule):
    """The light GRU on any task."""

    cell_class: ClassVar[type[Cell]] = LightGRUCell


class MinimalRNN(SequenceModule):
    """The MinimalRNN on any task."""

    cell_class: ClassVar[type[Cell]] = MinimalRNNCell


class UGRNN(SequenceModule):
    """The UGRNN on any task."""

    cell_class: ClassVar[type[Cell]] = UGRNNCell
