"""The Lightning modules of the cells in `rnnlab.cells.dynamical`."""

from typing import ClassVar

from rnnlab.cells.cell import Cell
from rnnlab.cells.dynamical import AntisymmetricRNNCell, CoRNNCell, ExpRNNCell, LEMCell, LipschitzRNNCell, UnICORNNCell
from rnnlab.modules.module import SequenceModule


class AntisymmetricRNN(SequenceModule):
    """The AntisymmetricRNN on any task."""

    cell_class: ClassVar[type[Cell]] = AntisymmetricRNNCell


class CoRNN(SequenceModule):
    """The coRNN on any task."""

    cell_class: ClassVar[type[Cell]] = CoRNNCell


class UnICORNN(SequenceModule):
    """The UnICORNN on any task."""

    cell_class: ClassVar[type[Cell]] = UnICORNNCell


class LEM(SequenceModule):
    """The LEM on any task."""

    cell_class: ClassVar[type[Cell]] = LEMCell


class LipschitzRNN(SequenceModule):
    """The Lipschitz RNN on any task."""

    cell_class: ClassVar[type[Cell]] = LipschitzRNNCell


class ExpRNN(SequenceModule):
    """The expRNN on any task."""

    cell_class: ClassVar[type[Cell]] = ExpRNNCell
