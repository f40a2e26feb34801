"""A trained net as an ONNX file: one timestep of it, its state going in and coming out, for runtimes without torch."""

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rnnlab.cells.cell import State
from rnnlab.errors import UserError
from rnnlab.extras import require
from rnnlab.layouts.layout import Layout
from rnnlab.layouts.per_timestep import ManyToMany, ManyToOne, OneToOne
from rnnlab.modules.module import SequenceModule
from rnnlab.results.files import atomic_file
from rnnlab.serving.predictor import Predictor
from rnnlab.unroll.recurrent import Recurrent

STEPS, ROWS = 6, 3
"""Of the random sequences on which a file must say what the net says."""

TOLERANCE = 1e-5


class Step(nn.Module):
    """(xₜ, sₜ₋₁) -> (ŷₜ, sₜ), s being all tensors of the states of all cells one after the other.

    ŷₜ is what the net says at timestep t, or, of a layout with one prediction, would say if the sequence ended there.
    """

    def __init__(self, module: SequenceModule) -> None:
        super().__init__()
        self.net: Layout = module.net
        self.recurrent: Recurrent = module.recurrent

    def states(self, parts: Sequence[Tensor]) -> list[State]:
        found, left = [], list(parts)
        for start in self.recurrent.initial_state(1):
            found.append(type(start)._make(left[: len(start)]))
            left = left[len(start) :]
        return found

    def forward(self, x: Tensor, *parts: Tensor) -> tuple[Tensor, ...]:
        states = self.states(parts)
        if isinstance(self.net, ManyToMany):
            prediction, after = self.net.step(x, states)
        else:
            assert isinstance(self.net, OneToOne | ManyToOne)
            read = self.net.entry(x) if isinstance(self.net, ManyToOne) else x
            output, after = self.recurrent.step(read, states)
            prediction = self.net.head(output)
        return (prediction, *(part for state in after for part in state))


def export_onnx(predictor: Predictor, path: Path) -> None:
    """Write one timestep of the net: `input` (batch, input_size), or tokens (batch,), and `state_0` ... go in, `output`
    and `next_state_0` ... come out; any batch size.

    The file's metadata hold as JSON what the task learnt (`learnt`) and the rows that the states begin with
    (`initial_state`). onnxruntime must say of it what torch does, to 1e-5, or it is not written.

    Raises: `UserError` for a net that reads from the end, reads out a mean, or writes with a decoder; for a cell that
    cannot be exported; `MissingExtra` where the packages for it are not installed.
    """
    require("onnx", "Writing ONNX", "onnx", "onnxruntime", "onnxscript")  # the last torch asks for halfway through
    import onnx
    import onnxruntime

    module = predictor.module
    _check(module)
    step = Step(module).eval()
    start = [part.detach() for state in module.recurrent.initial_state(1) for part in state]
    x = _random_inputs(module)
    arguments = (x[0], *(part.repeat_interleave(ROWS, 0) for part in start))
    names = [f"state_{number}" for number in range(len(start))]
    batch = torch.export.Dim("batch")
    with torch.no_grad(), _quietly():
        try:
            program = torch.onnx.export(
                step, arguments, dynamo=True, input_names=["input", *names], external_data=False,
                output_names=["output", *(f"next_{name}" for name in names)],
                dynamic_shapes=({0: batch}, tuple({0: batch} for _ in start)),
            )  # fmt: skip
        except Exception as error:  # of many kinds, each torch's own
            raise UserError(
                f"torch {torch.__version__} cannot export a step of {module.name} to ONNX ({type(error).__name__}): "
                "ONNX has no complex numbers, and not all of torch's operators."
            ) from error
    assert program is not None
    content = program.model_proto
    held = {
        "task": predictor.task.spec.task,
        "cell": module.name,
        "learnt": json.dumps(predictor.task.state_dict()),
        "initial_state": json.dumps([part[0].tolist() for part in start]),
    }
    onnx.helper.set_model_props(content, held)
    session = onnxruntime.InferenceSession(content.SerializeToString(), providers=["CPUExecutionProvider"])
    difference = _difference(step, session, x, start)
    if not difference <= TOLERANCE:
        raise UserError(f"onnxruntime and torch differ by {difference:.2g} on {module.name}: no file was written.")
    with atomic_file(path) as part:
        part.write_bytes(content.SerializeToString())


def _check(module: SequenceModule) -> None:
    net, kind = module.net, type(module.net).__name__
    if not isinstance(net, OneToOne | ManyToOne | ManyToMany):
        raise UserError(f"the layout {kind} writes with a decoder, and has no one step to export.")
    if module.recurrent.directions == 2:
        raise UserError("a bidirectional net reads from the end as well: it has no one step to export.")
    if isinstance(net, ManyToOne) and net.readout != "last":
        raise UserError(f"task.net.readout={net.readout} needs all timesteps at once: only readout=last is exported.")


def _random_inputs(module: SequenceModule) -> Tensor:
    """(STEPS, ROWS, input_size), or tokens (STEPS, ROWS)."""
    generator = torch.Generator().manual_seed(0)
    if module.spec.tokens:
        return torch.randint(module.spec.input_size, (STEPS, ROWS), generator=generator)
    inputs = torch.randn(STEPS, ROWS, module.spec.input_size, generator=generator)
    for column, values in enumerate(reversed(module.spec.categories), 1):
        inputs[..., -column] = torch.randint(values, (STEPS, ROWS), generator=generator).float()
    return inputs


def _difference(step: Step, session: Any, x: Tensor, start: list[Tensor]) -> float:
    """The largest one between what both say, over a sequence of another batch size than that of the export."""
    x = x[:, : ROWS - 1]
    ours: Sequence[Tensor] = [part.repeat_interleave(x.shape[1], 0) for part in start]
    theirs: Sequence[Any] = [part.numpy() for part in ours]
    largest = 0.0
    for timestep in x:
        with torch.no_grad():
            output, *ours = step(timestep, *ours)
        given = dict(zip([each.name for each in session.get_inputs()], [timestep.numpy(), *theirs], strict=True))
        found, *theirs = session.run(None, given)
        largest = max(largest, float(np.abs(found - output.numpy()).max()))
    return largest


@contextlib.contextmanager
def _quietly() -> Any:
    """The exporter tells its stages on standard output, its passes in the log."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
