"""How far back a net remembers, and why not further: measured on a few validation sequences, as it trains or after."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytorch_lightning as pl
import torch
from omegaconf import DictConfig
from torch import Tensor

from rnnlab.arguments import Positive, check_arguments
from rnnlab.data.batches import Batch, Batches
from rnnlab.data.vocabulary import IGNORED
from rnnlab.diagnosis.figures import draw_gradients, draw_summary
from rnnlab.diagnosis.jacobian import gradients_back, growth_rate, saturation, singular_values, watch_passages
from rnnlab.modules.module import SequenceModule
from rnnlab.results.figures import save
from rnnlab.results.files import read_json, write_json
from rnnlab.tasks.task import Task
from rnnlab.tracking.callback import RunCallback

MEMORY = "memory"
"""Beside the checkpoints and then beside the weights: a file for each epoch that was looked at."""

SEQUENCES = 32

SHARES = {"memory_length": 1 / math.e, "memory_length_1_percent": 0.01}
"""What is left of the gradient where a memory is said to end."""


def memory_length(norms: list[float], share: float = 1 / math.e) -> float:
    """The effective memory length: the least κ at which g(1 + κ) ≤ `share` · g(1), in timesteps.

    norms: g_k, k = 1, 2, ... steps back from where the loss is read (see `gradients_back`); g between whole steps is
    exponential. Of a gradient λᵏ it is ln(share) / ln λ. Infinite where g stays above to the first timestep: the memory
    reaches beyond the sequence. NaN where g(1) is zero or no number.

    The time constant of a memory that fades exponentially; of gradients: Hochreiter, Bengio, Frasconi, Schmidhuber,
    "Gradient flow in recurrent nets: the difficulty of learning long-term dependencies", 2001.
    """
    if not norms or not 0 < norms[0] < math.inf:
        return math.nan
    threshold = math.log(norms[0] * share)
    before = math.log(norms[0])
    for k, norm in enumerate(norms[1:], 1):
        now = math.log(norm) if norm > 0 else -math.inf
        if now <= threshold:
            return k - 1 + (before - threshold) / (before - now) if now > -math.inf else float(k)
        before = now
    return math.inf


def sample(task: Task) -> Batch:
    """Up to `SEQUENCES` sequences of the validation part, the same each time, spread over all of its lengths."""
    loader = task.loader("validation")
    if isinstance(loader, Batches):
        size = loader.sampler.size
        return loader.take(loader.positions()[torch.linspace(0, size - 1, min(size, SEQUENCES)).long()])
    # of a stream, the first batch that is asked something at its end: what stands before it may be a warm-up
    batch = next(batch for batch in loader if (batch.targets[:, -1] != IGNORED).any())
    return Batch(batch.inputs[:SEQUENCES], batch.targets[:SEQUENCES])


def measure(module: SequenceModule, batch: Batch) -> dict[str, Any]:
    """What one net does with one batch, as plain JSON; what is no finite number is None.

    sequences, timesteps: of the batch, the longest. cells: for each cell of the net that reads,

        gradient                 of the `state` and each of its fields: g_k, see `jacobian.gradients_back`
        memory_length            of the state's g, see `memory_length`; `beyond`: it did not end within the sequence,
                                 and the length is the number of timesteps that were seen
        memory_length_1_percent  likewise, where 1 % of the gradient is left
        largest_singular_value   mean over sequences and timesteps, see `jacobian.singular_values`; `..._max`
        growth_rate              see `jacobian.growth_rate`
        gates                    for each the share `below` 0.1 and `above` 0.9, see `jacobian.saturation`

    The net is left as it was: mode, gradients, random numbers.

    Raises: `UserError` where no sequence is read in one go.
    """
    training = module.training
    batch = _fitting(batch, module)
    devices = [module.device] if module.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices), torch.enable_grad():
            loss, found = watch_passages(module.recurrent, lambda: module.eval().loss(batch))
            gradients = gradients_back(loss, found)
            cells = []
            for cell, passage, of_cell in zip(module.recurrent, found, gradients, strict=True):
                norms = {name: values.tolist() for name, values in of_cell.items()}
                sigma = singular_values(passage)
                cells.append(
                    {
                        "gradient": {name: [_finite(value) for value in values] for name, values in norms.items()},
                        **_memory(norms["state"]),
                        "largest_singular_value": _finite(float(sigma.mean())),
                        "largest_singular_value_max": _finite(float(sigma.max())),
                        "growth_rate": _finite(growth_rate(passage)),
                        "gates": [{"below": low, "above": high} for low, high in saturation(passage, cell)],
                    }
                )
    finally:
        module.train(training)
    return {
        "sequences": len(found[0].lengths),
        "timesteps": int(found[0].lengths.max()),
        "loss": _finite(loss.item()),
        "cells": cells,
    }


def _fitting(batch: Batch, module: SequenceModule) -> Batch:
    """On the net's device, numbers in the type of its weights."""
    batch, kind = batch.to(module.device), next(module.parameters()).dtype

    def cast(tensor: Tensor) -> Tensor:
        return tensor.to(kind) if tensor.is_floating_point() else tensor

    return batch._replace(inputs=cast(batch.inputs), targets=cast(batch.targets))


