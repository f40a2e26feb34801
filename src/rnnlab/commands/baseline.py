"""Judging what a task can do without a recurrent net."""

from omegaconf import DictConfig

from rnnlab.training.baseline import evaluate_baselines


def baseline(cfg: DictConfig) -> None:
    """Judge the task's baselines on the test split."""
    evaluate_baselines(cfg)
