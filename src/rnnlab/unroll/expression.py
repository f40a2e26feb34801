"""A step's equations and their derivative as expressions over one row of the batch.

A value of shape (batch, n) is a row of blocks, each an expression of its own width: `chunk`, `cat` and slices only
rename blocks, and a slice of an elementwise expression is that expression of slices. So the four gates of an LSTM
become four expressions of width `hidden_size` that one loop computes together, whatever the equations look like.
"""

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, fx

from rnnlab.unroll.no_kernel import NoKernel


class NotRowwise(NoKernel):
    """A step does what cannot be said of one row: it multiplies matrices by itself, or its tensors have three sizes."""


@dataclass(frozen=True, eq=False)
class Expression:
    """A node of the equations: `op` of `arguments`, `width` numbers for each row (`per_row`) or the same for all rows.

    A leaf reads `width` numbers of `buffer` from `offset`; a constant is `number`. Equal expressions are one object.
    """

    op: str
    arguments: tuple["Expression", ...]
    width: int
    per_row: bool
    buffer: str = ""
    offset: int = 0
    number: float = 0.0

    @property
    def is_leaf(self) -> bool:
        return self.op == "leaf"

    @property
    def is_constant(self) -> bool:
        return self.op == "constant"


CASTS = ("detach", "_to_copy", "convert_element_type", "lift_fresh_copy")

NEUTRAL = ("alpha", "min", "max", "dtype", "layout", "device", "pin_memory", "non_blocking", "memory_format")
"""Options of elementwise operations that are heeded, or change no number."""

