"""Trying out: everything once, and nothing kept."""

import logging
import tempfile
from pathlib import Path

from omegaconf import DictConfig

from rnnlab.diagnosis.activations import draw_passage
from rnnlab.tracking.tracker import Tracker
from rnnlab.training.evaluate import evaluate_seeds
from rnnlab.training.run import Run
from rnnlab.training.train import train_seed, validation_loss

log = logging.getLogger("rnnlab")


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
    log.info("trained and evaluated %s on %s as a test; no run was kept", cfg.cell.name, cfg.task.name)
    return loss
