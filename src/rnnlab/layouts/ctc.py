"""A sequence in, a shorter one out in the same order, its places unknown: connectionist temporal classification."""

import torch
from torch import Tensor, nn

from rnnlab.cells.cell import State
from rnnlab.data.batches import Batch
from rnnlab.data.vocabulary import IGNORED, PADDING
from rnnlab.layouts.layout import Entry, Layout, Make, check_share
from rnnlab.spec import TaskSpec

BLANK = PADDING
"""The output that stands for no token."""


class ConnectionistTemporal(Layout):
    """p(y | x) = Σ over all paths that become y when repeats, then blanks are removed (Graves et al. 2006).

    inputs: (batch, time, input_size); targets: (batch, labels), from 1 on -> ln p of each token and of the blank (0) at
    each timestep, (batch, time, output_size).

    Loss: -ln p(y | x) per label. input_dropout, output_dropout: share of what enters and leaves the recurrent net.
    """

    def __init__(
        self,
        spec: TaskSpec,
        make: Make,
        embedding_size: int = 64,
        input_dropout: float = 0.0,
        output_dropout: float = 0.0,
    ) -> None:
        super().__init__(spec, make)
        check_share("output_dropout", output_dropout)
        self.entry = Entry(spec, embedding_size, input_dropout)
        self.recurrent = make(self.entry.size)
        self.dropout = nn.Dropout(output_dropout)
        self.head = nn.Linear(self.recurrent.output_size, spec.output_size)

    def forward(self, batch: Batch, state: list[State] | None = None) -> tuple[Tensor, list[State]]:
        outputs, last = self.recurrent(self.entry(batch.inputs), state, lengths=batch.lengths)
        return self.head(self.dropout(outputs)).log_softmax(-1), last

    def loss(self, prediction: Tensor, batch: Batch) -> tuple[Tensor, int]:
        targets = batch.targets
        real = targets != IGNORED
        lengths = batch.lengths
        if lengths is None:
            lengths = torch.full((len(targets),), prediction.shape[1], device=targets.device)
        count = int(real.sum())
        total = nn.functional.ctc_loss(
            prediction.transpose(0, 1), targets.masked_fill(~real, 0), lengths, real.sum(1), BLANK, reduction="sum"
        )
        return total / count, count

    @torch.inference_mode()
    def decode(self, batch: Batch) -> list[list[int]]:
        """The likeliest path of each sequence, without repeats and blanks."""
        best = self(batch)[0].argmax(-1).cpu()
        lengths = [best.shape[1]] * len(best) if batch.lengths is None else batch.lengths.tolist()
        found = []
        for path, length in zip(best, lengths, strict=True):
            path = torch.unique_consecutive(path[:length])
            found.append(path[path != BLANK].tolist())
        return found
