"""How a cell's weights start, by name. What a scheme does not speak of stays as the cell itself drew it."""

import inspect
from collections.abc import Iterator
from typing import Annotated

import torch
from torch import Tensor, nn

from rnnlab.arguments import OneOf, Range, check_arguments
from rnnlab.cells.cell import Cell
from rnnlab.errors import UserError


def initialize(cell: Cell, name: "Scheme" = "default", **options: float) -> None:
    """Draw the weights that the scheme `name` speaks of anew, in place.

    Raises: `UserError` for a name or an option that does not exist, and for a cell the scheme does not apply to.
    """
    check_arguments(initialize, {"name": name}, "cell.initialization.")
    scheme = SCHEMES[name]
    try:
        inspect.signature(scheme).bind(cell, **options)
    except TypeError as error:
        raise UserError(f"cell.initialization={name}: {error}.") from None
    check_arguments(scheme, options, "cell.initialization.")
    with torch.no_grad():
        scheme(cell, **options)


def default(cell: Cell) -> None:
    """The cell's own: nothing is changed."""


def orthogonal(cell: Cell, gain: float = 1.0) -> None:
    """Each gate's recurrent block is `gain` times a random orthogonal matrix.

    Saxe, McClelland, Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear networks", 2014.
    """
    for block in _recurrent_blocks(cell, "orthogonal"):
        nn.init.orthogonal_(block, gain)


def identity(cell: Cell, scale: float = 1.0) -> None:
    """Each gate's recurrent block is `scale` times the identity.

    Le, Jaitly, Hinton, "A simple way to initialize recurrent networks of rectified linear units", 2015.
    """
    for block in _recurrent_blocks(cell, "identity"):
        if block.shape[0] != block.shape[1]:
            rows, columns = block.shape
            raise UserError(
                f"cell.initialization=identity: the recurrent weight of {type(cell).__name__} has blocks of {rows} x "
                f"{columns}, which are not square."
            )
        nn.init.eye_(block)
        block *= scale


def glorot(cell: Cell, gain: float = 1.0) -> None:
    """Each gate's block of each weight matrix: U(-a, a), a = gain · √(6 / (rows + columns)).

    Glorot, Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010.
    """
    matrices = [parameter for parameter in _named(cell, "weight") if parameter.dim() == 2]
    if not matrices:
        raise UserError(f"cell.initialization=glorot: {type(cell).__name__} has no weight matrix.")
    for matrix in matrices:
        for block in _blocks(matrix, cell.hidden_size):
            nn.init.xavier_uniform_(block, gain)


def chrono(cell: Cell, timesteps: Annotated[float, Range(above=2)]) -> None:
    """b_forget = log u, u ~ U(1, timesteps - 1), and b_input = -b_forget where there is an input gate.

    A unit then forgets over about u timesteps: `timesteps` is the longest dependency that is expected. Where a gate has
    two biases, the sum is meant.
    Tallec, Ollivier, "Can recurrent neural networks warp time?", 2018.
    """
    gates: tuple[str, ...] = getattr(cell, "gate_names", ())
    biases = [bias for bias in _named(cell, "bias") if len(gates) * cell.hidden_size == bias.numel()]
    if "forget" not in gates or not biases:
        raise UserError(f"cell.initialization=chrono: {type(cell).__name__} has no forget gate with a bias.")
    forget = torch.empty_like(biases[0][: cell.hidden_size]).uniform_(1, timesteps - 1).log()
    for gate, start in (("forget", forget), ("input", -forget)):
        if gate in gates:
            for bias in biases:
                block = bias.view(len(gates), cell.hidden_size)[gates.index(gate)]
                block.copy_(start if bias is biases[0] else torch.zeros_like(start))


SCHEMES = {scheme.__name__: scheme for scheme in (default, orthogonal, identity, glorot, chrono)}
Scheme = Annotated[str, OneOf(SCHEMES)]


def _named(cell: Cell, prefix: str) -> Iterator[Tensor]:
    """Parameters whose own name, without those of the modules around them, begins so."""
    for path, parameter in cell.named_parameters():
        if path.rpartition(".")[2].startswith(prefix):
            yield parameter


def _recurrent_blocks(cell: Cell, scheme: str) -> list[Tensor]:
    blocks = [
        block
        for parameter in _named(cell, "weight_hh")
        if parameter.dim() == 2
        for block in _blocks(parameter, cell.hidden_size)
    ]
    if not blocks:
        raise UserError(f"cell.initialization={scheme}: {type(cell).__name__} has no recurrent weight matrix.")
    return blocks


def _blocks(matrix: Tensor, rows: int) -> list[Tensor]:
    """A packed weight's gates, or the whole matrix where it is not made of such blocks."""
    if matrix.shape[0] % rows != 0:
        return [matrix]
    return [matrix[start : start + rows] for start in range(0, matrix.shape[0], rows)]
