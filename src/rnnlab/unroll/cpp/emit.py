"""From a step's program to C++: the whole sequence in one call, forward and backward.

A tile of a few rows of the batch goes through all timesteps by itself, so that its states stay in the nearest cache and
threads never wait for each other. What is computed in which order is `rnnlab.unroll.schedule`'s; here it is printed.
"""

from collections.abc import Callable
from pathlib import Path
from textwrap import indent

import torch

from rnnlab.unroll.buffers import backward_buffers, forward_buffers, shared_gradient, widths_of
from rnnlab.unroll.expression import REDUCTIONS, Expression
from rnnlab.unroll.program import Program
from rnnlab.unroll.schedule import Key, Loop, Schedule, schedule_backward, schedule_forward

HEADER = Path(__file__).with_name("emit.h")

OPERATORS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
COMPARISONS = {"gt": ">", "lt": "<", "ge": ">=", "le": "<=", "eq": "==", "ne": "!="}
FUNCTIONS = {
    "exp": "exponential", "expm1": "exponential_minus_one", "log": "logarithm", "log1p": "logarithm_of_one_plus",
    "sigmoid": "sigmoid", "tanh": "tangent", "relu": "relu", "abs": "absolute", "sign": "sign", "sqrt": "square_root",
    "sin": "sine", "cos": "cosine", "erf": "error_function", "pow": "power", "maximum": "maximum",
    "minimum": "minimum", "where": "where",
}  # fmt: skip
PATTERNS = {
    "neg": "-{0}",
    "rsqrt": "1 / square_root({0})",
    "reciprocal": "1 / {0}",
    "logical_and": "{0} * {1}",
    "logical_or": "maximum({0}, {1})",
    "logical_not": "1 - {0}",
    "broadcast": "{0}",
}

NAMES = {torch.float32: "float", torch.float64: "double"}


class Writer:
    """The text of one direction's stages."""

    def __init__(self, schedule: Schedule, widths: dict[str, int]) -> None:
        self.schedule = schedule
        self.widths = widths

    def stage(self, loops: list[tuple[Key, Loop]]) -> str:
        """All loops of a stage, for one row after the other."""
        if not loops:
            return ""
        lines = [f"real {name}[{x.width}];" for x, name in self.schedule.local.items() if self._is_of(x, loops)]
        lines += [self._loop(key, loop) for key, loop in loops]
        return "for (long r = 0; r < rows; ++r) {\n" + indent("\n".join(lines), "    ") + "\n}"

    def _is_of(self, x: Expression, loops: list[tuple[Key, Loop]]) -> bool:
        return self.schedule.keys[x][0] == loops[0][0][0]

    def _loop(self, key: Key, loop: Loop) -> str:
        names: dict[Expression, str] = {}
        lines: list[str] = []
        reductions = {x: f"{self.schedule.local[x]}_total" for x in loop.body if x.op in REDUCTIONS}
        before = [f"vec {total} = all({'0' if x.op == 'row_sum' else '-HUGE_VAL'});" for x, total in reductions.items()]

        def name_of(x: Expression) -> str:
            if x not in names:
                text = self._text(x, name_of, key)
                names[x] = f"x{len(names)}"
                lines.append(f"const vec {names[x]} = {text};")
            return names[x]

        for x in loop.body:
            if x.op in REDUCTIONS:
                total, inner = reductions[x], name_of(x.arguments[0])
                if x.op == "row_sum":
                    lines.append(f"{total} += only({inner}, 0, n);")
                else:
                    lines.append(f"{total} = maximum(only({inner}, -HUGE_VAL, n), {total});")
            elif x.op != "batch_sum":
                kept = filter(None, (self.schedule.local.get(x), self._tiled(x)))
                lines.extend(f"store({buffer} + j, {name_of(x)}, n);" for buffer in kept)
        for buffer, offset, x in loop.writes:
            if x.op == "batch_sum":
                place = f"{buffer}_sum + {offset} + j"
                lines.append(f"store({place}, load({place}, n) + {name_of(x.arguments[0])}, n);")
            else:
                lines.append(f"store({self._place(buffer, offset)}, {name_of(x)}, n);")
        body = indent("\n".join(lines), "    ")
        after = []
        for x, total in reductions.items():
            reduced = f"{'sum_of' if x.op == 'row_sum' else 'max_of'}({total})"
            after.append(f"{self.schedule.local[x]}[0] = {reduced};")
            if x in self.schedule.tiled:
                after.append(f"{self._tiled(x)}[0] = {self.schedule.local[x]}[0];")
        # captures by reference: all is inlined
        text = f"along<{loop.width}>([&](long j, auto n) {{\n{body}\n}});"
        return "\n".join([*before, text, *after])

    def _tiled(self, x: Expression) -> str | None:
        name = self.schedule.tiled.get(x)
        return f"({name} + r * {x.width})" if name else None

    def _place(self, buffer: str, offset: int) -> str:
        return f"{buffer} + r * {self.widths[buffer]} + {offset} + j"

    def _text(self, x: Expression, name_of: Callable[[Expression], str], key: Key) -> str:
        splat = x.width == 1 and key[2] != 1
        if x.is_constant:
            return f"all(real({x.number!r}))".replace("inf", "HUGE_VAL").replace("nan", "NAN")
        if x.is_leaf:
            row = f"r * {self.widths[x.buffer]} + " if x.per_row else ""
            place = f"{x.buffer} + {row}{x.offset}"
            return f"all(({place})[0])" if splat else f"load({place} + j, n)"
        home = self.schedule.keys[x]
        if home != key or x.op in REDUCTIONS:
            buffer = self.schedule.local[x] if home[0] == key[0] else self._tiled(x)
            return f"all({buffer}[0])" if splat else f"load({buffer} + j, n)"
        arguments = [name_of(argument) for argument in x.arguments]
        if x.op in OPERATORS:
            return f" {OPERATORS[x.op]} ".join(arguments)
        if x.op in COMPARISONS:
            return f"truth({arguments[0]} {COMPARISONS[x.op]} {arguments[1]})"
        if x.op in FUNCTIONS:
            return f"{FUNCTIONS[x.op]}({', '.join(arguments)})"
        return PATTERNS[x.op].format(*arguments)


