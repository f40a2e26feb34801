"""A net in an ONNX file says, timestep by timestep, what it says in torch of the whole sequence."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rnnlab.config.stages import compose_task
from rnnlab.data.batches import Batch
from rnnlab.errors import UserError
from rnnlab.modules.build import build_module
from rnnlab.results.paths import CHECKOUT
from rnnlab.serving.onnx import export_onnx
from rnnlab.serving.predictor import Predictor
from rnnlab.training.prepare import open_task
from tests.conftest import Run
from tests.tasks.parts import judging_of

pytest.importorskip("onnx", reason="the extra onnx is not installed")
pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
runtime: Any = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")

TIME = 40
TEXT = ("text", f"task.path={CHECKOUT / 'docs' / 'tasks.md'}", "task.largest_part=2000")


def predictor_of(*overrides: str) -> Predictor:
    task_name, *others = overrides
    cfg = compose_task(task_name, "cell.hidden_size=8", *others)
    task = open_task(cfg, 0)
    torch.manual_seed(0)
    return Predictor(judging_of(cfg, task), build_module(cfg, task))


@pytest.mark.parametrize(
    "overrides",
    [
        ("price", "cell=gru", "cell.num_layers=2"),
        ("price", "cell=lstm", "cell.initial_state=learned"),
        ("digits", "cell=rnn", "cell.layer_norm=true"),
        (*TEXT, "cell=lstm_layer_norm", "task.net.tied=true"),
        ("xor", "cell=mlstm"),
    ],
    ids=lambda overrides: " ".join(part for part in overrides if "path" not in part),
)
def test_the_steps_of_a_file_are_the_sequence_of_the_net(root: Path, overrides: tuple[str, ...]) -> None:
    predictor = predictor_of(*overrides)
    export_onnx(predictor, root / "net.onnx")
    batch = next(iter(predictor.task.loader("test")))
    batch = Batch(batch.inputs[:5, :TIME], batch.targets)
    with torch.inference_mode():
        expected = predictor.module(batch).numpy()
    session = runtime.InferenceSession(root / "net.onnx", providers=["CPUExecutionProvider"])
    held = session.get_modelmeta().custom_metadata_map
    assert json.loads(held["learnt"]) == predictor.task.state_dict()
    rows = len(batch.inputs)
    states = [
        np.tile(np.array(row, np.float32), (rows, *[1] * np.ndim(row))) for row in json.loads(held["initial_state"])
    ]
    timesteps = [batch.inputs] if predictor.task.spec.layout == "one_to_one" else batch.inputs.unbind(1)
    said = []
    for timestep in timesteps:
        names = [each.name for each in session.get_inputs()]
        output, *states = session.run(None, dict(zip(names, [timestep.numpy(), *states], strict=True)))
        said.append(output)
    found = np.stack(said, axis=1) if predictor.task.spec.layout == "many_to_many" else said[-1]
    # layer norms over 40 timesteps of float32 differ by some 1e-6 to 1e-5, by the weights, which the text decides
    assert np.allclose(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("translate", "cell=gru"), "writes with a decoder"),
        (("digits", "cell=gru", "cell.bidirectional=true"), "bidirectional"),
        (("digits", "cell=gru", "task.net.readout=mean"), "readout=mean"),
        (("price", "cell=s4d"), "s4d to ONNX"),
    ],
)
def test_what_has_no_step_in_onnx_is_told_and_not_written(root: Path, overrides: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        export_onnx(predictor_of(*overrides), root / "net.onnx")
    assert not (root / "net.onnx").exists()


def test_the_command_writes_the_net_of_a_run(run: Run, root: Path) -> None:
    assert run("train", "cell=gru", "trainer.max_epochs=1", "trainer.limit_batches=2", "tracking=none").code == 0
    (folder,) = root.glob("runs/price/*/gru/*")
    wrong = run("export", f"model={folder}", f"output={root / 'net.pt'}")
    assert wrong.code == 2
    assert "ends in .onnx" in wrong.err
    done = run("export", f"model={folder}", f"output={root / 'net.onnx'}")
    assert done.code == 0, done.err
    assert done.out.splitlines()[1] == f"price/gru: one timestep of it in {root / 'net.onnx'}"
    assert runtime.InferenceSession(root / "net.onnx").get_modelmeta().custom_metadata_map["task"] == "price"
