"""Writing what each stage of dvc.yaml depends on."""

import logging

from omegaconf import DictConfig

from rnnlab.config.stages import write_configs
from rnnlab.results.paths import from_root

log = logging.getLogger("rnnlab")


def compose(_: DictConfig) -> None:
    """Write configs/, a file for each stage and item of conf/grid.yaml."""
    log.info("wrote %s", from_root(write_configs()))
