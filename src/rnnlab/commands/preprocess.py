"""Preparing the data of a task."""

from omegaconf import DictConfig

from rnnlab.training import prepare


def preprocess(cfg: DictConfig) -> None:
    """Prepare the pipeline's data/processed from its data/raw, and print the data report."""
    prepare.preprocess(cfg)
