"""The trained net of a command that is given one, or the overrides of its training."""

import logging

from omegaconf import DictConfig

from rnnlab.errors import UserError
from rnnlab.results.paths import from_root, root
from rnnlab.serving.load import find_predictor
from rnnlab.serving.predictor import Predictor

log = logging.getLogger("rnnlab")


def find_net(cfg: DictConfig) -> Predictor:
    """The net that `cfg.model` names; without it, that which was trained under this very config, with its seed.

    Raises: `UserError` where there is none.
    """
    if cfg.model is not None:
        return find_predictor(cfg.model, cfg.seed, cfg.tracking.get("uri"))
    untrained = UserError(
        f"{cfg.task.name}/{cfg.cell.name} seed {cfg.seed} is not trained under this config: run `rnnlab train` with "
        "the same overrides first, or name a net: model=runs/<task>/<cell>/<fingerprint>, or "
        "model=models:/rnnlab-price@champion."
    )
    runs = f"results/{cfg.task.name}/{cfg.cell.name}" if cfg.dvc else f"runs/{cfg.task.name}/{cfg.cell.name}/*"
    if not any(root().glob(f"{runs}/train/seed={cfg.seed}")):  # before any data is prepared
        raise untrained
    from rnnlab.training.run import Run  # here: a net that is named needs nothing of training

    run = Run.open(cfg)
    if not run.is_trained(run.seed):
        raise untrained
    folder = run.results.train(run.seed)
    log.info("%s: the net in %s", run.label, from_root(folder))
    return Predictor.of_run(folder)
