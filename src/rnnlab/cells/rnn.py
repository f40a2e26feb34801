"""The plain recurrent nets of Elman (1990) and Jordan (1986), and the Elman network started from the identity."""

from collections.abc import Callable
from typing import Annotated, NamedTuple

import torch
from torch import Tensor, nn

from rnnlab.arguments import OneOf, PositiveNumber, check_arguments
from rnnlab.cells.cell import GatedCell, HiddenState, Matmul, Shared

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"tanh": torch.tanh, "relu": torch.relu, "identity": lambda x: x}
Activation = Annotated[str, OneOf(ACTIVATIONS)]


class RNNCell(GatedCell):
    """hₜ = φ(W_ih xₜ + b_ih + W_hh hₜ₋₁ + b_hh), yₜ = hₜ; φ is tanh, relu or the identity.

    Elman, "Finding structure in time", Cognitive Science 14, 1990.
    Parameters: hidden_size · (input_size + hidden_size + 2). State: hidden_size.
    """

    gates = 1

    def __init__(self, input_size: int, hidden_size: int, activation: Activation = "tanh") -> None:
        check_arguments(RNNCell, locals(), "cell.")
        super().__init__(input_size, hidden_size)
        self.activation = activation

    def step(self, projected: Tensor, state: HiddenState, matmul: Matmul, shared: Shared) -> tuple[Tensor, HiddenState]:
        hidden = ACTIVATIONS[self.activation](projected + matmul("weight_hh", state.hidden))
        return hidden, HiddenState(hidden)

    @property
    def has_fused_kernel(self) -> bool:
        return self.activation != "identity"

    def fused(self, x: Tensor, state: HiddenState, batch_sizes: Tensor | None = None) -> tuple[Tensor, HiddenState]:
        kernel = torch.rnn_tanh if self.activation == "tanh" else torch.rnn_relu
        output, hidden = self.run_kernel(kernel, x, state.hidden[None], batch_sizes)
        return output, HiddenState(hidden[0])


class IRNNCell(RNNCell):
    """hₜ = relu(W_ih xₜ + b_ih + W_hh hₜ₋₁ + b_hh), yₜ = hₜ: an Elman network that at the start adds up what it reads.

    At the start W_hh = `scale` · identity, W_ih ~ N(0, 0.001²), and the biases are zero. A scale below 1 forgets.
    Le, Jaitly, Hinton, "A simple way to initialize recurrent networks of rectified linear units", 2015.
    Parameters: hidden_size · (input_size + hidden_size + 2). State: hidden_size.
    """

    def __init__(self, input_size: int, hidden_size: int, scale: PositiveNumber = 1.0) -> None:
        check_arguments(IRNNCell, locals(), "cell.")
        self.scale = scale  # before the parameters, which are drawn with it
        super().__init__(input_size, hidden_size, "relu")

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight_ih, std=0.001)
        nn.init.eye_(self.weight_hh)
        nn.init.zeros_(self.bias_ih)
        nn.init.zeros_(self.bias_hh)
        with torch.no_grad():
            self.weight_hh.mul_(self.scale)


class JordanState(NamedTuple):
    """`output`: (batch, hidden_size)."""

    output: Tensor


class JordanCell(GatedCell):
    """The Jordan network: what is fed back is the output, not the hidden layer.

        hₜ = φ(W_ih xₜ + b_ih + W_hh yₜ₋₁ + b_hh)
        yₜ = φ_y(W_output hₜ + b_output)

    y has as many numbers as h. φ (`activation`) and φ_y (`output_activation`) are tanh, relu or the identity. Jordan's
    state units also fed themselves; here, as in what the name has come to mean, they hold the last output alone.
    Jordan, "Serial order: a parallel distributed processing approach", 1986.
    Parameters: hidden_size · (input_size + 2 · hidden_size + 3). State: hidden_size.
    """

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        activation: Activation = "tanh",
        output_activation: Activation = "tanh",
    ) -> None:
        check_arguments(JordanCell, locals(), "cell.")
        super().__init__(input_size, hidden_size)
        self.activation = activation
        self.output_activation = output_activation
        self.weight_output = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.bias_output = nn.Parameter(torch.empty(hidden_size))
        self.reset_parameters()

    def initial_state(self, batch_size: int) -> JordanState:
        return JordanState(self.zeros(batch_size, self.hidden_size))

    def step(self, projected: Tensor, state: JordanState, matmul: Matmul, shared: Shared) -> tuple[Tensor, JordanState]:
        hidden = ACTIVATIONS[self.activation](projected + matmul("weight_hh", state.output))
        output = ACTIVATIONS[self.output_activation](matmul("weight_output", hidden) + shared["bias_output"])
        return output, JordanState(output)