def source(program: Program, dtype: torch.dtype) -> str:
    """The C++ of a program: `forward` keeps what `backward` reads, `forward_only` keeps nothing."""
    return "\n\n".join(
        (
            f"typedef {NAMES[dtype]} real;",
            HEADER.read_text(),
            _forward(program, "forward", keeps=True),
            _forward(program, "forward_only", keeps=False),
            _backward(program),
        )
    )


def _function(name: str, buffers: list[str], setup: list[str], scratch: dict[str, int], body: str) -> str:
    """A function of the buffers and of (timesteps, batch, threads, rows in a tile, each part's step in time)."""
    total = " + ".join(["0", *(str(width) for width in scratch.values())])
    places, start = [], 0
    for buffer, width in scratch.items():
        places.append(f"real* const {buffer} = scratch.data() + {start} * tile;")
        start += width
    return "\n".join(
        [
            f'extern "C" void {name}(real* const* buffers, const long* sizes) {{',
            "    const long T = sizes[0], B = sizes[1], threads = sizes[2], tile = sizes[3];",
            *(f"    real* const {buffer}_all = buffers[{i}];" for i, buffer in enumerate(buffers)),
            indent("\n".join(setup), "    "),
            "    #pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)",
            "    for (long first = 0; first < B; first += tile) {",
            "        const long rows = B - first < tile ? B - first : tile;",
            f"        std::vector<real> scratch(({total}) * tile);",
            indent("\n".join(places), "        "),
            indent(body, "        "),
            "    }",
            "}",
        ]
    )


