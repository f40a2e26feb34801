"""How far a training is, and how long it will take at most."""

import time
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from rnnlab.output import Meter


class Progress(Callback):
    """Says on a `Meter` how far a training is on its way to `trainer.max_epochs`, or by `share`, from 0 to 1.

    Early stopping may end it before. A batch of the validation counts as one of training, though it takes less time.
    """

    def __init__(self, label: str, share: Callable[[], float] | None = None) -> None:
        self.label = label
        self.share = share
        self._meter: Meter | None = None
        self._is_warm = False
        self._losses: list[str] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._meter = Meter(self.label, "at most")
        if self._meter.terminal:
            self._show(trainer, 0)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert self._meter is not None
        if not self._is_warm:  # the first step, which may compile a kernel, says nothing of the others
            self._meter.restart(self._done(trainer, batch_idx + 1))
            self._is_warm = True
        elif time.monotonic() >= self._meter.due:
            self._show(trainer, batch_idx + 1)

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if self._meter is not None and time.monotonic() >= self._meter.due:
            self._show(trainer, trainer.num_training_batches + batch_idx + 1)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert self._meter is not None
        metrics, form = trainer.callback_metrics, "{} {:.3f}" if self._meter.terminal else "{} loss {:.4f}"
        self._losses = [
            form.format(split, metrics[key]) for split in ("train", "validation") if (key := f"loss/{split}") in metrics
        ]

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._close()

    def _close(self) -> None:
        if self._meter is not None:
            self._meter.close()

    @staticmethod
    def _of_epoch(trainer: pl.Trainer, batches: float) -> float:
        """The share of an epoch that so many of its batches are, of training and then of validation."""
        return batches / (trainer.num_training_batches + sum(trainer.num_val_batches))

    def _done(self, trainer: pl.Trainer, batches: float) -> float:
        if self.share is not None:
            return self.share()
        return (trainer.current_epoch + self._of_epoch(trainer, batches)) / (trainer.max_epochs or 1)

    def _show(self, trainer: pl.Trainer, batches: float) -> None:
        """batches: of the epoch under way that are done."""
        assert self._meter is not None
        done, epoch = self._done(trainer, batches), trainer.current_epoch + 1
        left = self._meter.left(done)
        if self._meter.terminal:
            place = f"epoch {epoch}" if self.share is not None else f"epoch {epoch}/{trainer.max_epochs}"
            self._meter.show(done, place, left, *self._losses)
            return
        if self.share is not None:
            place = f"epoch {epoch}, {100 * done:.0f} % of the budget"
        else:
            place = f"epoch {epoch} of {trainer.max_epochs}, {100 * self._of_epoch(trainer, batches):.0f} % of it"
        self._meter.show(done, place, *self._losses, left)
