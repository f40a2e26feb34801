"""The Lightning modules of the cells in `rnnlab.cells.feedforward`."""

from typing import ClassVar

from rnnlab.cells.cell import Cell
from rnnlab.cells.feedforward import FeedforwardCell
from rnnlab.modules.module import SequenceModule


class Feedforward(SequenceModule):
    """The feed-forward network on any task."""

    cell_class: ClassVar[type[Cell]] = FeedforwardCell
