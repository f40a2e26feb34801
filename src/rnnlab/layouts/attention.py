"""Where a decoder looks: weights over what the encoder read, and their mean (the context)."""

from typing import Literal

import torch
from torch import Tensor, nn

Kind = Literal["none", "luong", "bahdanau"]


class Attention(nn.Module):
    """context = Σₛ aₛ mₛ, a = softmax over the real timesteps s of the memory of score(query, mₛ).

    query: (batch, steps, query_size); keys: of `keys(memory)`, once for a sequence; memory: (batch, time, memory_size);
    real: (batch, time) -> the context (batch, steps, memory_size) and the weights (batch, steps, time).
    """

    def forward(self, query: Tensor, keys: Tensor, memory: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        scores = self.score(query, keys).masked_fill(~real[:, None], -torch.inf)
        weights = scores.softmax(dim=-1)
        return torch.bmm(weights, memory), weights

    def keys(self, memory: Tensor) -> Tensor:
        """All of a score that depends on the memory alone."""
        raise NotImplementedError

    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        """(batch, steps, time)"""
        raise NotImplementedError


class Luong(Attention):
    """score(q, m) = qᵀ W m, "general" in Luong, Pham and Manning (2015)."""

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__()
        self.weight = nn.Linear(memory_size, query_size, bias=False)

    def keys(self, memory: Tensor) -> Tensor:
        keys: Tensor = self.weight(memory)
        return keys

    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        return torch.bmm(query, keys.transpose(1, 2))


class Bahdanau(Attention):
    """score(q, m) = vᵀ tanh(W q + U m + b), Bahdanau, Cho and Bengio (2015)."""

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__()
        self.of_query = nn.Linear(query_size, query_size)
        self.of_memory = nn.Linear(memory_size, query_size, bias=False)
        self.to_score = nn.Linear(query_size, 1, bias=False)

    def keys(self, memory: Tensor) -> Tensor:
        keys: Tensor = self.of_memory(memory)
        return keys

    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        scores: Tensor = self.to_score(torch.tanh(self.of_query(query)[:, :, None] + keys[:, None]))
        return scores[..., 0]
