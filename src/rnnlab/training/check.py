"""What of a run's settings cannot work, found before any data is touched."""

import math

import torch
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from rnnlab.config.fingerprint import plain
from rnnlab.errors import UserError
from rnnlab.modules.build import module_class, schedule_of
from rnnlab.modules.module import check_training
from rnnlab.results.paths import CONF
from rnnlab.training.budget import check_budget
from rnnlab.training.callbacks import make_callbacks
from rnnlab.training.prepare import checked_task
from rnnlab.training.sizing import check_sizing

ACCELERATORS = ("auto", "cpu", "gpu")
PRECISIONS = ("32-true", "64-true", "16-mixed", "bf16-mixed")


def check(cfg: DictConfig) -> None:
    """Raises: `UserError` for settings that cannot work, their types being right, before any data is touched."""
    for key, choices in (("accelerator", ACCELERATORS), ("precision", PRECISIONS)):
        if cfg.trainer[key] not in choices:
            raise UserError(f"trainer.{key}={cfg.trainer[key]} is none of {', '.join(choices)}.")
    if cfg.trainer.accelerator == "gpu" and not torch.cuda.is_available():
        raise UserError("trainer.accelerator=gpu, but torch sees no CUDA device: use cpu or auto.")
    whole = ("max_epochs", "threads", "patience", "limit_batches", "log_every_n_steps")
    for key in (*(f"trainer.{name}" for name in whole), "cell.hidden_size", "cell.num_layers"):
        value = OmegaConf.select(cfg, key)
        if value is not None and value < 1:
            raise UserError(f"{key}={value}: a whole number of at least 1 is needed.")
    for key, low, high in (("cell.dropout", 0, 1), ("trainer.gradient_clip_val", 0, math.inf)):
        value = OmegaConf.select(cfg, key)
        if value is not None and not low <= value < high:
            raise UserError(f"{key}={value}: a number of at least {low} and below {high} is needed.")
    if not 0 <= cfg.seed < 2**32:
        raise UserError(f"seed={cfg.seed}: a whole number from 0 to 4294967295 is needed.")
    if not cfg.optimizer.lr > 0:
        raise UserError(f"optimizer.lr={cfg.optimizer.lr}: a rate above 0 is needed.")
    check_budget(cfg)
    check_training(plain(cfg.optimizer), schedule_of(cfg))
    check_sizing(cfg)
    if cfg.tuning.name != "none":
        overlay = CONF / "tuned" / cfg.tuning.name / f"{cfg.task.name}_{cfg.cell.name}.yaml"
        if not overlay.exists():
            raise UserError(
                f"tuning={cfg.tuning.name}: nothing is tuned for this pair: there is no "
                f"{overlay.relative_to(CONF.parent)}."
            )
    module_class(get_object(cfg.cell._target_)).check_options(cfg.cell)
    make_callbacks(cfg)
    checked_task(cfg)