def _forward(program: Program, name: str, keeps: bool) -> str:
    widths = widths_of(program)
    schedule = schedule_forward(program, keeps)
    writer = Writer(schedule, widths)
    stages = schedule.stages(len(program.products) + 1)
    setup = [f"const long projected{i}_step = sizes[{4 + i}];" for i in range(len(program.parts))]
    setup += [
        f"const Packed weight{i}(weight{i}_all, {product.rows}, {product.columns}, false);"
        for i, product in enumerate(program.products)
    ]
    scratch = {f"product{i}": product.rows for i, product in enumerate(program.products)}
    scratch |= {kept: x.width for x, kept in schedule.tiled.items()}
    lines = [_part_at(i, width) for i, width in enumerate(program.parts)]
    for i, width in enumerate(program.state):
        # what nobody reads later goes to two places by turns
        place = "({0})" if keeps or i == program.output_field else "(({0}) & 1)"
        before, after = place.format("t - 1"), place.format("t")
        lines.append(
            f"const real* const state{i} = "
            f"(t ? states{i}_all + {before} * B * {width} : initial{i}_all) + first * {width};"
        )
        lines.append(f"real* const new{i} = states{i}_all + {after} * B * {width} + first * {width};")
    lines += [f"const real* const vector{i} = vector{i}_all;" for i in range(len(program.vectors))]
    for buffer in schedule.rows:
        if buffer.startswith("argument") and not keeps:
            scratch[buffer] = widths[buffer]
        elif not buffer.startswith("new"):
            lines.append(f"real* const {buffer} = {buffer}_all + (t * B + first) * {widths[buffer]};")
    for i, product in enumerate(program.products):
        lines.append(writer.stage(stages[i]))
        lines.append(
            f"multiply({product.operand}, {product.columns}, rows, weight{i}, product{i}, {product.rows}, false);"
        )
    lines += [writer.stage(stage) for stage in stages[len(program.products) :]]
    body = "for (long t = 0; t < T; ++t) {\n" + indent("\n".join(filter(None, lines)), "    ") + "\n}"
    return _function(name, forward_buffers(program, keeps), setup, scratch, body)


def _part_at(i: int, width: int) -> str:
    return f"const real* const projected{i} = projected{i}_all + t * projected{i}_step + first * {width};"


def _backward(program: Program) -> str:
    widths = widths_of(program)
    count = len(program.products)
    schedule, into_the_state = schedule_backward(program)
    writer = Writer(schedule, widths)
    stages = schedule.stages(count + 1)
    setup = [
        f"const Packed weight{i}(weight{i}_all, {product.columns}, {product.rows}, true);"
        for i, product in enumerate(program.products)
    ]
    reading = [i for i, read in enumerate(program.reads_projected) if read]
    setup += [f"const long projected{i}_step = sizes[{4 + i}];" for i in reading]
    scratch = {
        f"d_argument{i}": product.columns for i, product in enumerate(program.products) if i not in into_the_state
    }
    scratch |= {kept: x.width for x, kept in schedule.tiled.items()}
    lines = [_part_at(i, program.parts[i]) for i in reading]
    for i, width in enumerate(program.state):
        at = f"* B * {width} + first * {width};"
        lines += [
            f"const real* const state{i} = "
            f"(t ? states{i}_all + (t - 1) * B * {width} : initial{i}_all) + first * {width};",
            f"const real* const new{i} = states{i}_all + t {at}",
            f"const real* const d_state{i} = d_states{i}_all + ((t + 1) & 1) {at}",
            f"real* const next{i} = d_states{i}_all + (t & 1) {at}",
        ]
    lines += [f"const real* const vector{i} = vector{i}_all;" for i in range(len(program.vectors))]
    lines.append(f"const real* const d_output = d_output_all + (t * B + first) * {program.output};")
    if program.saved:
        lines.append(f"const real* const saved = saved_all + (t * B + first) * {program.saved_width};")
    for buffer in schedule.rows:
        if buffer.startswith("d_vector"):
            lines.append(f"real* const {buffer}_sum = {buffer}_all + first / tile * {widths[buffer]};")
        elif not buffer.startswith("next"):
            lines.append(f"real* const {buffer} = {buffer}_all + (t * B + first) * {widths[buffer]};")
    for stage, i in enumerate(reversed(range(count))):
        product = program.products[i]
        target, add = into_the_state.get(i, (f"d_argument{i}", False))
        lines.append(writer.stage(stages[stage]))
        lines.append(
            f"multiply({shared_gradient(program, i) or f'd_product{i}'}, {product.rows}, rows, weight{i}, {target}, "
            f"{product.columns}, {str(add).lower()});"
        )
    lines += [writer.stage(stage) for stage in stages[count:]]
    body = "for (long t = T - 1; t >= 0; --t) {\n" + indent("\n".join(filter(None, lines)), "    ") + "\n}"
    return _function("backward", backward_buffers(program), setup, scratch, body)
