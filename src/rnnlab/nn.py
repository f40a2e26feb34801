"""The public face of the cells and of the engine that runs them, on torch alone.

from rnnlab.nn import LSTMCell, Recurrent

net = Recurrent(LSTMCell, 32, 64, num_layers=2, batch_first=True)  # in the place of nn.LSTM(32, 64, ...)
"""

from rnnlab.cells.cell import Cell, GatedCell, HiddenState, Matmul, Projected, Shared, State, check_cell
from rnnlab.cells.continuous import CfCCell, LMUCell, LMUState, LTCCell
from rnnlab.cells.dynamical import (
    AntisymmetricRNNCell,
    CoRNNCell,
    ExpRNNCell,
    LEMCell,
    LEMState,
    LipschitzRNNCell,
    OscillatorState,
    UnICORNNCell,
)
from rnnlab.cells.feedforward import FeedforwardCell, PastInputs
from rnnlab.cells.gru import (
    GRUCell,
    LayerNormGRUCell,
    LightGRUCell,
    MGUCell,
    MinimalRNNCell,
    OriginalGRUCell,
    UGRNNCell,
)
from rnnlab.cells.independent import CellState, IndRNNCell, QRNNCell, QRNNState, SRUCell
from rnnlab.cells.initialization import initialize
from rnnlab.cells.linear import ComplexState, LRUCell, MinGRUCell, MinLSTMCell, S4DCell, S5Cell
from rnnlab.cells.lstm import (
    CoupledLSTMCell,
    JANETCell,
    LayerNormLSTMCell,
    LSTM1997Cell,
    LSTMCell,
    LSTMState,
    MultiplicativeLSTMCell,
    PeepholeLSTMCell,
    ProjectionLSTMCell,
)
from rnnlab.cells.rnn import IRNNCell, JordanCell, JordanState, RNNCell
from rnnlab.cells.scan import linear_recurrence
from rnnlab.cells.torchrecurrent import TorchRecurrentCell, TwoPartState
from rnnlab.cells.xlstm import MLSTMCell, MLSTMState, SLSTMCell, SLSTMState
from rnnlab.errors import UserError
from rnnlab.unroll.convert import from_torch, to_torch
from rnnlab.unroll.hooks import step_hook
from rnnlab.unroll.masks import detached
from rnnlab.unroll.recurrent import Recurrent
from rnnlab.unroll.stream import Stream

__all__ = [
    "AntisymmetricRNNCell",
    "Cell",
    "CellState",
    "CfCCell",
    "CoRNNCell",
    "ComplexState",
    "CoupledLSTMCell",
    "ExpRNNCell",
    "FeedforwardCell",
    "GRUCell",
    "GatedCell",
    "HiddenState",
    "IRNNCell",
    "IndRNNCell",
    "JANETCell",
    "JordanCell",
    "JordanState",
    "LEMCell",
    "LEMState",
    "LMUCell",
    "LMUState",
    "LRUCell",
    "LSTM1997Cell",
    "LSTMCell",
    "LSTMState",
    "LTCCell",
    "LayerNormGRUCell",
    "LayerNormLSTMCell",
    "LightGRUCell",
    "LipschitzRNNCell",
    "MGUCell",
    "MLSTMCell",
    "MLSTMState",
    "Matmul",
    "MinGRUCell",
    "MinLSTMCell",
    "MinimalRNNCell",
    "MultiplicativeLSTMCell",
    "OriginalGRUCell",
    "OscillatorState",
    "PastInputs",
    "PeepholeLSTMCell",
    "Projected",
    "ProjectionLSTMCell",
    "QRNNCell",
    "QRNNState",
    "RNNCell",
    "Recurrent",
    "S4DCell",
    "S5Cell",
    "SLSTMCell",
    "SLSTMState",
    "SRUCell",
    "Shared",
    "State",
    "Stream",
    "TorchRecurrentCell",
    "TwoPartState",
    "UGRNNCell",
    "UnICORNNCell",
    "UserError",
    "check_cell",
    "detached",
    "from_torch",
    "initialize",
    "linear_recurrence",
    "step_hook",
    "to_torch",
]
