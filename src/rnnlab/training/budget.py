"""What a training may spend, the same for every cell: epochs, optimizer steps, or seconds."""

import math
from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig
from pytorch_lightning.callbacks import Callback

from rnnlab.arguments import refusal
from rnnlab.errors import UserError
from rnnlab.modules.build import follows_budget
from rnnlab.tracking.clock import StepClock

LIMITS = ("steps", "seconds")


def check_budget(cfg: DictConfig) -> None:
    """Raises: `UserError` for a limit that is missing or of no use."""
    kind = cfg.budget.name
    for key in LIMITS:
        value = cfg.budget[key]
        if key != kind and value is not None:
            raise UserError(f"budget.{key}={value} is of no use with budget={kind}: add budget={key}.")
        if key == kind and value is None:
            raise UserError(f"budget={kind} needs budget.{key}.")
    if kind == "epochs" and cfg.trainer.max_epochs is None:
        raise UserError(refusal("trainer.max_epochs", "an integer >= 1 with budget=epochs", None))
    if kind == "epochs" and follows_budget(cfg):
        raise UserError(refusal("schedule.T_max", "an integer >= 1 with budget=epochs", None))


def make_budget(cfg: DictConfig) -> "Budget | None":
    """What ends a training beside its epochs, if anything does."""
    if cfg.budget.name not in LIMITS:
        return None
    lowest = cfg.schedule.get("eta_min", 0.0) if follows_budget(cfg) else None
    return Budget(cfg.budget.steps, cfg.budget.seconds, cfg.optimizer.lr, lowest)


class Budget(Callback):
    """Ends a training once `steps` of the optimizer are taken, or `seconds` spent in training steps.

    The epoch under way is then cut short, validated and kept as any other. Seconds are those of a `StepClock`. A run
    that was stopped goes on with what its last checkpoint had spent.

    With a `lowest` rate, that of step t is ηₜ = η_min + (η₀ − η_min) · (1 + cos(π s)) / 2, where s, from 0 to 1, is the
    share of the budget that is spent before the step (Loshchilov and Hutter, SGDR, 2017, without restarts). By seconds,
    it depends on the machine and its load, as does when the training ends: such a run is not repeated bit for bit.
    """

    def __init__(self, steps: int | None, seconds: float | None, lr: float, lowest: float | None) -> None:
        self.steps, self.seconds = steps, seconds
        self.lr, self.lowest = lr, lowest
        self._clock = StepClock()
        self._taken = 0

    @property
    def share(self) -> float:
        """What is spent, of 1."""
        if self.steps is not None:
            return min(1.0, self._taken / self.steps)
        assert self.seconds is not None
        return min(1.0, self._clock.seconds / self.seconds)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._taken = trainer.global_step
        self._stop_if_spent(trainer)  # a run that was stopped between its last epoch and its results

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._clock.start_epoch()

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, _: int) -> None:
        if self.lowest is None:
            return
        rate = self.lowest + (self.lr - self.lowest) * (1 + math.cos(math.pi * self.share)) / 2
        for optimizer in trainer.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self._taken = trainer.global_step
        self._clock.end_step()
        self._stop_if_spent(trainer)

    def state_dict(self) -> dict[str, Any]:
        return {"spent": self._clock.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._clock.seconds = state_dict["spent"]

    def _stop_if_spent(self, trainer: pl.Trainer) -> None:
        if self.share >= 1:
            trainer.should_stop = True
