"""A net fed one timestep after the other."""

import torch
from torch import Tensor

from rnnlab.cells.cell import Shared, State
from rnnlab.unroll.recurrent import Recurrent


class Stream:
    """Keeps the state between timesteps: `stream.step(x)`, x: (batch, input_size), gives the net's output for it.

    The numbers are those of the whole sequence at once, with the weights as they were when it began. No gradient is
    kept; the net is to be in evaluation mode, where dropout does nothing.

    state: where to go on from, by default the initial state.
    """

    def __init__(self, recurrent: Recurrent, state: list[State] | None = None) -> None:
        self.recurrent = recurrent
        self.prepared = self._prepare()
        self.state = state

    @torch.no_grad()
    def step(self, x: Tensor) -> Tensor:
        """Raises: `UserError` for a bidirectional net."""
        output, self.state = self.recurrent.step(x, self.state, self.prepared)
        return output

    def reset(self) -> None:
        """Begin a new sequence, with the weights as they are now."""
        self.prepared = self._prepare()
        self.state = None

    @torch.no_grad()
    def _prepare(self) -> list[Shared]:
        return self.recurrent.prepare()
