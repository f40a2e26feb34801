"""From a step's program to C++: the whole sequence in one call, forward and backward.

A tile of a few rows of the batch goes through all timesteps by itself, so that its states stay in the nearest cache and
threads never wait for each other. In each timestep, products with recurrent weights and loops over the pointwise parts
alternate: stage 0 is what can be computed before the first product, stage 1 what needs it, and so on. Within a stage
there is one loop over the numbers of a row for each width, and one more after each reduction of a row.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial, reduce
from pathlib import Path
from textwrap import indent

import torch

from rnnlab.unroll.expression import REDUCTIONS, Expression
from rnnlab.unroll.program import Program, Row, number_of

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


@dataclass
class Loop:
    """One pass over the numbers of a row: what is computed, and what of it is written where."""

    width: int
    body: list[Expression] = field(default_factory=list)
    writes: list[tuple[str, int, Expression]] = field(default_factory=list)


Key = tuple[int, int, int]
"""Stage, level within the stage, width."""


class Schedule:
    """In which loop each expression is computed, and what is handed from loop to loop."""

    def __init__(self, rows: dict[str, Row], stage_of_leaf: dict[str, int]) -> None:
        self.stage_of_leaf = stage_of_leaf
        self.stages_of = self._as_late_as_possible(rows)
        self.keys: dict[Expression, Key] = {}
        self.loops: dict[Key, Loop] = {}
        self.local: dict[Expression, str] = {}
        self.tiled: dict[Expression, str] = {}
        for name, row in rows.items():
            offset = 0
            for block in row:
                # a gradient summed over the batch starts at zero, which is all there is to a part that is not used
                if not (name.startswith("d_vector") and block.is_constant):
                    self._place(block)
                    self._write(name, offset, block)
                offset += block.width
        self._hand_over()

    def _as_late_as_possible(self, rows: dict[str, Row]) -> dict[Expression, int]:
        """The stage of each expression: what is written, as soon as it can be; all else, when it is first used."""
        earliest: dict[Expression, int] = {}
        for row in rows.values():
            for block in row:
                self._earliest(block, earliest)
        stages: dict[Expression, int] = {}
        for row in rows.values():
            for block in row:
                stages[block] = earliest[block]
        for x in reversed(earliest):  # users before what they use
            for argument in x.arguments:
                stages[argument] = min(stages.get(argument, stages[x]), stages[x])
        return stages

    def _earliest(self, x: Expression, earliest: dict[Expression, int]) -> int:
        if x not in earliest:
            stage = max((self._earliest(argument, earliest) for argument in x.arguments), default=0)
            earliest[x] = max(stage, self.stage_of_leaf.get(x.buffer, 0))
        return earliest[x]

    def _place(self, x: Expression) -> None:
        """In its stage, after its arguments: in the loop of its width or, a reduction, of its argument's."""
        if x.is_leaf or x.is_constant or x in self.keys:
            return
        for argument in x.arguments:
            self._place(argument)
        width = x.arguments[0].width if x.op in (*REDUCTIONS, "batch_sum") else x.width
        stage = self.stages_of[x]
        level = 0
        for argument in x.arguments:
            if argument in self.keys and self.keys[argument][0] == stage:
                _, before, its_width = self.keys[argument]
                level = max(level, before + (argument.op in REDUCTIONS or its_width != width))
        self.keys[x] = (stage, level, width)
        self.loops.setdefault(self.keys[x], Loop(width)).body.append(x)

    def _write(self, name: str, offset: int, x: Expression) -> None:
        key = self.keys.get(x) or (self.stages_of[x], 0, x.width)
        if x.op in REDUCTIONS:  # its loop ends before the number is there
            key = (key[0], key[1] + 1, 1)
        self.loops.setdefault(key, Loop(key[2])).writes.append((name, offset, x))

    def _hand_over(self) -> None:
        """What a later loop uses: of the same stage, through a buffer for a row; of a later stage, for the tile."""
        for key, loop in self.loops.items():
            used = [argument for x in loop.body for argument in x.arguments] + [x for _, _, x in loop.writes]
            for x in used:
                home = self.keys.get(x)
                if home is None or (home == key and x.op not in REDUCTIONS):
                    continue
                if home[0] != key[0]:
                    self.tiled.setdefault(x, f"kept{len(self.tiled)}")
                if home[0] == key[0] or x.op in REDUCTIONS:
                    self.local.setdefault(x, f"row{len(self.local)}")

    def stages(self) -> list[list[tuple[Key, Loop]]]:
        last = max((key[0] for key in self.loops), default=0)
        ordered = sorted(self.loops.items(), key=lambda item: item[0])
        return [[(key, loop) for key, loop in ordered if key[0] == stage] for stage in range(last + 1)]


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


