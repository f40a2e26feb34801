"""The store of a command."""

from hydra.utils import instantiate
from omegaconf import DictConfig

from rnnlab.serving.champions import crown_best
from rnnlab.tracking.tracker import Tracker


def open_store(cfg: DictConfig) -> Tracker:
    """What `cfg.tracking` names, ready for the task; champions are crowned of what was put into it meanwhile.

    Raises: `UserError` when it cannot be reached.
    """
    store: Tracker = instantiate(cfg.tracking)
    crown_best(store, store.open(cfg.task.name))
    return store
