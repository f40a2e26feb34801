"""Judging trained nets on the test split."""

import logging
from pathlib import Path

from matplotlib.figure import Figure
from omegaconf import DictConfig

from rnnlab.commands.tracking import open_store
from rnnlab.diagnosis.activations import draw_passage
from rnnlab.modules.module import SequenceModule
from rnnlab.serving.champions import crown
from rnnlab.tasks.figures import Figures
from rnnlab.tracking.tracker import Tracker
from rnnlab.training.baseline import evaluate_baselines
from rnnlab.training.evaluate import evaluate_checkpoint, evaluate_seeds
from rnnlab.training.train import check, results_folder, seeds_of, train_seed, validation_loss

log = logging.getLogger("rnnlab")


def evaluate(cfg: DictConfig) -> None:
    """Judge the weights of each seed, or those of `cfg.checkpoint`, and what the task can do without a net.

    Raises: `UserError` when a seed is not trained under this config.
    """
    check(cfg)
    if cfg.checkpoint is not None:
        evaluate_checkpoint(cfg, Path(cfg.checkpoint), look)
        return
    store = open_store(cfg)
    with results_folder(cfg) as results:
        for tracked in evaluate_seeds(cfg, results, store, look):
            crown(store, tracked)
    if not cfg.dvc:
        evaluate_baselines(cfg)


def smoke_test(cfg: DictConfig) -> float:
    """Train and evaluate once in a folder that is thrown away: for trying out, see conf/debug.

    Returns: the validation loss.
    """
    check(cfg)
    store = Tracker()
    with results_folder(cfg) as results:
        for seed in seeds_of(cfg):
            train_seed(cfg, results, seed, store)
        evaluate_seeds(cfg, results, store, look)
        loss = validation_loss(results, seeds_of(cfg))
    log.info("trained and evaluated %s on %s as a test; nothing was kept", cfg.cell.name, cfg.task.name)
    return loss


def look(figures: Figures, module: SequenceModule) -> dict[str, Figure]:
    """What one net does: as its task draws it, and the states and gates of its cells as they read a passage."""
    passage = figures.passage()
    return {**figures.inspect(module), **(draw_passage(module, passage) if passage else {})}
