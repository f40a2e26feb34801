"""Before the jobs of a Hydra sweep: the name they share, and the store they all write to."""

import os
import sys
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from rnnlab.config import words_to_keep
from rnnlab.errors import UserError, without_password
from rnnlab.schema import Named, Tracking, check


class BeforeSweep(Callback):
    """Names the sweep by its overrides, and makes the store once: jobs that make it side by side would break it."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        sweep = [f"{key}={value}" for key, value in (config.hydra.sweeper.params or {}).items()]
        given = [*sweep, *config.hydra.overrides.task]
        os.environ["RNNLAB_SWEEP"] = " ".join(words_to_keep(given)) or "all defaults"
        from rnnlab.tracking.store import open_store

        try:
            _check_passwords(given)
            check(config.tracking, group=Tracking)
            check(config.task, group=Named)
            open_store(config)
        except UserError as error:
            # Hydra turns any other exception of a callback into a warning, and starts the jobs all the same
            print(f"error: {without_password(str(error))}", file=sys.stderr)
            sys.exit(2)


def _check_passwords(words: list[str]) -> None:
    """Raises: `UserError` for a word with a password: Hydra prints the words of every job, and keeps them in a file."""
    for word in words:
        if without_password(word) != word:
            raise UserError(
                f"{word}: the words of a sweep are printed and kept. Give the address of a store as "
                "MLFLOW_TRACKING_URI, that of a mirror as RNNLAB_MIRROR, and the password of any other in ~/.netrc."
            )
