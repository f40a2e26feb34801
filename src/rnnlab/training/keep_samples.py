"""What a net writes by itself, kept as its training goes on."""

import shutil
from pathlib import Path

import pytorch_lightning as pl
from hydra.utils import instantiate
from omegaconf import DictConfig

from rnnlab.arguments import Positive, check_arguments
from rnnlab.modules.module import SequenceModule
from rnnlab.tasks.judging import Judging
from rnnlab.tasks.task import Task
from rnnlab.tracking.callback import RunCallback
from rnnlab.training.samples import write_samples

SAMPLES = "samples"
"""Beside the checkpoints and then beside the weights: what the net wrote as its training went on."""


class KeepSamples(RunCallback):
    """Writes the task's samples every n-th epoch, into the folder epoch_<which>, counted from 1."""

    judging: Judging
    folder: Path

    def __init__(self, every_n_epochs: Positive) -> None:
        check_arguments(KeepSamples, locals())
        self.every_n_epochs = every_n_epochs

    def bind(self, cfg: DictConfig, task: Task, folder: Path) -> None:
        self.judging = instantiate(cfg.task.judging, task)
        self.folder = folder / SAMPLES

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, SequenceModule)
        epoch = trainer.current_epoch + 1
        if self.judging.writes and epoch % self.every_n_epochs == 0:
            write_samples(self.judging, pl_module, self.folder / f"epoch_{epoch:04d}")

    def write(self, folder: Path, name: str) -> None:
        if self.folder.exists():
            shutil.copytree(self.folder, folder / SAMPLES)
