"""A recurrent net that writes tokens, one after the other, from what another part of the net knows."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from rnnlab.cells.cell import Shared, State
from rnnlab.data.vocabulary import END, IGNORED, PADDING, START, UNKNOWN
from rnnlab.layouts.attention import Attention, Bahdanau, Kind, Luong
from rnnlab.layouts.layout import Make, select
from rnnlab.unroll.masks import detached

NEVER_WRITTEN = [PADDING, START, UNKNOWN]


class Memory(NamedTuple):
    """What a decoder may look at. timesteps: (batch, time, size); real: (batch, time); summary: (batch, size).

    keys: what attention makes of the timesteps, (batch, time, ...); the decoder's own.
    """

    timesteps: Tensor
    real: Tensor
    summary: Tensor
    keys: Tensor | None = None

    def rows(self, rows: Tensor) -> "Memory":
        return Memory(*(None if part is None else part.index_select(0, rows) for part in self))  # type: ignore[arg-type]


class Carried(NamedTuple):
    """What a decoder carries from one token to the next. output: the recurrent net's last one, (batch, size)."""

    states: list[State]
    output: Tensor

    def rows(self, rows: Tensor) -> "Carried":
        return Carried(select(self.states, rows), self.output.index_select(0, rows))


class Decoded(NamedTuple):
    """What was written. tokens: (batch, steps), PADDING behind END; scores: (batch,), ln p.

    weights: of attention, (batch, steps, time), where there is any and the search was greedy.
    """

    tokens: Tensor
    scores: Tensor
    weights: Tensor | None


