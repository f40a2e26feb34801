"""Layouts that read a sequence and say something of it as a whole, or at each of its timesteps."""

from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from rnnlab.arguments import Dropout, Positive, PositiveNumber
from rnnlab.cells.cell import Shared, State
from rnnlab.data.batches import Batch
from rnnlab.errors import UserError
from rnnlab.layouts.layout import Entry, Layout, Make, check_reads_forward, summary
from rnnlab.spec import LayoutName, TaskSpec


class OneToOne(Layout):
    """One vector in, one prediction out: ŷ = W h₁ + b, h₁ the output of the cell's first and only timestep.

    inputs: (batch, input_size) -> (batch, output_size). The state before it is the initial one: no memory takes part.
    """

    name: ClassVar[LayoutName] = "one_to_one"

    def __init__(self, spec: TaskSpec, make: Make) -> None:
        super().__init__(spec, make)
        self.recurrent = make(spec.input_size)
        self.head = nn.Linear(self.recurrent.output_size, spec.head_size)

    def forward(self, batch: Batch, state: list[State] | None = None) -> tuple[Tensor, list[State]]:
        outputs, last = self.recurrent(batch.inputs[:, None], state)
        return self.head(outputs[:, 0]), last


class ManyToOne(Layout):
    """A sequence in, one prediction out: ŷ = W r + b.

    readout: what r is: `last`, [h_T; h̄_1], the forward direction's output at the last timestep and the backward
    direction's (where there is one) at the first, each of which has read the whole sequence; `mean` or `max`, of the
    outputs of all timesteps. inputs: (batch, time, input_size), or tokens (batch, time) -> (batch, output_size).

    embedding_size: of tokens. input_dropout, output_dropout: share of what enters the net, and of r. embedding_std: see
    `Entry`.
    """

    name: ClassVar[LayoutName] = "many_to_one"

    def __init__(
        self,
        spec: TaskSpec,
        make: Make,
        embedding_size: Positive = 64,
        readout: Literal["last", "mean", "max"] = "last",
        input_dropout: Dropout = 0.0,
        output_dropout: Dropout = 0.0,
        embedding_std: PositiveNumber = 1.0,
    ) -> None:
        super().__init__(spec, make)
        self.readout = readout
        self.entry = Entry(spec, embedding_size, input_dropout, embedding_std)
        self.recurrent = make(self.entry.size)
        self.dropout = nn.Dropout(output_dropout)
        self.head = nn.Linear(self.recurrent.output_size, spec.head_size)

    def forward(self, batch: Batch, state: list[State] | None = None) -> tuple[Tensor, list[State]]:
        outputs, last = self.recurrent(self.entry(batch.inputs), state, lengths=batch.lengths)
        return self.head(self.dropout(self._read(outputs, batch.lengths))), last

    def check_step(self) -> None:
        check_reads_forward(self.recurrent)

    def step(
        self, inputs: Tensor, state: "SoFar | None" = None, prepared: Sequence[Shared] | None = None
    ) -> tuple[Tensor, "SoFar"]:
        """One timestep of a stream: what would be said if the sequence ended here. See `ManyToMany.step`."""
        outputs, states = self.recurrent.step(self.entry(inputs), None if state is None else state.states, prepared)
        timesteps = 1 if state is None else state.timesteps + 1
        read = outputs
        if state is not None and self.readout != "last":
            read = state.read + outputs if self.readout == "mean" else state.read.maximum(outputs)
        r = read / timesteps if self.readout == "mean" else read
        return self.head(self.dropout(r)), SoFar(states, read, timesteps)

    def _read(self, outputs: Tensor, lengths: Tensor | None) -> Tensor:
        if self.readout == "last":
            return summary(self.recurrent, outputs, lengths)
        if lengths is None:
            return outputs.mean(dim=1) if self.readout == "mean" else outputs.amax(dim=1)
        if self.readout == "mean":  # behind the end the outputs are zero
            return outputs.sum(dim=1) / lengths[:, None].to(outputs.dtype)
        ended = torch.arange(outputs.shape[1], device=outputs.device) >= lengths[:, None]
        return outputs.masked_fill(ended[..., None], -torch.inf).amax(dim=1)


