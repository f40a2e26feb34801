"""Labels whose places are unknown, by connectionist temporal classification: which timesteps they need, and what the
outputs of a net say."""

import math
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from rnnlab.data.vocabulary import BLANK, PADDING

Labels = tuple[int, ...]


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


def decode(log_probabilities: Tensor, lengths: Tensor | None, longest: int, beam: int = 1) -> tuple[Tensor, Tensor]:
    """What the outputs (batch, time, tokens) say: tokens (batch, longest), and ln p of the path, or with a beam of the
    labels, (batch,)."""
    rows = log_probabilities.detach().cpu()
    ends = [rows.shape[1]] * len(rows) if lengths is None else lengths.tolist()
    search = best_path if beam == 1 else prefix_search
    found = [search(row[:end], beam) for row, end in zip(rows, ends, strict=True)]
    tokens = torch.full((len(rows), longest), PADDING)
    for number, (labels, _) in enumerate(found):
        tokens[number, : len(labels)] = torch.tensor(labels[:longest], dtype=torch.long)
    return tokens, torch.tensor([score for _, score in found])


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