def _memory(norms: list[float]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, share in SHARES.items():
        length = memory_length(norms, share)
        beyond = length == math.inf
        found[key] = float(len(norms) - 1) if beyond else _finite(length)
        found[key.replace("memory_length", "beyond")] = beyond
    return found


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def scalars(measured: dict[str, Any]) -> dict[str, float]:
    """What is charted: `memory/<quantity>`, of several cells `memory/cells.<n>.<quantity>`; what is no number is left
    out."""
    found: dict[str, float | None] = {}
    for index, cell in enumerate(measured["cells"]):
        prefix = "memory/" if len(measured["cells"]) == 1 else f"memory/cells.{index}."
        for key in (*SHARES, "largest_singular_value", "growth_rate"):
            found[prefix + key] = cell[key]
        for number, gate in enumerate(cell["gates"], 1):
            found |= {f"{prefix}gate_{number}_{side}": share for side, share in gate.items()}
    return {key: value for key, value in found.items() if value is not None}


class LogMemory(RunCallback):
    """Measures the net as it starts, after every n-th epoch, and as it is kept: a file for each, and charted metrics.

    epoch: how many were trained, 0 before the first.
    """

    task: Task
    folder: Path

    def __init__(self, every_n_epochs: Positive) -> None:
        check_arguments(LogMemory, locals())
        self.every_n_epochs = every_n_epochs
        self.looked_at: list[int] = []
        self.kept = 0

    def bind(self, cfg: DictConfig, task: Task, folder: Path) -> None:
        self.task, self.folder = task, folder / MEMORY

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.current_epoch == 0:  # else resumed
            self.look(pl_module, 0)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if (trainer.current_epoch + 1) % self.every_n_epochs == 0:
            self.look(pl_module, trainer.current_epoch + 1)

    def conclude(self, module: SequenceModule, epoch: int) -> None:
        self.kept = epoch
        self.look(module, epoch)

    def write(self, folder: Path, name: str) -> None:
        write_memory(read_measurements(self.folder), self.kept, name, folder / MEMORY)

    def look(self, module: pl.LightningModule, epoch: int) -> None:
        """At the weights as they are after so many epochs, unless that was done before."""
        assert isinstance(module, SequenceModule)
        if epoch in self.looked_at:
            return
        measured = measure(module, sample(self.task))
        write_json(self.folder / f"epoch_{epoch:04d}.json", {"epoch": epoch, **measured})
        if module.logger is not None:
            # to a logger the first epoch is 0
            module.logger.log_metrics({**scalars(measured), "epoch": epoch - 1}, module.global_step)
        self.looked_at.append(epoch)

    def state_dict(self) -> dict[str, Any]:
        return {"looked_at": self.looked_at}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.looked_at = state_dict["looked_at"]


def read_measurements(folder: Path) -> list[dict[str, Any]]:
    """Of all epochs that were looked at, in their order."""
    return [read_json(path) for path in sorted(folder.glob("epoch_*.json"))]


def write_memory(measurements: list[dict[str, Any]], kept: int, name: str, folder: Path) -> None:
    """Into `folder`: memory.json, the measurement of the weights that are kept, those of epoch `kept`, and with it that
    `before_training`; memory.parquet, every scalar by epoch; gradients.parquet, g_k by epoch, cell and field; and two
    figures."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen = next(measured for measured in measurements if measured["epoch"] == kept)
    start = next((measured for measured in measurements if measured["epoch"] == 0), None)
    write_json(folder / "memory.json", {**chosen, "before_training": start})
    rows = [
        {"epoch": measured["epoch"], "quantity": key.removeprefix("memory/"), "value": value}
        for measured in measurements
        for key, value in scalars(measured).items()
    ]
    pd.DataFrame(rows, columns=["epoch", "quantity", "value"]).to_parquet(folder / "memory.parquet", index=False)
    gradients = gradient_table(measurements)
    gradients.to_parquet(folder / "gradients.parquet", index=False)
    figures = {"gradients_back": draw_gradients(gradients, chosen, name), "memory": draw_summary(measurements, name)}
    for stem, figure in figures.items():
        save(figure, folder / f"{stem}.png")


def gradient_table(measurements: list[dict[str, Any]]) -> pd.DataFrame:
    """A row for each epoch, cell (its number), field (`state`: the whole of it) and number of steps back: its norm."""
    tables = [
        pd.DataFrame(
            {
                "epoch": measured["epoch"],
                "cell": number,
                "field": name,
                "steps_back": range(1, len(norms) + 1),
                "norm": pd.array(norms, dtype="float64"),
            }
        )
        for measured in measurements
        for number, cell in enumerate(measured["cells"])
        for name, norms in cell["gradient"].items()
    ]
    return pd.concat(tables, ignore_index=True)
