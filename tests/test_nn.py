"""`rnnlab.nn` is all that a user of cells needs, and importing it loads torch and no framework."""

import importlib
import json
import pkgutil
import subprocess
import sys
import types
import typing

import pytest
import torch

import rnnlab.cells
from rnnlab import nn
from rnnlab.cells.cell import Cell
from tests.conftest import CHECKOUT

HEAVY = ("pytorch_lightning", "lightning_fabric", "hydra", "omegaconf", "mlflow", "pandas", "matplotlib", "scipy")

MEASURE = """
import json, sys, time
import torch
before, start = set(sys.modules), time.process_time()
import rnnlab.nn
seconds = time.process_time() - start
print(json.dumps({"seconds": seconds, "before": sorted(before), "loaded": sorted(set(sys.modules) - before)}))
"""


def test_importing_it_loads_no_framework() -> None:
    """In a fresh process; what it takes beside `import torch` is printed (pytest -s)."""
    run = subprocess.run(
        [sys.executable, "-c", MEASURE],
        env={"PYTHONPATH": str(CHECKOUT / "src"), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(run.stdout)
    print(f"import rnnlab.nn: {found['seconds']:.2f} s of the processor beside import torch")
    packages = {name.partition(".")[0] for name in found["loaded"]}
    assert not packages & {*HEAVY}
    # the standard library and ours; torch and NumPy are loaded already, or in part
    assert {name for name in packages if name not in sys.stdlib_module_names} <= {"rnnlab", "torch", "numpy"}
    ours = {name.split(".")[1] for name in found["loaded"] if name.startswith("rnnlab.")}
    assert ours == {"arguments", "cells", "errors", "extras", "nn", "unroll"}


def test_every_cell_and_its_state_has_its_name_there() -> None:
    for module in pkgutil.iter_modules(rnnlab.cells.__path__):
        of = importlib.import_module(f"rnnlab.cells.{module.name}")
        for name, value in vars(of).items():
            is_ours = isinstance(value, type) and value.__module__ == of.__name__ and not name.startswith("_")
            if is_ours and issubclass(value, Cell) and "step" in vars(value):
                assert name in nn.__all__
            if is_ours and name.endswith("State"):
                assert name in nn.__all__


def test_all_that_is_named_is_there() -> None:
    assert sorted(nn.__all__) == sorted(set(nn.__all__))
    public = {
        name for name, value in vars(nn).items() if not (name.startswith("_") or isinstance(value, types.ModuleType))
    }
    assert public == set(nn.__all__)


@pytest.mark.parametrize(
    "name", [name for name in nn.__all__ if name.endswith("Cell") and name not in ("Cell", "GatedCell")]
)
def test_a_cell_takes_the_place_of_nn_lstm(name: str) -> None:
    if name == "TorchRecurrentCell":
        pytest.importorskip("torchrecurrent")
    options: dict[str, typing.Any] = {"num_heads": 2} if name == "MLSTMCell" else {}
    net = nn.Recurrent(getattr(nn, name), 3, 4, batch_first=True, unroll="loop", **options)
    output, (state,) = net(torch.randn(2, 5, 3))
    assert output.shape == (2, 5, net.output_size)
    assert type(state).__name__ in nn.__all__
