"""Any cell over time: layers, directions, lengths, and the choice of how to unroll."""

import inspect
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence
from torch.utils._python_dispatch import _get_current_dispatch_mode

from rnnlab.arguments import Dropout, Positive, check_arguments
from rnnlab.cells.cell import Cell, Shared, State, check_cell, matmul_of
from rnnlab.cells.initialization import Scheme, initialize
from rnnlab.errors import UserError
from rnnlab.unroll.backends import can, choose
from rnnlab.unroll.loop import Step, loop
from rnnlab.unroll.masks import START, Masks, StepModifiers, check_regularisation, detached, dropout_masks
from rnnlab.unroll.runner import Runner

Unroll = Literal["auto", "loop", "compiled", "scan", "fused"]

INTEGERS = frozenset((torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8))

SPREAD = 0.1
"""Standard deviation of a random initial state."""


class Recurrent(nn.Module):
    """`nn.LSTM` for any cell: the same shapes and the same numbers; the states are a list, one for each cell.

    The output of layer k, after dropout (in training only), is the input of layer k + 1. With `bidirectional` a second
    cell reads the sequence from its end, and the outputs of both are joined: (..., 2 · output_size).

    cell_class: makes a cell from (input_size, hidden_size, **cell_options).
    dropout: share of a layer's outputs that is set to zero before the next layer reads them.
    recurrent_dropout: share of the factor of each product in a step that is set to zero, the same at all timesteps of
        a sequence (Gal and Ghahramani 2016). In cells whose step has products beyond the recurrent one, in those too.
    zoneout: share of the state that stays as it was at a timestep, drawn for each timestep and each number; in
        evaluation, its mean (Krueger et al. 2017).
    layer_norm: normalise each layer's outputs (Ba et al. 2016). residual: add a layer's input to its output, where
        both have the same size (He et al. 2016).
    initial_state: `zeros`; `learned`, a parameter for each number of the state; `random`, N(0, 0.1²) for each sequence
        in training, its mean in evaluation.
    initialization: of the weights, by name, or {"name": ..., options}; see `rnnlab.cells.initialization`.
    truncate: carry the state but no gradient over every so many timesteps (truncated BPTT).
    unroll: how to run over time: `loop`, the equations step by step; `compiled`, the same in one kernel made for them;
        `scan`, all timesteps at once, for a cell linear in its state; `fused`, `torch.nn`'s kernel for this very cell;
        `auto`, what was measured to be fastest. All give the same numbers.

    Raises: `UserError` for sizes below one, shares outside [0, 1), arguments of another type, an unknown option or one
        that the cell cannot have.
    """

    def __init__(
        self,
        cell_class: Callable[..., Cell],
        input_size: Positive,
        hidden_size: Positive,
        num_layers: Positive = 1,
        *,
        dropout: Dropout = 0.0,
        recurrent_dropout: Dropout = 0.0,
        zoneout: Dropout = 0.0,
        bidirectional: bool = False,
        layer_norm: bool = False,
        residual: bool = False,
        initial_state: Literal["zeros", "random", "learned"] = "zeros",
        initialization: Scheme | dict[str, Any] = "default",
        truncate: Positive | None = None,
        batch_first: bool = False,
        unroll: Unroll = "auto",
        **cell_options: Any,
    ) -> None:
        check_arguments(Recurrent, locals())
        super().__init__()
        check_arguments(cell_class, cell_options, "cell.")
        self.input_size = input_size
        self.directions = 2 if bidirectional else 1
        self.dropout, self.recurrent_dropout, self.zoneout = dropout, recurrent_dropout, zoneout
        self.residual = residual
        self.truncate = truncate
        self.batch_first = batch_first
        self.unroll = unroll
        self.chosen: set[str] = set()
        name = getattr(cell_class, "__name__", str(cell_class))
        try:
            inspect.signature(cell_class).bind(input_size, hidden_size, **cell_options)
        except TypeError as error:
            raise UserError(f"{name}, options {', '.join(cell_options) or 'none'}: {error}.") from None
        cells: list[Cell] = []
        for _ in range(num_layers):
            size = self.directions * cells[-1].output_size if cells else input_size
            cells += [cell_class(size, hidden_size, **cell_options) for _ in range(self.directions)]
            if not isinstance(cells[-1], Cell):
                raise UserError(f"{name} makes a {type(cells[-1]).__name__}; it must make a Cell.")
        for cell in cells:
            initialize(cell, **({"name": initialization} if isinstance(initialization, str) else initialization))
        self.cells = nn.ModuleList(cells)
        self.output_size = self.directions * cells[-1].output_size
        self.norms = nn.ModuleList(nn.LayerNorm(self.output_size) for _ in range(num_layers if layer_norm else 0))
        self.start = initial_state
        for cell in cells:
            check_cell(cell)
        self._check(cells[0])
        self.learned_state = nn.ParameterList(
            nn.Parameter(part[0].clone())
            for cell in (cells if initial_state == "learned" else ())
            for part in cell.initial_state(1)
        )
        self.step_hook: Callable[[int, Step], Step] | None = None
        """Gives what takes the place of the step of the cell of this number, under `unroll=loop`: see `hooks`."""
        self._runners: dict[Any, Runner] = {}

    def _check(self, cell: Cell) -> None:
        check_regularisation(cell, self.zoneout, self.recurrent_dropout)
        kind = type(cell).__name__
        if self.start == "random" and not cell.separable:
            raise UserError(f"initial_state=random: {kind}'s state cannot be drawn number by number; use zeros.")
        if self.unroll != "auto" and (reason := can(self.unroll, cell)):
            raise UserError(reason)
        if self.unroll in ("scan", "fused") and (self.zoneout or self.recurrent_dropout):
            raise UserError(f"unroll={self.unroll} does not support zoneout or recurrent_dropout; use auto.")

    def __getstate__(self) -> dict[str, Any]:
        # compiled kernels belong to the process: a copy of the module makes its own, from the cache
        return {**self.__dict__, "_runners": {}}

    def __iter__(self) -> Iterator[Cell]:
        """All cells, layer by layer, forward before backward."""
        return iter(cast(Iterable[Cell], self.cells))

    @property
    def state_size(self) -> int:
        """Numbers carried from one timestep to the next, for one sequence."""
        return sum(cell.state_size for cell in self)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of the matrix products of one timestep of one sequence."""
        return sum(cell.multiply_adds for cell in self)

    def initial_state(self, batch_size: int) -> list[State]:
        """One state for each cell."""
        states = []
        learned = iter(self.learned_state)
        for cell in self:
            state = cell.initial_state(batch_size)
            make = type(state)._make
            if self.start == "learned":
                state = make(next(learned).expand_as(part) for part in state)
            elif self.start == "random" and self.training:
                state = make(part + SPREAD * torch.randn_like(part) for part in state)
            states.append(state)
        return states

    def forward(
        self,
        x: Tensor | PackedSequence,
        state: Sequence[State] | None = None,
        *,
        lengths: Tensor | Sequence[int] | None = None,
        reset: Tensor | None = None,
    ) -> tuple[Tensor | PackedSequence, list[State]]:
        """x: (time, batch, input_size), or (batch, time, input_size) with `batch_first`; or a `PackedSequence` of such.

        lengths: (batch,), how many timesteps of each sequence are real; padding behind them has no effect, its outputs
            are zero, and a final state is that after the last real timestep. A packed sequence has its own.
        reset: shaped as x, padded, without its last dimension; true where a new sequence begins: there the state is the
            initial one again.

        Returns: the last layer's outputs, in the same order of dimensions, packed where x is; and the states after the
        last timestep, one for each cell. As in `nn.LSTM`, states are in the order of the sequences before packing.

        Raises: `UserError` for tensors of a wrong shape, type or device, and for lengths outside 1 to time.
        """
        if isinstance(x, PackedSequence):
            return self._forward_packed(x, state, lengths, reset)
        self._check_input(x)
        if self.batch_first:
            x = x.transpose(0, 1)
            reset = None if reset is None else reset.transpose(0, 1)
        time, batch = x.shape[:2]
        state = self.initial_state(batch) if state is None else self._checked_state(state, batch)
        lengths = None if lengths is None else self._checked_lengths(lengths, time, batch).to(x.device)
        masks = self._masks(lengths, reset, time, batch, x.device)
        keep = masks[0].keep
        if keep is not None:
            x = x.masked_fill(~keep, 0)  # also where it is no number, which would spoil every gradient
        final: list[State] = []
        for layer in range(len(self.cells) // self.directions):
            if layer > 0:
                x = nn.functional.dropout(x, self.dropout, self.training)
            outputs = []
            for direction in range(self.directions):
                index = layer * self.directions + direction
                output, last = self._run(index, x, state[index], masks[direction])
                outputs.append(output)
                final.append(last)
            x = self._leave(layer, x, outputs)
        if keep is not None:
            x = x.masked_fill(~keep, 0)
        return (x.transpose(0, 1) if self.batch_first else x), final

    def _forward_packed(
        self,
        x: PackedSequence,
        state: Sequence[State] | None,
        lengths: Tensor | Sequence[int] | None,
        reset: Tensor | None,
    ) -> tuple[PackedSequence, list[State]]:
        if lengths is not None:
            raise UserError("lengths: a PackedSequence has its own; leave them out.")
        padded, own = pad_packed_sequence(x, self.batch_first)
        output, final = self.forward(padded, state, lengths=own, reset=reset)
        assert isinstance(output, Tensor)
        output = output.transpose(0, 1) if self.batch_first else output
        if x.sorted_indices is not None:
            output, own = output[:, x.sorted_indices], own[x.sorted_indices.cpu()]
        return x._replace(data=pack_padded_sequence(output, own).data), final

    def _leave(self, layer: int, x: Tensor, outputs: list[Tensor]) -> Tensor:
        """What a layer hands on: the outputs of its directions side by side, normalised, with its input added."""
        y = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)
        if self.norms:
            y = self.norms[layer](y)
        return y + x if self.residual and x.shape[-1] == y.shape[-1] else y

    def _check_input(self, x: Tensor) -> None:
        if x.dim() != 3 or x.shape[-1] != self.input_size:
            raise UserError(
                f"The input has shape {tuple(x.shape)}; three dimensions are needed, the last of size "
                f"{self.input_size}."
            )
        if x.shape[1 if self.batch_first else 0] == 0:
            raise UserError("The input has no timesteps.")
        if x.shape[0 if self.batch_first else 1] == 0:
            raise UserError("The input has no sequences: its batch is empty.")
        self._check_kind(x, "The input")

    def _check_kind(self, x: Tensor, name: str) -> None:
        weight = next(self.parameters())
        if x.device != weight.device:
            raise UserError(f"{name} is on {x.device}, the weights are on {weight.device}: move one of them.")
        if x.dtype != weight.dtype and not torch.is_autocast_enabled(x.device.type):
            raise UserError(f"{name} is of {x.dtype}, the weights are of {weight.dtype}: convert one of them.")

    def _checked_state(self, state: Sequence[State], batch: int) -> Sequence[State]:
        if isinstance(state, Tensor) or len(state) != len(self.cells):
            raise UserError(f"The state is a list with one state for each of the {len(self.cells)} cells.")
        for cell, given in zip(self, state, strict=True):
            wanted = cell.initial_state(batch)
            shapes = [tuple(part.shape) for part in wanted]
            if not isinstance(given, type(wanted)) or [tuple(part.shape) for part in given] != shapes:
                found = [tuple(part.shape) for part in given] if isinstance(given, tuple) else type(given).__name__
                raise UserError(f"A state of {type(wanted).__name__} has parts of shapes {shapes}, not {found}.")
            for part in given:
                self._check_kind(part, "The state")
        return state

    def _checked_lengths(self, lengths: Tensor | Sequence[int], time: int, batch: int) -> Tensor:
        try:
            lengths = torch.as_tensor(lengths)
        except (TypeError, ValueError, RuntimeError):
            raise UserError(f"lengths={lengths!r}: {batch} integers are needed, one for each sequence.") from None
        if lengths.shape != (batch,) or lengths.dtype not in INTEGERS:
            raise UserError(
                f"lengths of shape {tuple(lengths.shape)}, {lengths.dtype}: {batch} integers are needed, one for each "
                "sequence."
            )
        if int(lengths.min()) < 1 or int(lengths.max()) > time:
            raise UserError(
                f"lengths from {int(lengths.min())} to {int(lengths.max())}: each must be from 1 to the {time} "
                "timesteps of the input."
            )
        return lengths.long()

    def _masks(
        self, lengths: Tensor | None, reset: Tensor | None, time: int, batch: int, device: torch.device
    ) -> list[Masks]:
        """For each direction."""
        keep = None
        if lengths is not None:
            if self.unroll == "scan" and not all(cell.scans_all_states for cell in self):
                raise UserError(f"unroll=scan of {type(self.cells[0]).__name__} does not support lengths; use auto.")
            keep = (torch.arange(time, device=device)[:, None] < lengths).unsqueeze(-1)
        if reset is not None:
            if reset.shape != (time, batch):
                raise UserError(f"reset must be a boolean tensor of {time} timesteps and {batch} sequences.")
            if self.unroll in ("scan", "fused"):
                raise UserError(f"unroll={self.unroll} does not support reset; use auto.")
            reset = reset.unsqueeze(-1)
        masks = [Masks(lengths, keep, reset, None)]
        if self.directions == 2:
            order = torch.arange(time - 1, -1, -1, device=device)[:, None, None].expand(time, batch, 1)
            if lengths is not None:
                # each sequence from its own end; padding stays where it is
                backward = order - (time - lengths)[:, None]
                assert keep is not None
                order = torch.where(keep, backward, torch.arange(time, device=device)[:, None, None])
            if reset is not None:
                # read from the end, a sequence begins where forward the next one does
                begins = torch.cat([reset[1:], torch.zeros_like(reset[:1])])
                reset = begins.gather(0, order)
            masks.append(Masks(lengths, keep, reset, order))
        return masks

    def _run(self, index: int, x: Tensor, state: State, masks: Masks) -> tuple[Tensor, State]:
        """One cell over the whole sequence, in the order that its direction reads it."""
        cell = cast(Cell, self.cells[index])
        if masks.order is not None:
            x = x.gather(0, masks.order.expand_as(x))

        def run(x: Tensor, given: State) -> tuple[Tensor, State]:
            # a hook may have replaced the input alone
            return self._run_pieces(index, x, state if given is None else given, masks)

        output, last = cell(x, state, run=run)
        if masks.order is not None:
            output = output.gather(0, masks.order.expand_as(output))
        return output, last

    def _run_pieces(self, index: int, x: Tensor, state: State, masks: Masks) -> tuple[Tensor, State]:
        """In pieces where BPTT is truncated."""
        cell = cast(Cell, self.cells[index])
        drops = dropout_masks(cell, x.shape[1], self.recurrent_dropout) if self._dropping else []
        if self.truncate is None or len(x) <= self.truncate:
            return self._run_piece(index, x, state, masks, drops)
        outputs = []
        for first in range(0, len(x), self.truncate):
            if first > 0:
                state = detached(state)
            last = first + self.truncate
            output, state = self._run_piece(index, x[first:last], state, masks.piece(first, last), drops)
            outputs.append(output)
        return torch.cat(outputs), state

    def _run_piece(
        self, index: int, x: Tensor, state: State, masks: Masks, drops: list[Tensor]
    ) -> tuple[Tensor, State]:
        cell = cast(Cell, self.cells[index])
        lengths, keep, reset, _ = masks
        modifiers = self._modifiers(cell, keep is not None, reset is not None)
        way = self.unroll if self.unroll != "auto" else choose(cell, x, modifiers)
        if way == "compiled" and not all(part.is_floating_point() or part.is_complex() for part in state):
            way = "loop"  # of whole numbers, which have no derivative
        if _is_transformed() or (way == "compiled" and _is_traced()) or (way == "scan" and _is_recorded()):
            way = "loop"
        self.chosen.add(way)
        if way == "fused":
            return cell.fused(x, state) if lengths is None else _packed(cell, x, state, lengths)
        projected, shared = cell.project(x), cell.prepare()
        if way == "scan":
            outputs, states = cell.scan(projected, state, shared)
            return outputs, _at_the_end(states, state, lengths)
        step = cell.step
        if not modifiers.nothing:
            step = modifiers.step(step, projected)
            projected = modifiers.parts(projected, state, keep, reset, drops)
            shared = self._with_start(index, shared) if modifiers.reset else shared
        if way == "loop":
            return loop(self.step_hook(index, step) if self.step_hook else step, projected, state, shared)
        # a kernel holds the cell's own numbers as they were when it was made
        key = (id(cell), modifiers, _constants(cell, shared if cell.has_hooks else {}))
        if key not in self._runners:
            self._runners[key] = Runner(step, type(cell).__name__)
        return self._runners[key](projected, state, shared)

    @property
    def _dropping(self) -> bool:
        return bool(self.recurrent_dropout) and self.training

    def _modifiers(self, cell: Cell, keep: bool, reset: bool) -> StepModifiers:
        return StepModifiers(
            keep=keep,
            reset=reset,
            zoneout=self.zoneout or None,
            training=self.training and bool(self.zoneout),  # else the same kernel serves evaluation
            dropped=self._dropping,
        )

    def _with_start(self, index: int, shared: Shared) -> dict[str, Tensor]:
        """`shared` with the state that a reset goes back to: a random one to its mean."""
        cell = cast(Cell, self.cells[index])
        start = cell.initial_state(1)
        if self.start == "learned":
            before = sum(len(other.initial_state(1)) for other in list(self)[:index])
            start = [part[None] for part in list(self.learned_state)[before : before + len(start)]]
        return {**shared, **{f"{START}{i}": part for i, part in enumerate(start)}}

    def prepare(self) -> list[Shared]:
        """What the steps of a sequence share, for each cell."""
        return [cell.prepare() for cell in self]

    def drops(self, batch_size: int) -> list[list[Tensor]]:
        """What `recurrent_dropout` does to a batch of sequences at all their timesteps, for each cell; drawn anew."""
        return [dropout_masks(cell, batch_size, self.recurrent_dropout) if self._dropping else [] for cell in self]

    def step(
        self,
        x: Tensor,
        state: Sequence[State] | None = None,
        prepared: Sequence[Shared] | None = None,
        drops: Sequence[list[Tensor]] | None = None,
    ) -> tuple[Tensor, list[State]]:
        """One timestep of a stream. x: (batch, input_size) -> output (batch, output_size), the new states.

        prepared: of `prepare`, for many steps of the same weights; computed here where it is not given, and of a cell
            with hooks, whose weights they may compute.
        drops: of `drops`, for many steps of the same sequences in training; drawn anew where it is not given.

        Raises: `UserError` for a bidirectional net, which needs the end before the beginning.
        """
        if self.directions == 2:
            raise UserError("A bidirectional net cannot be streamed: it reads the sequence from its end as well.")
        if x.dim() != 2 or x.shape[-1] != self.input_size:
            raise UserError(
                f"The input has shape {tuple(x.shape)}; for a step two dimensions are needed, the last of size "
                f"{self.input_size}."
            )
        state = self.initial_state(x.shape[0]) if state is None else state
        prepared = self.prepare() if prepared is None else prepared
        drops = self.drops(x.shape[0]) if drops is None else drops
        final = []
        for index, (cell, before, shared, dropped) in enumerate(zip(self, state, prepared, drops, strict=True)):
            if index > 0:
                x = nn.functional.dropout(x, self.dropout, self.training)
            if cell.has_hooks:
                y, after = self._step_with_hooks(cell, x, before, dropped)
            else:
                y, after = self._step(cell, x, before, shared, dropped)
            x = self._leave(index, x, [y])
            final.append(after)
        return x, final

    def _step(self, cell: Cell, x: Tensor, state: State, shared: Shared, dropped: list[Tensor]) -> tuple[Tensor, State]:
        projected = cell.project(x[None])
        modifiers = self._modifiers(cell, keep=False, reset=False)
        step = cell.step
        if not modifiers.nothing:
            step = modifiers.step(step, projected)
            projected = modifiers.parts(projected, state, None, None, dropped)
        return step(_first(projected), state, matmul_of(shared), shared)

    def _step_with_hooks(self, cell: Cell, x: Tensor, state: State, dropped: list[Tensor]) -> tuple[Tensor, State]:
        """A sequence of one timestep, so that hooks see the same shapes as in `forward`."""

        def run(x: Tensor, given: State) -> tuple[Tensor, State]:
            y, after = self._step(cell, x[0], state if given is None else given, cell.prepare(), dropped)
            return y[None], after

        output, after = cell(x[None], state, run=run)
        return output[0], after


OF_TORCH = frozenset(vars(nn.Module())) - {"training"}
"""Attributes that every module has."""


def _constants(module: nn.Module, shared: Shared) -> tuple[Any, ...]:
    """What a step may read of a module and its submodules beside their parameters, as a key.

    shared: what it is given instead. A weight that a hook computes is another tensor for each sequence.
    """
    own = tuple(
        (name, _hashable(value))
        for name, value in vars(module).items()
        if name not in OF_TORCH and not (shared and any(value is given for given in shared.values()))
    )
    return (type(module), own, tuple((name, _constants(child, shared)) for name, child in module.named_children()))


def _hashable(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple((name, _hashable(part)) for name, part in value.items())
    if isinstance(value, list | tuple):
        return tuple(_hashable(part) for part in value)
    # a tensor is not equal to another, but in some places
    return id(value) if isinstance(value, Tensor) or not isinstance(value, Hashable) else (type(value), value)


def _is_recorded() -> bool:
    """Whether `torch.jit.trace`, or an ONNX export built on it, records torch's operations."""
    return not torch.compiler.is_compiling() and torch._C._is_tracing()


