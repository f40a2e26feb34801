"""What a net writes by itself, kept as its training goes on."""

from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

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


class KeepSamples(Callback):
    """Writes the task's samples into `folder`/epoch_<n>, every n-th epoch."""

    def __init__(self, judging: Judging, folder: Path, every_n_epochs: int) -> None:
        self.judging = judging
        self.folder = folder
        self.every_n_epochs = every_n_epochs

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, SequenceModule)
        if self.judging.writes and (trainer.current_epoch + 1) % self.every_n_epochs == 0:
            write_samples(self.judging, pl_module, self.folder / f"epoch_{trainer.current_epoch:04d}")
