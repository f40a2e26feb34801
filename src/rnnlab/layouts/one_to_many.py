"""One thing in, a sequence out: a caption for an image."""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from rnnlab.arguments import Dropout, Positive
from rnnlab.cells.cell import State
from rnnlab.data.batches import Batch
from rnnlab.layouts.attention import Kind
from rnnlab.layouts.decoder import Decoded, Decoder, Memory
from rnnlab.layouts.layout import Layout, Make
from rnnlab.spec import LayoutName, TaskSpec
from rnnlab.unroll.recurrent import Recurrent


class OneToMany(Layout):
    """Tokens from an image, or from a vector.

    inputs: (batch, height, width), or (batch, input_size); targets: (batch, time), END included -> logits (batch, time,
    output_size). An image is seen through three convolutions, the last as high as what it looks at, so that a row of
    columns from left to right is left, each knowing some 30 pixels' width of the image. The decoder knows one vector
    that is made of all of them; with attention, it also looks at each column, to which a learnt vector of its place is
    added.

    channels: of the first two convolutions; a column has four times as many numbers. summary_size: of that one vector.
    attention, embedding_size, output_dropout: of the decoder.
    """

    name: ClassVar[LayoutName] = "one_to_many"

    def __init__(
        self,
        spec: TaskSpec,
        make: Make,
        embedding_size: Positive = 32,
        channels: Positive = 16,
        summary_size: Positive = 128,
        attention: Kind = "luong",
        output_dropout: Dropout = 0.0,
    ) -> None:
        super().__init__(spec, make)
        if spec.image is None:
            self.convolutions: nn.Module = nn.Identity()
            column_size, columns = spec.input_size, 1
        else:
            height, columns = ((side + 3) // 4 for side in spec.image)  # two strides of 2, rounded up
            column_size = 4 * channels
            self.convolutions = nn.Sequential(
                *_convolution(1, channels, 5, stride=2, padding=2),
                *_convolution(channels, channels, 5, stride=2, padding=2),
                *_convolution(channels, column_size, (height, 5), padding=(0, 2)),
            )
        self.to_summary = nn.Linear(column_size * columns, summary_size)
        self.places = nn.Parameter(torch.zeros(columns, column_size)) if attention != "none" else None
        self.decoder = Decoder(
            spec.output_size, column_size, summary_size, make, attention, embedding_size, output_dropout
        )

    @property
    def recurrent(self) -> Recurrent:  # type: ignore[override]
        """The one that writes; a second name for its weights could not be saved."""
        return self.decoder.recurrent

    def _see(self, inputs: Tensor) -> Memory:
        if self.spec.image is None:
            columns = inputs[:, None]
        else:
            columns = self.convolutions(inputs[:, None])[:, :, 0].transpose(1, 2)
        summary = torch.relu(self.to_summary(columns.flatten(1)))
        if self.places is not None:
            columns = columns + self.places
        return Memory(columns, columns.new_ones(columns.shape[:2], dtype=torch.bool), summary)

    def forward(self, batch: Batch, state: list[State] | None = None) -> tuple[Tensor, list[State]]:
        logits, _ = self.decoder(batch.targets, self._see(batch.inputs), state)
        return logits, []

    @torch.inference_mode()
    def decode(self, batch: Batch, longest: int, beam: int = 1) -> Decoded:
        """What the net writes by itself, greedily or with a beam."""
        return self.decoder.decode(self._see(batch.inputs), None, longest, beam)


def _convolution(inputs: int, outputs: int, size: Any, **options: Any) -> tuple[nn.Module, ...]:
    # normalised over the batch (Ioffe and Szegedy 2015): without, it takes several times as long to learn to see
    return nn.Conv2d(inputs, outputs, size, bias=False, **options), nn.BatchNorm2d(outputs), nn.ReLU()
