"""The Lightning modules of the cells in `rnnlab.cells.continuous`."""

from typing import ClassVar

from rnnlab.cells.cell import Cell
from rnnlab.cells.continuous import CfCCell, LMUCell, LTCCell
from rnnlab.modules.module import SequenceModule


class CfC(SequenceModule):
    """The closed-form continuous-time cell on any task."""

    cell_class: ClassVar[type[Cell]] = CfCCell


class LTC(SequenceModule):
    """The liquid time-constant cell on any task."""

    cell_class: ClassVar[type[Cell]] = LTCCell


class LMU(SequenceModule):
    """The Legendre memory unit on any task."""

    cell_class: ClassVar[type[Cell]] = LMUCell
