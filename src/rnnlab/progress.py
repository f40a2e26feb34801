"""How far a training is and how long it will take at most: a bar in a terminal, a plain line now and then elsewhere."""

import sys
import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from tqdm import tqdm


class Progress(Callback):
    """Counts epochs up to `trainer.max_epochs`; early stopping may end it before."""

    def __init__(self, label: str, seconds_between_lines: float = 10.0) -> None:
        self.label = label
        self.seconds_between_lines = seconds_between_lines
        self._bar: Any = None
        self._start = self._last_line = 0.0
        self._first_epoch = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._start = self._last_line = time.monotonic()
        self._first_epoch = trainer.current_epoch
        if sys.stderr.isatty():
            self._bar = tqdm(
                total=trainer.max_epochs, initial=self._first_epoch, desc=self.label, unit="epoch", leave=False
            )

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        losses = {
            split: f"{trainer.callback_metrics[key]:.4f}"
            for split in ("train", "validation")
            if (key := f"loss/{split}") in trainer.callback_metrics
        }
        if self._bar is not None:
            self._bar.set_postfix(losses)
            self._bar.update()
            return
        now, done = time.monotonic(), trainer.current_epoch + 1
        if now - self._last_line < self.seconds_between_lines:
            return
        self._last_line = now
        left = (now - self._start) / (done - self._first_epoch) * ((trainer.max_epochs or done) - done)
        text = ", ".join(f"{split} loss {loss}" for split, loss in losses.items())
        print(f"{self.label}: epoch {done} of {trainer.max_epochs}, {text}, at most {left:.0f} s left", flush=True)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
