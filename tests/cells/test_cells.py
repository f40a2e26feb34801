"""Every cell is what its docstring and its paper say, and keeps to the contract of `Cell`."""

import inspect
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, get_args, get_origin

import pytest
import torch
from hydra.utils import get_class
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from torch import Tensor, nn

from rnnlab.arguments import INVALID, Positive, conform, parameters
from rnnlab.cells.cell import Cell, matmul_of
from rnnlab.cells.rnn import RNNCell
from rnnlab.errors import UserError
from rnnlab.unroll.loop import loop
from rnnlab.unroll.recurrent import Recurrent
from tests.cells.families.catalogue import EXAMPLES, scrambled, some_state
from tests.conftest import CHECKOUT

ALL = pytest.mark.parametrize("name", EXAMPLES)
PLAIN = pytest.mark.parametrize("name", [name for name in EXAMPLES if " " not in name])
CONFIGS = {path.stem for path in (CHECKOUT / "conf" / "cell").glob("*.yaml")}


def test_every_cell_of_the_config_is_here() -> None:
    """But torchrecurrent, whose cells have the package's own documentation and a test of their own."""
    assert CONFIGS - {"torchrecurrent"} == {name for name in EXAMPLES if " " not in name}


@ALL
@pytest.mark.parametrize(("inputs", "hidden"), [(3, 6), (4, 4), (2, 2)])
@pytest.mark.parametrize("start", ["initial", "carried"])
def test_the_loop_computes_the_equations_of_the_docstring(name: str, inputs: int, hidden: int, start: str) -> None:
    """Against a transcription of the equations into NumPy, to 1e-10 of the largest number."""
    cell = scrambled(name, inputs, hidden)
    state = cell.initial_state(2) if start == "initial" else some_state(cell, 2)
    x = torch.randn(9, 2, inputs, dtype=torch.float64)
    with torch.no_grad():
        output, last = loop(cell.step, cell.project(x), state, cell.prepare())
    assert output.shape == (9, 2, cell.output_size)
    weights = {key: weight.numpy() for key, weight in cell.state_dict().items()}
    expected, expected_last = EXAMPLES[name].transcription(weights, x.numpy(), tuple(part.numpy() for part in state))
    for ours, theirs in zip((output, *last), (expected, *expected_last), strict=True):
        assert ours.shape == theirs.shape
        torch.testing.assert_close(ours, torch.from_numpy(theirs), rtol=1e-10, atol=1e-10)