class Decoder(nn.Module):
    """p(yₜ | y₁..yₜ₋₁, memory), the tokens y from a vocabulary of `size` that starts with the special ones.

    Each step reads [vector of yₜ₋₁; summary] (Cho et al. 2014). `luong`: the net runs at full speed, and with the
    context of attention by its output hₜ, h̃ₜ = tanh(W [contextₜ; hₜ]) goes to the head in the place of hₜ. `bahdanau`:
    the context of attention by hₜ₋₁ stands in the place of the summary, so that the net runs step by step in training,
    too; h₀ is tanh(W summary).
    """

    def __init__(
        self,
        size: int,
        memory_size: int,
        summary_size: int,
        make: Make,
        attention: Kind,
        embedding_size: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.kind = attention
        self.embedding = nn.Embedding(size, embedding_size)
        self.recurrent = make(
            embedding_size + (memory_size if attention == "bahdanau" else summary_size), bidirectional=False
        )
        out = self.recurrent.output_size
        if attention == "bahdanau":
            self.attention: Attention = Bahdanau(out, memory_size)
            self.first_query = nn.Linear(summary_size, out)
        elif attention == "luong":
            self.attention = Luong(out, memory_size)
            self.combine = nn.Linear(memory_size + out, out)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(out, size)

    def forward(self, targets: Tensor, memory: Memory, states: list[State] | None) -> tuple[Tensor, Tensor | None]:
        """Teacher forcing: logits (batch, time, size) of each target, after the true ones before it, and the weights.

        targets: (batch, time), `IGNORED` behind the end. states: to start from; None: the initial ones.
        """
        before = torch.cat([torch.full_like(targets[:, :1], START), targets[:, :-1]], dim=1)
        vectors = self.embedding(before.masked_fill(before == IGNORED, PADDING))
        memory = self._with_keys(memory)
        weights: Tensor | None
        if self.kind == "bahdanau":
            outputs, weights = self._step_by_step(vectors, memory, states)
        else:
            summary = memory.summary[:, None].expand(-1, vectors.shape[1], -1)
            outputs, _ = self.recurrent(torch.cat([vectors, summary], dim=-1), states)
            outputs, weights = self._look(outputs, memory)
        return self.head(self.dropout(outputs)), weights

    def _step_by_step(self, vectors: Tensor, memory: Memory, states: list[State] | None) -> tuple[Tensor, Tensor]:
        carried, prepared = self.start(memory, states), self.recurrent.prepare()
        drops, truncate = self.recurrent.drops(len(vectors)), self.recurrent.truncate
        outputs, looks = [], []
        for number, vector in enumerate(vectors.unbind(1)):
            if truncate is not None and number > 0 and number % truncate == 0:
                carried = Carried(detached(carried.states), carried.output.detach())
            carried, weights = self._step(vector, carried, memory, prepared, drops)
            assert weights is not None
            outputs.append(carried.output)
            looks.append(weights)
        return torch.stack(outputs, dim=1), torch.stack(looks, dim=1)

    def _with_keys(self, memory: Memory) -> Memory:
        return memory if self.kind == "none" else memory._replace(keys=self.attention.keys(memory.timesteps))

    def _attend(self, query: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """query: (batch, steps, size) -> the context and the weights."""
        assert memory.keys is not None
        found: tuple[Tensor, Tensor] = self.attention(query, memory.keys, memory.timesteps, memory.real)
        return found

    def _look(self, outputs: Tensor, memory: Memory) -> tuple[Tensor, Tensor | None]:
        """What goes to the head, (batch, steps, size), and the weights of Luong's attention."""
        if self.kind != "luong":
            return outputs, None
        context, weights = self._attend(outputs, memory)
        return torch.tanh(self.combine(torch.cat([context, outputs], dim=-1))), weights

    def start(self, memory: Memory, states: list[State] | None) -> Carried:
        """Before the first token."""
        batch = len(memory.summary)
        states = self.recurrent.initial_state(batch) if states is None else states
        if self.kind == "bahdanau":
            return Carried(states, torch.tanh(self.first_query(memory.summary)))
        return Carried(states, memory.summary.new_zeros(batch, self.recurrent.output_size))

    def _step(
        self,
        vector: Tensor,
        carried: Carried,
        memory: Memory,
        prepared: list[Shared],
        drops: list[list[Tensor]] | None = None,
    ) -> tuple[Carried, Tensor | None]:
        """One step of the recurrent net, with the weights of Bahdanau's attention, (batch, time)."""
        weights, read = None, memory.summary
        if self.kind == "bahdanau":
            context, weights = (part[:, 0] for part in self._attend(carried.output[:, None], memory))
            read = context
        output, states = self.recurrent.step(torch.cat([vector, read], dim=-1), carried.states, prepared, drops)
        return Carried(states, output), weights

    def _write(
        self, tokens: Tensor, carried: Carried, memory: Memory, prepared: list[Shared]
    ) -> tuple[Tensor, Carried, Tensor | None]:
        """The tokens before, (batch,) -> ln p of each next one (batch, size), what to carry, attention's weights."""
        carried, weights = self._step(self.embedding(tokens), carried, memory, prepared)
        output = carried.output
        if self.kind == "luong":
            looked, looks = self._look(output[:, None], memory)
            assert looks is not None
            output, weights = looked[:, 0], looks[:, 0]
        logits = self.head(self.dropout(output))
        logits[:, NEVER_WRITTEN] = -torch.inf
        return logits.log_softmax(-1), carried, weights

    def decode(self, memory: Memory, states: list[State] | None, longest: int, beam: int) -> Decoded:
        """What is written, greedily or with a beam, of at most `longest` tokens."""
        if beam == 1:
            return self.greedy(memory, states, longest)
        return self.beam(memory, states, longest, beam)

    def greedy(self, memory: Memory, states: list[State] | None, longest: int) -> Decoded:
        """The likeliest token at each step, until END or `longest` tokens."""
        memory = self._with_keys(memory)
        carried, prepared = self.start(memory, states), self.recurrent.prepare()
        batch = len(memory.summary)
        token = torch.full((batch,), START, device=memory.summary.device)
        going = torch.ones_like(token, dtype=torch.bool)
        scores = memory.summary.new_zeros(batch)
        tokens, looks = [], []
        for _ in range(longest):
            each, carried, weights = self._write(token, carried, memory, prepared)
            best, token = each.max(-1)
            token = token.masked_fill(~going, PADDING)
            scores = scores + best * going
            tokens.append(token)
            if weights is not None:
                looks.append(weights)
            going = going & (token != END)
            if not going.any():
                break
        return Decoded(torch.stack(tokens, dim=1), scores, torch.stack(looks, dim=1) if looks else None)

    def beam(self, memory: Memory, states: list[State] | None, longest: int, width: int, alpha: float = 0.6) -> Decoded:
        """The likeliest of the `width` best beginnings at each step, ln p divided by ((5 + length) / 6)^alpha.

        The penalty is that of Wu et al. (2016). With width 1 it is `greedy`.
        """
        memory = self._with_keys(memory)
        batch, device = len(memory.summary), memory.summary.device
        every = torch.arange(batch, device=device).repeat_interleave(width)
        carried, prepared = self.start(memory, states).rows(every), self.recurrent.prepare()
        memory = memory.rows(every)
        token = torch.full((batch * width,), START, device=device)
        # at first all beginnings are the same one: only the first of each counts
        scores = torch.where(torch.arange(width, device=device) == 0, 0.0, -torch.inf).repeat(batch, 1)
        scores = scores.to(memory.summary.dtype)
        going = torch.ones(batch, width, dtype=torch.bool, device=device)
        written = torch.zeros(batch, width, 0, dtype=torch.long, device=device)
        lengths = torch.zeros(batch, width, device=device)
        for _ in range(longest):
            each, carried, _ = self._write(token, carried, memory, prepared)
            each = each.view(batch, width, -1)
            # what has ended goes on with PADDING alone, at no cost
            ended = torch.full_like(each, -torch.inf)
            ended[..., PADDING] = 0
            each = torch.where(going[..., None], each, ended)
            size = each.shape[-1]
            total = (scores[..., None] + each).flatten(1)
            lengths_after = (lengths + going)[..., None].expand(-1, -1, size).flatten(1)
            _, best = (total / _penalty(lengths_after, alpha)).topk(width, dim=1)
            parent, token = best // size, best % size
            scores, lengths = total.gather(1, best), lengths_after.gather(1, best)
            going = going.gather(1, parent) & (token != END)
            written = torch.cat([written.gather(1, parent[..., None].expand_as(written)), token[..., None]], dim=2)
            carried = carried.rows((parent + width * torch.arange(batch, device=device)[:, None]).flatten())
            token = token.flatten()
            if not going.any():
                break
        first = (scores / _penalty(lengths, alpha)).argmax(dim=1)
        rows = torch.arange(batch, device=device)
        return Decoded(written[rows, first], scores[rows, first], None)


def _penalty(lengths: Tensor, alpha: float) -> Tensor:
    penalty: Tensor = ((5 + lengths) / 6) ** alpha
    return penalty
