"""The plain and the gated cells: their papers' equations, what they claim, and peers that have the same cell."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rnnlab.cells.cell import Cell
from rnnlab.cells.gru import LayerNormGRUCell, LightGRUCell, MGUCell, MinimalRNNCell, OriginalGRUCell, UGRNNCell
from rnnlab.cells.lstm import (
    CoupledLSTMCell,
    JANETCell,
    LayerNormLSTMCell,
    LSTM1997Cell,
    LSTMCell,
    MultiplicativeLSTMCell,
    PeepholeLSTMCell,
    ProjectionLSTMCell,
)
from rnnlab.cells.rnn import IRNNCell, JordanCell, RNNCell
from rnnlab.errors import UserError
from rnnlab.unroll.convert import from_torch, to_torch
from rnnlab.unroll.recurrent import Recurrent
from tests.cells.families import Example, elman, gated, long_short_term

EXAMPLES = elman.EXAMPLES | long_short_term.EXAMPLES | gated.EXAMPLES
ALL = pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)
TOLERANCE = 1e-10


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def scattered(example: Example, hidden: int = 4) -> Recurrent:
    """The cell with no parameter at a special value, as gains and biases are at the start."""
    recurrent = Recurrent(example.cell_class, 3, hidden, unroll="loop", **example.options).double()
    for parameter in recurrent.parameters():
        nn.init.normal_(parameter, std=0.7)
    return recurrent


def some_state(cell: Cell, batch: int) -> Any:
    state = cell.initial_state(batch)
    return type(state)(*map(torch.randn_like, state))


def close(ours: Tensor, theirs: Tensor) -> bool:
    return ours.shape == theirs.shape and torch.allclose(ours, theirs, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("cell_class", "block"),
    [
        (LSTMCell, 1),
        (PeepholeLSTMCell, 1),
        (CoupledLSTMCell, 0),
        (JANETCell, 0),
        (ProjectionLSTMCell, 1),
        (LayerNormLSTMCell, 1),
        (MultiplicativeLSTMCell, 1),
        (UGRNNCell, 0),
    ],
)
def test_the_forget_bias_is_added_to_the_forget_gate_alone(cell_class: Callable[..., Cell], block: int) -> None:
    torch.manual_seed(0)
    plain = cell_class(3, 4)
    torch.manual_seed(0)
    biased = cell_class(3, 4, forget_bias=2.0)
    for _ in range(2):  # as built, and drawn anew
        for (name, weight), other in zip(plain.named_parameters(), biased.parameters(), strict=True):
            difference = (other - weight).detach()
            expected = torch.zeros_like(difference)
            if name == "bias_ih":
                expected[4 * block : 4 * block + 4] = 2.0
            assert torch.allclose(difference, expected, rtol=0, atol=1e-6), name
        for cell in (plain, biased):
            torch.manual_seed(1)
            cell.reset_parameters()


@pytest.mark.parametrize("scale", [1.0, 0.1])
def test_the_irnn_starts_from_the_identity(scale: float) -> None:
    cell = IRNNCell(50, 40, scale=scale)
    assert torch.equal(cell.weight_hh, scale * torch.eye(40))
    assert not cell.bias_ih.any()
    assert not cell.bias_hh.any()
    assert cell.weight_ih.mean().abs() < 1e-4  # 0.001 / √2000 is 2e-5
    assert 0.9e-3 < cell.weight_ih.std() < 1.1e-3


@pytest.mark.parametrize("cell_class", [LayerNormLSTMCell, LayerNormGRUCell])
def test_layer_norm_starts_as_plain_normalisation(cell_class: Callable[..., Cell]) -> None:
    for name, parameter in cell_class(3, 4).named_parameters():
        start = {"gain": 1.0, "bias": 0.0}.get(name[:4])
        assert start is None or (parameter == start).all(), name


@pytest.mark.parametrize(
    ("cell_class", "option", "value"),
    [
        (RNNCell, "activation", "sine"),
        (IRNNCell, "scale", 0),
        (IRNNCell, "scale", -1.0),
        (IRNNCell, "scale", float("nan")),
        (JordanCell, "activation", "sine"),
        (JordanCell, "output_activation", "sine"),
        (ProjectionLSTMCell, "projection_size", 0),
        (ProjectionLSTMCell, "projection_size", 5),
    ],
)
def test_options_that_cannot_work_are_named(cell_class: Callable[..., Cell], option: str, value: object) -> None:
    with pytest.raises(UserError, match=f"cell.{option} must be .*, got {value}"):
        cell_class(3, 4, **{option: value})


@pytest.mark.parametrize("unroll", ["loop", "fused"])
@pytest.mark.parametrize("projection_size", [None, 1, 3])
def test_projection_agrees_with_torch(projection_size: int | None, unroll: str) -> None:
    theirs = nn.LSTM(3, 4, num_layers=2, proj_size=projection_size or 2).double()
    ours = Recurrent(ProjectionLSTMCell, 3, 4, num_layers=2, unroll=unroll, projection_size=projection_size).double()
    ours.load_state_dict(from_torch(theirs))
    assert to_torch(ours).keys() == theirs.state_dict().keys()
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    output, last = ours(x)
    expected, (hidden, cells) = theirs(x)
    assert close(output, expected)
    assert close(torch.stack([state.hidden for state in last]), hidden)
    assert close(torch.stack([state.cell for state in last]), cells)
    output.square().sum().backward()
    expected.square().sum().backward()
    for index, cell in enumerate(ours):
        for name, parameter in cell.named_parameters():
            assert close(parameter.grad, getattr(theirs, f"{name}_l{index}").grad), name


def packed(peer: nn.Module, order: list[int] | None = None) -> dict[str, Tensor]:
    """The peer's weights that have our names, their blocks in our order."""
    weights = {name: getattr(peer, name) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
    if order is None:
        return weights
    return {name: weight.unflatten(0, (len(order), -1))[order].flatten(0, 1) for name, weight in weights.items()}


def peepholes(peer: Any) -> dict[str, Tensor]:
    vectors = peer.weight_ph.chunk(3)
    return packed(peer) | {
        f"peephole_{gate}": p for gate, p in zip(("input", "forget", "output"), vectors, strict=True)
    }


def multiplicative(peer: Any) -> dict[str, Tensor]:
    size = peer.hidden_size
    nn.init.zeros_(peer.bias_hh)
    nn.init.zeros_(peer.bias_ih[:size])
    return {
        "weight_mx": peer.weight_ih[:size],
        "weight_mh": peer.weight_hh,
        "weight_ih": peer.weight_ih[size:],
        "weight_hh": peer.weight_mh,
        "bias_ih": peer.bias_ih[size:],
        "bias_hh": peer.bias_mh,
    }


PEERS: dict[str, tuple[Callable[..., Cell], Callable[[Any], dict[str, Tensor]]]] = {
    "OriginalLSTM": (LSTM1997Cell, packed),
    "PeepholeLSTM": (PeepholeLSTMCell, peepholes),
    "JANET": (JANETCell, packed),
    "MultiplicativeLSTM": (MultiplicativeLSTMCell, multiplicative),
    "MGU": (MGUCell, packed),
    "LiGRU": (LightGRUCell, packed),
    "MinimalRNN": (MinimalRNNCell, lambda peer: packed(peer) | {"weight_zh": peer.weight_mm}),
    "UGRNN": (UGRNNCell, lambda peer: packed(peer, [1, 0])),
}


@pytest.mark.parametrize("name", PEERS)
def test_same_weights_same_numbers_as_torchrecurrent(name: str) -> None:
    """torchrecurrent 0.2.5 gives the factor m of its multiplicative LSTM two biases that the paper does not have, set
    to zero here, and learns JANET's β, a constant in the paper, left at its start of 1 here."""
    peers = pytest.importorskip("torchrecurrent", reason="the optional extra with the peers is not installed")
    cell_class, weights_of = PEERS[name]
    peer = getattr(peers, name)(3, 4).double()
    for weight_name, weight in peer.named_parameters():
        if not weight_name.endswith("beta"):
            nn.init.normal_(weight, std=0.7)
    ours = Recurrent(cell_class, 3, 4, unroll="loop").double()
    (cell,) = ours
    with torch.no_grad():
        cell.load_state_dict(weights_of(peer.cells[0]))
        x = torch.randn(6, 2, 3, dtype=torch.float64)
        output, (last,) = ours(x)
        expected, expected_last = peer(x)
    assert close(output, expected)
    expected_last = expected_last if isinstance(expected_last, tuple) else (expected_last,)
    # JANET hands out its cell twice
    for part, expected_part in zip(last, expected_last, strict=name != "JANET"):
        assert close(part, expected_part[0])


def test_the_original_gru_is_the_gru_of_torch_only_where_the_reset_gate_is_open() -> None:
    reference = nn.GRU(3, 4).double()
    ours = Recurrent(OriginalGRUCell, 3, 4, unroll="loop").double()
    (cell,) = ours
    cell.load_state_dict({name: getattr(reference, f"{name}_l0") for name, _ in cell.named_parameters()})
    x = torch.randn(6, 2, 3, dtype=torch.float64)
    assert not close(ours(x)[0], reference(x)[0])
    for gates in (cell.bias_ih, reference.bias_ih_l0):
        gates.data[:4] = 50.0
    assert close(ours(x)[0], reference(x)[0])
