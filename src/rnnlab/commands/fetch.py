"""Fetching the data set of a task."""

from omegaconf import DictConfig

from rnnlab.training import prepare


def fetch(cfg: DictConfig) -> None:
    """Bring the task's data set into the pipeline's data/raw."""
    prepare.fetch(cfg)
