"""A run: one cell on one task with one seed, opened once, then trained, judged or diagnosed."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from safetensors.torch import load_file

from rnnlab.config.fingerprint import fingerprint, train_setting
from rnnlab.config.stages import grid
from rnnlab.config.titles import DataName, name_of_data
from rnnlab.errors import UserError
from rnnlab.modules.build import build_module
from rnnlab.modules.module import SequenceModule
from rnnlab.results.files import read_json
from rnnlab.results.paths import Prepared, Results
from rnnlab.tasks.task import Task
from rnnlab.training.check import check
from rnnlab.training.prepare import open_task, prepared_data
from rnnlab.training.sizing import match_parameters


@dataclass(frozen=True)
class Run:
    """One cell on one task, under one config and with one seed.

    cfg: the run's own copy of the config, its sizes settled; it cannot be changed.
    prepared: where the task's data is, verified.
    task: open, its training examples in the order of the seed.
    data: what its data set is called.
    setting: the fingerprint of everything that decides the trained net but its seed: config, code and data.
    results: the folder of this task, cell and setting, with all its seeds.
    label: what the run is called in a line of output.
    """

    cfg: DictConfig
    prepared: Prepared
    task: Task
    data: DataName
    setting: str
    results: Results
    seed: int
    label: str

    @classmethod
    def open(cls, cfg: DictConfig, folder: Path | None = None) -> "Run":
        """The run of `cfg.seed`: the config checked as a whole, then the data opened, then all sizes settled.

        folder: where the results go, instead of results/ with `dvc` and a folder of this very setting under runs/
        without; what keeps no results needs one.

        Raises: `UserError` for a config that cannot work, and for data that is not there or not whole.
        """
        check(cfg)
        if cfg.discard and folder is None:
            raise UserError("discard=true, as debug=fast has it, keeps no trained net to work on: leave it out.")
        prepared = prepared_data(cfg)
        task = open_task(cfg, cfg.seed, prepared)
        _settle_threads(cfg)
        own = match_parameters(cfg, task)
        OmegaConf.set_readonly(own, True)
        data = name_of_data(own, task.meta)
        setting = fingerprint({**train_setting(own), "data": data.digest})
        if folder is not None:
            results = Results(folder)
        elif own.dvc:
            results = Results.of_pipeline(own.task.name, own.cell.name)
        else:
            results = Results.of_run(own.task.name, data.folder, own.cell.name, setting)
        return cls(own, prepared, task, data, setting, results, own.seed, _label(own, own.seed))

    @property
    def seeds(self) -> list[int]:
        """Every seed of the grid where DVC asks, else this run's own."""
        return list(grid().seeds) if self.cfg.dvc else [self.seed]

    def with_seed(self, seed: int) -> "Run":
        """The same run with another seed, and so with its training examples in another order."""
        if seed == self.seed:
            return self
        cfg = self.cfg.copy()
        OmegaConf.set_readonly(cfg, False)
        cfg.seed = seed
        OmegaConf.set_readonly(cfg, True)
        task = open_task(cfg, seed, self.prepared)
        return replace(self, cfg=cfg, task=task, seed=seed, label=_label(cfg, seed))

    @property
    def checkpoints(self) -> Path:
        return self.results.checkpoints(self.seed)

    def module(self) -> SequenceModule:
        """A net of this run, with fresh weights."""
        return build_module(self.cfg, self.task)

    def initial_module(self) -> SequenceModule:
        """The net as its training begins: its weights are the first numbers drawn from the seed."""
        pl.seed_everything(self.seed, verbose=False)
        return self.module()

    def is_trained(self, seed: int) -> bool:
        """Whether the results of a seed are there, trained under this very setting."""
        metrics = self.results.train(seed) / "metrics.json"
        return metrics.exists() and bool(read_json(metrics)["setting"] == self.setting)

    def load_trained(self, module: SequenceModule, seed: int) -> None:
        """Give a net of this run the weights that the training of a seed kept.

        Raises: `UserError` unless that seed is trained under this very setting.
        """
        if not self.is_trained(seed):
            raise UserError(
                f"{_label(self.cfg, seed)} is not trained under this config: run `rnnlab train` with the same "
                "overrides first (or `dvc repro`, which does so by itself)."
            )
        module.load_state_dict(load_file(self.results.train(seed) / "weights.safetensors"))


def _label(cfg: DictConfig, seed: int) -> str:
    return f"{cfg.task.name}/{cfg.cell.name} seed {seed}"


def _settle_threads(cfg: DictConfig) -> None:
    """Pin the processor threads: two processes with all threads each on the same cores crawl."""
    torch.set_num_threads(cfg.trainer.threads)
    # a debugging aid of deterministic mode that writes every new tensor twice
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
