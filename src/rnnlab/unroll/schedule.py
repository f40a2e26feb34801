"""In which order a kernel computes what a program writes; nothing here knows in what language.

In each timestep, products with recurrent weights and loops over the pointwise parts alternate: stage 0 is what can be
computed before the first product, stage 1 what needs it, and so on. Within a stage there is one loop over the numbers
of a row for each width, and one more after each reduction of a row.
"""

from dataclasses import dataclass, field
from functools import partial, reduce

from rnnlab.unroll.buffers import shared_gradient
from rnnlab.unroll.expression import REDUCTIONS, Expression
from rnnlab.unroll.program import Program, Row, number_of


@dataclass
class Loop:
    """One pass over the numbers of a row: what is computed, and what of it is written where."""

    width: int
    body: list[Expression] = field(default_factory=list)
    writes: list[tuple[str, int, Expression]] = field(default_factory=list)


Key = tuple[int, int, int]
"""Stage, level within the stage, width."""


class Schedule:
    """In which loop each expression is computed, and what is handed from loop to loop.

    rows: what is written, by buffer. stage_of_leaf: of a product's result, the first stage that can read it.
    """

    def __init__(self, rows: dict[str, Row], stage_of_leaf: dict[str, int]) -> None:
        self.rows = rows
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

    def stages(self, count: int) -> list[list[tuple[Key, Loop]]]:
        """The loops of each stage in their order; `count` stages, some perhaps without a loop."""
        ordered = sorted(self.loops.items(), key=lambda item: item[0])
        return [[(key, loop) for key, loop in ordered if key[0] == stage] for stage in range(count)]


def schedule_forward(program: Program, keeps: bool) -> Schedule:
    """keeps: whether what the backward pass reads is written as well."""
    rows = dict(program.forward)
    if keeps and program.saved:
        rows["saved"] = tuple(program.saved)
    return Schedule(rows, {f"product{i}": i + 1 for i in range(len(program.products))})


def schedule_backward(program: Program) -> tuple[Schedule, dict[int, tuple[str, bool]]]:
    """Also the products that go straight into a state's gradient, see `straight_into_the_state`.

    The gradient of the state after a step is read as `d_state0`, that of the one before is written as `next0`.
    """
    count = len(program.products)
    stage_of_leaf = {f"d_argument{i}": count - i for i in range(count)}
    rows, straight = straight_into_the_state(program, stage_of_leaf)
    rows = {buffer.replace("d_state", "next"): row for buffer, row in rows.items()}
    for i in range(count):
        if shared_gradient(program, i):
            del rows[f"d_product{i}"]
    return Schedule(rows, stage_of_leaf), straight


def straight_into_the_state(
    program: Program, stage_of_leaf: dict[str, int]
) -> tuple[dict[str, Row], dict[int, tuple[str, bool]]]:
    """Products whose result is only added to a state's gradient add it there themselves.

    Returns: the rows without them, and for each such product where it goes and whether it adds.
    """
    uses: dict[Expression, int] = {}
    for row in program.backward.values():
        for block in row:
            count_uses(block, uses)
    rows, straight = dict(program.backward), dict[int, tuple[str, bool]]()
    for i in range(len(program.state)):
        row = rows[f"d_state{i}"]
        if len(row) != 1:
            continue
        leaves, rest = addends(row[0], uses)
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
        if not taken or any(stage_of(x, stage_of_leaf) >= first for x in rest):
            continue
        total = reduce(partial(program.translator.apply, "add"), rest) if rest else None
        ordered = sorted(taken, key=lambda leaf: stage_of_leaf[leaf.buffer])
        for position, leaf in enumerate(ordered):
            straight[number_of(leaf.buffer)] = (f"next{i}", total is not None or position > 0)
        if total is None:
            del rows[f"d_state{i}"]
        else:
            rows[f"d_state{i}"] = (program.translator.broadcast(total, row[0].width),)
    return rows, straight


def count_uses(x: Expression, uses: dict[Expression, int]) -> None:
    uses[x] = uses.get(x, 0) + 1
    if uses[x] == 1:
        for argument in x.arguments:
            count_uses(argument, uses)


def addends(x: Expression, uses: dict[Expression, int]) -> tuple[list[Expression], list[Expression]]:
    """Leaves and other terms of a sum that nobody else uses."""
    if x.op == "add" and uses[x] == 1:
        (left, others), (right, more) = (addends(argument, uses) for argument in x.arguments)
        return left + right, others + more
    return ([x], []) if x.is_leaf else ([], [x])


def stage_of(x: Expression, stage_of_leaf: dict[str, int]) -> int:
    if x.is_leaf or x.is_constant:
        return stage_of_leaf.get(x.buffer, 0)
    return max((stage_of(argument, stage_of_leaf) for argument in x.arguments), default=0)
