"""Any cell over time: layers, directions, dropout between layers, and the choice of how to unroll."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from rnnlab.cells.cell import Cell, State, matmul_of
from rnnlab.errors import UserError
from rnnlab.unroll.loop import loop

Unroll = Literal["auto", "loop", "fused"]


class Recurrent(nn.Module):
    """`nn.LSTM` for any cell: the same shapes and the same numbers; the states are a list, one for each cell.

    The output of layer k, after dropout (in training only), is the input of layer k + 1. With `bidirectional` a second
    cell reads the sequence from its end, and the outputs of both are joined: (..., 2 · hidden_size).

    cell_class: makes a cell from (input_size, hidden_size, **cell_options).
    unroll: "fused", `torch.nn`'s kernel for this cell; "loop", the equations step by step; "auto", fused where it is.

    Raises: `UserError` for sizes below one, dropout outside [0, 1), an unknown unroll or one the cell does not have.
    """

    def __init__(
        self,
        cell_class: Callable[..., Cell],
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        dropout: float = 0.0,
        bidirectional: bool = False,
        batch_first: bool = False,
        unroll: Unroll = "auto",
        **cell_options: Any,
    ) -> None:
        super().__init__()
        for name, size in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
            if size < 1:
                raise UserError(f"{name}={size}: at least 1 is needed.")
        if not 0.0 <= dropout < 1.0:
            raise UserError(f"dropout={dropout}: a share of at least 0 and below 1 is needed.")
        self.input_size = input_size
        self.directions = 2 if bidirectional else 1
        self.dropout = dropout
        self.batch_first = batch_first
        cells: list[Cell] = []
        for _ in range(num_layers):
            size = self.directions * cells[-1].output_size if cells else input_size
            cells += [cell_class(size, hidden_size, **cell_options) for _ in range(self.directions)]
        self.cells = nn.ModuleList(cells)
        self.output_size = self.directions * cells[-1].output_size
        self.unroll = self._choose(unroll)

    def _choose(self, unroll: str) -> str:
        fusible = all(cell.has_fused_kernel for cell in self)
        if unroll == "auto":
            return "fused" if fusible else "loop"
        if unroll not in ("loop", "fused"):
            raise UserError(f"unroll={unroll} is none of auto, loop, fused.")
        if unroll == "fused" and not fusible:
            raise UserError(f"torch.nn has no kernel for {type(self.cells[0]).__name__}: use unroll=loop.")
        return unroll

    def __iter__(self) -> Iterator[Cell]:
        """All cells, layer by layer, forward before backward."""
        return iter(cast(Iterable[Cell], self.cells))

    @property
    def state_size(self) -> int:
        """Numbers carried from one timestep to the next, for one sequence."""
        return sum(cell.state_size for cell in self)

    def initial_state(self, batch_size: int) -> list[State]:
        """One state for each cell."""
        return [cell.initial_state(batch_size) for cell in self]

    def forward(self, x: Tensor, state: list[State] | None = None) -> tuple[Tensor, list[State]]:
        """x: (time, batch, input_size), or (batch, time, input_size) with `batch_first`.

        Returns: the last layer's outputs, in the same order of dimensions, and the states after the last timestep,
        one for each cell.
        """
        if x.dim() != 3 or x.shape[-1] != self.input_size:
            raise UserError(
                f"The input has shape {tuple(x.shape)}; three dimensions are needed, the last of size "
                f"{self.input_size}."
            )
        if self.batch_first:
            x = x.transpose(0, 1)
        if x.shape[0] == 0:
            raise UserError("The input has no timesteps.")
        state = self.initial_state(x.shape[1]) if state is None else state
        final: list[State] = []
        outputs: list[Tensor] = []
        for index, cell in enumerate(self):
            layer, direction = divmod(index, self.directions)
            if layer > 0 and direction == 0:
                x, outputs = nn.functional.dropout(self._join(outputs), self.dropout, self.training), []
            backward = direction == 1
            output, last = self._run(cell, x.flip(0) if backward else x, state[index])
            outputs.append(output.flip(0) if backward else output)
            final.append(last)
        x = self._join(outputs)
        return (x.transpose(0, 1) if self.batch_first else x), final

    @staticmethod
    def _join(outputs: list[Tensor]) -> Tensor:
        """One layer's outputs, its directions side by side."""
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)

    def _run(self, cell: Cell, x: Tensor, state: State) -> tuple[Tensor, State]:
        return (
            cell.fused(x, state) if self.unroll == "fused" else loop(cell.step, cell.project(x), state, cell.prepare())
        )

    def step(self, x: Tensor, state: list[State] | None = None) -> tuple[Tensor, list[State]]:
        """One timestep of a stream. x: (batch, input_size) -> output (batch, hidden_size), the new states.

        Raises: `UserError` for a bidirectional net, which needs the end before the beginning.
        """
        if self.directions == 2:
            raise UserError("A bidirectional net cannot be streamed: it reads the sequence from its end as well.")
        state = self.initial_state(x.shape[0]) if state is None else state
        final = []
        for index, (cell, before) in enumerate(zip(self, state, strict=True)):
            if index > 0:
                x = nn.functional.dropout(x, self.dropout, self.training)
            shared = cell.prepare()
            x, after = cell.step(cell.project(x), before, matmul_of(shared), shared)
            final.append(after)
        return x, final
