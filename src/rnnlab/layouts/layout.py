"""What every layout is, and the pieces they share: how a sequence enters, the losses, attention's masks."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from rnnlab.cells.cell import State
from rnnlab.data.batches import Batch
from rnnlab.data.vocabulary import IGNORED
from rnnlab.errors import UserError
from rnnlab.spec import TaskSpec
from rnnlab.unroll.recurrent import Recurrent

Make = Callable[..., Recurrent]
"""make(input_size, **other) gives a recurrent net of the configured cell; `other` replaces its options."""


class Layout(nn.Module):
    """A recurrent net with what stands before and after it.

    `net(batch, state)` gives the prediction that the loss is taken of, with the true past where a decoder wants one
    (teacher forcing), and the states at the end.
    """

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

    def loss(self, prediction: Tensor, batch: Batch) -> tuple[Tensor, int]:
        """The mean loss, and over how many predictions it is the mean."""
        return LOSSES[self.spec.loss](prediction, batch)


def _absolute(prediction: Tensor, batch: Batch) -> tuple[Tensor, int]:
    return nn.functional.l1_loss(prediction, batch.targets), len(prediction)


def _squared(prediction: Tensor, batch: Batch) -> tuple[Tensor, int]:
    return nn.functional.mse_loss(prediction, batch.targets), len(prediction)


def _cross_entropy(prediction: Tensor, batch: Batch) -> tuple[Tensor, int]:
    """In nats per target that counts. prediction: (..., classes); targets: (...)."""
    flat = prediction.reshape(-1, prediction.shape[-1])
    targets = batch.targets.reshape(-1)
    count = int((targets != IGNORED).sum())
    # the mean over no target at all would not be a number: a batch of a stream's padding
    total = nn.functional.cross_entropy(flat, targets, ignore_index=IGNORED, reduction="sum")
    return total / max(count, 1), count


def _binary_cross_entropy(prediction: Tensor, batch: Batch) -> tuple[Tensor, int]:
    """-Σ over the outputs of y ln ŷ + (1 - y) ln(1 - ŷ), in nats per timestep. Both: (batch, time, n)."""
    each = nn.functional.binary_cross_entropy_with_logits(prediction, batch.targets, reduction="none").sum(-1)
    if batch.lengths is None:
        return each.mean(), each.numel()
    real = torch.arange(each.shape[1], device=each.device) < batch.lengths[:, None]
    count = int(batch.lengths.sum())
    return (each * real).sum() / count, count


LOSSES: dict[str, Callable[[Tensor, Batch], tuple[Tensor, int]]] = {
    "mae": _absolute,
    "mse": _squared,
    "cross_entropy": _cross_entropy,
    "binary_cross_entropy": _binary_cross_entropy,
}


class Entry(nn.Module):
    """What enters the recurrent net: numbers as they are, tokens as learnt vectors; `dropout` of them in training.

    embedding_std: standard deviation of the vectors' numbers at the start. With torch's own 1, tokens are told apart
    from the first step on, as suits characters; but the vector of a rare word, which training hardly moves, stays loud
    and arbitrary, and 0.1 does better where rare words are many.
    size: numbers that come out, for each timestep.
    """

    def __init__(self, spec: TaskSpec, embedding_size: int, dropout: float, embedding_std: float = 1.0) -> None:
        super().__init__()
        check_share("input_dropout", dropout)
        check_size("embedding_size", embedding_size)
        check_positive("embedding_std", embedding_std)
        self.embedding = nn.Embedding(spec.input_size, embedding_size) if spec.tokens else None
        if self.embedding is not None:
            with torch.no_grad():
                self.embedding.weight *= embedding_std
        self.size = embedding_size if spec.tokens else spec.input_size
        self.dropout = nn.Dropout(dropout)

    def forward(self, inputs: Tensor) -> Tensor:
        x: Tensor = self.dropout(inputs if self.embedding is None else self.embedding(inputs))
        return x


def check_share(name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise UserError(f"task.net.{name}={value}: a share of at least 0 and below 1 is needed.")


def check_size(name: str, value: int) -> None:
    if value < 1:
        raise UserError(f"task.net.{name}={value}: a whole number of at least 1 is needed.")


def check_positive(name: str, value: float) -> None:
    if not value > 0:
        raise UserError(f"task.net.{name}={value}: a number above 0 is needed.")


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UserError(f"task.net.{name}={value} is none of {', '.join(choices)}.")


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
