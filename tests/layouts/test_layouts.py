"""Layouts that say something of a whole sequence or at each timestep: padding changes nothing, state is carried."""

import json
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlab.cells.gru import GRUCell
from rnnlab.cells.lstm import LSTMCell
from rnnlab.data.batches import Batch
from rnnlab.data.vocabulary import IGNORED
from rnnlab.errors import UserError
from rnnlab.layouts.layout import Layout, build
from rnnlab.losses import BinaryCrossEntropy, CrossEntropy, SquaredError
from rnnlab.modules.module import SequenceModule
from rnnlab.spec import TaskSpec
from rnnlab.unroll.recurrent import Recurrent
from tests.layouts.nets import LAYOUTS, build_net, options_of

INPUTS, CLASSES, HIDDEN = 3, 4, 5


def spec(layout: Any, **other: Any) -> TaskSpec:
    known = {"input_size": INPUTS, "output_size": CLASSES, "loss": CrossEntropy()}
    return TaskSpec("any", layout, metrics={"accuracy": "max"}, rank_by="accuracy", **{**known, **other})


def net(of: TaskSpec, cell: Any = GRUCell, recurrent: dict[str, Any] | None = None, **options: Any) -> Layout:
    make = partial(Recurrent, cell, hidden_size=HIDDEN, batch_first=True, **(recurrent or {}))
    return build_net(of, make, **options).double()


def numbers(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("readout", ["last", "mean", "max"])
@settings(max_examples=15, deadline=None)
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4), padding=st.integers(0, 3))
def test_a_readout_of_a_padded_batch_is_that_of_each_sequence_alone(
    readout: str, bidirectional: bool, lengths: list[int], padding: int
) -> None:
    torch.manual_seed(0)
    model = net(spec("many_to_one"), recurrent={"bidirectional": bidirectional}, readout=readout)
    inputs = numbers(len(lengths), max(lengths) + padding, INPUTS)
    together, _ = model(Batch(inputs, torch.zeros(0), torch.tensor(lengths)))
    for row, length in enumerate(lengths):
        alone, _ = model(Batch(inputs[row : row + 1, :length], torch.zeros(0)))
        assert torch.allclose(together[row], alone[0], rtol=0, atol=1e-12)


def test_the_last_readout_is_what_the_docstring_says() -> None:
    model = net(spec("many_to_one"), recurrent={"bidirectional": True})
    inputs = numbers(2, 7, INPUTS)
    outputs, _ = model.recurrent(inputs)
    read = torch.cat([outputs[:, -1, :HIDDEN], outputs[:, 0, HIDDEN:]], dim=1)
    assert torch.equal(model(Batch(inputs, torch.zeros(0)))[0], model.head(read))


def test_one_to_one_is_one_timestep_from_the_initial_state() -> None:
    model = net(spec("one_to_one"))
    inputs = numbers(6, INPUTS)
    output, _ = model.recurrent.step(inputs)
    assert torch.allclose(model(Batch(inputs, torch.zeros(0)))[0], model.head(output), rtol=0, atol=1e-12)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("embedding_size", [HIDDEN, HIDDEN + 2])
def test_a_text_in_pieces_is_the_text_at_once_and_step_by_step(tied: bool, embedding_size: int) -> None:
    model = net(
        spec("many_to_many", input_size=9, output_size=9, tokens=True, causal=True),
        LSTMCell, {"num_layers": 2}, tied=tied, embedding_size=embedding_size,
    )  # fmt: skip
    tokens = torch.randint(9, (2, 8))
    whole, last = model(Batch(tokens, tokens))
    state, pieces, steps = None, [], []
    for piece in tokens.split(3, dim=1):
        prediction, state = model(Batch(piece, piece), state)
        pieces.append(prediction)
    assert torch.allclose(torch.cat(pieces, dim=1), whole, rtol=0, atol=1e-12)
    state = None
    for token in tokens.unbind(1):
        prediction, state = model.step(token, state)
        steps.append(prediction)
    assert torch.allclose(torch.stack(steps, dim=1), whole, rtol=0, atol=1e-12)
    for ours, theirs in zip(state, last, strict=True):
        assert torch.allclose(ours.hidden, theirs.hidden, rtol=0, atol=1e-12)


def test_a_tied_net_has_one_matrix_of_vectors_and_saves_it_once() -> None:
    of = spec("many_to_many", input_size=9, output_size=9, tokens=True)
    plain, tied = net(of, embedding_size=HIDDEN), net(of, embedding_size=HIDDEN, tied=True)
    sizes = [sum(parameter.numel() for parameter in model.parameters()) for model in (plain, tied)]
    assert sizes[0] - sizes[1] == 9 * HIDDEN
    pointers = [tensor.data_ptr() for tensor in tied.state_dict().values()]
    assert len(pointers) == len(set(pointers))


