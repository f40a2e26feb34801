"""Weights carried to and from the modules of `torch.nn`, bit for bit."""

from torch import Tensor, nn

from rnnlab.unroll.recurrent import Recurrent

WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
"""The last one in an LSTM with a projection only."""


def from_torch(reference: nn.RNNBase) -> dict[str, Tensor]:
    """The weights of an `nn.RNN`, `nn.LSTM` or `nn.GRU`, for `Recurrent.load_state_dict`."""
    weights = reference.state_dict()
    names = _names(reference.num_layers, 1 + int(reference.bidirectional))
    return {ours: weights[theirs] for ours, theirs in names if theirs in weights}


def to_torch(recurrent: Recurrent) -> dict[str, Tensor]:
    """The weights of a `Recurrent` of cells that `torch.nn` has, for `nn.RNNBase.load_state_dict`."""
    weights = recurrent.state_dict()
    names = _names(len(recurrent.cells) // recurrent.directions, recurrent.directions)
    return {theirs: weights[ours] for ours, theirs in names if ours in weights}


def _names(num_layers: int, directions: int) -> list[tuple[str, str]]:
    """Each weight's name here and there."""
    return [
        (f"cells.{layer * directions + direction}.{name}", f"{name}_l{layer}{'_reverse' if direction else ''}")
        for layer in range(num_layers)
        for direction in range(directions)
        for name in WEIGHTS
    ]
