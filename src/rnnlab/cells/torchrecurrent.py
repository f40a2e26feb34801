"""The cells of the package `torchrecurrent` (Martinuzzi, arXiv 2510.21252, 2025; MIT licence), through one adapter."""

import inspect
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from rnnlab.arguments import Positive, check_arguments, refusal
from rnnlab.cells.cell import Cell, HiddenState, Matmul, Shared
from rnnlab.errors import UserError
from rnnlab.extras import require


class TwoPartState(NamedTuple):
    """`hidden`: (batch, hidden_size); `memory`: what else the package's cell carries, in most of them as wide."""

    hidden: Tensor
    memory: Tensor


class TorchRecurrentCell(Cell):
    """yₜ, sₜ = the package's own cell of (xₜ, sₜ₋₁); its documentation has the equations.

    layer: the package's name of it, `STAR` for `torchrecurrent.STARCell`. options: what else that class takes.
    Parameters and state are those of the package's cell. tauGRU, whose cell also wants its state of `delay` timesteps
    before (1 where it is not given), has those that lie between in `memory`, oldest first.

    The package's code holds its weights itself, so none can be handed in: it runs step by step only.

    Raises: `MissingExtra` without the package; `UserError` for a name it does not have, or sizes that its cell refuses
    (IntersectionRNN wants as many inputs as hidden units).
    """

    traceable = False

    def __init__(
        self, input_size: int, hidden_size: int, layer: str = "STAR", delay: Positive | None = None, **options: Any
    ) -> None:
        check_arguments(TorchRecurrentCell, locals(), "cell.")
        super().__init__(input_size, hidden_size)
        package, cell_class = find(layer)
        self._delay = 0
        if "delayed_state" in inspect.signature(cell_class.forward).parameters:
            self._delay = 1 if delay is None else delay
        elif delay is not None:
            raise UserError(f"cell.delay={delay}: torchrecurrent's {layer} takes no delay.")
        try:
            self.package_cell: nn.Module = cell_class(input_size, hidden_size, **options)
        except ValueError as error:
            raise UserError(f"torchrecurrent's {layer} cannot be made: {error}") from None
        base = package.base
        kinds = (base.DecoupledSingleStateCellBase, base.DecoupledDoubleStateCellBase)
        self._output_apart = isinstance(self.package_cell, kinds)
        with torch.no_grad():
            _, state = self._split(self.package_cell(self.zeros(1, input_size)))
        self._state_sizes = [part.shape[-1] for part in state]
        if self._delay:
            self._state_sizes.append(self._delay * hidden_size)

    def reset_parameters(self) -> None:
        """Draw all parameters anew, as the package does."""
        self.package_cell.reset_parameters()  # type: ignore[operator]

    def initial_state(self, batch_size: int) -> HiddenState | TwoPartState:
        return _state(*(self.zeros(batch_size, size) for size in self._state_sizes))

    def project(self, x: Tensor) -> Tensor:
        """x itself: the package's cell has its product with the input within."""
        return x

    def step(
        self, projected: Tensor, state: HiddenState | TwoPartState, matmul: Matmul, shared: Shared
    ) -> tuple[Tensor, HiddenState | TwoPartState]:
        if self._delay:
            return self._delayed_step(projected, *state)
        return self._split(self.package_cell(projected, state[0] if len(state) == 1 else tuple(state)))

    def _delayed_step(self, x: Tensor, hidden: Tensor, memory: Tensor) -> tuple[Tensor, TwoPartState]:
        output = self.package_cell(x, hidden, memory[:, : self.hidden_size])
        return output, TwoPartState(output, torch.cat([memory, hidden], dim=-1)[:, self.hidden_size :])

    def _split(self, result: Any) -> tuple[Tensor, HiddenState | TwoPartState]:
        """Output and state: a cell of the package gives both, or the state alone, whose first part is the output."""
        output, state = result if self._output_apart else (None, result)
        parts = (state,) if isinstance(state, Tensor) else state
        return parts[0] if output is None else output, _state(*parts)


def _state(*parts: Tensor) -> HiddenState | TwoPartState:
    return HiddenState(*parts) if len(parts) == 1 else TwoPartState(*parts)


def find(layer: str) -> tuple[ModuleType, type[nn.Module]]:
    """The package, and its cell of this name."""
    require("torchrecurrent", f"The cell {layer}", "torchrecurrent")
    import torchrecurrent

    cells = {name.removesuffix("Cell") for name in torchrecurrent.__all__ if name.endswith("Cell")}
    if layer not in cells:
        names = ", ".join(sorted(cells, key=str.lower))
        raise UserError(refusal("cell.name", f"one of torchrecurrent's layers ({names})", layer))
    return torchrecurrent, getattr(torchrecurrent, f"{layer}Cell")
