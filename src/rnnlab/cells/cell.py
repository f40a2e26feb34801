"""The interface of every recurrent cell: one timestep's equations, independent of how they are run over time."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from rnnlab.arguments import Positive, check_arguments
from rnnlab.errors import UserError

Matmul = Callable[[str, Tensor], Tensor]
"""`matmul(name, h)` is h · Wᵀ, (batch, columns) -> (batch, rows), W being what `prepare` gives under `name`."""

Shared = Mapping[str, Tensor]
"""What `prepare` gives: all that a step needs beside its input and the state, the same for every timestep."""

Projected = Any
"""A tensor, or a (named) tuple of tensors, each with the batch (before it, in a sequence, the time) first."""

State = Any
"""A NamedTuple of tensors, each with the batch as its first dimension."""

Run = Callable[[Tensor, State], tuple[Tensor, State]]
"""From a sequence and the state before it to all outputs and the state after it."""


class HiddenState(NamedTuple):
    """The state of a cell that carries nothing but its output. `hidden`: (batch, hidden_size)."""

    hidden: Tensor


class Cell(nn.Module):
    """A recurrent cell: yₜ, sₜ = step(project(xₜ), sₜ₋₁, matmul, prepare()).

    Three pieces, so that an unrolling that knows nothing of the equations can run them fast:

    - `project` holds all that depends on the input alone: a whole sequence takes one matrix product.
    - `prepare` gives every tensor that `step` uses beside the input and the state, under a name; what must be computed
      from parameters once per sequence (a matrix exponential, a discretisation) is computed there.
    - `step` sends each product with a recurrent weight through the `matmul` handed to it, so that the gradient of the
      weight is formed in one product over all timesteps, and takes all else from `shared`, never from `self`.
    """

    recurrence: str = "nonlinear"
    """`linear` where the new state is linear in the old one and `scan` is given; `none` for a feed-forward cell."""

    scans_all_states: bool = True
    """Whether `scan` gives the states of all timesteps, or, where they are too many, the last one only."""

    fuses_on_cpu: bool = False
    """Whether what `fused` reaches on a CPU is a kernel (oneDNN has one for the LSTM) and not torch's own loop."""

    traceable: bool = True
    """Whether `step` keeps to the contract; where it does not, only the loop runs it, with autograd."""

    rowwise: bool = True
    """Whether `step` says of one row of the batch what it does; matrices for each row are more than a kernel takes."""

    separable: bool = True
    """Whether each number of the state may be kept or replaced by itself, as zoneout does."""

    def __init__(self, input_size: Positive, hidden_size: Positive) -> None:
        check_arguments(Cell, locals(), "cell.")
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size

    @property
    def output_size(self) -> int:
        """Numbers put out at each timestep."""
        return self.hidden_size

    def reset_parameters(self) -> None:
        """Draw all parameters anew: U(-1/√hidden_size, 1/√hidden_size), as in `torch.nn`, unless a cell says else."""
        bound = self.hidden_size**-0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def initial_state(self, batch_size: int) -> State:
        """The state before the first timestep: zeros."""
        return HiddenState(self.zeros(batch_size, self.hidden_size))

    def zeros(self, *shape: int) -> Tensor:
        """Zeros of the cell's own type, on its own device."""
        return next(self.parameters()).new_zeros(shape)

    def forward(self, x: Tensor, state: State = None, *, run: Run) -> tuple[Tensor, State]:
        """A whole sequence, as `Recurrent` runs it: `run(x, state)`, x (time, batch, input_size).

        So a cell is called like any other module, and the hooks that torch runs when a module is called act on it:
        users' own, and those by which `torch.nn.utils` computes a weight from others.
        """
        return run(x, state)

    @property
    def has_hooks(self) -> bool:
        """Whether something happens when the cell is called, beside its equations."""
        return bool(self._forward_pre_hooks or self._forward_hooks or self._backward_hooks or self._backward_pre_hooks)

    def prepare(self) -> dict[str, Tensor]:
        """What `step` finds in `shared`: all parameters under their own names, unless a cell overrides it."""
        shared: dict[str, Tensor] = dict(self.named_parameters())
        # weights that are computed from parameters: of torch.nn.utils.parametrize, and those that hooks keep here
        if "parametrizations" in self._modules:
            shared |= {name: getattr(self, name) for name in cast(nn.ModuleDict, self.parametrizations)}
        if self._forward_pre_hooks:
            shared |= {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}
        return shared

    def project(self, x: Tensor) -> Projected:
        """All that depends on the input alone. x: (..., input_size)."""
        raise NotImplementedError

    def step(self, projected: Projected, state: State, matmul: Matmul, shared: Shared) -> tuple[Tensor, State]:
        """One timestep: output (batch, output_size), and the new state."""
        raise NotImplementedError

    def scan(self, projected: Projected, state: State, shared: Shared) -> tuple[Tensor, State]:
        """All timesteps at once, for a cell whose `recurrence` is linear: outputs and states of all, time first.

        Where `scans_all_states` is false, the states are the last one only, as a sequence of one.
        """
        raise NotImplementedError

    @property
    def has_fused_kernel(self) -> bool:
        """Whether `torch.nn` has a kernel for this very cell, reached by `fused`."""
        return False

    def fused(self, x: Tensor, state: State, batch_sizes: Tensor | None = None) -> tuple[Tensor, State]:
        """The whole sequence in `torch.nn`'s kernel. x: (time, batch, input_size), or packed, with its batch sizes."""
        raise NotImplementedError

    @property
    def state_size(self) -> int:
        """Numbers carried from one timestep to the next, for one sequence."""
        return sum(part.numel() for part in self.initial_state(1))

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of the matrix products of one timestep of one sequence, `prepare` not counted."""
        shared = self.prepare()
        x = self.zeros(1, self.input_size)
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            self.step(self.project(x), self.initial_state(1), matmul_of(shared), shared)
        return int(counter.get_total_flops() // 2)


def check_cell(cell: Cell) -> None:
    """Run a cell for one timestep of a few sequences and compare what it gives with what it declares.

    Raises: `UserError` where `initial_state`, `project` or `step` give tensors of other sizes, number, names or order.
    """
    name, time, batch = type(cell).__name__, 2, 3
    state = cell.initial_state(batch)
    if not (isinstance(state, tuple) and state and hasattr(state, "_fields") and _are_tensors(state)):
        raise UserError(f"{name}.initial_state gives {_described(state)}; a NamedTuple of tensors is needed.")
    for field, part in zip(state._fields, state, strict=True):
        if part.shape[:1] != (batch,):
            raise UserError(
                f"{name}.initial_state({batch}) gives a state `{field}` of {tuple(part.shape)}; its first dimension is "
                f"the batch: {batch}."
            )
    device = state[0].device
    # a cell may draw random numbers in project(): the comparison must not advance the generator
    with torch.no_grad(), torch.random.fork_rng([device] if device.type == "cuda" else []):
        training = cell.training
        cell.eval()  # a batch norm in project() would learn from the comparison
        projected = cell.project(cell.zeros(time, batch, cell.input_size))
        alone = isinstance(projected, Tensor)
        parts: Any = (projected,) if alone else projected
        if not (isinstance(parts, tuple) and parts and _are_tensors(parts)):
            raise UserError(f"{name}.project gives {_described(projected)}; a tensor or a tuple of tensors is needed.")
        for part in parts:
            if part.shape[:2] != (time, batch):
                raise UserError(
                    f"{name}.project gives {tuple(part.shape)} for an input of {(time, batch, cell.input_size)}; the "
                    f"first dimensions must be {(time, batch)}."
                )
        shared = cell.prepare()
        if not (isinstance(shared, Mapping) and _are_tensors(shared.values())):
            raise UserError(f"{name}.prepare gives {_described(shared)}; a dict of tensors is needed.")
        first = [part[0] for part in parts]
        timestep = first[0] if alone else getattr(type(projected), "_make", tuple)(first)
        check_step(name, cell.step(timestep, state, matmul_of(shared), shared), state, cell.output_size)
        cell.train(training)


def _are_tensors(values: Iterable[Any]) -> bool:
    return all(isinstance(value, Tensor) for value in values)


def check_step(name: str, result: Any, before: State, output_size: int | None = None) -> None:
    """Compare what a step of the cell of this name returned with the state it was given.

    Raises: `UserError` where it is no output and state, where the fields of the state have another number, order,
    names or sizes, and where the output is not (batch, output_size).
    """
    if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[0], Tensor):
        raise UserError(f"{name}.step returns {_described(result)}; an output and a state are needed.")
    output, after = result
    fields = before._fields
    if getattr(after, "_fields", None) != fields:
        raise UserError(
            f"{name}.step returns {_described(after)} as its state; initial_state has the fields {', '.join(fields)}."
        )
    if not _are_tensors(after):
        raise UserError(
            f"{name}.step returns a state that holds {', '.join(map(_described, after))}: tensors are needed."
        )
    for field, old, new in zip(fields, before, after, strict=True):
        if new.shape != old.shape:
            found, wanted = _per_row(new, old), _per_row(old, old)
            raise UserError(f"{name}.step returns a state `{field}` of {found}; initial_state has {wanted}.")
    if output_size is not None and output.shape != (len(before[0]), output_size):
        raise UserError(
            f"{name}.step returns an output of {_per_row(output, before[0])}; output_size is {output_size}: (..., "
            f"{output_size}) is needed."
        )


def _per_row(tensor: Tensor, like: Tensor) -> str:
    """The shape, `...` in the place of the batch that `like` has as well."""
    shape = tuple(tensor.shape)
    if not shape or shape[0] != len(like):
        return str(shape)
    return f"(..., {', '.join(str(size) for size in shape[1:])})"


def _described(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of {tuple(value.shape)}"
    fields = getattr(value, "_fields", None)
    if fields is not None:
        return f"{type(value).__name__} with the fields {', '.join(fields)}"
    size = f" of {len(value)}" if isinstance(value, tuple | list) else ""
    return f"a {type(value).__name__}{size}"


def matmul_of(shared: Shared) -> Matmul:
    """The plain `matmul`."""

    def matmul(name: str, h: Tensor) -> Tensor:
        if name not in shared:
            raise UserError(f"A step multiplies by {name}, which is none of what prepare() gives: {', '.join(shared)}.")
        return nn.functional.linear(h, shared[name])

    return matmul


class GatedCell(Cell):
    """A cell whose gates share one packed weight each way, in the layout of `torch.nn`: gate after gate.

    weight_ih: (gates · hidden_size, input_size); weight_hh: (gates · hidden_size, recurrent_size); bias_ih, bias_hh:
    (gates · hidden_size).
    """

    gates: int
    """Blocks of `hidden_size` rows in each weight."""

    gate_names: tuple[str, ...] = ()
    """What the blocks are, in their order, where an initialisation may speak of a `forget` or an `input` gate."""

    def __init__(self, input_size: int, hidden_size: int, recurrent_size: int | None = None) -> None:
        super().__init__(input_size, hidden_size)
        rows = self.gates * hidden_size
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size))
        self.weight_hh = nn.Parameter(torch.empty(rows, recurrent_size or hidden_size))
        self.bias_ih = nn.Parameter(torch.empty(rows))
        self.bias_hh = nn.Parameter(torch.empty(rows))
        self.reset_parameters()

    def project(self, x: Tensor) -> Tensor:
        """W_ih x + b_ih + b_hh: (..., gates · hidden_size)."""
        return nn.functional.linear(x, self.weight_ih, self.bias_ih + self.bias_hh)

    def run_kernel(self, kernel: Callable[..., Any], x: Tensor, start: Any, batch_sizes: Tensor | None) -> Any:
        """One of `torch`'s kernels on this cell's weights; x packed where there are batch sizes."""
        options = (self.fused_weights, True, 1, 0.0, self.training, False)
        if batch_sizes is None:
            return kernel(x, start, *options, False)
        return kernel(x, batch_sizes, start, *options)

    @property
    def fused_weights(self) -> list[Tensor]:
        return [self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh]