class SoFar(NamedTuple):
    """What is carried from one timestep of a stream to the next. read: the sum or the maximum of the outputs, or the
    last of them, as the readout says."""

    states: list[State]
    read: Tensor
    timesteps: int


class ManyToMany(Layout):
    """A prediction at each timestep: ŷₜ = W hₜ + b.

    inputs: (batch, time, input_size), or tokens (batch, time) -> (batch, time, output_size).

    embedding_size: of tokens. input_dropout, output_dropout: share of what enters and leaves the recurrent net.
    embedding_std: see `Entry`. readout: `each` timestep, for there is no other; a config may name it to choose between
    this layout and `ManyToOne`. tied: W is the matrix of the tokens' vectors (Press and Wolf 2017), after a linear map
    to their size where the recurrent net's differs.

    Raises: `UserError` for a bidirectional net on a task whose targets are its future, or where the state is carried.
    """

    name: ClassVar[LayoutName] = "many_to_many"

    def __init__(
        self,
        spec: TaskSpec,
        make: Make,
        embedding_size: Positive = 64,
        input_dropout: Dropout = 0.0,
        output_dropout: Dropout = 0.0,
        tied: bool = False,
        embedding_std: PositiveNumber = 1.0,
        readout: Literal["each"] = "each",
    ) -> None:
        super().__init__(spec, make)
        self.entry = Entry(spec, embedding_size, input_dropout, embedding_std)
        self.recurrent = make(self.entry.size)
        if self.recurrent.directions == 2 and spec.causal:
            raise UserError(f"cell.bidirectional=true: {spec.task} predicts what comes next, and may not read it.")
        self.dropout = nn.Dropout(output_dropout)
        self.head: nn.Module
        if tied:
            if self.entry.embedding is None or spec.input_size != spec.output_size:
                raise UserError(f"task.net.tied=true: {spec.task} does not put out the tokens that it reads.")
            self.head = _TiedHead(self.recurrent.output_size, self.entry.embedding)
        else:
            self.head = nn.Linear(self.recurrent.output_size, spec.head_size)
        self.tied = tied

    def forward(self, batch: Batch, state: list[State] | None = None) -> tuple[Tensor, list[State]]:
        outputs, last = self.recurrent(self.entry(batch.inputs), state, lengths=batch.lengths)
        return self._leave(outputs), last

    def check_step(self) -> None:
        check_reads_forward(self.recurrent)

    def step(
        self, inputs: Tensor, state: list[State] | None = None, prepared: Sequence[Shared] | None = None
    ) -> tuple[Tensor, list[State]]:
        """One timestep of a stream. inputs: (batch, input_size), or tokens (batch,) -> (batch, output_size).

        prepared: of `recurrent.prepare`, for many steps of the same weights.
        """
        outputs, last = self.recurrent.step(self.entry(inputs), state, prepared)
        return self._leave(outputs), last

    def _leave(self, outputs: Tensor) -> Tensor:
        outputs = self.dropout(outputs)
        prediction: Tensor
        if self.tied:
            assert self.entry.embedding is not None
            prediction = self.head(outputs, self.entry.embedding.weight)
        else:
            prediction = self.head(outputs)
        return prediction


class _TiedHead(nn.Module):
    """E (W h) + b, E the matrix of the tokens' vectors, which is handed in: a second name for it could not be saved."""

    def __init__(self, size: int, embedding: nn.Embedding) -> None:
        super().__init__()
        tokens, width = embedding.weight.shape
        self.map = nn.Linear(size, width, bias=False) if size != width else nn.Identity()
        self.bias = nn.Parameter(torch.zeros(tokens))
        # vectors of unit length on the average: as weights of an output, standard normal ones are far too large
        nn.init.normal_(embedding.weight, std=width**-0.5)

    def forward(self, outputs: Tensor, vectors: Tensor) -> Tensor:
        return nn.functional.linear(self.map(outputs), vectors, self.bias)
