"""Judging trained nets on the test split."""

import logging
import tempfile
from pathlib import Path

from omegaconf import DictConfig

from rnnlab.commands.open_run import open_run
from rnnlab.diagnosis.activations import draw_passage
from rnnlab.serving.champions import crown
from rnnlab.tracking.tracker import Tracker
from rnnlab.training.baseline import evaluate_baselines
from rnnlab.training.evaluate import evaluate_checkpoint, evaluate_seeds
from rnnlab.training.run import Run
from rnnlab.training.train import train_seed, validation_loss

log = logging.getLogger("rnnlab")


def evaluate(cfg: DictConfig) -> None:
    """Judge the weights of each seed, or those of `cfg.checkpoint`, and what the task can do without a net.

    Raises: `UserError` when a seed is not trained under this config.
    """
    if cfg.checkpoint is not None:
        evaluate_checkpoint(cfg, Path(cfg.checkpoint), draw_passage)
        return
    run, store = open_run(cfg)
    for tracked in evaluate_seeds(run, store, draw_passage):
        crown(store, tracked)
    if not cfg.dvc:
        evaluate_baselines(run.cfg, run.task)


def smoke_test(cfg: DictConfig) -> float:
    """Train and evaluate once in a folder that is thrown away: for trying out, see conf/debug.

    Returns: the validation loss.
    """
    store = Tracker()
    with tempfile.TemporaryDirectory(prefix="rnnlab-") as folder:
        run = Run.open(cfg, Path(folder))
        for seed in run.seeds:
            train_seed(run.with_seed(seed), store)
        evaluate_seeds(run, store, draw_passage)
        loss = validation_loss(run)
    log.info("trained and evaluated %s on %s as a test; nothing was kept", cfg.cell.name, cfg.task.name)
    return loss
