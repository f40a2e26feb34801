"""Connectionist temporal classification against all paths, written out."""

import itertools
import math
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from rnnlab import losses
from rnnlab.cells.gru import GRUCell
from rnnlab.data.batches import Batch
from rnnlab.data.ctc import best_path, decode, make_head, prefix_search, timesteps_needed
from rnnlab.data.vocabulary import IGNORED
from rnnlab.layouts.ctc import ConnectionistTemporal
from rnnlab.layouts.layout import build
from rnnlab.spec import TaskSpec
from rnnlab.unroll.recurrent import Recurrent
from tests.layouts.nets import options_of

TOKENS = 3  # the blank, a and b
a, b = 1, 2


def said(path: tuple[int, ...]) -> tuple[int, ...]:
    """Repeats go first, blanks after them."""
    once = [token for token, _ in itertools.groupby(path)]
    return tuple(token for token in once if token != 0)


def chances(row: Tensor) -> dict[tuple[int, ...], float]:
    """p of everything that can be said, summed over all paths. row: (time, tokens), ln p."""
    found: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(row.shape[1]), repeat=len(row)):
        p = math.exp(sum(float(row[time, token]) for time, token in enumerate(path)))
        found[said(path)] = found.get(said(path), 0.0) + p
    return found


def outputs(seed: int, *shape: int, sharpness: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (sharpness * torch.randn(*shape, generator=generator, dtype=torch.float64)).log_softmax(-1)


def net(**options: float) -> ConnectionistTemporal:
    spec = TaskSpec(
        "any",
        "sequence_to_sequence",
        2,
        TOKENS,
        losses.ConnectionistTemporal(),
        {"word_error_rate": "min"},
        "word_error_rate",
    )
    torch.manual_seed(0)
    layout = build(
        spec, partial(Recurrent, GRUCell, hidden_size=4, batch_first=True), options_of(ConnectionistTemporal, **options)
    )
    assert isinstance(layout, ConnectionistTemporal)
    return layout.double()


def test_the_docstring_s_paths_say_what_it_says() -> None:
    assert {said((a, a, b, 0)), said((0, a, 0, b)), said((a, b, b, b))} == {(a, b)}
    assert said((a, a)) == (a,)
    assert said((a, 0, a)) == (a, a)


@given(seed=st.integers(0, 1000), time=st.integers(1, 5))
def test_the_loss_is_that_of_all_paths_that_say_the_labels(seed: int, time: int) -> None:
    rows = outputs(seed, 1, time, TOKENS)
    found = chances(rows[0])
    assert sum(found.values()) == pytest.approx(1)
    for labels, p in found.items():
        loss, count = losses.ConnectionistTemporal()(rows, Batch(rows, torch.tensor([labels], dtype=torch.long)))
        assert count == max(len(labels), 1)
        assert float(loss) * count == pytest.approx(-math.log(p), rel=1e-9, abs=1e-9)


def test_the_loss_of_a_batch_is_the_mean_over_its_labels_whatever_the_padding() -> None:
    rows = outputs(0, 2, 6, TOKENS)
    lengths = torch.tensor([6, 3])
    targets = torch.tensor([[a, b, b, a], [b, IGNORED, IGNORED, IGNORED]])
    loss, count = losses.ConnectionistTemporal()(rows, Batch(rows, targets, lengths))
    surprise = -math.log(chances(rows[0])[a, b, b, a]) - math.log(chances(rows[1, :3])[(b,)])
    assert count == 5
    assert float(loss) == pytest.approx(surprise / 5, rel=1e-9)


def test_the_loss_s_gradient_is_that_of_finite_differences() -> None:
    logits = torch.randn(2, 5, TOKENS, dtype=torch.float64, requires_grad=True)
    batch = Batch(logits, torch.tensor([[a, a], [b, IGNORED]]), torch.tensor([5, 4]))
    assert torch.autograd.gradcheck(lambda x: losses.ConnectionistTemporal()(x.log_softmax(-1), batch)[0], logits)


@given(labels=st.lists(st.integers(1, 2), min_size=1, max_size=3))
def test_labels_can_be_said_in_as_many_timesteps_as_they_need_and_not_in_fewer(labels: list[int]) -> None:
    paths = (path for time in range(6) for path in itertools.product(range(TOKENS), repeat=time))
    needed = len(next(path for path in paths if said(path) == tuple(labels)))
    assert timesteps_needed(labels) == needed
    for time in range(1, 7):
        rows = outputs(0, 1, time, TOKENS)
        loss, _ = losses.ConnectionistTemporal()(rows, Batch(rows, torch.tensor([labels])))
        assert bool(torch.isfinite(loss)) == (time >= needed)


@given(st.lists(st.integers(0, 2), min_size=1, max_size=8))
def test_greedy_decoding_says_the_likeliest_path(path: list[int]) -> None:
    rows = torch.full((len(path), TOKENS), 0.1).scatter(1, torch.tensor(path)[:, None], 0.8).log()
    labels, score = best_path(rows)
    assert tuple(labels) == said(tuple(path))
    assert score == pytest.approx(len(path) * math.log(0.8), rel=1e-5)


@given(seed=st.integers(0, 1000), time=st.integers(1, 5))
def test_a_wide_beam_finds_the_likeliest_labels_and_their_chance(seed: int, time: int) -> None:
    row = outputs(seed, time, TOKENS, sharpness=2)
    found = chances(row)
    labels, score = prefix_search(row, width=500)
    assert found[tuple(labels)] == pytest.approx(max(found.values()), rel=1e-9)
    assert score == pytest.approx(math.log(found[tuple(labels)]), rel=1e-9)


def test_a_beam_finds_what_the_best_path_misses() -> None:
    """Each timestep is likeliest blank, .6 · .6 = .36; all paths that say "a" have 1 - .36 = .64."""
    row = torch.tensor([[0.6, 0.4], [0.6, 0.4]], dtype=torch.float64).log()
    assert best_path(row)[0] == []
    labels, score = prefix_search(row, width=2)
    assert labels == [1]
    assert math.exp(score) == pytest.approx(0.64)


def test_what_lies_behind_the_end_of_an_input_is_not_decoded() -> None:
    path = torch.tensor([[a, a, 0, a, b, b], [b, 0, a, b, a, b]])
    rows = torch.full((2, 6, TOKENS), 0.1).scatter(2, path[..., None], 0.8).log()
    for beam in (1, 4):
        decoded, _ = decode(rows, torch.tensor([6, 2]), longest=4, beam=beam)
        assert decoded.tolist() == [[a, a, b, 0], [b, 0, 0, 0]]
    assert decode(rows, None, longest=2)[0].tolist() == [[a, a], [b, a]]


def test_at_first_half_of_the_chance_is_the_blank_s() -> None:
    torch.manual_seed(0)
    chances = make_head(64, 20)(0.1 * torch.randn(1000, 64)).softmax(-1)
    assert chances[:, 0].mean().item() == pytest.approx(0.5, abs=0.1)


def test_padding_and_the_order_of_the_batch_change_nothing() -> None:
    layout = net().eval()
    inputs = torch.randn(3, 7, 2, dtype=torch.float64)
    lengths = torch.tensor([7, 5, 4])
    targets = torch.tensor([[a, b, a], [b, b, IGNORED], [a, IGNORED, IGNORED]])
    whole = Batch(inputs, targets, lengths)
    loss, count = layout.loss(layout(whole)[0], whole)
    total = 0.0
    for row in (2, 0, 1):
        labels = targets[row][targets[row] != IGNORED]
        alone = Batch(inputs[row : row + 1, : lengths[row]], labels[None])
        part, labels_in_part = layout.loss(layout(alone)[0], alone)
        total += part.item() * labels_in_part
        both = (layout.decode(alone, 7), layout.decode(whole, 7))
        assert torch.equal(both[0].tokens[0], both[1].tokens[row])
    assert loss.item() * count == pytest.approx(total, rel=1e-12)


def test_it_learns_to_say_a_line_of_tokens_without_being_told_where_they_stand() -> None:
    layout = net().float()
    targets = torch.tensor([[a, b, IGNORED], [b, a, a], [b, IGNORED, IGNORED]])
    inputs = torch.zeros(3, 9, 2)
    for row, places in enumerate(([1, 6], [0, 3, 7], [4])):
        for place, token in zip(places, targets[row].tolist(), strict=False):
            inputs[row, place, token - 1] = 1
    batch = Batch(inputs, targets)
    optimizer = torch.optim.Adam(layout.parameters(), lr=0.05)
    for _ in range(100):
        optimizer.zero_grad()
        loss, _ = layout.loss(layout(batch)[0], batch)
        loss.backward()
        optimizer.step()
    assert layout.decode(batch, 3).tokens.tolist() == targets.masked_fill(targets == IGNORED, 0).tolist()
