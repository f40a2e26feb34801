"""A net fed one timestep after the other."""

import torch
from torch import Tensor

from rnnlab.cells.cell import State
from rnnlab.unroll.recurrent import Recurrent


class Stream:
    """Keeps the state between timesteps: `stream.step(x)`, x: (batch, input_size), gives the net's output for it.

    The numbers are those of the whole sequence at once. No gradient is kept; the net is to be in evaluation mode, where
    dropout does nothing.

    state: where to go on from, by default the initial state.
    """

    def __init__(self, recurrent: Recurrent, state: list[State] | None = None) -> None:
        self.recurrent = recurrent
        self.state = state

    @torch.no_grad()
    def step(self, x: Tensor) -> Tensor:
        """Raises: `UserError` for a bidirectional net."""
        output, self.state = self.recurrent.step(x, self.state)
        return output

    def reset(self) -> None:
        """Begin a new sequence."""
        self.state = None
