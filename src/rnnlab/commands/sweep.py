"""Before the jobs of a Hydra sweep: the name they share, and the store they all write to."""

import logging
import os
import sys
from collections.abc import Iterable
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from rnnlab.config.checking import check, check_made, faults, refuse
from rnnlab.config.cli import report
from rnnlab.config.fingerprint import shown_in, words_to_keep
from rnnlab.config.schema import Named, declared
from rnnlab.errors import UserError
from rnnlab.results.paths import root

log = logging.getLogger("rnnlab")


class BeforeSweep(Callback):
    """Names the sweep by its overrides, checks what all its jobs share, and then makes the store, once: jobs that make
    it side by side would break it."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        content: Any = OmegaConf.to_container(config)  # as Hydra keeps it, interpolations unresolved
        hydra = content.pop("hydra")
        sweep = [f"{key}={value}" for key, value in (hydra["sweeper"]["params"] or {}).items()]
        given = [*sweep, *hydra["overrides"]["task"]]
        os.environ["RNNLAB_SWEEP"] = " ".join(words_to_keep(given)) or "all defaults"
        try:
            for word in (*given, *hydra["overrides"]["hydra"]):
                _check_addresses(*word.lstrip("+~").partition("=")[::2])
            _check_addresses("", content)
            settings = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
            check_made(settings, "tracking")
            check_made(settings, "cluster")
            check(settings.task, group=Named)
            swept = _swept(sweep, hydra["overrides"]["task"])
            _check_one_cluster(swept)
            refuse({key: text for key, text in faults(settings).items() if not _is_open(key, swept)})
            log.info("sweep of %s, in %s", os.environ["RNNLAB_SWEEP"], root())
            # here: it takes seconds, and an answer to --help needs no store
            from rnnlab.commands.tracking import open_store

            open_store(settings)
        except (UserError, OSError) as error:
            # Hydra turns any other exception of a callback into a warning, and starts the jobs all the same
            sys.exit(report(error))


def _swept(sweep: Iterable[str], words: Iterable[str]) -> set[str]:
    """The keys and groups whose values its jobs decide: those of a config's own sweep, and of the command line's words
    those with several values."""
    parsed = OverridesParser.create().parse_overrides([*words])
    keys = [word.partition("=")[0] for word in sweep]
    keys += [override.key_or_group for override in parsed if override.is_sweep_override()]
    return {key.lstrip("+~").partition("@")[0].replace("/", ".") for key in keys}


def _check_one_cluster(swept: Iterable[str]) -> None:
    """Raises: `UserError` where a sweep would run its jobs in several places: they are handed over together."""
    for key in sorted(swept):
        if key.partition(".")[0] == "cluster":
            raise UserError(f"{key}: a sweep runs all its jobs in one place, so this takes one value.")


def _is_open(key: str, swept: Iterable[str]) -> bool:
    """Whether a job may have another value at a key than the config of the whole sweep. What is no group of the schema,
    such as an experiment, decides any key."""
    return any(f"{key}.".startswith(f"{each}.") or each.partition(".")[0] not in declared() for each in swept)


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
