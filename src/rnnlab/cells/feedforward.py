"""A feed-forward network over a window (time-delay network, Waibel et al. 1989): what recurrence has to beat."""

from typing import Annotated, NamedTuple

import torch
from torch import Tensor, nn

from rnnlab.arguments import OneOf, Positive, check_arguments
from rnnlab.cells.cell import Cell, Matmul, Shared

ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu}
Activation = Annotated[str, OneOf(ACTIVATIONS)]


class PastInputs(NamedTuple):
    """`inputs`: (batch, (window - 1) · input_size), the last inputs, oldest first."""

    inputs: Tensor


class ProjectedInput(NamedTuple):
    """`x`: (..., input_size), to be kept; `current`: (..., hidden_size), its own share of the sum."""

    x: Tensor
    current: Tensor


class FeedforwardCell(Cell):
    """yₜ = φ(W [xₜ₋ₙ₊₁; ...; xₜ₋₁; xₜ] + b), n being the `window`; φ is tanh or relu. Before the start, x is zero.

    Nothing that it put out comes back: it sees the last n inputs and no others, and with a window of 1 it is the plain
    one-to-one network. Where a task is many-to-one over n timesteps, it is a perceptron with one hidden layer that
    reads the whole window at once. Stacked, each further layer sees n - 1 timesteps more.

    W: (hidden_size, window · input_size), oldest timestep first. W, b ~ U(-1/√columns, 1/√columns) as `nn.Linear`.
    Parameters: hidden_size · (window · input_size + 1). State: (window - 1) · input_size.

    Raises: `UserError` for a window below one and an unknown activation.
    """

    recurrence = "none"
    separable = False

    def __init__(
        self, input_size: int, hidden_size: int, window: Positive = 32, activation: Activation = "tanh"
    ) -> None:
        check_arguments(FeedforwardCell, locals(), "cell.")
        super().__init__(input_size, hidden_size)
        self.window = window
        self.activation = activation
        self.weight = nn.Parameter(torch.empty(hidden_size, window * input_size))
        self.bias = nn.Parameter(torch.empty(hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        bound = self.weight.shape[1] ** -0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def initial_state(self, batch_size: int) -> PastInputs:
        return PastInputs(self.zeros(batch_size, (self.window - 1) * self.input_size))

    def prepare(self) -> dict[str, Tensor]:
        return {"weight_past": self.weight[:, : -self.input_size]}

    def project(self, x: Tensor) -> ProjectedInput:
        return ProjectedInput(x, nn.functional.linear(x, self.weight[:, -self.input_size :], self.bias))

    def step(
        self, projected: ProjectedInput, state: PastInputs, matmul: Matmul, shared: Shared
    ) -> tuple[Tensor, PastInputs]:
        output = ACTIVATIONS[self.activation](projected.current + matmul("weight_past", state.inputs))
        kept = torch.cat([state.inputs, projected.x], dim=-1)[:, self.input_size :]
        return output, PastInputs(kept)

    def scan(self, projected: ProjectedInput, state: PastInputs, shared: Shared) -> tuple[Tensor, PastInputs]:
        """All windows side by side, then one product. Memory: time · batch · (window - 1) · input_size numbers."""
        batch = projected.x.shape[1]
        before = state.inputs.reshape(batch, self.window - 1, self.input_size).transpose(0, 1)
        series = torch.cat([before, projected.x])
        # what is kept before each timestep, and after the last: (time + 1, batch, input_size, window - 1)
        windows = series.unfold(0, self.window - 1, 1)
        kept = windows.transpose(2, 3).flatten(2)
        past = nn.functional.linear(kept[:-1], shared["weight_past"])
        return ACTIVATIONS[self.activation](projected.current + past), PastInputs(kept[1:])
