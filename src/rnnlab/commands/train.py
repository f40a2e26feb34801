"""Training a cell on a task."""

import logging

from hydra.utils import instantiate
from omegaconf import DictConfig

from rnnlab.commands.open_run import open_run
from rnnlab.serving.champions import crown
from rnnlab.tasks.judging import Judging
from rnnlab.training.train import forget_other_seeds, train_seed, validation_loss

log = logging.getLogger("rnnlab")


def train(cfg: DictConfig) -> float:
    """Train `cfg.seed`, or every seed of the grid where DVC asks, skipping what is already there under this setting.

    Returns: the validation loss, the mean over seeds.
    """
    if cfg.discard:
        from rnnlab.commands.smoke_test import smoke_test  # here: it imports what judges and draws

        return smoke_test(cfg)
    run, store = open_run(cfg)
    judging: Judging = instantiate(run.cfg.task.judging, run.task)
    for remark in judging.remarks():
        log.info("%s: %s", cfg.task.name, remark)
    for seed in run.seeds:
        crown(store, train_seed(run.with_seed(seed), store))
    if cfg.dvc:
        forget_other_seeds(run)
    return validation_loss(run)
