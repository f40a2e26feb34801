"""Before the jobs of a Hydra sweep: the name they share, and the store they all write to."""

import os
import sys
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from rnnlab.config import words_to_keep
from rnnlab.errors import UserError, without_password


class BeforeSweep(Callback):
    """Names the sweep by its overrides, and makes the store once: jobs that make it side by side would break it."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        sweep = [f"{key}={value}" for key, value in (config.hydra.sweeper.params or {}).items()]
        words = words_to_keep([*sweep, *config.hydra.overrides.task])
        os.environ["RNNLAB_SWEEP"] = " ".join(words) or "all defaults"
        from rnnlab.tracking.store import open_store

        try:
            open_store(config)
        except UserError as error:
            # Hydra turns any other exception of a callback into a warning, and starts the jobs all the same
            print(f"error: {without_password(str(error))}", file=sys.stderr)
            sys.exit(2)
