"""How far a training is and how long it will take at most: a bar in a terminal, a plain line now and then elsewhere."""

import logging
import sys
import time
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from tqdm import tqdm

log = logging.getLogger(__name__)


class Progress(Callback):
    """Counts epochs up to `trainer.max_epochs`, or by `share`, from 0 to 1; early stopping may end it before."""

    def __init__(
        self, label: str, share: Callable[[], float] | None = None, seconds_between_lines: float = 10.0
    ) -> None:
        self.label = label
        self.share = share
        self.seconds_between_lines = seconds_between_lines
        self._bar: Any = None
        self._start = self._last_line = 0.0
        self._first = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._start = self._last_line = time.monotonic()
        self._first = trainer.current_epoch if self.share is None else self.share()
        if sys.stderr.isatty():
            total, unit = (trainer.max_epochs, "epoch") if self.share is None else (100, "%")
            initial = self._first if self.share is None else round(100 * self._first)
            self._bar = tqdm(total=total, initial=initial, desc=self.label, unit=unit, leave=False)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        losses = {
            split: f"{trainer.callback_metrics[key]:.4f}"
            for split in ("train", "validation")
            if (key := f"loss/{split}") in trainer.callback_metrics
        }
        if self._bar is not None:
            self._bar.set_postfix(losses)
            self._bar.update(1 if self.share is None else round(100 * self.share()) - self._bar.n)
            return
        now, epochs = time.monotonic(), trainer.current_epoch + 1
        if now - self._last_line < self.seconds_between_lines:
            return
        self._last_line = now
        text = ", ".join(f"{split} loss {loss}" for split, loss in losses.items())
        if self.share is None:
            done, whole = float(epochs), float(trainer.max_epochs or epochs)
            far = f"epoch {epochs} of {trainer.max_epochs}"
        else:
            done, whole = self.share(), 1.0
            far = f"epoch {epochs}, {done:.0%} of the budget"
        left = (now - self._start) / max(done - self._first, 1e-9) * (whole - done)
        log.info("%s: %s, %s, at most %.0f s left", self.label, far, text, left)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
