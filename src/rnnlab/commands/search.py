"""Searching the settings of a cell on a task."""

from omegaconf import DictConfig

from rnnlab.search import study


def search(cfg: DictConfig) -> float | None:
    """Search the settings of a pair. Returns: the lowest validation loss, once all trials are done."""
    return study.search(cfg)
