"""A step traced once: its equations and their derivative, and what of them is kept for the backward pass."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, fx
from torch._decomp import core_aten_decompositions, get_decompositions
from torch._ops import OpOverload
from torch._subclasses import FakeTensorMode
from torch._subclasses.fake_tensor import DataDependentOutputException
from torch.fx.experimental.proxy_tensor import make_fx

from rnnlab.cells.cell import Projected, Shared, State, check_step
from rnnlab.unroll.expression import EXPENSIVE, Expression, NotRowwise, Translator, Value
from rnnlab.unroll.loop import Step

aten = torch.ops.aten

PRIMES = (1009, 2003, 4001, 8009, 16001, 32003)
"""A batch of such a size is mistaken for no width."""

DECOMPOSED = (
    aten.tanh_backward,
    aten.sigmoid_backward,
    aten.threshold_backward,
    aten.native_layer_norm,
    aten.native_layer_norm_backward,
    aten.gelu,
    aten.gelu_backward,
    aten.softplus,
    aten.softplus_backward,
    aten.log_sigmoid_forward,
    aten.log_sigmoid_backward,
    aten._softmax,
    aten._softmax_backward_data,
    aten.silu,
    aten.silu_backward,
    aten.hardtanh,
    aten.hardtanh_backward,
    aten.elu,
    aten.elu_backward,
)


BY_VALUES = "the step decides by the values of its tensors"


class Product(NamedTuple):
    """A product with a recurrent weight, (rows, columns) as it is stored.

    operand: where the factor is found: `state3` and `new3`, the fourth field of the state before and after the step,
    or `argument3`, stored for this, the fourth product.
    """

    weight: str
    rows: int
    columns: int
    operand: str


Row = tuple[Expression, ...]


@dataclass(frozen=True)
class Program:
    """What happens in one step, forward and backward, to one row of the batch.

    forward: what is written, by buffer: `new0`, `output`, `argument0`. backward: `d_projected0`, `d_state0`,
    `d_product0`, `d_vector0`. saved: values of the forward pass that the backward pass reads.
    """

    parts: tuple[int, ...]
    state: tuple[int, ...]
    vectors: dict[str, int]
    products: tuple[Product, ...]
    output: int
    output_field: int | None
    forward: dict[str, Row]
    backward: dict[str, Row]
    saved: dict[Expression, int]
    reads_projected: tuple[bool, ...]
    translator: Translator

    @property
    def saved_width(self) -> int:
        return sum(value.width for value in self.saved)


def number_of(buffer: str) -> int:
    """3 of d_argument3."""
    return int(buffer.lstrip("abcdefghijklmnopqrstuvwxyz_"))


class Recorded(Mapping[str, Tensor]):
    """`shared` that remembers what was taken from it."""

    def __init__(self, tensors: Shared) -> None:
        self.tensors, self.taken = tensors, dict[str, Tensor]()

    def __getitem__(self, name: str) -> Tensor:
        self.taken[name] = self.tensors[name]
        return self.tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)


def parts_of(projected: Projected) -> tuple[Tensor, ...]:
    return (projected,) if isinstance(projected, Tensor) else tuple(projected)


def rebuilt(projected: Projected) -> Callable[[Sequence[Tensor]], Projected]:
    """Makes what a step takes as `projected` from its parts."""
    if isinstance(projected, Tensor):
        return lambda parts: parts[0]
    return cast(Callable[[Sequence[Tensor]], Projected], getattr(type(projected), "_make", tuple))


def trace(step: Step, projected: Projected, state: State, shared: Shared) -> Program:
    """The program of a step; `projected` with the time first, all else as the step takes it.

    Raises: `NotRowwise` for a step whose tensors have more than two dimensions, or that mixes the rows of a batch.
    """
    make_projected, make_state = rebuilt(projected), type(state)._make
    sizes = {size for tensor in (*parts_of(projected), *state, *shared.values()) for size in tensor.shape}
    batch = next(prime for prime in PRIMES if prime not in sizes)
    dtype = parts_of(projected)[0].dtype
    if any(len(tensor.shape) != 2 for tensor in state) or any(len(part.shape) != 3 for part in parts_of(projected)):
        raise NotRowwise("a state or an input of more than one dimension")

    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        fake = {name: mode.from_tensor(tensor.detach()) for name, tensor in shared.items()}
        parts = tuple(torch.empty(batch, part.shape[-1], dtype=dtype) for part in parts_of(projected))
        states = tuple(torch.empty(batch, part.shape[-1], dtype=dtype) for part in state)
        try:
            seen = _dry_run(step, make_projected(parts), make_state(states), fake)
        except DataDependentOutputException as error:
            raise NotRowwise(BY_VALUES) from error
        vectors = {name: tensor for name, tensor in seen.vectors.items() if tensor.numel() > 0}
        products = tuple(torch.empty(batch, fake[name].shape[0], dtype=dtype) for name in seen.weights)
        learnt = [
            *(part.requires_grad for part in parts_of(projected)),
            *(True for _ in states),
            *(shared[name].requires_grad for name in vectors),
            *(True for _ in products),
        ]
        try:
            graph = _joint_graph(step, make_projected, make_state, parts, states, vectors, products, learnt)
        except DataDependentOutputException as error:
            raise NotRowwise(BY_VALUES) from error

    translator = Translator(batch)
    names = [
        *(f"projected{i}" for i in range(len(parts))),
        *(f"state{i}" for i in range(len(states))),
        *(f"vector{i}" for i in range(len(vectors))),
        *(f"product{i}" for i in range(len(products))),
        *(f"d_state{i}" for i in range(len(states))),
        *(f"d_argument{i}" for i in range(len(products))),
        "d_output",
    ]
    inputs = []
    for name, node in zip(names, (n for n in graph.nodes if n.op == "placeholder"), strict=True):
        shape = tuple(node.meta["val"].shape)
        per_row = shape[:1] == (batch,)
        inputs.append(Value((translator.leaf(name, shape[-1] if shape else 1, per_row),), shape))
    rows = [value.blocks for value in translator.run(graph, inputs)]

    written = [*(f"new{i}" for i in range(len(states))), "output", *(f"argument{i}" for i in range(len(products)))]
    forward = dict(zip(written, rows, strict=False))
    derived = [f"d_{name}" for name, needed in zip(names, learnt, strict=False) if needed]
    backward = dict(zip(derived, rows[len(written) :], strict=True))
    for row in backward.values():
        _check_sums(row)

    found = tuple(
        Product(weight, fake[weight].shape[0], fake[weight].shape[1], _operand(i, forward, translator, states))
        for i, weight in enumerate(seen.weights)
    )
    for i, product in enumerate(found):
        if product.operand != f"argument{i}":
            del forward[f"argument{i}"]
    output_field = next((i for i in range(len(states)) if forward[f"new{i}"] == forward["output"]), None)
    output = sum(block.width for block in forward["output"])
    if output_field is not None:
        del forward["output"]
    saved, backward, reads = _keep(forward, backward, translator, len(parts), len(states))
    return Program(
        parts=tuple(part.shape[-1] for part in parts),
        state=tuple(part.shape[-1] for part in states),
        vectors={name: tensor.shape[-1] if tensor.dim() else 1 for name, tensor in vectors.items()},
        products=found,
        output=output,
        output_field=output_field,
        forward=forward,
        backward=backward,
        saved=saved,
        reads_projected=reads,
        translator=translator,
    )


def _check_sums(blocks: Sequence[Expression]) -> None:
    """Raises: `NotRowwise` for a sum over the batch that is read again: it is known when all rows are done."""
    pending, seen = list(blocks), set[Expression]()
    while pending:
        x = pending.pop()
        if any(argument.op == "batch_sum" for argument in x.arguments):
            raise NotRowwise(f"{x.op} of a sum over the batch")
        pending += [argument for argument in x.arguments if argument not in seen]
        seen.update(x.arguments)


class Seen(NamedTuple):
    """weights: of each product, in order. vectors: all else that a step takes from `shared`."""

    weights: list[str]
    vectors: dict[str, Tensor]


def _dry_run(step: Step, projected: Projected, state: State, shared: Shared) -> Seen:
    weights: list[str] = []
    recorded = Recorded(shared)

    def matmul(name: str, h: Tensor) -> Tensor:
        if h.dim() != 2 or shared[name].dim() != 2:
            raise NotRowwise(f"a product of {tuple(h.shape)} with {name}, {tuple(shared[name].shape)}")
        weights.append(name)
        return torch.nn.functional.linear(h, shared[name])

    # a kernel writes the new state where the old one was
    check_step("Cell", step(projected, state, matmul, recorded), state)
    for name, tensor in recorded.taken.items():
        if tensor.dim() > 1 and tensor.shape[0] != 1:
            raise NotRowwise(f"the step uses {name}, {tuple(tensor.shape)}, and not by matmul")
    return Seen(weights, recorded.taken)


def _joint_graph(
    step: Step,
    make_projected: Callable[[Sequence[Tensor]], Projected],
    make_state: Callable[[Sequence[Tensor]], State],
    parts: tuple[Tensor, ...],
    states: tuple[Tensor, ...],
    vectors: dict[str, Tensor],
    products: tuple[Tensor, ...],
    learnt: list[bool],
) -> fx.Graph:
    """ATen's operations from all that a step reads and the gradients of all it makes, to both and their gradients."""
    ends = [0]
    for group in (parts, states, vectors, products):
        ends.append(ends[-1] + len(group))

    def pointwise(*tensors: Tensor) -> tuple[Tensor, ...]:
        inputs, before, held, results = [tensors[a:b] for a, b in pairwise(ends)]
        arguments: list[Tensor] = []

        def matmul(_: str, h: Tensor) -> Tensor:
            arguments.append(h)
            return results[len(arguments) - 1]

        shared = dict(zip(vectors, held, strict=True))
        output, after = step(make_projected(inputs), make_state(before), matmul, shared)
        return (*after, *arguments, output)

    def joint(*tensors: Tensor) -> tuple[Tensor, ...]:
        inputs, gradients = tensors[: ends[-1]], tensors[ends[-1] :]
        chosen = [x for x, needed in zip(inputs, learnt, strict=True) if needed]

        def of_chosen(*some: Tensor) -> tuple[Tensor, ...]:
            rest = iter(some)
            return pointwise(*(next(rest) if needed else x for x, needed in zip(inputs, learnt, strict=True)))

        made, derivative = torch.func.vjp(of_chosen, *chosen)  # type: ignore[misc]
        count = len(states)
        return (*made[:count], made[-1], *made[count:-1], *derivative(gradients))

    with torch.enable_grad():
        made = pointwise(*parts, *states, *vectors.values(), *products)
    inputs = (*parts, *states, *vectors.values(), *products, *(torch.empty_like(tensor) for tensor in made))
    # some derivatives are written in place
    flat = torch.func.functionalize(joint, remove="mutations")
    module = make_fx(flat, decomposition_table=_decompositions(), tracing_mode="fake")(*inputs)
    module.graph.eliminate_dead_code()
    return module.graph


