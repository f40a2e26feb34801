"""What decoders promise, for every cell: what is written is what teacher forcing says of it."""

import itertools
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from rnnlab.data.batches import Batch
from rnnlab.data.vocabulary import END, IGNORED, PADDING, START, UNKNOWN
from rnnlab.errors import UserError
from rnnlab.layouts.decoder import NEVER_WRITTEN, Decoded
from rnnlab.layouts.layout import Layout
from rnnlab.losses import CrossEntropy
from rnnlab.spec import TaskSpec
from rnnlab.unroll.recurrent import Recurrent
from tests.cells.families.catalogue import EXAMPLES
from tests.layouts.nets import build_net

ATTENTION = pytest.mark.parametrize("attention", ["none", "luong", "bahdanau"])
CELLS = pytest.mark.parametrize("name", EXAMPLES)
SHAPES = pytest.mark.parametrize(
    "shape",
    [{}, {"bidirectional": True}, {"num_layers": 2}, {"num_layers": 2, "bidirectional": True}],
    ids=["plain", "bidirectional", "two layers", "both"],
)
SOME = ["rnn", "gru", "lstm", "lstm_projection", "mlstm", "lmu", "s5", "feedforward"]

TOKENS, SIZE, LONGEST = 9, 7, 6


def make_net(name: str, attention: str, size: int = SIZE, image: tuple[int, int] | None = None, **options: Any) -> Any:
    """A decoder in float64 whose choices are far from even, so that it also ends its texts by itself."""
    torch.manual_seed(0)
    example = EXAMPLES[name]
    spec = TaskSpec(
        "task",
        "sequence_to_sequence" if image is None else "one_to_many",
        TOKENS,
        size,
        CrossEntropy(),
        {},
        "",
        tokens=image is None,
        image=image,
    )
    options = {"batch_first": True, "unroll": "loop", **example.options, **options}

    def make(input_size: int, **other: Any) -> Recurrent:
        return Recurrent(partial(example.cell_class), input_size, 6, **{**options, **other})

    net = build_net(spec, make, attention=attention, embedding_size=5).double().eval()
    with torch.no_grad():
        net.decoder.head.weight *= 8
        net.decoder.head.bias.zero_()
        net.decoder.embedding.weight *= 3
    return net


def some_batch(size: int = 8, longest: int = 5) -> Batch:
    torch.manual_seed(1)
    lengths = torch.randint(1, longest + 1, (size,))
    lengths[0] = longest
    inputs = torch.randint(UNKNOWN, TOKENS, (size, longest))
    targets = torch.randint(UNKNOWN, SIZE, (size, 4))
    targets[:, -1] = END
    return Batch(inputs.masked_fill(torch.arange(longest) >= lengths[:, None], PADDING), targets, lengths)


def forced(net: Layout, batch: Batch, tokens: Tensor) -> Tensor:
    """ln p of every token after each of these, with the true ones before it, of those that may be written."""
    logits = net(batch._replace(targets=tokens))[0].clone()
    logits[..., NEVER_WRITTEN] = -torch.inf
    return logits.log_softmax(-1)


def check_greedy(net: Layout, batch: Batch) -> Decoded:
    decoded = net.decode(batch, LONGEST)
    tokens = decoded.tokens
    each = forced(net, batch, tokens.masked_fill(tokens == PADDING, IGNORED))
    real = tokens != PADDING
    best, likeliest = each.max(-1)
    assert likeliest[real].equal(tokens[real])
    torch.testing.assert_close(decoded.scores, (best * real).sum(1), rtol=0, atol=1e-10)
    return decoded


def let_half_end(net: Any, batch: Batch) -> None:
    """Make END just so likely that about half of the texts end by themselves."""
    bias = net.decoder.head.bias
    bias[END] = -100
    logits = net(batch._replace(targets=net.decode(batch, LONGEST).tokens))[0]
    logits[..., NEVER_WRITTEN] = -torch.inf
    bias[END] += (logits.max(2).values - logits[..., END]).min(1).values.median()


@CELLS
@ATTENTION
@torch.no_grad()
def test_what_is_written_step_by_step_is_what_teacher_forcing_finds_likeliest(name: str, attention: str) -> None:
    check_greedy(make_net(name, attention), some_batch())


@pytest.mark.parametrize("name", SOME)
@ATTENTION
@SHAPES
@torch.no_grad()
def test_so_it_is_with_more_layers_and_directions(name: str, attention: str, shape: dict[str, Any]) -> None:
    check_greedy(make_net(name, attention, **shape), some_batch())


