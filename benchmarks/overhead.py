"""What the pipeline costs around a training step: Lightning, logging and tracking, against a bare loop.

Both sides train the same net on the same batches in one process, in alternating rounds; each round's ratio is taken
between neighbours, so that a noisy machine troubles both alike. Threads are pinned to one.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from benchmarks.timing import pin
from rnnlab.data.batches import Batch, Batches, Order
from rnnlab.losses import AbsoluteError
from rnnlab.modules.gru import GRU
from rnnlab.modules.lstm import LSTM
from rnnlab.modules.module import SequenceModule
from rnnlab.modules.rnn import RNN
from rnnlab.results.paths import CONF
from rnnlab.spec import TaskSpec
from rnnlab.tracking.mlflow.store import MLflowStore
from rnnlab.tracking.recorder import Recorder
from rnnlab.training.progress import Progress
from rnnlab.training.train import make_trainer

BATCH, TIMESTEPS, INPUT, HIDDEN = 128, 28, 28, 128
STEPS = 200
ROUNDS = 7
CLIP = 1.0

SPEC = TaskSpec("benchmark", "many_to_one", INPUT, 5, AbsoluteError(), {"mae": "min"}, "mae")
ADAM = {"_target_": "torch.optim.Adam", "lr": 1e-3}
NET = {"_target_": "rnnlab.layouts.per_timestep.ManyToOne"}


def batches() -> Batches:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(BATCH * STEPS, TIMESTEPS, INPUT, generator=generator)
    targets = torch.randn(BATCH * STEPS, 5, generator=generator)
    return Batches(lambda indices: Batch(inputs[indices], targets[indices]), Order(BATCH * STEPS, seed=0), BATCH)


def bare_loop(module: SequenceModule, loader: Batches) -> float:
    """Milliseconds a step: batch, forward, backward, clipping, step, and nothing else."""
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
    start = time.perf_counter()
    for batch in loader:
        loss = torch.nn.functional.l1_loss(module(batch), batch.targets)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), CLIP)
        optimizer.step()
    return (time.perf_counter() - start) / STEPS * 1000


def pipeline(module: SequenceModule, loader: Batches, store: MLflowStore, folder: Path) -> float:
    """Milliseconds a step as `rnnlab.training.train` trains: its trainer and callbacks, a live MLflow run on SQLite."""
    run = {
        "key": "benchmark", "name": "benchmark", "task": "benchmark", "seed": 0, "folder": str(folder), "params": {},
        "tags": {"git_commit": ""}, "started": time.time_ns() // 1_000_000,
        "dataset": {"name": "noise", "digest": "", "setting": ""},
    }  # fmt: skip
    options = OmegaConf.merge(OmegaConf.load(CONF / "trainer/default.yaml"), {"max_epochs": 1, "accelerator": "cpu"})
    with store.live(run) as live:
        recorder = Recorder(live.send)
        validation = Batches(loader.take, Order(BATCH, seed=None), BATCH)
        make_trainer(options, recorder, folder, [Progress("benchmark")]).fit(module, loader, validation)
        recorder.flush()
    return 1000 / recorder.clock.steps_per_second


def compare(module_class: type[SequenceModule], name: str) -> dict[str, Any]:
    loader = batches()
    bare, ours = [], []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RNNLAB_ROOT"] = folder
        store = MLflowStore(f"sqlite:///{folder}/mlflow.db")
        for index in range(ROUNDS + 1):
            modules = [
                module_class(name=name, spec=SPEC.as_dict(), optimizer=ADAM, net=NET, hidden_size=HIDDEN)
                for _ in range(2)
            ]
            if index % 2:
                first = pipeline(modules[0], loader, store, Path(folder))
                second = bare_loop(modules[1], loader)
            else:
                second = bare_loop(modules[1], loader)
                first = pipeline(modules[0], loader, store, Path(folder))
            if index > 0:  # the first round warms both up
                ours.append(first)
                bare.append(second)
    ratios = [a / b for a, b in zip(ours, bare, strict=True)]
    return {
        "cell": name,
        "pipeline_ms": round(statistics.median(ours), 3),
        "bare_ms": round(statistics.median(bare), 3),
        "ratio_median": round(statistics.median(ratios), 3),
        "ratio_min": round(min(ratios), 3),
        "ratio_max": round(max(ratios), 3),
        "batch": BATCH,
        "timesteps": TIMESTEPS,
        "input_size": INPUT,
        "hidden_size": HIDDEN,
        "threads": 1,
        "load": os.getloadavg()[0],
    }


def measure(cells: list[str]) -> Iterator[dict[str, Any]]:
    pin(1)
    for name, module_class in {"rnn": RNN, "lstm": LSTM, "gru": GRU}.items():
        if not cells or name in cells:
            row = compare(module_class, name)
            print(f"{name}: pipeline {row['pipeline_ms']} ms, bare {row['bare_ms']} ms a step", flush=True)
            yield row
