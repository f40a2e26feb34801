"""One thing in, a sequence out: a caption for an image."""

import torch
from torch import Tensor, nn

from rnnlab.cells.cell import State
from rnnlab.data.batches import Batch
from rnnlab.layouts.decoder import Decoded, Decoder, Memory
from rnnlab.layouts.layout import Layout, Make, check_size
from rnnlab.spec import TaskSpec


class OneToMany(Layout):
    """Tokens from an image, or from a vector.

    inputs: (batch, height, width), seen through two convolutions, or (batch, input_size); targets: (batch, time), END
    included -> logits (batch, time, output_size). With attention, the decoder looks at the image's columns,
    from left to right; without, at all of it through one vector.

    channels: of the image's last convolution. summary_size: of that vector. attention, embedding_size, output_dropout:
    of the decoder.
    """

    def __init__(
        self,
        spec: TaskSpec,
        make: Make,
        embedding_size: int = 32,
        channels: int = 16,
        summary_size: int = 128,
        attention: str = "none",
        output_dropout: float = 0.0,
    ) -> None:
        super().__init__(spec, make)
        check_size("summary_size", summary_size)
        check_size("channels", channels)
        if spec.image is None:
            self.convolutions: nn.Module = nn.Identity()
            column_size, columns = spec.input_size, 1
        else:
            self.convolutions = nn.Sequential(
                nn.Conv2d(1, channels, 5, stride=2, padding=2),
                nn.ReLU(),
                nn.Conv2d(channels, channels, 5, stride=2, padding=2),
                nn.ReLU(),
            )
            height, columns = ((side + 3) // 4 for side in spec.image)  # two strides of 2, rounded up
            column_size = channels * height
        self.to_summary = nn.Linear(column_size * columns, summary_size)
        self.decoder = Decoder(
            spec.output_size, column_size, summary_size, make, attention, embedding_size, output_dropout
        )
        self.recurrent = self.decoder.recurrent

    def _see(self, inputs: Tensor) -> Memory:
        if self.spec.image is None:
            columns = inputs[:, None]
        else:
            columns = self.convolutions(inputs[:, None]).flatten(1, 2).transpose(1, 2)
        summary = torch.relu(self.to_summary(columns.flatten(1)))
        return Memory(columns, columns.new_ones(columns.shape[:2], dtype=torch.bool), summary)

    def forward(self, batch: Batch, state: list[State] | None = None) -> tuple[Tensor, list[State]]:
        logits, _ = self.decoder(batch.targets, self._see(batch.inputs), state)
        return logits, []

    @torch.inference_mode()
    def decode(self, batch: Batch, longest: int, beam: int = 1) -> Decoded:
        """What the net writes by itself, greedily or with a beam."""
        memory = self._see(batch.inputs)
        if beam == 1:
            return self.decoder.greedy(memory, None, longest)
        return self.decoder.beam(memory, None, longest, beam)
