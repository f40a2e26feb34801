"""The trained net of a command that is given one, or the overrides of its training."""

import logging
from dataclasses import replace

from omegaconf import DictConfig

from rnnlab.errors import UserError
from rnnlab.results.paths import Results, from_root, of_seeds, trained_by_hand
from rnnlab.serving.load import find_predictor
from rnnlab.serving.predictor import Predictor

log = logging.getLogger("rnnlab")


def find_net(cfg: DictConfig) -> Predictor:
    """The net that `cfg.model` names; without it, that which was trained under this very config, with its seed, by hand
    or else by `dvc repro`.

    Raises: `UserError` where there is none.
    """
    if cfg.model is not None:
        return find_predictor(cfg.model, cfg.seed, cfg.tracking.get("uri"))
    untrained = UserError(
        f"{cfg.task.name}/{cfg.cell.name} seed {cfg.seed} is not trained under this config: run `rnnlab train` with "
        "the same overrides first, or name a net: model=runs/<task>/<data>/<cell>/<fingerprint>, or a champion, "
        "model=models:/rnnlab-<task>-<data>@champion."
    )
    pair = (cfg.task.name, cfg.cell.name)
    if not trained_by_hand(*pair) and not of_seeds(Results.of_pipeline(*pair).folder, "train/seed=*"):
        raise untrained  # before any data is prepared
    from rnnlab.training.run import Run  # here: a net that is named needs nothing of training

    run = Run.open(cfg)
    places = (run.results, Results.of_pipeline(*pair))
    trained = [results for results in places if replace(run, results=results).is_trained(run.seed)]
    if not trained:
        raise untrained
    folder = trained[0].train(run.seed)
    log.info("%s: the net in %s", run.label, from_root(folder))
    return Predictor.of_run(folder)
