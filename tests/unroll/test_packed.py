"""Sequences of unequal lengths as `nn.LSTM` takes them: packed, or padded with their lengths."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence, pad_packed_sequence

from rnnlab.cells.gru import GRUCell
from rnnlab.cells.lstm import LSTMCell, LSTMState
from rnnlab.errors import UserError
from rnnlab.unroll.convert import from_torch
from rnnlab.unroll.recurrent import Recurrent
from tests.cells.families.catalogue import EXAMPLES, close
from tests.unroll.test_unroll import recurrent, ways

LENGTHS = [3, 6, 1, 6]


def packed(enforce_sorted: bool, batch_first: bool = False) -> PackedSequence:
    x = torch.randn(4, 6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    lengths = sorted(LENGTHS, reverse=True) if enforce_sorted else LENGTHS
    return pack_padded_sequence(
        x if batch_first else x.transpose(0, 1), torch.tensor(lengths), batch_first, enforce_sorted
    )


@pytest.mark.parametrize("enforce_sorted", [True, False])
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("unroll", ["loop", "compiled", "fused", "auto"])
def test_a_packed_batch_is_that_of_torch(unroll: Any, batch_first: bool, enforce_sorted: bool) -> None:
    """In outputs, in the fields of what is given back, in the order of states that go in and come out, in gradients."""
    options: dict[str, Any] = {"num_layers": 2, "bidirectional": True, "batch_first": batch_first}
    reference = nn.LSTM(3, 4, **options).double()
    net = Recurrent(LSTMCell, 3, 4, unroll=unroll, **options).double()
    net.load_state_dict(from_torch(reference))
    h, c = torch.randn(2, 4, 4, 4, dtype=torch.float64)
    x = packed(enforce_sorted, batch_first)
    expected, last = reference(x, (h, c))
    output, state = net(x, [LSTMState(*parts) for parts in zip(h, c, strict=True)])
    assert isinstance(output, PackedSequence)
    assert close(output.data, expected.data)
    for ours, theirs in zip(output[1:], expected[1:], strict=True):
        assert (ours is None and theirs is None) or torch.equal(ours, theirs)
    for number, part in enumerate(last):
        assert close(torch.stack([parts[number] for parts in state]), part)
    expected.data.square().sum().backward()
    output.data.square().sum().backward()
    ours = dict(net.named_parameters())
    for name, gradient in from_torch_gradients(reference).items():
        assert close(ours[name].grad, gradient), name


def from_torch_gradients(reference: nn.LSTM) -> dict[str, Tensor]:
    gradients = {name: parameter.grad for name, parameter in reference.named_parameters()}
    reference.load_state_dict(gradients)
    return from_torch(reference)


@pytest.mark.parametrize(
    ("name", "unroll"),
    [(name, way) for name in ("gru", "lem", "mingru", "qrnn", "mlstm", "feedforward", "ltc") for way in ways(name)],
)
def test_each_sequence_of_a_packed_batch_is_that_sequence_alone(name: str, unroll: str) -> None:
    net = recurrent(name, unroll=unroll, bidirectional=True)
    x = packed(enforce_sorted=False)
    if unroll == "scan" and not net.cells[0].scans_all_states:
        with pytest.raises(UserError, match="does not support lengths"):
            net(x)
        return
    output, last = net(x)
    padded, lengths = pad_packed_sequence(output)
    assert lengths.tolist() == LENGTHS
    for row, length in enumerate(LENGTHS):
        alone, alone_last = net(pad_packed_sequence(x)[0][:length, row : row + 1])
        assert close(padded[:length, row : row + 1], alone)
        for state, wanted in zip(last, alone_last, strict=True):
            assert all(close(part[row : row + 1], other) for part, other in zip(state, wanted, strict=True))


def test_every_cell_takes_a_packed_batch() -> None:
    for name in EXAMPLES:
        output, _ = recurrent(name)(packed(enforce_sorted=False))
        assert output.data.shape[0] == sum(LENGTHS), name


@pytest.mark.parametrize(
    "lengths",
    [
        LENGTHS,
        tuple(LENGTHS),
        *(torch.tensor(LENGTHS, dtype=dtype) for dtype in (torch.int64, torch.int32, torch.uint8)),
        torch.tensor(LENGTHS).numpy(),
    ],
)
@pytest.mark.parametrize("unroll", ["loop", "compiled", "fused"])
def test_lengths_are_a_list_a_tuple_or_a_tensor_of_integers(lengths: Any, unroll: str) -> None:
    net = recurrent("gru", unroll=unroll, bidirectional=True)
    padded, _ = pad_packed_sequence(packed(enforce_sorted=False))
    assert close(net(padded, lengths=lengths)[0], pad_packed_sequence(net(packed(enforce_sorted=False))[0])[0])


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        (["a", "b", "c", "d"], r"lengths=\['a'"),
        ([1, None, 2, 3], "4 integers are needed"),
        ([[1], [2], [3], [4]], r"shape \(4, 1\)"),
        ([1.0, 2.0, 3.0, 4.0], "float32: 4 integers"),
        ([True, False, True, True], "bool: 4 integers"),
        ([1, 2, 3], r"shape \(3,\)"),
        (3, r"shape \(\)"),
        ([0, 1, 2, 3], "from 0 to 3"),
        ([7, 1, 2, 3], "from 1 to 7"),
    ],
)
def test_other_lengths_are_refused(lengths: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Recurrent(GRUCell, 3, 4)(torch.zeros(6, 4, 3), lengths=lengths)


def test_packed_sequences_that_cannot_be_run_are_refused() -> None:
    net = Recurrent(GRUCell, 3, 4).double()
    with pytest.raises(UserError, match="a PackedSequence has its own"):
        net(packed(enforce_sorted=False), lengths=LENGTHS)
    with pytest.raises(UserError, match="size 3"):
        net(pack_sequence([torch.zeros(2, 5, dtype=torch.float64)]))
    with pytest.raises(UserError, match="three dimensions"):
        net(pack_sequence([torch.zeros(2, dtype=torch.float64)]))
    with pytest.raises(UserError, match="float32"):
        net(pack_sequence([torch.zeros(2, 3)]))
