"""Judging trained nets on the test split."""

from pathlib import Path

from omegaconf import DictConfig

from rnnlab.commands.open_run import open_run
from rnnlab.commands.smoke_test import smoke_test
from rnnlab.diagnosis.activations import draw_passage
from rnnlab.serving.champions import crown
from rnnlab.training.baseline import evaluate_baselines
from rnnlab.training.evaluate import evaluate_checkpoint, evaluate_seeds


def evaluate(cfg: DictConfig) -> None:
    """Judge the weights of each seed, or those of `cfg.checkpoint`, and what the task can do without a net.

    Raises: `UserError` when a seed is not trained under this config.
    """
    if cfg.discard:
        smoke_test(cfg)
        return
    if cfg.checkpoint is not None:
        evaluate_checkpoint(cfg, Path(cfg.checkpoint), draw_passage)
        return
    run, store = open_run(cfg)
    for tracked in evaluate_seeds(run, store, draw_passage):
        crown(store, tracked)
    if not cfg.dvc:
        evaluate_baselines(run.cfg, run.task)