def test_cross_entropy_counts_the_targets_that_are_there() -> None:
    prediction = numbers(2, 3, CLASSES)
    targets = torch.tensor([[1, IGNORED, 2], [IGNORED, IGNORED, 0]])
    loss, count = CrossEntropy()(prediction, Batch(torch.zeros(0), targets))
    log_p = prediction.log_softmax(-1)
    expected = -(log_p[0, 0, 1] + log_p[0, 2, 2] + log_p[1, 2, 0]) / 3
    assert count == 3
    assert torch.allclose(loss, expected)
    nothing, count = CrossEntropy()(prediction, Batch(torch.zeros(0), torch.full((2, 3), IGNORED)))
    assert (float(nothing), count) == (0.0, 0)


def test_binary_cross_entropy_is_a_sum_over_outputs_and_a_mean_over_real_timesteps() -> None:
    prediction, targets = numbers(2, 3, CLASSES), torch.randint(2, (2, 3, CLASSES)).double()
    lengths = torch.tensor([3, 1])
    loss, count = BinaryCrossEntropy()(prediction, Batch(torch.zeros(0), targets, lengths))
    p = prediction.sigmoid()
    each = -(targets * p.log() + (1 - targets) * (1 - p).log()).sum(-1)
    assert count == 4
    assert torch.allclose(loss, (each[0].sum() + each[1, 0]) / 4)


@pytest.mark.parametrize(
    ("layout", "options", "recurrent", "message"),
    [
        ("many_to_one", {"readout": "first"}, {}, "task.net.readout must be one of last, mean, max, got first"),
        ("many_to_one", {"tied": True}, {}, "task.net.tied"),
        ("many_to_one", {"output_dropout": 1.0}, {}, "task.net.output_dropout must be a number >= 0 and < 1, got 1.0"),
        ("many_to_one", {"embedding_size": 0}, {}, "task.net.embedding_size must be an integer >= 1, got 0"),
        ("many_to_many", {"tied": True}, {}, "does not put out the tokens"),
        ("many_to_many", {}, {"bidirectional": True}, "predicts what comes next"),
        ("one_to_many", {"attention": "self"}, {}, "task.net.attention must be one of none, luong, bahdanau, got self"),
    ],
)
def test_what_a_layout_cannot_be_is_named(
    layout: str, options: dict[str, Any], recurrent: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        net(spec(layout, causal=True), recurrent=recurrent, **options)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        ({}, "a class made from rnnlab.layouts.layout.Layout, with a `name`, got None"),
        ({"_target_": "rnnlab.layouts.per_timestep.ManyToNone"}, "got rnnlab.layouts.per_timestep.ManyToNone"),
        ({"_target_": "torch.nn.Linear"}, "got torch.nn.Linear"),
        ({"_target_": "rnnlab.layouts.per_timestep.ManyToMany"}, "ManyToMany is many_to_many, but any is many_to_one"),
    ],
)
def test_a_layout_that_a_task_cannot_have_is_named(net: dict[str, str], message: str) -> None:
    make = partial(Recurrent, GRUCell, hidden_size=HIDDEN)
    with pytest.raises(UserError, match=message):
        build(spec("many_to_one"), make, net)


class Quantiles(SquaredError):
    """As one that predicts several numbers for each target would begin."""

    outputs_per_target = 3


def test_a_net_has_as_many_outputs_as_the_loss_needs() -> None:
    one = net(spec("many_to_one", loss=SquaredError()))
    three = net(spec("many_to_one", loss=Quantiles()))
    batch = Batch(numbers(2, 7, INPUTS), torch.zeros(0))
    assert one(batch)[0].shape == (2, CLASSES)
    assert three(batch)[0].shape == (2, 3 * CLASSES)


def test_a_spec_is_itself_when_read_again() -> None:
    of = spec("many_to_one", loss=Quantiles(), categories=(3, 5))
    plain = json.loads(json.dumps(of.as_dict()))
    assert TaskSpec.of(plain) == of
    assert type(TaskSpec.of(plain).loss) is Quantiles
    with pytest.raises(UserError, match=r"os\.system is no loss"):
        TaskSpec.of({**plain, "loss": {"_target_": "os.system", "command": "true"}})


class Gru(SequenceModule):
    cell_class = GRUCell


def test_a_module_carries_the_state_of_a_stream_and_forgets_it_where_one_begins() -> None:
    of = spec("many_to_many", input_size=9, output_size=9, tokens=True, streamed=True, causal=True)
    adam = {"_target_": "torch.optim.Adam"}
    module = Gru("gru", of.as_dict(), adam, net=options_of(LAYOUTS[of.layout]), hidden_size=HIDDEN).double()
    tokens = torch.randint(9, (2, 12))
    targets = tokens.roll(-1, 1)
    whole = module.net.loss(module.net(Batch(tokens, targets))[0], Batch(tokens, targets))[0]
    for _ in range(2):
        losses = [
            module._step(Batch(a, b, starts=index == 0), "validation")
            for index, (a, b) in enumerate(zip(tokens.split(4, 1), targets.split(4, 1), strict=True))
        ]
        assert torch.allclose(torch.stack(losses).mean(), whole, rtol=0, atol=1e-12)
    assert not module._carried["validation"][0].hidden.requires_grad