def _is_transformed() -> bool:
    """Whether `torch.func` or forward-mode differentiation rewrites each operation, which kernels are not made of."""
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


def _is_traced() -> bool:
    """Whether operations are recorded: a kernel would be a constant among them."""
    return torch.compiler.is_compiling() or _is_recorded() or _get_current_dispatch_mode() is not None


def _first(projected: Any) -> Any:
    """The first timestep of a projected sequence."""
    if isinstance(projected, Tensor):
        return projected[0]
    return getattr(type(projected), "_make", tuple)([part[0] for part in projected])


def _at_the_end(states: State, before: State, lengths: Tensor | None) -> State:
    """Of the states at all timesteps, time first, those at the end of each sequence; none yet, where it has ended."""
    if lengths is None:
        return type(states)._make(part[-1] for part in states)
    last = lengths - 1

    def pick(part: Tensor, initial: Tensor) -> Tensor:
        index = last.clamp(0, len(part) - 1).view(1, -1, *[1] * (part.dim() - 2)).expand(1, *part.shape[1:])
        ended = (last < 0).view(-1, *[1] * (part.dim() - 2))
        return torch.where(ended, initial, part.gather(0, index)[0])

    return type(states)._make(pick(part, initial) for part, initial in zip(states, before, strict=True))


def _packed(cell: Cell, x: Tensor, state: State, lengths: Tensor) -> tuple[Tensor, State]:
    """The fused kernel on sequences of their own lengths, some perhaps without a timestep left."""
    length = lengths.clamp(0, len(x))
    order = length.argsort(descending=True)
    back = order.argsort()
    going = int((length > 0).sum())
    if going == 0:
        return x.new_zeros(*x.shape[:2], cell.output_size), state
    packed = pack_padded_sequence(x[:, order[:going]], length[order[:going]].cpu())
    make = type(state)._make
    data, last = cell.fused(packed.data, make(part[order[:going]] for part in state), packed.batch_sizes)
    output, _ = pad_packed_sequence(packed._replace(data=data), total_length=len(x))
    idle = len(order) - going
    output = nn.functional.pad(output, (0, 0, 0, idle))[:, back]
    return output, make(
        torch.cat([part, old[order[going:]]])[back] for part, old in zip(last, state, strict=True)
    )  # fmt: skip