class Sequence(nn.Module):
    """A cell over a sequence, of tensors alone."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor, *parts: Tensor) -> tuple[Tensor, ...]:
        state = type(self.cell.initial_state(1))(*parts)
        output, last = loop(self.cell.step, self.cell.project(x), state, self.cell.prepare())
        return output, *last


@ALL
def test_gradients_agree_with_finite_differences_and_none_is_missing(name: str) -> None:
    cell = scrambled(name, 2, 4)
    sequence = Sequence(cell)
    names = [key for key, _ in sequence.named_parameters()]
    leaves = [torch.randn(4, 2, 2, dtype=torch.float64), *some_state(cell, 2), *cell.parameters()]
    leaves = [leaf.detach().requires_grad_() for leaf in leaves]

    def run(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        parts, weights = rest[: -len(names)], rest[-len(names) :]
        return torch.func.functional_call(sequence, dict(zip(names, weights, strict=True)), (x, *parts))

    # small numbers: where a gate is exponential, outputs reach thousands and their differences lose digits
    assert torch.autograd.gradcheck(run, leaves, fast_mode=True)
    made = run(*leaves)
    loss = sum((part * torch.arange(1, part.numel() + 1).view_as(part).cos()).sum() for part in made)
    for key, parameter in zip(names, torch.autograd.grad(loss, leaves[-len(names) :]), strict=True):
        assert parameter.abs().sum() > 0, key


@ALL
def test_parameters_and_state_are_what_the_docstring_says(name: str) -> None:
    example = EXAMPLES[name]
    for inputs, hidden in ((3, 6), (3, 4), (3, 2)):
        cell = example.cell_class(inputs, hidden, **example.options)
        assert sum(parameter.numel() for parameter in cell.parameters()) == example.parameters(inputs, hidden)
        assert cell.state_size == example.state_size(hidden)


@ALL
def test_a_step_takes_nothing_from_the_cell_itself(name: str) -> None:
    cell = scrambled(name)
    projected, state, shared = cell.project(torch.randn(2, 3, dtype=torch.float64)), some_state(cell, 2), cell.prepare()
    matmul = matmul_of(shared)
    expected, _ = cell.step(projected, state, matmul, shared)
    cell._parameters.clear()
    cell._buffers.clear()
    output, last = cell.step(projected, state, matmul, shared)
    assert torch.equal(output, expected)
    # an unrolling keeps an output that is a part of the state once only
    twin = [part for part in last if part.shape == output.shape and torch.equal(part, output)]
    assert all(part is output for part in twin)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rnn", 5 * (3 + 5)),
        ("lstm", 20 * (3 + 5)),
        ("gru", 15 * (3 + 5)),
        ("gru_original", 15 * (3 + 5)),
        ("lem", 20 * (3 + 5)),
        ("mingru", 10 * 3),
        ("exprnn", 5 * (3 + 5)),
    ],
)
def test_multiply_adds_are_those_of_the_products(name: str, expected: int) -> None:
    assert scrambled(name, 3, 5).multiply_adds == expected


@PLAIN
def test_the_config_names_the_cell_and_all_its_options(name: str) -> None:
    config: Any = OmegaConf.to_container(OmegaConf.load(CHECKOUT / "conf" / "cell" / f"{name}.yaml"))
    assert config.pop("name") == name
    assert config.pop("defaults") == ["/recurrent@_here_", "_self_"]
    cell_class = get_class(config.pop("_target_")).cell_class
    assert cell_class is EXAMPLES[name].cell_class
    sizes = {"self", "input_size", "hidden_size", "recurrent_size"}
    assert set(config) == set(inspect.signature(cell_class.__init__).parameters) - sizes


OF_A_KIND: dict[Any, st.SearchStrategy[Any]] = {int: st.integers(), float: st.floats(), str: st.text()}


def limited(made: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    """Arguments whose annotation says more than a type."""
    for name, kind in parameters(made)[0].items():
        if any(get_origin(each) in (Annotated, Literal) for each in (kind, *get_args(kind))):
            yield name, kind


def outside(kind: Any) -> st.SearchStrategy[Any]:
    """Values of the type that the limit does not admit."""
    member = next(each for each in (kind, *get_args(kind)) if get_origin(each) in (Annotated, Literal))
    values = OF_A_KIND[str if get_origin(member) is Literal else get_args(member)[0]]
    return values.filter(lambda value: conform(value, kind) is INVALID)


LIMITED = {
    (example.cell_class, option): kind
    for example in EXAMPLES.values()
    for option, kind in [("input_size", Positive), ("hidden_size", Positive), *limited(example.cell_class)]
}
"""Of every cell's options, and the sizes that all have."""


@pytest.mark.parametrize(("cell_class", "option"), list(LIMITED), ids=lambda value: getattr(value, "__name__", value))
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_no_cell_takes_a_value_outside_an_option_s_limits(cell_class: type[Cell], option: str, data: Any) -> None:
    value = data.draw(outside(LIMITED[cell_class, option]))
    arguments = {"input_size": 3, "hidden_size": 4, option: value}
    with pytest.raises(UserError, match=rf"cell\.{option} must be "):
        cell_class(**arguments)
    with pytest.raises(UserError, match=rf"\b{option} must be "):
        Recurrent(cell_class, **arguments)


OF_A_NET = dict(limited(Recurrent))


@pytest.mark.parametrize("option", OF_A_NET)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_no_net_takes_a_value_outside_an_option_s_limits(option: str, data: Any) -> None:
    arguments = {"input_size": 3, "hidden_size": 4, option: data.draw(outside(OF_A_NET[option]))}
    with pytest.raises(UserError, match=rf"\b{option} must be "):
        Recurrent(RNNCell, **arguments)
