"""What every layout is, and the pieces they share: how a sequence enters, and what is read off its end."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pkgutil import resolve_name
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from rnnlab.arguments import check_arguments, parameters, refusal
from rnnlab.cells.cell import State
from rnnlab.data.batches import Batch
from rnnlab.errors import UserError
from rnnlab.spec import LayoutName, TaskSpec
from rnnlab.unroll.recurrent import Recurrent

Make = Callable[..., Recurrent]
"""make(input_size, **other) gives a recurrent net of the configured cell; `other` replaces its options."""


class Layout(nn.Module):
    """A recurrent net with what stands before and after it.

    `net(batch, state)` gives the prediction that the loss is taken of, with the true past where a decoder wants one
    (teacher forcing), and the states at the end.
    """

    name: ClassVar[LayoutName]
    """How the sequence enters and leaves: that of `TaskSpec.layout`."""

    recurrent: Recurrent
    """The net that reads the input; where nothing is read over time, the one that writes."""

    def __init__(self, spec: TaskSpec, make: Make, **options: Any) -> None:
        super().__init__()
        self.spec = spec

    @property
    def recurrents(self) -> list[Recurrent]:
        return [module for module in self.modules() if isinstance(module, Recurrent)]

    def forward(self, batch: Batch, state: list[State] | None = None) -> tuple[Tensor, list[State]]:
        raise NotImplementedError

    def check_step(self) -> None:
        """Raises: `UserError` unless it has a `step`, which answers at each timestep of a sequence while it comes."""
        raise UserError(f"{self.spec.task} is {self.name}: its nets answer no sequence before all of it is there.")

    def loss(self, prediction: Tensor, batch: Batch) -> tuple[Tensor, int]:
        """The mean loss, and over how many predictions it is the mean."""
        return self.spec.loss(prediction, batch)


def build(spec: TaskSpec, make: Make, options: Mapping[str, Any]) -> Layout:
    """The net of a task. make: gives a recurrent net from its input_size. options: task.net, its `_target_` a layout.

    Raises: `UserError` where `_target_` is no layout that the task can have, or does not take an option.
    """
    given = dict(options)
    target = str(given.pop("_target_", None))
    layout = layout_named(target)
    name = layout.__name__
    if layout.name != spec.layout:
        raise UserError(f"task.net._target_={target} is {layout.name}, but {spec.task} is {spec.layout}.")
    known = [key for key in parameters(layout)[0] if key not in ("spec", "make")]
    for key in given:
        if key not in known:
            takes = ", ".join(known) or "no options"
            raise UserError(f"task.net.{key}: the layout {name} of {spec.task} takes {takes} only.")
    check_arguments(layout, given, "task.net.")
    made: Layout = layout(spec, make, **given)
    return made


def layout_named(target: str) -> Any:
    """The class of this name.

    Raises: `UserError` where it is no layout.
    """
    found: Any = None
    with suppress(ImportError, AttributeError, ValueError):
        found = resolve_name(target)
    if not (isinstance(found, type) and issubclass(found, Layout) and hasattr(found, "name")):
        raise UserError(refusal("task.net._target_", f"a class made from {__name__}.Layout, with a `name`", target))
    return found


LARGEST_OF_CATEGORY = 16
"""Numbers, at most, that a value of a categorical channel is read as."""


class Entry(nn.Module):
    """What enters the recurrent net: numbers as they are, tokens as learnt vectors; `dropout` of them in training.

    Where the task has `categories`, the last numbers of each timestep are whole ones, and each enters as a learnt
    vector as well: of half as many numbers as it has values, `LARGEST_OF_CATEGORY` at most.

    embedding_std: standard deviation of the vectors' numbers at the start. With torch's own 1, tokens are told apart
    from the first step on, as suits characters; but the vector of a rare word, which training hardly moves, stays loud
    and arbitrary, and 0.1 does better where rare words are many.
    size: numbers that come out, for each timestep.
    """

    def __init__(self, spec: TaskSpec, embedding_size: int, dropout: float, embedding_std: float = 1.0) -> None:
        super().__init__()
        self.embedding = nn.Embedding(spec.input_size, embedding_size) if spec.tokens else None
        if self.embedding is not None:
            with torch.no_grad():
                self.embedding.weight *= embedding_std
        self.size = embedding_size if spec.tokens else spec.input_size
        if spec.categories:
            sizes = [min(LARGEST_OF_CATEGORY, (values + 1) // 2) for values in spec.categories]
            self.categories = nn.ModuleList(map(nn.Embedding, spec.categories, sizes))
            self.size += sum(sizes) - len(sizes)
        self.numbers = spec.input_size - len(spec.categories)
        self.dropout = nn.Dropout(dropout)

    def forward(self, inputs: Tensor) -> Tensor:
        if self.embedding is not None:
            inputs = self.embedding(inputs)
        elif self.numbers < inputs.shape[-1]:
            values = inputs[..., self.numbers :].long().unbind(-1)
            learnt = [table(value) for table, value in zip(self.categories, values, strict=True)]
            inputs = torch.cat([inputs[..., : self.numbers], *learnt], dim=-1)
        x: Tensor = self.dropout(inputs)
        return x


def check_reads_forward(recurrent: Recurrent) -> None:
    """Raises: `UserError` for a net that cannot read a sequence while it comes."""
    if recurrent.directions == 2:
        raise UserError("cell.bidirectional=true: the net reads a sequence from its end too, and cannot be streamed.")


def summary(recurrent: Recurrent, outputs: Tensor, lengths: Tensor | None) -> Tensor:
    """[h_T; h̄_1]: each direction's output when it has read the whole sequence. outputs: (batch, time, size)."""
    if lengths is None:
        last = outputs[:, -1]
    else:
        last = outputs[torch.arange(len(outputs), device=outputs.device), lengths - 1]
    if recurrent.directions == 2:
        half = recurrent.output_size // 2
        last = torch.cat([last[:, :half], outputs[:, 0, half:]], dim=-1)
    return last


def select(states: list[State], rows: Tensor) -> list[State]:
    """The states of some rows of the batch."""
    return [type(state)._make(part.index_select(0, rows) for part in state) for state in states]
