"""What modifies a cell's step, whatever the cell: padding, resets, zoneout, dropout of recurrent products.

All of it reaches the step as further parts of its projected input, so that every way of unrolling runs it alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnlab.cells.cell import Cell, Matmul, Projected, Shared, State, matmul_of
from rnnlab.errors import UserError
from rnnlab.unroll.loop import Step
from rnnlab.unroll.program import Recorded, parts_of, rebuilt

START = "initial_state"
"""Under this name, with the field's number, `shared` holds the state that a reset goes back to."""


class Masks(NamedTuple):
    """What a cell knows of a batch of sequences, in the order in which it reads them.

    lengths: real timesteps of each, (batch,). keep: true at these, (time, batch, 1). reset: true where a new sequence
    begins, likewise. order: the timesteps to read, where it is not the order of the input, likewise.
    """

    lengths: Tensor | None
    keep: Tensor | None
    reset: Tensor | None
    order: Tensor | None

    def piece(self, first: int, last: int) -> "Masks":
        """Of the timesteps from `first` up to `last`, read already."""
        return Masks(
            None if self.lengths is None else self.lengths - first,
            None if self.keep is None else self.keep[first:last],
            None if self.reset is None else self.reset[first:last],
            None,
        )


@dataclass(frozen=True)
class StepModifiers:
    """Which masks a step takes, in this order behind the parts of the cell's own projected input.

    keep: 1 at real timesteps, 0 at padding, where the state stays. reset: 1 where a new sequence begins.
    zoneout: for each field of the state, in training 1 where it stays as it was (Krueger et al. 2017), else the share
    that does, as a number. dropped: for each product, what its factor is multiplied by (Gal and Ghahramani 2016).
    """

    keep: bool = False
    reset: bool = False
    zoneout: float | None = None
    training: bool = False
    dropped: bool = False

    @property
    def nothing(self) -> bool:
        return self == StepModifiers(training=self.training)

    def step(self, cell_step: Step, projected: Projected) -> Step:
        """The step over the extended input; `projected` shows what the cell's own looks like."""
        make, own = rebuilt(projected), len(parts_of(projected))

        def step(projected: Projected, state: State, matmul: Matmul, shared: Shared) -> tuple[Tensor, State]:
            parts = iter(projected[own:])
            make_state = type(state)._make
            keep = next(parts) if self.keep else None
            if self.reset:
                fresh = next(parts)
                state = make_state(
                    torch.where(_column(fresh, old) > 0.5, shared[f"{START}{i}"], old) for i, old in enumerate(state)
                )
            zones = [next(parts) for _ in state] if self.zoneout is not None and self.training else None
            factors = iter(list(parts))

            def with_dropout(name: str, h: Tensor) -> Tensor:
                return matmul(name, h * next(factors))

            output, after = cell_step(make(projected[:own]), state, with_dropout if self.dropped else matmul, shared)
            position = next((i for i, field in enumerate(after) if field is output), None)
            if zones is not None:
                after = make_state(
                    torch.where(zone > 0.5, old, new) for zone, old, new in zip(zones, state, after, strict=True)
                )
            elif self.zoneout is not None:
                share = self.zoneout
                after = make_state(share * old + (1 - share) * new for old, new in zip(state, after, strict=True))
            if keep is not None:
                after = make_state(
                    torch.where(_column(keep, new) > 0.5, new, old) for old, new in zip(state, after, strict=True)
                )
            return (output if position is None else after[position]), after

        return step

    def parts(
        self,
        projected: Projected,
        state: State,
        keep: Tensor | None,
        reset: Tensor | None,
        dropped: Sequence[Tensor],
    ) -> tuple[Tensor, ...]:
        """The extended input of a whole sequence. keep, reset: (time, batch, 1). dropped: of `dropout_masks`."""
        like = parts_of(projected)[0]
        time = len(like)
        extra = [mask.to(like.dtype) for mask in (keep, reset) if mask is not None]
        if self.zoneout is not None and self.training:
            extra += [like.new_empty(time, *field.shape).bernoulli_(self.zoneout) for field in state]
        # the same at all timesteps
        extra += [mask.to(like.dtype).expand(time, *mask.shape) for mask in dropped]
        return (*parts_of(projected), *extra)


def _column(mask: Tensor, like: Tensor) -> Tensor:
    """(batch, 1), with as many dimensions as the state's field has."""
    return mask if like.dim() == 2 else mask.view(-1, *[1] * (like.dim() - 1))


def product_columns(cell: Cell) -> list[int]:
    """The widths of the factors of a step's products with recurrent weights."""
    found: list[int] = []
    shared = Recorded(cell.prepare())
    plain = matmul_of(shared)

    def matmul(name: str, h: Tensor) -> Tensor:
        found.append(h.shape[-1])
        return plain(name, h)

    with torch.no_grad():
        cell.step(cell.project(cell.zeros(1, cell.input_size)), cell.initial_state(1), matmul, shared)
    return found


def dropout_masks(cell: Cell, batch: int, share: float) -> list[Tensor]:
    """For each product of a step, what its factor is multiplied by: zero, a `share` of it, else 1 / (1 - share)."""
    kept = 1 - share
    return [cell.zeros(batch, columns).bernoulli_(kept) / kept for columns in product_columns(cell)]


def check_regularisation(cell: Cell, zoneout: float, recurrent_dropout: float) -> None:
    """Raises: `UserError` for a cell on which one of them cannot act."""
    if zoneout and not cell.separable:
        raise UserError(f"zoneout={zoneout}: the parts of the state of {type(cell).__name__} belong together.")
    if recurrent_dropout and not product_columns(cell):
        raise UserError(
            f"recurrent_dropout={recurrent_dropout}: {type(cell).__name__} has no product with a recurrent weight."
        )


def detached(state: Any) -> Any:
    """The same state, or list of states, with its history cut off: what truncated BPTT carries on."""
    if isinstance(state, Tensor):
        return state.detach()
    parts = [detached(part) for part in state]
    return parts if isinstance(state, list) else type(state)._make(parts)
