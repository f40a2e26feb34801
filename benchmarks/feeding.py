"""What it takes to make a task's batches, beside a training step with them: its default data, cell by cell.

Processor time of one thread, since a share of it is asked for: the epoch's first batches are made in several rounds, of
which the fastest counts, and then trained on.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch

from benchmarks.timing import pin
from rnnlab.config.stages import compose_task
from rnnlab.data.batches import Batches, Streams
from rnnlab.errors import UserError
from rnnlab.modules.build import build_module
from rnnlab.modules.module import SequenceModule
from rnnlab.results.paths import CONF
from rnnlab.training.prepare import open_task

CELLS = ("rnn", "gru")
BATCHES, ROUNDS, STEPS = 40, 5, 20
CLIP = 1.0


def made(loader: Batches | Streams) -> float:
    """Milliseconds a batch."""
    start, number = time.process_time(), 0
    for _ in islice(iter(loader), BATCHES):
        number += 1
    return (time.process_time() - start) / number * 1000


def trained(module: SequenceModule, loader: Batches | Streams) -> float:
    """Milliseconds a step: forward, backward, clipping, Adam."""
    optimizer = torch.optim.Adam(module.parameters())
    batches = list(islice(iter(loader), STEPS))

    def step(index: int) -> None:
        optimizer.zero_grad()
        module.loss(batches[index % len(batches)]).backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), CLIP)
        optimizer.step()

    step(0)  # which may compile a kernel
    start = time.process_time()
    for index in range(STEPS):
        step(index)
    return (time.process_time() - start) / STEPS * 1000


def measure(cells: list[str]) -> Iterator[dict[str, Any]]:
    pin(1)
    with tempfile.TemporaryDirectory(prefix="rnnlab-") as folder:
        os.environ["RNNLAB_ROOT"] = folder
        for task_name in sorted(path.stem for path in (CONF / "task").glob("*.yaml")):
            for cell in cells or CELLS:
                cfg = compose_task(task_name, f"cell={cell}")
                try:
                    task = open_task(cfg, 0)
                except UserError as error:  # it brings no data of its own
                    print(f"{task_name}: {error}", flush=True)
                    break
                loader = task.loader("train")
                feed = min(made(loader) for _ in range(ROUNDS))
                step = trained(build_module(cfg, task), loader)
                print(f"{task_name}, {cell}: {feed:.2f} ms a batch, {step:.2f} ms a step", flush=True)
                yield {
                    "stage": task_name,
                    "cell": cell,
                    "feed_ms": round(feed, 3),
                    "step_ms": round(step, 3),
                    "share": round(feed / (feed + step), 4),
                }
