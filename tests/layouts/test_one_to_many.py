"""The layout that writes of an image, or of a vector: what it sees, what it knows of it, and that it learns."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from rnnlab.cells.gru import GRUCell
from rnnlab.data.batches import Batch
from rnnlab.data.vocabulary import END, IGNORED, UNKNOWN
from rnnlab.errors import UserError
from rnnlab.layouts.layout import Layout
from rnnlab.losses import CrossEntropy
from rnnlab.spec import TaskSpec
from rnnlab.unroll.recurrent import Recurrent
from tests.layouts.nets import build_net

KINDS = ("none", "luong", "bahdanau")
IMAGE, TOKENS = (8, 20), 8


def net(
    image: tuple[int, int] | None = IMAGE, seed: int = 0, recurrent: dict[str, Any] | None = None, **options: Any
) -> Any:
    torch.manual_seed(seed)
    spec = TaskSpec("task", "one_to_many", 5, TOKENS, CrossEntropy(), {"bleu": "max"}, "bleu", image=image)
    make = partial(Recurrent, GRUCell, hidden_size=12, batch_first=True, **(recurrent or {}))
    return build_net(spec, make, **{"channels": 4, "summary_size": 10, "embedding_size": 6, **options})


def some(inputs: Tensor, steps: int = 4) -> Batch:
    targets = torch.randint(UNKNOWN + 1, TOKENS, (len(inputs), steps))
    targets[:, -1] = END
    targets[0, 1:] = torch.tensor([END, *[IGNORED] * (steps - 2)])
    return Batch(inputs, targets)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20, deadline=None)
@given(height=st.integers(1, 20), width=st.integers(1, 40))
def test_an_image_of_any_size_is_seen_and_captioned(kind: str, height: int, width: int) -> None:
    model = net((height, width), attention=kind).eval()
    batch = some(torch.rand(3, height, width))
    assert model(batch)[0].shape == (3, 4, TOKENS)
    decoded = model.decode(batch, longest=5)
    assert decoded.tokens.shape[1] <= 5
    if kind != "none":
        columns = (width + 3) // 4
        assert decoded.weights.shape == (3, decoded.tokens.shape[1], columns)
        assert torch.allclose(decoded.weights.sum(-1), torch.ones(()))


@pytest.mark.parametrize("kind", KINDS)
def test_a_vector_is_captioned_too(kind: str) -> None:
    model = net(None, attention=kind).eval()
    batch = some(torch.rand(3, 5))
    assert model(batch)[0].shape == (3, 4, TOKENS)
    different = model(batch._replace(inputs=torch.rand(3, 5)))[0]
    assert not torch.allclose(model(batch)[0], different)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("beam", [1, 3])
def test_each_image_is_captioned_as_if_it_were_alone(kind: str, beam: int) -> None:
    model = net(attention=kind).double().eval()
    batch = some(torch.rand(4, *IMAGE, dtype=torch.float64))
    together, written = model(batch)[0], model.decode(batch, 5, beam)
    for row in range(4):
        alone = Batch(batch.inputs[row : row + 1], batch.targets[row : row + 1])
        assert torch.allclose(together[row], model(alone)[0][0], rtol=0, atol=1e-12)
        by_itself = model.decode(alone, 5, beam).tokens[0]
        length = min(len(by_itself), written.tokens.shape[1])
        assert torch.equal(written.tokens[row, :length], by_itself[:length])
        assert not written.tokens[row, length:].any()


def test_a_column_sees_only_what_is_near_it_and_the_summary_sees_all() -> None:
    model = net((8, 80)).eval()
    image = torch.rand(1, 8, 80)
    changed = image.clone()
    changed[..., 70:] = 0
    before, after = model._see(image), model._see(changed)
    same = torch.isclose(before.timesteps, after.timesteps).all(-1)[0]
    assert same[:12].all()
    assert not same[-2:].any()
    assert not torch.isclose(before.summary, after.summary).all()


def test_a_picture_moved_by_a_column_gives_columns_moved_by_one() -> None:
    """But for the learnt vectors of their places, and near the edges."""
    model = net((8, 80)).eval()
    image = torch.zeros(1, 8, 80)
    image[..., 36:44] = torch.rand(8, 8)
    there, moved = (model._see(seen).timesteps - model.places for seen in (image, image.roll(4, dims=2)))
    assert torch.allclose(there[:, 4:-5], moved[:, 5:-4], atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_saved_once_and_say_all(kind: str, tmp_path: Path) -> None:
    model, other = net(attention=kind), net(attention=kind, seed=1)
    batch = some(torch.rand(4, *IMAGE))
    model(batch)  # moves the running means of the normalisation
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(model.eval()(batch)[0], other.eval()(batch)[0])
    assert ("places" in dict(model.named_parameters())) == (kind != "none")


def test_the_net_that_writes_reads_forward_whatever_the_cell_s_options() -> None:
    model = net(recurrent={"bidirectional": True, "num_layers": 2})
    assert model.recurrent.directions == 1
    assert model.recurrents == [model.recurrent]


@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_has_a_part_in_the_loss(kind: str) -> None:
    model = net(attention=kind)
    batch = some(torch.rand(4, *IMAGE))
    model.loss(model(batch)[0], batch)[0].backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in model.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_which_side_the_ink_is_on(kind: str) -> None:
    """Two tokens for each picture: is there ink on its left, is there on its right?"""
    model: Layout = net(attention=kind)
    choices = torch.tensor([[left, right] for left in (0, 1) for right in (0, 1)])
    inputs = torch.rand(40, *IMAGE) * 0.2
    sides = choices.repeat(10, 1)
    inputs[:, :, :8] += sides[:, 0, None, None]
    inputs[:, :, 12:] += sides[:, 1, None, None]
    batch = Batch(inputs, torch.cat([UNKNOWN + 1 + sides, torch.full((40, 1), END)], dim=1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        model.loss(model(batch)[0], batch)[0].backward()
        optimizer.step()
    assert torch.equal(model.eval().decode(batch, 3).tokens, batch.targets)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attention": "self"}, "task.net.attention must be one of none, luong, bahdanau, got self"),
        ({"channels": 0}, "task.net.channels must be an integer >= 1, got 0"),
        ({"summary_size": 1.5}, "task.net.summary_size must be an integer >= 1, got 1.5"),
        ({"output_dropout": 1.0}, "task.net.output_dropout must be a number >= 0 and < 1, got 1.0"),
        ({"readout": "last"}, "task.net.readout"),
    ],
)
def test_options_that_cannot_work_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message.replace(".", r"\.")):
        net(**options)
