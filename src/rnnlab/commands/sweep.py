"""Before the jobs of a Hydra sweep: the name they share, and the store they all write to."""

import os
import sys
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from rnnlab.addresses import without_secrets
from rnnlab.config.checking import check, check_made
from rnnlab.config.fingerprint import shown_in, words_to_keep
from rnnlab.config.schema import Named
from rnnlab.errors import UserError


class BeforeSweep(Callback):
    """Names the sweep by its overrides, and makes the store once: jobs that make it side by side would break it."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        content: Any = OmegaConf.to_container(config)  # as Hydra keeps it, interpolations unresolved
        hydra = content.pop("hydra")
        sweep = [f"{key}={value}" for key, value in (hydra["sweeper"]["params"] or {}).items()]
        given = [*sweep, *hydra["overrides"]["task"]]
        os.environ["RNNLAB_SWEEP"] = " ".join(words_to_keep(given)) or "all defaults"
        from rnnlab.commands.tracking import open_store  # here: an answer to --help needs no store

        try:
            for word in (*given, *hydra["overrides"]["hydra"]):
                _check_addresses(*word.lstrip("+~").partition("=")[::2])
            _check_addresses("", content)
            check_made(config, "tracking")
            check(config.task, group=Named)
            open_store(config)
        except UserError as error:
            # Hydra turns any other exception of a callback into a warning, and starts the jobs all the same
            print(f"error: {without_secrets(str(error))}", file=sys.stderr)
            sys.exit(2)


def _check_addresses(key: str, node: Any) -> None:
    """Raises: `UserError` for an address that may hold a secret: Hydra prints the overrides of a sweep, and keeps them
    and the config in a file."""
    if isinstance(node, dict):
        for name, child in node.items():
            _check_addresses(f"{key}.{name}".lstrip("."), child)
    elif shown_in(node) != node:
        raise UserError(
            f"{key}={shown_in(node)}: what a sweep is given is printed and kept, so an address in it may have no user, "
            f"password, query or fragment. Name an environment variable that holds the address, as "
            f"'{key}=${{oc.env:NAME}}', or give a password in ~/.netrc."
        )
