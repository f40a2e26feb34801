"""A run and its store."""

from omegaconf import DictConfig

from rnnlab.commands.tracking import open_store
from rnnlab.tracking.tracker import Tracker
from rnnlab.training.run import Run


def open_run(cfg: DictConfig) -> tuple[Run, Tracker]:
    """The run of a config, and the store that tracks it.

    The entry points have checked the config: no store is made, and none is asked, for what `Run.open` would refuse.

    Raises: `UserError` for a store that cannot be reached, then for the data.
    """
    store = open_store(cfg)
    return Run.open(cfg), store
