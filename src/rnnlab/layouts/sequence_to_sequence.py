"""A sequence in, another out: one recurrent net reads, a second one writes."""

from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from rnnlab.arguments import Dropout, Positive
from rnnlab.cells.cell import State
from rnnlab.data.batches import Batch
from rnnlab.layouts.attention import Kind
from rnnlab.layouts.decoder import Decoded, Decoder, Memory
from rnnlab.layouts.layout import Entry, Layout, Make, summary
from rnnlab.spec import LayoutName, TaskSpec


class SequenceToSequence(Layout):
    """Encoder and decoder, both of the configured cell (Sutskever et al. 2014), with attention or without.

    inputs: tokens (batch, time) or numbers (batch, time, input_size), with lengths; targets: (batch, time), END
    included -> logits (batch, time, output_size). The decoder starts from the encoder's final states, of a
    bidirectional one those of the forward direction, and knows its summary [h_T; h̄_1]. Where a state depends on the
    size of what is read and does not fit (past inputs of a feed-forward cell), it starts from the initial one.

    attention: `none`, `luong` or `bahdanau`, see `Decoder`. embedding_size: of the tokens on both sides. input_dropout,
    output_dropout: share of what the encoder reads, and of what the decoder's head reads.
    """

    name: ClassVar[LayoutName] = "sequence_to_sequence"

    def __init__(
        self,
        spec: TaskSpec,
        make: Make,
        embedding_size: Positive = 64,
        attention: Kind = "luong",
        input_dropout: Dropout = 0.0,
        output_dropout: Dropout = 0.0,
    ) -> None:
        super().__init__(spec, make)
        self.entry = Entry(spec, embedding_size, input_dropout)
        self.recurrent = make(self.entry.size)
        size = self.recurrent.output_size
        # an initial state of its own to learn or to draw would never be used
        make = partial(make, initial_state="zeros")
        self.decoder = Decoder(spec.output_size, size, size, make, attention, embedding_size, output_dropout)

    def read(self, batch: Batch, state: list[State] | None = None) -> tuple[Memory, list[State]]:
        """What the encoder makes of the input, and the states that the decoder starts from."""
        outputs, states = self.recurrent(self.entry(batch.inputs), state, lengths=batch.lengths)
        real = outputs.new_ones(outputs.shape[:2], dtype=torch.bool)
        if batch.lengths is not None:
            real = torch.arange(outputs.shape[1], device=outputs.device) < batch.lengths[:, None]
        memory = Memory(outputs, real, summary(self.recurrent, outputs, batch.lengths))
        initial = self.decoder.recurrent.initial_state(len(outputs))
        handed = zip(states[:: self.recurrent.directions], initial, strict=True)
        return memory, [theirs if _shapes(theirs) == _shapes(ours) else ours for theirs, ours in handed]

    def forward(self, batch: Batch, state: list[State] | None = None) -> tuple[Tensor, list[State]]:
        memory, states = self.read(batch, state)
        logits, _ = self.decoder(batch.targets, memory, states)
        return logits, []

    @torch.inference_mode()
    def decode(self, batch: Batch, longest: int, beam: int = 1) -> Decoded:
        """What the net writes by itself, greedily or with a beam."""
        return self.decoder.decode(*self.read(batch), longest, beam)


def _shapes(state: State) -> list[torch.Size]:
    return [part.shape for part in state]
