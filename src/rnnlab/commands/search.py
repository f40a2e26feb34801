"""Searching the settings of a cell on a task."""

from omegaconf import DictConfig

from rnnlab.extras import require


def search(cfg: DictConfig) -> float | None:
    """Search the settings of a pair. Returns: the lowest validation loss, once all trials are done.

    Raises: `MissingExtra` without Optuna.
    """
    require("search", "A search", "optuna")
    from rnnlab.search import study  # Optuna is an extra

    return study.search(cfg)