@cache
def _decompositions() -> dict[OpOverload, Callable[..., Any]]:
    """Of ATen's operations into few: to collect them takes longer than to trace a step."""
    return {**core_aten_decompositions(), **get_decompositions(DECOMPOSED)}


def _operand(index: int, forward: dict[str, Row], translator: Translator, states: tuple[Tensor, ...]) -> str:
    row = forward[f"argument{index}"]
    for i, state in enumerate(states):
        if row == (translator.leaf(f"state{i}", state.shape[-1]),):
            return f"state{i}"
        if row == forward[f"new{i}"]:
            return f"new{i}"
    return f"argument{index}"


def _keep(
    forward: dict[str, Row], backward: dict[str, Row], translator: Translator, parts: int, states: int
) -> tuple[dict[Expression, int], dict[str, Row], tuple[bool, ...]]:
    """Decide what the forward pass keeps, and put it in its place in the backward expressions.

    The states are kept anyway, and so may be read, and the projected input is cheaper kept than what is made of it.
    Of what else the backward pass uses, the dear functions and the products are kept; sums and products of kept
    numbers, and whatever states and inputs alone decide, are computed again.
    """
    free = {block: f"new{i}" for i in range(states) for block in forward[f"new{i}"]}
    offsets: dict[str, dict[Expression, int]] = {}
    for i in range(states):
        position = 0
        for block in forward[f"new{i}"]:
            offsets.setdefault(f"new{i}", {})[block] = position
            position += block.width
    depends: dict[Expression, bool] = {}

    def of_gradients(x: Expression) -> bool:
        if x not in depends:
            depends[x] = x.buffer.startswith("d_") or any(of_gradients(argument) for argument in x.arguments)
        return depends[x]

    # what of the forward pass the gradients touch
    border: dict[Expression, None] = {}
    visited: set[Expression] = set()

    def walk(x: Expression) -> None:
        if x in visited:
            return
        visited.add(x)
        if not of_gradients(x):
            border[x] = None
            return
        for argument in x.arguments:
            walk(argument)

    for row in backward.values():
        for block in row:
            walk(block)

    unproduced: dict[Expression, bool] = {}

    def is_free(x: Expression) -> bool:
        """Whether no product is needed for x, the states being at hand."""
        if x not in unproduced:
            leaf = x.is_leaf and x.buffer.startswith("product")
            unproduced[x] = x in free or (not leaf and all(is_free(argument) for argument in x.arguments))
        return unproduced[x]

    def roots(x: Expression, depth: int = 0) -> set[Expression]:
        """The fewest values from which x is cheaply computed again."""
        if is_free(x):
            return set()
        if x.is_leaf or x.op in EXPENSIVE or x in wanted or depth > 5:
            return {x}
        found = set[Expression]().union(*(roots(argument, depth + 1) for argument in x.arguments))
        return found if sum(root.width for root in found - wanted) <= x.width else {x}

    kept: dict[Expression, int] = {}
    read: set[str] = set()
    wanted: set[Expression] = set()
    for x in sorted(border, key=lambda x: x.op not in EXPENSIVE):
        wanted |= roots(x)

    replaced: dict[Expression, Expression] = {}
    position = 0

    def replace(x: Expression) -> Expression:
        nonlocal position
        if x in replaced:
            return replaced[x]
        if x in free and not x.is_constant and (not x.is_leaf or x.buffer.startswith("product")):
            y = translator.leaf(free[x], x.width, True, offsets[free[x]][x])
        elif x in wanted:
            kept[x] = position
            y = translator.leaf("saved", x.width, True, position)
            position += x.width
        elif x.is_leaf or x.is_constant:
            if x.buffer.startswith("projected"):
                read.add(x.buffer)
            y = x
        elif x.op == "batch_sum":
            y = translator.batch_sum(replace(x.arguments[0]))
        else:
            arguments = tuple(replace(argument) for argument in x.arguments)
            y = translator.make(x.op, arguments, x.width, any(argument.per_row for argument in arguments))
        replaced[x] = y
        return y

    backward = {name: tuple(replace(block) for block in row) for name, row in backward.items()}
    return kept, backward, tuple(f"projected{i}" in read for i in range(parts))
