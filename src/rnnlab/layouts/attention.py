"""Where a decoder looks: weights over what the encoder read, and their mean (the context)."""

import torch
from torch import Tensor, nn

KINDS = ("none", "luong", "bahdanau")


class Attention(nn.Module):
    """context = Σₛ aₛ mₛ, a = softmax over the real timesteps s of the memory of score(query, mₛ).

    query: (batch, ..., query_size); memory: (batch, time, memory_size); real: (batch, time) ->
    the context (batch, ..., memory_size) and the weights (batch, ..., time).
    """

    def forward(self, query: Tensor, memory: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        scores = self.score(query, memory)
        shape = (len(real), *[1] * (scores.dim() - 2), real.shape[1])
        weights = scores.masked_fill(~real.view(shape), -torch.inf).softmax(dim=-1)
        if weights.dim() == 2:
            return torch.bmm(weights[:, None], memory)[:, 0], weights
        return torch.bmm(weights, memory), weights

    def score(self, query: Tensor, memory: Tensor) -> Tensor:
        raise NotImplementedError


class Luong(Attention):
    """score(q, m) = qᵀ W m, "general" in Luong, Pham and Manning (2015)."""

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__()
        self.weight = nn.Linear(memory_size, query_size, bias=False)

    def score(self, query: Tensor, memory: Tensor) -> Tensor:
        keys = self.weight(memory)
        if query.dim() == 2:
            return torch.bmm(keys, query[..., None])[..., 0]
        return torch.bmm(query, keys.transpose(1, 2))


class Bahdanau(Attention):
    """score(q, m) = vᵀ tanh(W q + U m), Bahdanau, Cho and Bengio (2015)."""

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__()
        self.of_query = nn.Linear(query_size, query_size)
        self.of_memory = nn.Linear(memory_size, query_size, bias=False)
        self.to_score = nn.Linear(query_size, 1, bias=False)

    def score(self, query: Tensor, memory: Tensor) -> Tensor:
        keys = self.of_memory(memory)
        if query.dim() == 3:
            keys = keys[:, None]
        scores: Tensor = self.to_score(torch.tanh(self.of_query(query)[..., None, :] + keys))
        return scores[..., 0]
