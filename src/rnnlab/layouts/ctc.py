"""A sequence in, a shorter one out in the same order, its places unknown: connectionist temporal classification."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from rnnlab.arguments import Dropout, Positive
from rnnlab.cells.cell import State
from rnnlab.data.batches import Batch
from rnnlab.data.ctc import decode, make_head
from rnnlab.layouts.decoder import Decoded
from rnnlab.layouts.layout import Entry, Layout, Make
from rnnlab.spec import LayoutName, TaskSpec


class ConnectionistTemporal(Layout):
    """p(y | x) = Σ over all paths that become y when repeats, then blanks are removed (Graves et al. 2006).

    inputs: (batch, time, input_size); targets: (batch, labels), from 1 on -> ln p of each token and of the blank (0) at
    each timestep, (batch, time, output_size). With _ for the blank, aab_, _a_b and abbb all say "ab"; to say "aa" takes
    a blank in between.

    For `rnnlab.losses.ConnectionistTemporal`. input_dropout, output_dropout: share of what enters and leaves the
    recurrent net.
    """

    name: ClassVar[LayoutName] = "sequence_to_sequence"

    def __init__(
        self,
        spec: TaskSpec,
        make: Make,
        embedding_size: Positive = 64,
        input_dropout: Dropout = 0.0,
        output_dropout: Dropout = 0.0,
    ) -> None:
        super().__init__(spec, make)
        self.entry = Entry(spec, embedding_size, input_dropout)
        self.recurrent = make(self.entry.size)
        self.dropout = nn.Dropout(output_dropout)
        self.head = make_head(self.recurrent.output_size, spec.output_size)

    def forward(self, batch: Batch, state: list[State] | None = None) -> tuple[Tensor, list[State]]:
        outputs, last = self.recurrent(self.entry(batch.inputs), state, lengths=batch.lengths)
        return self.head(self.dropout(outputs)).log_softmax(-1), last

    @torch.inference_mode()
    def decode(self, batch: Batch, longest: int, beam: int = 1) -> Decoded:
        """The labels of the likeliest path, or with a beam the likeliest labels; `longest` of them at most."""
        return Decoded(*decode(self(batch)[0], batch.lengths, longest, beam), None)
