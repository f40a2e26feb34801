"""Every cell of the package through the one adapter, and what happens where the package is not installed."""

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from rnnlab.cells.torchrecurrent import TorchRecurrentCell
from rnnlab.errors import UserError
from rnnlab.unroll.recurrent import Recurrent
from tests.conftest import Run

try:
    import torchrecurrent
except ImportError:
    torchrecurrent = None
LAYERS = [name.removesuffix("Cell") for name in getattr(torchrecurrent, "__all__", ()) if name.endswith("Cell")]

installed = pytest.mark.skipif(torchrecurrent is None, reason="the extra torchrecurrent is not installed")
EVERY_LAYER = pytest.mark.parametrize("layer", LAYERS)
SHORT = ("cell=torchrecurrent", "trainer.max_epochs=1", "trainer.limit_batches=2", "tracking=none")


def sizes(layer: str) -> tuple[int, int]:
    """IntersectionRNN takes as many inputs as it has hidden units."""
    return (4, 4) if layer == "IntersectionRNN" else (3, 4)


def close(ours: Tensor, theirs: Tensor) -> bool:
    return torch.allclose(ours, theirs, rtol=0, atol=1e-12)


@installed
def test_the_package_has_the_cells_that_were_tried() -> None:
    assert len(LAYERS) >= 41


@installed
@pytest.mark.parametrize(("layer", "options"), [*((layer, {}) for layer in LAYERS), ("tauGRU", {"delay": 3})])
def test_it_gives_the_numbers_of_the_package_s_own_layer(layer: str, options: dict[str, int]) -> None:
    torch.manual_seed(0)
    theirs = getattr(torchrecurrent, layer)(*sizes(layer), num_layers=1, **options).double()
    ours = Recurrent(TorchRecurrentCell, *sizes(layer), layer=layer, **options).double()
    ours.cells[0].package_cell.load_state_dict(theirs.cells[0].state_dict())
    x = torch.randn(5, 2, sizes(layer)[0], dtype=torch.float64, requires_grad=True)
    output, _ = ours(x)
    expected = theirs(x)[0]
    assert output.shape == (5, 2, 4)
    assert close(output, expected)
    weights = torch.randn_like(output)
    gradients = torch.autograd.grad((output * weights).sum(), [x, *ours.parameters()], allow_unused=True)
    wanted = torch.autograd.grad((expected * weights).sum(), [x, *theirs.parameters()], allow_unused=True)
    assert gradients[0].isfinite().all()
    assert gradients[0].any()
    for gradient, other in zip(gradients, wanted, strict=True):
        assert (gradient is None) == (other is None)
        assert gradient is None or close(gradient, other)


@installed
@EVERY_LAYER
def test_whole_is_chunked_is_stepwise(layer: str) -> None:
    torch.manual_seed(0)
    recurrent = Recurrent(TorchRecurrentCell, *sizes(layer), 2, layer=layer).double()
    x = torch.randn(6, 2, sizes(layer)[0], dtype=torch.float64)
    whole, last = recurrent(x)
    first, state = recurrent(x[:2])
    second, chunked_last = recurrent(x[2:], state)
    assert close(torch.cat([first, second]), whole)
    state, steps = None, []
    for timestep in x:
        y, state = recurrent.step(timestep, state)
        steps.append(y)
    assert close(torch.stack(steps), whole)
    for one, chunked, stepped in zip(last, chunked_last, state, strict=True):
        for part, other, another in zip(one, chunked, stepped, strict=True):
            assert close(part, other)
            assert close(part, another)


@installed
@EVERY_LAYER
def test_the_first_state_is_the_package_s_own(layer: str) -> None:
    cell = TorchRecurrentCell(*sizes(layer), layer=layer)
    x = torch.randn(2, sizes(layer)[0])
    ours, _ = cell.step(x, cell.initial_state(2), None, {})
    theirs, _ = cell._split(cell.package_cell(x))
    assert torch.equal(ours, theirs)
    assert cell.state_size == sum(part.shape[-1] for part in cell.initial_state(1))


