"""What a net writes by itself."""

from pathlib import Path

import torch

from rnnlab.modules.module import SequenceModule
from rnnlab.tasks.judging import Judging


def write_samples(judging: Judging, module: SequenceModule, folder: Path) -> None:
    """Let the net write, without a trace on its training: mode and random numbers stay as they were."""
    training = module.training
    devices = [module.device] if module.device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(0)
        samples = judging.samples(module.eval())
    module.train(training)
    for name, content in samples.items():
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content, encoding="utf-8")
