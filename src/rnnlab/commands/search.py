"""Searching the settings of a cell on a task."""

from importlib.util import find_spec

from omegaconf import DictConfig

from rnnlab.errors import MissingExtra


def search(cfg: DictConfig) -> float | None:
    """Search the settings of a pair. Returns: the lowest validation loss, once all trials are done.

    Raises: `MissingExtra` without Optuna.
    """
    if find_spec("optuna") is None:
        raise MissingExtra("A search needs Optuna, which is not installed: pip install 'rnnlab[search]'")
    from rnnlab.search import study  # Optuna is an extra

    return study.search(cfg)
