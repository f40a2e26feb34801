"""The Lightning modules of the cells in `rnnlab.cells.rnn`."""

from typing import ClassVar

from rnnlab.cells.cell import Cell
from rnnlab.cells.rnn import IRNNCell, JordanCell, RNNCell
from rnnlab.modules.module import SequenceModule


class RNN(SequenceModule):
    """The Elman network on any task."""

    cell_class: ClassVar[type[Cell]] = RNNCell


class IRNN(SequenceModule):
    """The IRNN on any task."""

    cell_class: ClassVar[type[Cell]] = IRNNCell


class Jordan(SequenceModule):
    """The Jordan network on any task."""

    cell_class: ClassVar[type[Cell]] = JordanCell
