"""The Lightning modules of the cells in `rnnlab.cells.lstm`."""

from typing import ClassVar

from rnnlab.cells.cell import Cell
from rnnlab.cells.lstm import (
    CoupledLSTMCell,
    JANETCell,
    LayerNormLSTMCell,
    LSTM1997Cell,
    LSTMCell,
    MultiplicativeLSTMCell,
    PeepholeLSTMCell,
    ProjectionLSTMCell,
)
from rnnlab.modules.module import SequenceModule


class LSTM(SequenceModule):
    """The LSTM on any task."""

    cell_class: ClassVar[type[Cell]] = LSTMCell


class LSTM1997(SequenceModule):
    """The LSTM of 1997 on any task."""

    cell_class: ClassVar[type[Cell]] = LSTM1997Cell


class PeepholeLSTM(SequenceModule):
    """The LSTM with peepholes on any task."""

    cell_class: ClassVar[type[Cell]] = PeepholeLSTMCell


class CoupledLSTM(SequenceModule):
    """The LSTM with coupled input and forget gates on any task."""

    cell_class: ClassVar[type[Cell]] = CoupledLSTMCell


class JANET(SequenceModule):
    """JANET on any task."""

    cell_class: ClassVar[type[Cell]] = JANETCell


class ProjectionLSTM(SequenceModule):
    """The LSTM with a recurrent projection on any task."""

    cell_class: ClassVar[type[Cell]] = ProjectionLSTMCell


class LayerNormLSTM(SequenceModule):
    """The LSTM with layer normalisation on any task."""

    cell_class: ClassVar[type[Cell]] = LayerNormLSTMCell


class MultiplicativeLSTM(SequenceModule):
    """The multiplicative LSTM on any task."""

    cell_class: ClassVar[type[Cell]] = MultiplicativeLSTMCell
