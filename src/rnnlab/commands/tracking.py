"""The store of a command."""

from collections.abc import Iterable
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig

from rnnlab.serving.champions import crown_best
from rnnlab.tracking.mlflow.last_sync import LastSync
from rnnlab.tracking.mlflow.store import MLflowStore
from rnnlab.tracking.tracker import Tracker


def open_store(cfg: DictConfig) -> Tracker:
    """What `cfg.tracking` names, ready for runs; champions are crowned of what was put into it meanwhile.

    Raises: `UserError` when it cannot be reached.
    """
    store: Tracker = instantiate(cfg.tracking)
    crown_best(store, store.open())
    return store


def sync_store(cfg: DictConfig, folders: Iterable[Path] = ()) -> None:
    """Put what is on disk into the store that `cfg.tracking` names, unless neither has changed since the last time.

    folders: of runs elsewhere, beside those that `tracking.roots` names.

    Raises: `UserError` when it cannot be reached.
    """
    store: Tracker = instantiate(cfg.tracking)
    if not isinstance(store, MLflowStore):
        crown_best(store, store.open())
        return
    store.roots += map(str, folders)
    last = LastSync(store.uri, store.roots)
    if last.is_valid():
        return
    tracked = store.open()
    crowned = crown_best(store, tracked)
    state = last.state()  # before the search for runs under way: one that begins after it changes the database
    with store.results_are_kept():
        if crowned and state is not None and len(tracked) == last.seeds and not store.has_running():
            last.keep(state)
