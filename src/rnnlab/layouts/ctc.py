"""A sequence in, a shorter one out in the same order, its places unknown: connectionist temporal classification."""

import math
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from rnnlab.cells.cell import State
from rnnlab.data.batches import Batch
from rnnlab.data.vocabulary import IGNORED, PADDING
from rnnlab.layouts.decoder import Decoded
from rnnlab.layouts.layout import Entry, Layout, Make, check_share
from rnnlab.spec import TaskSpec

BLANK = PADDING
"""The output that stands for no token."""

Labels = tuple[int, ...]


class ConnectionistTemporal(Layout):
    """p(y | x) = Σ over all paths that become y when repeats, then blanks are removed (Graves et al. 2006).

    inputs: (batch, time, input_size); targets: (batch, labels), from 1 on -> ln p of each token and of the blank (0) at
    each timestep, (batch, time, output_size). With _ for the blank, aab_, _a_b and abbb all say "ab"; to say "aa" takes
    a blank in between.

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
        self.head = make_head(self.recurrent.output_size, spec.output_size)

    def forward(self, batch: Batch, state: list[State] | None = None) -> tuple[Tensor, list[State]]:
        outputs, last = self.recurrent(self.entry(batch.inputs), state, lengths=batch.lengths)
        return self.head(self.dropout(outputs)).log_softmax(-1), last

    def loss(self, prediction: Tensor, batch: Batch) -> tuple[Tensor, int]:
        return label_loss(prediction, batch)

    @torch.inference_mode()
    def decode(self, batch: Batch, longest: int, beam: int = 1) -> Decoded:
        """The labels of the likeliest path, or with a beam the likeliest labels; `longest` of them at most."""
        return decode(self(batch)[0], batch.lengths, longest, beam)


def make_head(size: int, tokens: int) -> nn.Linear:
    """Logits of the tokens, by a linear map; at first, half of the chance is the blank's: most timesteps say nothing.

    With all tokens as likely, nets were seen to guess the first label at the first timestep, and to stay with that.
    """
    head = nn.Linear(size, tokens)
    with torch.no_grad():
        head.bias[BLANK] = math.log(tokens - 1)
    return head


def timesteps_needed(labels: Sequence[int]) -> int:
    """The least number of timesteps that can say these labels: one each, and a blank between two that are the same."""
    return len(labels) + sum(one == other for one, other in pairwise(labels))


def label_loss(log_probabilities: Tensor, batch: Batch) -> tuple[Tensor, int]:
    """-ln p(y | x) per label, and the number of labels; infinite where an input is shorter than its labels need."""
    targets = batch.targets
    real = targets != IGNORED
    lengths = batch.lengths
    if lengths is None:
        lengths = torch.full((len(targets),), log_probabilities.shape[1], device=targets.device)
    count = max(int(real.sum()), 1)
    total = nn.functional.ctc_loss(
        log_probabilities.transpose(0, 1), targets.masked_fill(~real, BLANK), lengths, real.sum(1), BLANK, "sum"
    )
    return total / count, count


def decode(log_probabilities: Tensor, lengths: Tensor | None, longest: int, beam: int = 1) -> Decoded:
    """What the outputs (batch, time, tokens) say; `scores` are ln p of the path, or with a beam of the labels."""
    rows = log_probabilities.detach().cpu()
    ends = [rows.shape[1]] * len(rows) if lengths is None else lengths.tolist()
    search = best_path if beam == 1 else prefix_search
    found = [search(row[:end], beam) for row, end in zip(rows, ends, strict=True)]
    tokens = torch.full((len(rows), longest), PADDING)
    for number, (labels, _) in enumerate(found):
        tokens[number, : len(labels)] = torch.tensor(labels[:longest], dtype=torch.long)
    return Decoded(tokens, torch.tensor([score for _, score in found]), None)


def best_path(log_probabilities: Tensor, _: int = 1) -> tuple[list[int], float]:
    """The labels of the likeliest path, without repeats and blanks, and the path's ln p. (time, tokens)."""
    best, path = log_probabilities.max(-1)
    labels = torch.unique_consecutive(path)
    return labels[labels != BLANK].tolist(), float(best.sum())


def prefix_search(log_probabilities: Tensor, width: int) -> tuple[list[int], float]:
    """The likeliest labels and their ln p, (time, tokens).

    At each timestep the `width` likeliest beginnings go on, each with the sum over its paths (Hannun et al. 2014).
    """
    # ln p of each beginning: of the paths that end in a blank, and of those that end in its last label
    beginnings: dict[Labels, tuple[float, float]] = {(): (0.0, -math.inf)}
    for chances in log_probabilities.tolist():
        blanks: defaultdict[Labels, float] = defaultdict(lambda: -math.inf)
        ends: defaultdict[Labels, float] = defaultdict(lambda: -math.inf)
        for labels, (blank, end) in beginnings.items():
            either = _log_add(blank, end)
            for token, chance in enumerate(chances):
                if token == BLANK:
                    blanks[labels] = _log_add(blanks[labels], either + chance)
                elif labels and labels[-1] == token:
                    ends[labels] = _log_add(ends[labels], end + chance)
                    ends[*labels, token] = _log_add(ends[*labels, token], blank + chance)
                else:
                    ends[*labels, token] = _log_add(ends[*labels, token], either + chance)
        found = {labels: (blanks[labels], ends[labels]) for labels in [*blanks, *ends]}
        beginnings = dict(sorted(found.items(), key=lambda item: _log_add(*item[1]), reverse=True)[:width])
    labels, (blank, end) = next(iter(beginnings.items()))
    return list(labels), _log_add(blank, end)


def _log_add(one: float, other: float) -> float:
    """ln(eˣ + eʸ)."""
    high, low = max(one, other), min(one, other)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))