# The order in which buffers are handed to the kernel is that of these lists; `compiled` fills them by name.


def forward_buffers(program: Program, keeps: bool) -> list[str]:
    return [
        *(f"projected{i}" for i in range(len(program.parts))),
        *(f"initial{i}" for i in range(len(program.state))),
        *(f"states{i}" for i in range(len(program.state))),
        *(f"weight{i}" for i in range(len(program.products))),
        *(f"vector{i}" for i in range(len(program.vectors))),
        *(name for name in program.forward if name == "output" or (keeps and name.startswith("argument"))),
        *(["saved"] if keeps and program.saved else []),
    ]


def backward_buffers(program: Program) -> list[str]:
    return [
        "d_output",
        *(f"projected{i}" for i, read in enumerate(program.reads_projected) if read),
        *(f"initial{i}" for i in range(len(program.state))),
        *(f"states{i}" for i in range(len(program.state))),
        *(f"weight{i}" for i in range(len(program.products))),
        *(f"vector{i}" for i in range(len(program.vectors))),
        *(["saved"] if program.saved else []),
        *(f"d_states{i}" for i in range(len(program.state))),
        *(name for name in program.backward if name.startswith("d_projected")),
        *(f"d_product{i}" for i in range(len(program.products)) if not twin(program, i)),
        *(name for name in program.backward if name.startswith("d_vector")),
    ]


def size_of(program: Program, buffer: str, keeps: bool) -> tuple[str, int]:
    """What a row of the buffer stands for, and how many numbers it has.

    `timestep`: a timestep of a sequence. `pair`: the same of two timesteps, which alternate. `sequence`, `tile`: one of
    them. `once`: all together.
    """
    kind = buffer.rstrip("0123456789")
    number = int(buffer.removeprefix(kind) or 0)
    if kind == "weight":
        return "once", program.products[number].rows * program.products[number].columns
    if kind in ("states", "d_states"):
        whole = kind == "states" and (keeps or number == program.output_field)
        return "timestep" if whole else "pair", program.state[number]
    if kind == "initial":
        return "sequence", program.state[number]
    rows = {"vector": "once", "d_vector": "tile"}.get(kind, "timestep")
    return rows, _widths(program)[buffer]


def twin(program: Program, product: int) -> str | None:
    """The part of the projected input that has the same gradient as a product, as where both are only added."""
    row = program.backward[f"d_product{product}"]
    return next(
        (name for name, other in program.backward.items() if name.startswith("d_projected") and other == row), None
    )


