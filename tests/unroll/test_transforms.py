"""Derivatives of every kind that torch can take of a net are right, however the net is run."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.autograd.functional import jacobian

from rnnlab.unroll.recurrent import Recurrent
from tests.cells.families.catalogue import close
from tests.unroll.test_unroll import recurrent, ways

CASES = pytest.mark.parametrize(
    ("name", "unroll"),
    [(name, way) for name in ("lstm", "gru", "mingru", "lru", "s4d", "mlstm", "feedforward") for way in ways(name)],
)

Function = Callable[[Tensor], Tensor]


def by_pushing_forward(of: Function, x: Tensor) -> Tensor:
    """Column by column, each a directional derivative."""
    columns = []
    for direction in torch.eye(x.numel(), dtype=x.dtype).view(-1, *x.shape):
        with forward_ad.dual_level():
            columns.append(forward_ad.unpack_dual(of(forward_ad.make_dual(x, direction))).tangent)
    return torch.stack(columns, -1).view(*columns[0].shape, *x.shape)


JACOBIANS: dict[str, Callable[[Function, Tensor], Any]] = {
    "vectorize": partial(jacobian, vectorize=True),
    "forward mode": partial(jacobian, vectorize=True, strategy="forward-mode"),
    "dual numbers": by_pushing_forward,
    "jacrev": lambda of, x: torch.func.jacrev(of)(x),
    "jacfwd": lambda of, x: torch.func.jacfwd(of)(x),
}


@CASES
@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_every_jacobian_is_the_loop_s(name: str, unroll: str) -> None:
    net, loop = recurrent(name, unroll=unroll), recurrent(name, unroll="loop")
    x = torch.randn(4, 2, 3, dtype=torch.float64)
    expected = jacobian(lambda x: loop(x)[0].sum(1), x)
    for kind, of in JACOBIANS.items():
        assert close(of(lambda x: net(x)[0].sum(1), x), expected), kind


@CASES
def test_a_batch_of_gradients_is_each_of_them(name: str, unroll: str) -> None:
    """Of the input and of all parameters, of outputs and last states."""
    net = recurrent(name, unroll=unroll, num_layers=2)
    x = torch.randn(4, 2, 3, dtype=torch.float64, requires_grad=True)

    def made() -> list[Tensor]:
        output, last = net(x)
        return [part for part in (output, *(part for state in last for part in state)) if part.requires_grad]

    leaves = [x, *net.parameters()]
    weights = [torch.randn(3, *part.shape, dtype=part.dtype) for part in made()]
    together = torch.autograd.grad(made(), leaves, weights, is_grads_batched=True)
    for i in range(3):
        alone = torch.autograd.grad(made(), leaves, [weight[i] for weight in weights])
        assert all(close(many[i], one) for many, one in zip(together, alone, strict=True))
    # one output has such a batch, the others have one gradient for all
    first = torch.autograd.grad(made()[0], leaves, weights[0], is_grads_batched=True, allow_unused=True)
    assert close(first[0][1], torch.autograd.grad(made()[0], x, weights[0][1])[0])


@CASES
def test_gradients_by_example_and_ensembles(name: str, unroll: str) -> None:
    net = recurrent(name, unroll=unroll)
    x = torch.randn(4, 5, 3, dtype=torch.float64)
    parameters = dict(net.named_parameters())

    def loss(parameters: dict[str, Tensor], example: Tensor) -> Tensor:
        output, _ = torch.func.functional_call(net, parameters, (example[:, None],))
        return output.square().sum()

    found = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 1))(parameters, x)
    for row in range(5):
        (output, _) = net(x[:, row : row + 1])
        expected = torch.autograd.grad(output.square().sum(), list(net.parameters()))
        assert all(close(ours[row], theirs) for ours, theirs in zip(found.values(), expected, strict=True))


def test_no_kernel_is_run_within_a_transformation() -> None:
    net: Recurrent = recurrent("gru", unroll="compiled")
    torch.func.jacrev(lambda x: net(x)[0].sum(1))(torch.randn(3, 2, 3, dtype=torch.float64))
    assert net.chosen == {"loop"}
