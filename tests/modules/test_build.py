"""One's own cell costs one class and one file in conf/cell: what `_target_` names is wrapped into a module."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf
from safetensors.torch import load_file
from torch import Tensor, nn

from rnnlab.arguments import Positive
from rnnlab.cells.cell import Cell, GatedCell, HiddenState, Matmul, Shared
from rnnlab.cells.gru import GRUCell
from rnnlab.errors import UserError
from rnnlab.modules.build import module_class
from rnnlab.modules.gru import GRU
from rnnlab.serving.predictor import Predictor
from rnnlab.unroll.recurrent import Recurrent
from tests.conftest import Run


class PacedCell(GatedCell):
    """hₜ = hₜ₋₁ + pace · (tanh(W_ih xₜ + b_ih + W_hh hₜ₋₁ + b_hh) - hₜ₋₁)"""

    gates = 1

    def __init__(self, input_size: int, hidden_size: int, pace: float = 0.5) -> None:
        super().__init__(input_size, hidden_size)
        self.pace = pace

    def step(self, projected: Tensor, state: HiddenState, matmul: Matmul, shared: Shared) -> tuple[Tensor, HiddenState]:
        candidate = (projected + matmul("weight_hh", state.hidden)).tanh()
        hidden = state.hidden + self.pace * (candidate - state.hidden)
        return hidden, HiddenState(hidden)


def gated(input_size: int, hidden_size: int) -> Cell:
    """A function, which no config may name."""
    return GRUCell(input_size, hidden_size)


SMALL = (
    *("task=digits", "cell=rnn", "~cell.activation", "cell.hidden_size=8", "packages=[tests]"),
    *("trainer.max_epochs=1", "trainer.limit_batches=2", "tracking=none"),
)
OWN = f"cell._target_={__name__}.PacedCell"


def test_a_cell_of_one_s_own_is_trained_and_evaluated(run: Run, root: Any) -> None:
    overrides = (*SMALL, OWN, "cell.name=paced", "+cell.pace=0.25")
    for job in ("train", "evaluate"):
        outcome = run(job, *overrides)
        assert outcome.code == 0, outcome.err
    (folder,) = root.glob("runs/digits/*/paced/*")
    weights = load_file(folder / "train/seed=0/weights.safetensors")
    assert {name.rpartition(".")[2] for name in weights if ".cells.0." in name} == {
        *("weight_ih", "weight_hh", "bias_ih", "bias_hh"),
    }
    assert OmegaConf.load(folder / "train/seed=0/config.yaml").cell.pace == 0.25
    predictions = pd.read_parquet(next(folder.glob("**/predictions.parquet")))
    assert len(predictions) > 0
    assert not predictions.isna().to_numpy().any()
    # of whom its folder came from is not known: no code but rnnlab's own is loaded with it
    with pytest.raises(UserError, match="which is none of rnnlab's"):
        Predictor.of_run(folder / "train/seed=0")


def test_a_plain_cell_gives_the_numbers_of_its_module(run: Run, root: Any) -> None:
    found = []
    for name, target in (("one", "rnnlab.cells.gru.GRUCell"), ("other", "rnnlab.modules.gru.GRU")):
        outcome = run("train", *SMALL, f"cell._target_={target}", f"cell.name={name}")
        assert outcome.code == 0, outcome.err
        (folder,) = root.glob(f"runs/digits/*/{name}/*/train/seed=0")
        found.append(load_file(folder / "weights.safetensors"))
        assert Predictor.of_run(folder).module.name == name
    assert all(np.array_equal(found[0][key], found[1][key]) for key in found[1])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ((OWN, "+cell.pace=fast"), "cell.pace must be a number, got fast."),
        ((OWN, "+cell.speed=1"), "cell.speed=1: PacedCell does not take it. There are "),
        ((OWN, "+cell.input_size=3"), "cell.input_size=3: PacedCell does not take it."),
        (("cell._target_=rnnlab.unroll.stream.Stream",), "from SequenceModule with one, got Stream."),
        ((f"cell._target_={__name__}.gated",), "must be a class of"),
    ],
)
def test_options_are_checked_by_the_cell_s_signature(overrides: Any, message: str, run: Run, root: Any) -> None:
    outcome = run("train", *SMALL, *overrides)
    assert outcome.code == 2
    assert message in outcome.err
    assert not [*root.iterdir()]


def test_the_options_of_conf_cell_are_those_of_the_net_and_of_the_cell() -> None:
    kinds, is_open = module_class(PacedCell).parameters_of({})
    assert {"name", "hidden_size", "num_layers", "unroll", "pace"} <= {*kinds}
    assert kinds["hidden_size"] == Positive, "as `Recurrent` has it, not as the cell"
    assert not is_open
    assert not {"spec", "net", "input_size", "cell_class"} & {*kinds}


def test_a_module_is_its_own_and_a_cell_is_wrapped() -> None:
    assert module_class(GRU) is GRU
    assert module_class(GRUCell).cell_class is GRUCell


def test_a_function_that_makes_no_cell_is_named() -> None:
    def careless(input_size: int, hidden_size: int) -> Any:
        return nn.Linear(input_size, hidden_size)

    with pytest.raises(UserError, match="careless makes a Linear; it must make a Cell"):
        Recurrent(careless, 3, 4)
