"""A run and its store, opened so that all mistakes are found before any long work."""

from omegaconf import DictConfig

from rnnlab.commands.tracking import open_store
from rnnlab.tracking.tracker import Tracker
from rnnlab.training.check import check
from rnnlab.training.run import Run


def open_run(cfg: DictConfig) -> tuple[Run, Tracker]:
    """The run of a config, and the store that tracks it.

    Raises: `UserError` for a config that cannot work, then for a store that cannot be reached, then for the data.
    """
    check(cfg)  # no store is made, and none is asked, for what `Run.open` would refuse
    store = open_store(cfg)
    return Run.open(cfg), store