@installed
def test_its_weights_are_drawn_by_the_package() -> None:
    cell = TorchRecurrentCell(3, 4, layer="LiGRU")
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.fill_(7.0)
    cell.reset_parameters()
    assert not cell.package_cell.bias_ih.any()
    assert (cell.package_cell.weight_ih != 7.0).all()


@installed
def test_names_and_sizes_that_cannot_work_are_named() -> None:
    with pytest.raises(UserError, match=r"cell.name must be .*\(AntisymmetricRNN, .*STAR, .*WMCLSTM\), got STRA"):
        TorchRecurrentCell(3, 4, layer="STRA")
    with pytest.raises(UserError, match=r"cell.delay must be an integer >= 1 or null, got 0"):
        TorchRecurrentCell(3, 4, layer="tauGRU", delay=0)
    with pytest.raises(UserError, match=r"IntersectionRNN cannot be made: .*input_size=3, hidden_size=4"):
        TorchRecurrentCell(3, 4, layer="IntersectionRNN")


@installed
def test_each_layer_has_results_of_its_own(run: Run, root: Path) -> None:
    """By default STAR; a layer's further arguments reach it and make another setting."""
    assert run("train", *SHORT).code == 0
    assert run("train", *SHORT, "cell.name=LEM").code == 0
    assert run("train", *SHORT, "cell.name=LEM", "+cell.dt=0.5").code == 0
    assert len(list(root.glob("runs/price/*/STAR/*/train/seed=0"))) == 1
    first, second = (load_file(path) for path in root.glob("runs/price/*/LEM/*/train/seed=0/weights.safetensors"))
    assert not all(weight.equal(second[name]) for name, weight in first.items())
    judged = run("evaluate", *SHORT, "cell.name=LEM")
    assert judged.code == 0, judged.err
    assert "price/LEM seed 0: test relative_mae" in judged.out


@installed
def test_a_checkpoint_of_it_is_read(run: Run, root: Path) -> None:
    from rnnlab.modules.torchrecurrent import TorchRecurrent

    assert run("train", *SHORT, "cell.name=MGU").code == 0
    (path,) = root.glob("runs/price/*/MGU/*/checkpoints/seed=0/best.ckpt")
    module = TorchRecurrent.load_from_checkpoint(path, weights_only=True)
    assert type(next(iter(module.recurrent)).package_cell).__name__ == "MGUCell"
    assert run("evaluate", *SHORT, "cell.name=MGU", f"checkpoint='{path}'").code == 0
    assert "cell=MGU" in run("evaluate", *SHORT, f"checkpoint='{path}'").err


@installed
@pytest.mark.parametrize(
    ("overrides", "message"),
    [(["cell.name=lem"], "LEM"), (["+cell.speed=3"], "speed"), (["cell.unroll=fused"], "loop")],
)
def test_a_setting_that_cannot_work_is_named(run: Run, overrides: list[str], message: str) -> None:
    outcome = run("train", *SHORT, *overrides)
    assert outcome.code == 2
    assert message in outcome.err
    assert "Traceback" not in outcome.err


@pytest.fixture
def _not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchrecurrent", None)  # what makes `import` fail


@pytest.mark.usefixtures("_not_installed")
@pytest.mark.parametrize("name", ["train", "evaluate"])
def test_without_the_package_one_run_says_what_to_install_before_any_data_is_touched(
    run: Run, root: Path, name: str
) -> None:
    outcome = run(name, *SHORT)
    assert outcome.code == 2
    assert "pip install 'rnnlab[torchrecurrent]'" in outcome.err
    assert not list(root.iterdir())


@pytest.mark.usefixtures("_not_installed")
def test_without_the_package_a_sweep_over_cells_skips_it_and_succeeds(run: Run, root: Path) -> None:
    outcome = run("train", "-m", *SHORT[1:], "cell=rnn,torchrecurrent,gru")
    assert outcome.code == 0, outcome.err
    assert "cell=torchrecurrent: skipped." in outcome.out
    assert "pip install 'rnnlab[torchrecurrent]'" in outcome.out
    assert {path.name for path in root.glob("runs/price/*/*")} == {"rnn", "gru"}
