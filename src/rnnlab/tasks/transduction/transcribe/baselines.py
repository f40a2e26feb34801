"""What writes strings of digits down without recurrence."""

from collections import Counter
from copy import deepcopy
from typing import ClassVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from rnnlab.data.batches import Batches, ByLength
from rnnlab.data.ctc import decode, make_head
from rnnlab.losses import ConnectionistTemporal
from rnnlab.output import progress
from rnnlab.tasks.baselines.baselines import Baselines, Predict
from rnnlab.tasks.task import Split
from rnnlab.tasks.transduction.transcribe.data import TranscribeData
from rnnlab.tasks.transduction.transcribe.judging import TranscribeJudging

CANDIDATES, JUDGED = 100, 400
"""Strings that may be the one always written, and training examples that it is chosen on, at most."""

REACHES = (5, 15)
"""Frames on either side that the net without memory may see: a sound, or most of a word."""

WIDTH, EPOCHS, LEARNING_RATE = 64, 20, 0.003
"""Of that net."""


class TranscribeBaselines(Baselines):
    """window: a convolution over the frames around each, trained by the same loss: what can be heard without any
    memory. How many frames, of `REACHES`, the word error rate on validation decides. frequent: always the same string,
    the one of the commonest in training that makes the fewest errors.
    """

    task: TranscribeData
    judging: TranscribeJudging
    trivial: ClassVar[str] = "frequent"

    def fitted(self) -> dict[str, Predict]:
        nets = [self._window(reach) for reach in REACHES]
        net = min(nets, key=lambda each: self._word_error_rate(self._written(each, "validation"), "validation"))
        commonest = self._frequent()

        def window(split: Split) -> pd.DataFrame:
            return self.judging.table(self._written(net, split), split)

        def frequent(split: Split) -> pd.DataFrame:
            return self.judging.table([commonest] * len(self.task.frames[split]), split)

        return {"window": window, "frequent": frequent}

    def _frequent(self) -> str:
        from torchmetrics.functional.text import word_error_rate

        references = self.task.texts("train")[1]
        commonest = sorted(Counter(references).items(), key=lambda item: (-item[1], item[0]))[:CANDIDATES]
        judged = references[:JUDGED]
        return min(
            (text for text, _ in commonest), key=lambda text: float(word_error_rate([text] * len(judged), judged))
        )

    def _word_error_rate(self, written: list[str], split: Split) -> float:
        return self.judging.judge(self.judging.table(written, split))["word_error_rate"]

    def _window(self, reach: int) -> nn.Module:
        order = ByLength(self.task.frames["train"].lengths, seed=0)
        batches = Batches(lambda indices: self.task.take("train", indices), order, self.task.batch_size)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            net = _Window(self.task.filters, len(self.task.vocabulary), reach)
        loss_of = ConnectionistTemporal()
        optimizer = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE)
        lowest, best = np.inf, net.state_dict()
        for epoch in progress(range(EPOCHS), f"{self.task.spec.task}: window of {reach} frames on either side"):
            order.set_epoch(epoch)
            for batch in batches:
                optimizer.zero_grad()
                loss_of(net(batch.inputs), batch)[0].backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            with torch.inference_mode():
                losses = [loss_of(net(batch.inputs), batch) for batch in self.task.loader("validation")]
            loss = sum(float(loss) * count for loss, count in losses)
            if loss < lowest:
                lowest, best = loss, deepcopy(net.state_dict())
        net.load_state_dict(best)
        return net

    def _written(self, net: nn.Module, split: Split) -> list[str]:
        loader = self.task.loader(split)
        written = [""] * len(self.task.frames[split])
        with torch.inference_mode():
            found = []
            for batch in loader:
                tokens, _ = decode(net(batch.inputs), batch.lengths, self.task.longest, self.judging.beam)
                found += [self.judging.text(numbers) for numbers in tokens.tolist()]
        for position, text in zip(loader.positions().tolist(), found, strict=True):
            written[position] = text
        return written


class _Window(nn.Module):
    """ln p of each token from the frames around it: (batch, time, features) -> (batch, time, tokens)."""

    def __init__(self, features: int, tokens: int, reach: int) -> None:
        super().__init__()
        self.around = nn.Conv1d(features, WIDTH, 2 * reach + 1, padding=reach)
        self.head = make_head(WIDTH, tokens)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = torch.relu(self.around(inputs.transpose(1, 2)))
        found: Tensor = self.head(hidden.transpose(1, 2)).log_softmax(-1)
        return found
