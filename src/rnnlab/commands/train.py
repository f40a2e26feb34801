"""Training a cell on a task."""

from omegaconf import DictConfig

from rnnlab.commands.tracking import open_store
from rnnlab.serving.champions import crown
from rnnlab.training.train import check, forget_other_seeds, results_folder, seeds_of, train_seed, validation_loss


def train(cfg: DictConfig) -> float:
    """Train `cfg.seed`, or every seed of the grid where DVC asks, skipping what is already there under this setting.

    Returns: the validation loss, the mean over seeds.
    """
    check(cfg)
    store = open_store(cfg)
    seeds = seeds_of(cfg)
    with results_folder(cfg) as results:
        for seed in seeds:
            crown(store, train_seed(cfg, results, seed, store))
        if cfg.dvc:
            forget_other_seeds(results, seeds)
        return validation_loss(results, seeds)
