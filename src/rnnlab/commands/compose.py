"""Writing what each stage of dvc.yaml depends on."""

from omegaconf import DictConfig

from rnnlab.config.stages import write_configs


def compose(_: DictConfig) -> None:
    """Write configs/, a file for each stage and item of conf/grid.yaml."""
    write_configs()
