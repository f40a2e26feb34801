"""What a kernel reads and writes: the name, the order and the size of each buffer, whatever it is compiled from.

`projected`, `initial`, `states`, `weight` and `vector` stand for a field, part, product or vector by its number;
`d_` before a name is the gradient of it.
"""

from typing import NamedTuple

from rnnlab.unroll.program import Program


class Division(NamedTuple):
    """How a batch of sequences is divided: tiles of some rows go through all timesteps by themselves.

    workers: how many tiles are worked on at once. tile: rows of the batch in each, but perhaps in the last one.
    """

    time: int
    batch: int
    workers: int
    tile: int

    @property
    def tiles(self) -> int:
        return -(-self.batch // self.tile)


def forward_buffers(program: Program, keeps: bool) -> list[str]:
    """Those of the forward pass, in the order in which a kernel takes them."""
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
    """Those of the backward pass, in the order in which a kernel takes them."""
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
        *(f"d_product{i}" for i in range(len(program.products)) if not shared_gradient(program, i)),
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
    return rows, widths_of(program)[buffer]


def shared_gradient(program: Program, product: int) -> str | None:
    """The part of the projected input that has the same gradient as a product, as where both are only added."""
    row = program.backward[f"d_product{product}"]
    return next(
        (name for name, other in program.backward.items() if name.startswith("d_projected") and other == row), None
    )


def widths_of(program: Program) -> dict[str, int]:
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