ARITHMETIC = {"add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv}

REDUCTIONS = ("row_sum", "row_max")
"""One number of a whole row."""

EXPENSIVE = frozenset({"exp", "sigmoid", "tanh", "log", "log1p", "expm1", "sin", "cos", "erf", "pow", "sqrt", "rsqrt"})
"""What is rather kept for the backward pass than computed again there."""


@dataclass(frozen=True)
class Value:
    """A tensor of the traced step: its blocks side by side, and its shape."""

    blocks: tuple[Expression, ...]
    shape: tuple[int, ...]


@dataclass
class Translator:
    """From a traced graph over tensors to expressions over a row. `batch` is the size that stands for the batch."""

    batch: int
    known: dict[tuple[Any, ...], Expression] = field(default_factory=dict)

    # --- making expressions, each once ---

    def make(self, op: str, arguments: tuple[Expression, ...], width: int, per_row: bool, **leaf: Any) -> Expression:
        key = (op, tuple(id(argument) for argument in arguments), width, per_row, *leaf.values())
        if key not in self.known:
            self.known[key] = Expression(op, arguments, width, per_row, **leaf)
        return self.known[key]

    def leaf(self, buffer: str, width: int, per_row: bool = True, offset: int = 0) -> Expression:
        return self.make("leaf", (), width, per_row, buffer=buffer, offset=offset)

    def constant(self, number: float, width: int = 1) -> Expression:
        return self.make("constant", (), width, False, number=float(number))

    def apply(self, op: str, *arguments: Expression) -> Expression:
        """An elementwise operation; an argument of width 1 is the same for the whole row."""
        width = max(argument.width for argument in arguments)
        simpler = self._simplify(op, arguments, width)
        if simpler is not None:
            return simpler
        summed = [argument for argument in arguments if argument.op == "batch_sum"]
        if summed:
            # what follows a sum over the batch is linear in it and the same for all rows: it may as well come before
            if op not in ("mul", "div", "neg", "add", "sub", "where") or any(
                argument.per_row for argument in arguments if argument.op != "batch_sum"
            ):
                raise NotRowwise(f"{op} of a sum over the batch")
            if op in ("add", "sub") and len(summed) == 1:
                raise NotRowwise(f"{op} of a sum over the batch and something else")
            inner = tuple(a.arguments[0] if a.op == "batch_sum" else a for a in arguments)
            return self.batch_sum(self.apply(op, *inner))
        return self.make(op, arguments, width, any(argument.per_row for argument in arguments))

    def batch_sum(self, x: Expression) -> Expression:
        return self.constant(0, x.width) if self._is(x, 0) else self.make("batch_sum", (x,), x.width, False)

    @staticmethod
    def _is(x: Expression, number: float) -> bool:
        return x.is_constant and x.number == number

    def _simplify(self, op: str, arguments: tuple[Expression, ...], width: int) -> Expression | None:
        first, *rest = arguments
        second = rest[0] if rest else first
        both = first.is_constant and second.is_constant
        if both and op in ARITHMETIC and not (op == "div" and second.number == 0):
            return self.constant(ARITHMETIC[op](first.number, second.number), width)
        if op == "mul":
            if self._is(first, 0) or self._is(second, 0):
                return self.constant(0, width)
            if self._is(first, 1) and second.width == width:
                return second
            if self._is(second, 1) and first.width == width:
                return first
        if op == "add":
            if self._is(first, 0) and second.width == width:
                return second
            if self._is(second, 0) and first.width == width:
                return first
        if op == "sub":
            if self._is(second, 0) and first.width == width:
                return first
            if self._is(first, 0):
                return self.apply("neg", second) if second.width == width else None
        if op == "div" and self._is(second, 1) and first.width == width:
            return first
        if op == "neg" and first.is_constant:
            return self.constant(-first.number, width)
        if op == "where" and arguments[1] is arguments[2] and arguments[1].width == width:
            return arguments[1]
        return None

    def slice(self, x: Expression, start: int, length: int) -> Expression:
        """`length` numbers of a block, from its `start`-th."""
        if (start, length) == (0, x.width):
            return x
        if x.is_leaf:
            return self.leaf(x.buffer, length, x.per_row, x.offset + start)
        if x.is_constant:
            return self.constant(x.number, length)
        arguments = (a if a.width == 1 else self.slice(a, start, length) for a in x.arguments)
        if x.op == "batch_sum":
            return self.batch_sum(*arguments)
        if x.op == "broadcast":
            return self.broadcast(x.arguments[0], length)
        return self.apply(x.op, *arguments)

    def broadcast(self, x: Expression, width: int) -> Expression:
        if x.width == width:
            return x
        return self.constant(x.number, width) if x.is_constant else self.make("broadcast", (x,), width, x.per_row)

    # --- rows of blocks ---

    def cut(self, blocks: Sequence[Expression], start: int, length: int) -> tuple[Expression, ...]:
        """The blocks of a slice of a row."""
        kept, position = [], 0
        for block in blocks:
            low, high = max(start, position), min(start + length, position + block.width)
            if low < high:
                kept.append(self.slice(block, low - position, high - low))
            position += block.width
        return tuple(kept)

    def join(self, blocks: Iterable[Expression]) -> tuple[Expression, ...]:
        """Blocks side by side; neighbours that read on where the one before ends are one."""
        joined: list[Expression] = []
        for block in blocks:
            last = joined[-1] if joined else None
            if (
                last is not None
                and block.is_leaf
                and last.is_leaf
                and (last.buffer, last.offset + last.width) == (block.buffer, block.offset)
            ):
                joined[-1] = self.leaf(last.buffer, last.width + block.width, last.per_row, last.offset)
            else:
                joined.append(block)
        return tuple(joined)

    def aligned(self, *rows: tuple[Expression, ...]) -> list[tuple[Expression, ...]]:
        """Rows cut at the same places; a row of width 1 goes with each piece of the others."""
        width = max(_width(row) for row in rows)
        edges = {0, width}
        for row in rows:
            if _width(row) == width:
                position = 0
                for block in row:
                    position += block.width
                    edges.add(position)
        bounds = sorted(edges)
        return [
            tuple(
                row[0] if _width(row) == 1 else self.cut(row, low, high - low)[0]
                for row in rows
            )
            for low, high in pairwise(bounds)
        ]  # fmt: skip

    def elementwise(self, op: str, *rows: tuple[Expression, ...]) -> tuple[Expression, ...]:
        return tuple(self.apply(op, *pieces) for pieces in self.aligned(*rows))

    def reduce(self, op: str, row: tuple[Expression, ...], combine: str) -> Expression:
        """One number of a row, from those of its blocks."""
        return reduce(
            lambda x, y: self.apply(combine, x, y),
            (x if x.width == 1 else self.make(op, (x,), 1, x.per_row) for x in row),
        )

    # --- the graph ---

    def run(self, graph: fx.Graph, inputs: Sequence[Value]) -> list[Value]:
        """The outputs of a flat graph as rows of expressions.

        Raises: `NotRowwise` for what only makes sense for a whole batch or for tensors of three sizes.
        """
        values: dict[fx.Node, Any] = {}
        placeholders = iter(inputs)

        def look_up(argument: Any) -> Any:
            return fx.map_arg(argument, lambda node: values[node])

        for node in graph.nodes:
            if node.op == "placeholder":
                values[node] = next(placeholders)
            elif node.op == "output":
                return list(look_up(node.args[0]))
            elif node.op == "call_function":
                values[node] = self._call(node, look_up(node.args), look_up(node.kwargs))
            else:
                raise NotRowwise(f"the step uses {node.target} and not what `prepare` gives")
        raise AssertionError("a graph ends with its output")

    def _call(self, node: fx.Node, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        if node.target is operator.getitem:
            return arguments[0][arguments[1]]
        name = str(node.target).removeprefix("aten.").removeprefix("prims.").split(".")[0]
        made = node.meta["val"]
        if isinstance(made, Tensor):
            self._check(made.shape, name)
        if name in ELEMENTWISE:
            return Value(self._elementwise(node, name, arguments, options), tuple(made.shape))
        handler: Callable[..., Any] | None = getattr(self, f"_{name}", None)
        if handler is None:
            raise NotRowwise(f"no expression for aten.{name}")
        return handler(made, *arguments, **options)

    def _check(self, shape: Sequence[int], name: str) -> None:
        if len(shape) > 2 or (len(shape) == 2 and shape[0] not in (1, self.batch)):
            raise NotRowwise(f"aten.{name} makes a tensor of shape {tuple(shape)}")

    def _row(self, x: Any) -> tuple[Expression, ...]:
        return x.blocks if isinstance(x, Value) else (self.constant(x),)

    def _elementwise(
        self, node: fx.Node, name: str, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> tuple[Expression, ...]:
        unknown = [key for key, value in options.items() if key not in NEUTRAL and value is not None]
        if unknown:
            raise NotRowwise(f"aten.{name} with {', '.join(unknown)}")
        if name in CASTS:
            return self._cast(node, arguments[0])
        if ELEMENTWISE[name].startswith("logical"):
            if name.startswith("bitwise") and node.meta["val"].dtype != torch.bool:
                raise NotRowwise(f"aten.{name} of numbers")
            truths = (self.elementwise("ne", self._row(x), (self.constant(0),)) for x in arguments)
            return self.elementwise(ELEMENTWISE[name], *truths)
        if name == "add" and node.meta["val"].dtype == torch.bool:
            raise NotRowwise("a sum of truth values, which is none of numbers")
        if name in ("add", "sub") and options.get("alpha", 1) != 1:
            scaled = self.elementwise("mul", self._row(arguments[1]), (self.constant(options["alpha"]),))
            return self.elementwise(name, self._row(arguments[0]), scaled)
        if name == "rsub":
            return self.elementwise("sub", self._row(arguments[1]), self._row(arguments[0]))
        if name == "pow" and arguments[1] in (1, 2, 3):
            row = self._row(arguments[0])
            return reduce(lambda x, y: self.elementwise("mul", x, y), [row] * int(arguments[1]))
        if name == "clamp":
            return self._clamp(*arguments, **options)
        rows = [self._row(argument) for argument in arguments]
        return self.elementwise(ELEMENTWISE[name], *rows)

    def _cast(self, node: fx.Node, x: Value) -> tuple[Expression, ...]:
        """Truth values and whole numbers are held as what they are in the program's own type."""
        source, target = cast(fx.Node, node.args[0]).meta["val"].dtype, node.meta["val"].dtype
        if target == source or (target.is_floating_point and not source.is_floating_point):
            return x.blocks
        if target == torch.bool:
            return self.elementwise("ne", x.blocks, (self.constant(0),))
        raise NotRowwise(f"a cast from {source} to {target}")

    def _clamp(self, x: Value, min: Any = None, max: Any = None) -> tuple[Expression, ...]:  # noqa: A002
        row = x.blocks
        for op, bound in (("maximum", min), ("minimum", max)):
            if bound is not None:
                row = self.elementwise(op, row, self._row(bound))
        return row

    def _reshape(self, made: Tensor, x: Value, *_: Any, **__: Any) -> Value:
        """The same numbers of each row in the same order; or one number repeated along the row."""
        shape = tuple(made.shape)
        features = self._features(shape)
        if features == _width(x.blocks):
            return Value(x.blocks, shape)
        if _width(x.blocks) == 1:
            return Value((self.broadcast(x.blocks[0], features),), shape)
        raise NotRowwise(f"a view of {x.shape} as {shape}")

    _view = _reshape_ = _unsqueeze = _squeeze = _expand = _broadcast_in_dim = _alias = _clone = _reshape

    def _features(self, shape: Sequence[int]) -> int:
        return math.prod(shape[1:] if shape and shape[0] == self.batch else shape)

    def _fill(self, made: Tensor, number: float) -> Value:
        return Value((self.constant(number, self._features(made.shape)),), tuple(made.shape))

    def _full(self, made: Tensor, _: Any, number: float, **__: Any) -> Value:
        return self._fill(made, number)

    _full_like = _full

    def _scalar_tensor(self, made: Tensor, number: float, **__: Any) -> Value:
        return self._fill(made, number)

    def _zeros_like(self, made: Tensor, *_: Any, **__: Any) -> Value:
        return self._fill(made, 0)

    # what is made to be written into is written whole
    _zeros = _new_zeros = _empty_permuted = _empty_like = _zeros_like

    def _ones_like(self, made: Tensor, *_: Any, **__: Any) -> Value:
        return self._fill(made, 1)

    _ones = _new_ones = _ones_like

    def _split_with_sizes(self, _: Any, x: Value, sizes: Sequence[int], dim: int = 0) -> list[Value]:
        self._last(x, dim)
        starts = [sum(sizes[:index]) for index in range(len(sizes))]
        return [
            Value(self.cut(x.blocks, start, size), (*x.shape[:-1], size))
            for start, size in zip(starts, sizes, strict=True)
        ]

    def _slice(self, made: Tensor, x: Value, dim: int = 0, start: Any = 0, end: Any = None, step: int = 1) -> Value:
        if tuple(made.shape) == x.shape:
            return x
        self._last(x, dim)
        if step != 1:
            raise NotRowwise("a slice with a step")
        first = slice(start, end).indices(x.shape[-1])[0]
        return Value(self.cut(x.blocks, first, made.shape[-1]), tuple(made.shape))

    _slice_ = _slice

    def _slice_scatter(
        self, made: Tensor, x: Value, source: Value, dim: int = 0, start: Any = 0, end: Any = None, step: int = 1
    ) -> Value:
        if source.shape == x.shape:
            return source
        self._last(x, dim)
        first, last, _ = slice(start, end).indices(x.shape[-1])
        before, after = self.cut(x.blocks, 0, first), self.cut(x.blocks, last, x.shape[-1] - last)
        return Value(self.join((*before, *source.blocks, *after)), tuple(made.shape))

    def _select(self, made: Tensor, x: Value, dim: int, index: int) -> Value:
        self._last(x, dim)
        return Value(self.cut(x.blocks, index % x.shape[-1], 1), tuple(made.shape))

    def _cat(self, made: Tensor, parts: Sequence[Value], dim: int = 0) -> Value:
        self._last(parts[0], dim)
        return Value(self.join(block for part in parts for block in part.blocks), tuple(made.shape))

    def _sum(self, made: Tensor, x: Value, dims: Any = None, keepdim: bool = False, **_: Any) -> Value:
        axes = sorted(d % len(x.shape) for d in (dims or range(len(x.shape))))
        blocks = x.blocks
        if len(x.shape) - 1 in axes and (axes != [0] or x.shape[0] != self.batch):
            blocks = (self.reduce("row_sum", blocks, "add"),)
        if 0 in axes and x.shape[0] == self.batch:
            blocks = tuple(self.batch_sum(block) for block in blocks)
        return Value(blocks, tuple(made.shape))

    def _mean(self, made: Tensor, x: Value, dims: Any = None, keepdim: bool = False, **_: Any) -> Value:
        self._over_the_row(x, dims)
        total = self.reduce("row_sum", x.blocks, "add")
        return Value((self.apply("mul", total, self.constant(1 / x.shape[-1])),), tuple(made.shape))

    def _amax(self, made: Tensor, x: Value, dims: Any = (), keepdim: bool = False) -> Value:
        self._over_the_row(x, dims)
        return Value((self.reduce("row_max", x.blocks, "maximum"),), tuple(made.shape))

    def _var(self, made: Tensor, x: Value, dims: Any = None, correction: float = 1, **_: Any) -> Value:
        return Value((self._moments(x, dims, correction)[0],), tuple(made.shape))

    def _var_mean(
        self, made: tuple[Tensor, ...], x: Value, dims: Any = None, correction: float = 1, **_: Any
    ) -> list[Value]:
        moments = self._moments(x, dims, correction)
        return [Value((moment,), tuple(like.shape)) for moment, like in zip(moments, made, strict=True)]

    def _moments(self, x: Value, dims: Any, correction: float) -> tuple[Expression, Expression]:
        """Variance, Σ (x - mean)² / (n - correction), and mean of each row."""
        self._over_the_row(x, dims)
        size = x.shape[-1]
        if size == correction:
            raise NotRowwise(f"the variance of {size} number, which is none")
        mean = self.apply("mul", self.reduce("row_sum", x.blocks, "add"), self.constant(1 / size))
        centred = self.elementwise("sub", x.blocks, (mean,))
        total = self.reduce("row_sum", self.elementwise("mul", centred, centred), "add")
        return self.apply("mul", total, self.constant(1 / (size - correction))), mean

    def _over_the_row(self, x: Value, dims: Any) -> None:
        if len(x.shape) != 2 or [d % 2 for d in dims or ()] != [1]:
            raise NotRowwise(f"a reduction of {x.shape} over the dimensions {dims}")

    def _last(self, x: Value, dim: int) -> None:
        if not x.shape or dim % len(x.shape) != len(x.shape) - 1 or (len(x.shape) == 1 and x.shape[0] == self.batch):
            raise NotRowwise(f"dimension {dim} of {x.shape} cut")


def _width(row: Sequence[Expression]) -> int:
    return sum(block.width for block in row)


ELEMENTWISE = {
    **{name: name for name in ("add", "sub", "mul", "div", "neg", "where", "pow", "maximum", "minimum")},
    **{name: name for name in ("exp", "sigmoid", "tanh", "relu", "log", "log1p", "expm1", "sin", "cos", "erf")},
    **{name: name for name in ("sqrt", "rsqrt", "reciprocal", "abs", "gt", "lt", "ge", "le", "eq", "ne")},
    **{name: name for name in ("logical_and", "logical_or", "logical_not")},
    "sign": "sign",
    "sgn": "sign",
    "rsub": "sub",
    "clamp": "clamp",
    "bitwise_and": "logical_and",
    "bitwise_or": "logical_or",
    "bitwise_not": "logical_not",
    **dict.fromkeys(CASTS, "cast"),
}
"""ATen's elementwise operations and what they are called here."""
