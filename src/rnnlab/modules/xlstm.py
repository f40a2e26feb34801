"""The Lightning modules of the cells in `rnnlab.cells.xlstm`."""

from typing import ClassVar

from rnnlab.cells.cell import Cell
from rnnlab.cells.xlstm import MLSTMCell, SLSTMCell
from rnnlab.modules.module import SequenceModule


class SLSTM(SequenceModule):
    """The sLSTM on any task."""

    cell_class: ClassVar[type[Cell]] = SLSTMCell


class MLSTM(SequenceModule):
    """The mLSTM on any task."""

    cell_class: ClassVar[type[Cell]] = MLSTMCell