@pytest.mark.parametrize("image", [None, (8, 20)], ids=["sequence", "image"])
@ATTENTION
@torch.no_grad()
def test_every_text_ends_once_and_nothing_special_is_written(attention: str, image: tuple[int, int] | None) -> None:
    net = make_net("gru", attention, image=image)
    batch = some_batch(64) if image is None else Batch(5 * torch.randn(64, *image).double(), some_batch(64).targets)
    let_half_end(net, batch)
    decoded = check_greedy(net, batch)
    assert (decoded.tokens != PADDING).sum(1).unique().numel() > 1, "texts of unlike lengths, else this tests little"
    for tokens in (decoded.tokens, net.decode(batch, LONGEST, beam=3).tokens):
        ended = (tokens == END).cumsum(1) - (tokens == END).long()
        assert ((tokens == PADDING) == (ended > 0)).all()
        assert not torch.isin(tokens, torch.tensor([START, UNKNOWN])).any()


@pytest.mark.parametrize("name", SOME)
@ATTENTION
@pytest.mark.parametrize("bidirectional", [False, True])
@torch.no_grad()
def test_padding_of_the_input_changes_nothing(name: str, attention: str, bidirectional: bool) -> None:
    net = make_net(name, attention, bidirectional=bidirectional)
    batch = some_batch()
    together, decoded = net(batch)[0], net.decode(batch, LONGEST, beam=2)
    assert batch.lengths is not None
    for row, length in enumerate(batch.lengths.tolist()):
        alone = Batch(batch.inputs[row : row + 1, :length], batch.targets[row : row + 1])
        torch.testing.assert_close(net(alone)[0][0], together[row], rtol=0, atol=1e-10)
        torch.testing.assert_close(
            net.decode(alone, LONGEST, beam=2).scores[0], decoded.scores[row], rtol=0, atol=1e-10
        )


@pytest.mark.parametrize("name", SOME)
@ATTENTION
@torch.no_grad()
def test_a_beam_of_one_is_greedy(name: str, attention: str) -> None:
    net, batch = make_net(name, attention), some_batch(32)
    memory, states = net.read(batch)
    greedy = net.decoder.greedy(memory, states, LONGEST)
    for alpha in (0.0, 0.6):
        beam = net.decoder.beam(memory, states, LONGEST, width=1, alpha=alpha)
        assert beam.tokens.equal(greedy.tokens)
        torch.testing.assert_close(beam.scores, greedy.scores, rtol=0, atol=1e-10)


@ATTENTION
@pytest.mark.parametrize("alpha", [0.0, 0.6])
@torch.no_grad()
def test_a_beam_wide_enough_finds_the_best_of_all_texts(attention: str, alpha: float) -> None:
    """Of two words and END: three steps have 1 + 2 + 4 texts that end and 8 that do not."""
    net, batch = make_net("gru", attention, size=UNKNOWN + 3), some_batch()
    words = (UNKNOWN + 1, UNKNOWN + 2)
    texts = [[*text, END] for length in range(3) for text in itertools.product(words, repeat=length)]
    texts += [list(text) for text in itertools.product(words, repeat=3)]
    scores = []
    for text in texts:
        tokens = torch.tensor([text]).expand(len(batch.inputs), -1)
        score = forced(net, batch, tokens).gather(2, tokens[..., None]).sum((1, 2))
        scores.append(score / ((5 + len(text)) / 6) ** alpha)
    best, which = torch.stack(scores).max(0)
    memory, states = net.read(batch)
    found = net.decoder.beam(memory, states, 3, width=16, alpha=alpha)
    for row, index in enumerate(which.tolist()):
        text = texts[index]
        assert found.tokens[row].tolist() == text + [PADDING] * (found.tokens.shape[1] - len(text))
        assert found.scores[row].item() == pytest.approx(best[row].item() * ((5 + len(text)) / 6) ** alpha, abs=1e-10)


@ATTENTION
@torch.no_grad()
def test_a_beam_scores_what_teacher_forcing_does_and_mostly_more_than_greedy(attention: str) -> None:
    net, batch = make_net("gru", attention), some_batch(64)
    memory, states = net.read(batch)
    greedy = net.decoder.greedy(memory, states, LONGEST)
    beam = net.decoder.beam(memory, states, LONGEST, width=4, alpha=0.0)
    real = beam.tokens != PADDING
    each = forced(net, batch, beam.tokens.masked_fill(~real, IGNORED)).gather(2, beam.tokens[..., None])[..., 0]
    torch.testing.assert_close(beam.scores, each.masked_fill(~real, 0).sum(1), rtol=0, atol=1e-10)
    assert (beam.scores >= greedy.scores - 1e-10).double().mean() > 0.9
    assert beam.scores.mean() > greedy.scores.mean()


