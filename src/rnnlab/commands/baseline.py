"""Judging what a task can do without a recurrent net."""

from omegaconf import DictConfig

from rnnlab.training.baseline import evaluate_baselines
from rnnlab.training.prepare import open_task


def baseline(cfg: DictConfig) -> None:
    """Judge the task's baselines on the test split."""
    evaluate_baselines(cfg, open_task(cfg, cfg.seed))