def _widths(program: Program) -> dict[str, int]:
    """Numbers in a row of each buffer."""
    widths = {"output": program.output, "d_output": program.output, "saved": program.saved_width}
    for i, width in enumerate(program.parts):
        widths |= {f"projected{i}": width, f"d_projected{i}": width}
    for i, width in enumerate(program.state):
        widths |= {f"state{i}": width, f"new{i}": width, f"d_state{i}": width, f"next{i}": width}
    for i, width in enumerate(program.vectors.values()):
        widths |= {f"vector{i}": width, f"d_vector{i}": width}
    for i, product in enumerate(program.products):
        widths |= {f"product{i}": product.rows, f"d_product{i}": product.rows}
        widths |= {f"argument{i}": product.columns, f"d_argument{i}": product.columns}
    return widths


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
    widths = _widths(program)
    rows = dict(program.forward)
    if keeps and program.saved:
        rows["saved"] = tuple(program.saved)
    schedule = Schedule(rows, {f"product{i}": i + 1 for i in range(len(program.products))})
    writer = Writer(schedule, widths)
    stages = schedule.stages()
    stages += [[] for _ in range(len(program.products) + 1 - len(stages))]
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
    for buffer in rows:
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
    widths = _widths(program)
    count = len(program.products)
    stage_of_leaf = {f"d_argument{i}": count - i for i in range(count)}
    rows, straight = _straight_into_the_state(program, stage_of_leaf)
    rows = {buffer.replace("d_state", "next"): row for buffer, row in rows.items()}
    for i in range(count):
        if twin(program, i):
            del rows[f"d_product{i}"]
    schedule = Schedule(rows, stage_of_leaf)
    writer = Writer(schedule, widths)
    stages = schedule.stages()
    stages += [[] for _ in range(count + 1 - len(stages))]
    setup = [
        f"const Packed weight{i}(weight{i}_all, {product.columns}, {product.rows}, true);"
        for i, product in enumerate(program.products)
    ]
    reading = [i for i, read in enumerate(program.reads_projected) if read]
    setup += [f"const long projected{i}_step = sizes[{4 + i}];" for i in reading]
    scratch = {f"d_argument{i}": product.columns for i, product in enumerate(program.products) if i not in straight}
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
    for buffer in rows:
        if buffer.startswith("d_vector"):
            lines.append(f"real* const {buffer}_sum = {buffer}_all + first / tile * {widths[buffer]};")
        elif not buffer.startswith("next"):
            lines.append(f"real* const {buffer} = {buffer}_all + (t * B + first) * {widths[buffer]};")
    for stage, i in enumerate(reversed(range(count))):
        product = program.products[i]
        target, add = straight.get(i, (f"d_argument{i}", "false"))
        lines.append(writer.stage(stages[stage]))
        lines.append(
            f"multiply({twin(program, i) or f'd_product{i}'}, {product.rows}, rows, weight{i}, {target}, "
            f"{product.columns}, {add});"
        )
    lines += [writer.stage(stage) for stage in stages[count:]]
    body = "for (long t = T - 1; t >= 0; --t) {\n" + indent("\n".join(filter(None, lines)), "    ") + "\n}"
    return _function("backward", backward_buffers(program), setup, scratch, body)


def _straight_into_the_state(
    program: Program, stage_of_leaf: dict[str, int]
) -> tuple[dict[str, Row], dict[int, tuple[str, str]]]:
    """Products whose result is only added to a state's gradient add it there themselves.

    Returns: the rows without them, and for each such product where it goes and whether it adds.
    """
    uses: dict[Expression, int] = {}
    for row in program.backward.values():
        for block in row:
            _count(block, uses)
    rows, straight = dict(program.backward), dict[int, tuple[str, str]]()
    for i in range(len(program.state)):
        row = rows[f"d_state{i}"]
        if len(row) != 1:
            continue
        leaves, rest = _addends(row[0], uses)
        taken = [
            leaf
            for leaf in leaves
            if leaf.buffer.startswith("d_argument")
            and uses[leaf] == 1
            and leaf.width == row[0].width
            # a whole argument, no slice of a wider one
            and leaf.width == program.products[number_of(leaf.buffer)].columns
        ]
        rest += [leaf for leaf in leaves if leaf not in taken]
        first = min((stage_of_leaf[leaf.buffer] for leaf in taken), default=0)
        if not taken or any(_stage(x, stage_of_leaf) >= first for x in rest):
            continue
        total = reduce(partial(program.translator.apply, "add"), rest) if rest else None
        ordered = sorted(taken, key=lambda leaf: stage_of_leaf[leaf.buffer])
        for position, leaf in enumerate(ordered):
            add = "true" if total is not None or position > 0 else "false"
            straight[number_of(leaf.buffer)] = (f"next{i}", add)
        if total is None:
            del rows[f"d_state{i}"]
        else:
            rows[f"d_state{i}"] = (program.translator.broadcast(total, row[0].width),)
    return rows, straight


def _count(x: Expression, uses: dict[Expression, int]) -> None:
    uses[x] = uses.get(x, 0) + 1
    if uses[x] == 1:
        for argument in x.arguments:
            _count(argument, uses)


def _addends(x: Expression, uses: dict[Expression, int]) -> tuple[list[Expression], list[Expression]]:
    """Leaves and other terms of a sum that nobody else uses."""
    if x.op == "add" and uses[x] == 1:
        (left, others), (right, more) = (_addends(argument, uses) for argument in x.arguments)
        return left + right, others + more
    return ([x], []) if x.is_leaf else ([], [x])


def _stage(x: Expression, stage_of_leaf: dict[str, int]) -> int:
    if x.is_leaf or x.is_constant:
        return stage_of_leaf.get(x.buffer, 0)
    return max((_stage(argument, stage_of_leaf) for argument in x.arguments), default=0)
