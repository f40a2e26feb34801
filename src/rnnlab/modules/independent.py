"""The Lightning modules of the cells in `rnnlab.cells.independent`."""

from typing import ClassVar

from rnnlab.cells.cell import Cell
from rnnlab.cells.independent import IndRNNCell, QRNNCell, SRUCell
from rnnlab.modules.module import SequenceModule


class IndRNN(SequenceModule):
    """The IndRNN on any task."""

    cell_class: ClassVar[type[Cell]] = IndRNNCell


class SRU(SequenceModule):
    """The SRU on any task."""

    cell_class: ClassVar[type[Cell]] = SRUCell


class QRNN(SequenceModule):
    """The QRNN on any task."""

    cell_class: ClassVar[type[Cell]] = QRNNCell
