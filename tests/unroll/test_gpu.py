"""On a CUDA device every way of unrolling gives the numbers of the loop on the processor."""

import copy

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from tests.cells.families.catalogue import EXAMPLES, close
from tests.unroll.test_unroll import recurrent, ways

pytestmark = pytest.mark.gpu
if not torch.cuda.is_available():
    pytest.skip("torch sees no CUDA device", allow_module_level=True)

COMPILED = ("rnn", "lstm", "gru_original", "lem", "slstm", "mlstm")
"""Of these the chunks are compiled as well, each for half a minute."""


@pytest.mark.parametrize(
    ("name", "unroll"),
    [
        (name, way)
        for name in EXAMPLES
        if " " not in name
        for way in ways(name)
        if way != "compiled" or name in COMPILED
    ],
)
def test_outputs_and_gradients_are_those_of_the_processor(name: str, unroll: str) -> None:
    reference = recurrent(name, unroll="loop", bidirectional=True)
    net = copy.deepcopy(reference).cuda()
    net.unroll = unroll
    x = torch.randn(19, 4, 3, dtype=torch.float64)
    expected, ours = reference(x)[0], net(x.cuda())[0]
    assert close(ours.cpu(), expected, 1e-8)
    expected.square().sum().backward()
    ours.square().sum().backward()
    for theirs, mine in zip(reference.parameters(), net.parameters(), strict=True):
        assert close(mine.grad.cpu(), theirs.grad, 1e-6)


def test_lengths_and_auto() -> None:
    for name in ("lstm", "mingru", "lem"):
        reference, x = recurrent(name, unroll="loop"), torch.randn(9, 3, 3, dtype=torch.float64)
        lengths = torch.tensor([9, 2, 5])
        net = copy.deepcopy(reference).cuda()
        net.unroll = "auto"
        assert close(net(x.cuda(), lengths=lengths)[0].cpu(), reference(x, lengths=lengths)[0], 1e-8)
        assert net.chosen == {{"lstm": "fused", "mingru": "scan", "lem": "compiled"}[name]}


def test_lengths_are_on_any_device() -> None:
    net = recurrent("gru", bidirectional=True).cuda()
    lengths = [6, 1, 3]
    x = torch.randn(6, 3, 3, dtype=torch.float64, device="cuda")
    expected = net(x, lengths=lengths)[0]
    for given in (torch.tensor(lengths), torch.tensor(lengths).cuda()):
        assert close(net(x, lengths=given)[0], expected)
    output, _ = net(pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False))
    assert close(pad_packed_sequence(output)[0], expected)
