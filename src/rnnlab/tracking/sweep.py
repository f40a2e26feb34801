"""Before the jobs of a Hydra sweep: the name they share, and the store they all write to."""

import os
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from rnnlab.config import words_to_keep


class BeforeSweep(Callback):
    """Names the sweep by its overrides, and makes the store once: jobs that make it side by side would break it."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        sweep = [f"{key}={value}" for key, value in (config.hydra.sweeper.params or {}).items()]
        words = words_to_keep([*sweep, *config.hydra.overrides.task])
        os.environ["RNNLAB_SWEEP"] = " ".join(words) or "all defaults"
        from rnnlab.tracking.store import open_store

        open_store(config)