@pytest.mark.parametrize("attention", ["luong", "bahdanau"])
@torch.no_grad()
def test_attention_is_a_mean_over_what_is_real(attention: str) -> None:
    net, batch = make_net("gru", attention), some_batch()
    memory, states = net.read(batch)
    _, forced_weights = net.decoder(batch.targets, memory, states)
    for weights in (forced_weights, net.decode(batch, LONGEST).weights):
        torch.testing.assert_close(weights.sum(2), torch.ones_like(weights[..., 0]))
        assert (weights.masked_select(~memory.real[:, None]) == 0).all()
        assert (weights.masked_select(memory.real[:, None]) > 0).all()


@CELLS
@ATTENTION
def test_gradients_reach_every_parameter(name: str, attention: str) -> None:
    net, batch = make_net(name, attention).train(), some_batch()
    net.loss(net(batch)[0], batch)[0].backward()
    without = [key for key, value in net.named_parameters() if value.grad is None]
    assert not without


@pytest.mark.parametrize("image", [None, (8, 20)], ids=["sequence", "image"])
@pytest.mark.parametrize("initial_state", ["zeros", "learned"])
@ATTENTION
def test_gradients_move_every_parameter(attention: str, initial_state: str, image: tuple[int, int] | None) -> None:
    net = make_net("gru", attention, image=image, initial_state=initial_state, num_layers=2)
    batch = some_batch() if image is None else Batch(torch.rand(8, *image).double(), some_batch().targets)
    net.loss(net(batch)[0], batch)[0].backward()
    still = [key for key, value in net.named_parameters() if value.grad is None or not value.grad.any()]
    assert not still


def test_targets_behind_the_end_change_nothing() -> None:
    net, batch = make_net("gru", "luong"), some_batch()
    loss, count = net.loss(net(batch)[0], batch)
    longer = batch._replace(targets=torch.nn.functional.pad(batch.targets, (0, 3), value=IGNORED))
    again, same = net.loss(net(longer)[0], longer)
    assert same == count
    torch.testing.assert_close(again, loss, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm_multiplicative"])
def test_dropout_of_recurrent_products_is_the_same_at_all_steps(name: str) -> None:
    """So that a net that attends at each step is trained as one that runs over the whole sequence."""
    cell = EXAMPLES[name].cell_class
    recurrent = Recurrent(cell, 3, 6, recurrent_dropout=0.5, batch_first=True, unroll="loop").double().train()
    x = torch.randn(4, 5, 3, dtype=torch.float64)
    torch.manual_seed(2)
    whole, _ = recurrent(x)
    torch.manual_seed(2)
    drops, state, outputs = recurrent.drops(4), None, []
    for step in x.unbind(1):
        output, state = recurrent.step(step, state, drops=drops)
        outputs.append(output)
    torch.testing.assert_close(torch.stack(outputs, 1), whole, rtol=0, atol=1e-12)


@ATTENTION
def test_gradients_reach_no_further_back_than_truncated(attention: str) -> None:
    """The word at the first place is read at the second step, and steps 3 and 4 are another piece."""
    for truncate, reached in ((None, True), (2, False)):
        net = make_net("gru", attention, truncate=truncate)
        batch = some_batch()
        first = SIZE - 1
        targets = torch.full((len(batch.inputs), 4), UNKNOWN + 1)
        targets[:, 0] = first
        logits = net(batch._replace(targets=targets))[0]
        logits[:, 3].square().sum().backward()
        assert bool(net.decoder.embedding.weight.grad[first].any()) == reached


@pytest.mark.parametrize(
    ("option", "value"), [("attention", "dot"), ("embedding_size", 0), ("output_dropout", 1.0), ("input_dropout", -0.1)]
)
def test_options_that_cannot_be_are_named(option: str, value: Any) -> None:
    spec = TaskSpec("task", "sequence_to_sequence", TOKENS, SIZE, CrossEntropy(), {}, "", tokens=True)
    make = partial(Recurrent, EXAMPLES["gru"].cell_class, hidden_size=4)
    with pytest.raises(UserError, match=rf"task\.net\.{option} must be .*, got {value}"):
        build_net(spec, make, **{option: value})
