"""The Lightning modules of the cells in `rnnlab.cells.linear`."""

from typing import ClassVar

from rnnlab.cells.cell import Cell
from rnnlab.cells.linear import LRUCell, MinGRUCell, MinLSTMCell, S4DCell, S5Cell
from rnnlab.modules.module import SequenceModule


class MinGRU(SequenceModule):
    """The minGRU on any task."""

    cell_class: ClassVar[type[Cell]] = MinGRUCell


class MinLSTM(SequenceModule):
    """The minLSTM on any task."""

    cell_class: ClassVar[type[Cell]] = MinLSTMCell


class LRU(SequenceModule):
    """The linear recurrent unit on any task."""

    cell_class: ClassVar[type[Cell]] = LRUCell


class S4D(SequenceModule):
    """S4D on any task."""

    cell_class: ClassVar[type[Cell]] = S4DCell


class S5(SequenceModule):
    """S5 on any task."""

    cell_class: ClassVar[type[Cell]] = S5Cell
