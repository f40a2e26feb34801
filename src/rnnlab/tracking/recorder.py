"""The history of a run: every metric it logs, kept for its folder and handed on to the store as it comes."""

import time
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers.logger import Logger

from rnnlab.tracking.clock import StepClock
from rnnlab.tracking.live import Row


class Recorder(Logger):
    """A Lightning logger that keeps all rows and hands them to `send` in batches, at most every `seconds`.

    A metric named `..._step` is charted by training step, every other by epoch. To a logger, as in Lightning, the
    first epoch is 0; in rows, and in all that is made of them, it is 1.
    """

    def __init__(self, send: Callable[[list[Row]], None] | None, seconds: float = 5.0) -> None:
        super().__init__()
        self.rows: list[Row] = []
        self.clock = StepClock()
        self._send = send
        self._seconds = seconds
        self._unsent = 0
        self._last = time.monotonic()

    @property
    def name(self) -> str:
        return "rnnlab"

    @property
    def version(self) -> str:
        return ""

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """The run's config is written by `training`, not here."""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        epoch = int(metrics.pop("epoch", 0)) + 1
        now = int(time.time() * 1000)
        self.rows += [Row(key, float(value), step or 0, epoch, now) for key, value in metrics.items()]
        if time.monotonic() - self._last > self._seconds:
            self.flush()

    def flush(self) -> None:
        """Hand on what has not been handed on."""
        self._last = time.monotonic()
        if self._send and self._unsent < len(self.rows):
            self._send(self.rows[self._unsent :])
        self._unsent = len(self.rows)


class KeepHistory(Callback):
    """Puts the recorder's rows into every checkpoint, so that a resumed run has the whole history, and takes the time.

    One callback for both: Lightning calls each at every step, whether it does anything or not.
    """

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.recorder.clock.start_epoch()

    def on_train_batch_end(self, *_: Any) -> None:
        self.recorder.clock.end_step()

    def state_dict(self) -> dict[str, Any]:
        clock = self.recorder.clock
        return {"rows": [tuple(row) for row in self.recorder.rows], "seconds": clock.seconds, "steps": clock.steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.recorder.rows = [Row(*row) for row in state_dict["rows"]]
        self.recorder.clock.seconds, self.recorder.clock.steps = state_dict["seconds"], state_dict["steps"]
