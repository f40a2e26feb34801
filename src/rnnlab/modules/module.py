"""The one LightningModule that all cells' modules derive from."""

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from torch import Tensor
from torch.optim.lr_scheduler import ReduceLROnPlateau

from rnnlab.arguments import Positive, parameters
from rnnlab.cells.cell import Cell, State
from rnnlab.data.batches import Batch
from rnnlab.errors import UserError
from rnnlab.layouts.layout import build
from rnnlab.spec import TaskSpec
from rnnlab.unroll.masks import detached
from rnnlab.unroll.recurrent import Recurrent

NOT_OF_THE_CELL = (
    "spec",
    "optimizer",
    "schedule",
    "net",
    "log_every_n_steps",
    "cell_class",
    "input_size",
    "batch_first",
    "layer",
)
"""What a module or `Recurrent` is given beside the options of conf/cell."""


class Diverged(UserError):
    """The loss is no longer a number."""


class SequenceModule(pl.LightningModule):
    """A cell, stacked and unrolled, in the layout of a task, and how it is trained.

    A cell type derives from this and names its `cell_class`; nothing else is needed. `SequenceModule.of(cell_class)` is
    such a class, for a cell that has none of its own.

    name: the cell's name in results, the stem of its file in conf/cell.
    spec: `TaskSpec.as_dict()` of the task.
    net: `_target_` and options of a layout, see `rnnlab.layouts`.
    optimizer, schedule: `_target_` and arguments of a class of `torch.optim`, of `torch.optim.lr_scheduler`.
    options: what `Recurrent` takes, and `cell_class` beside its sizes.

    Raises: `Diverged` when a loss, in training or validation, is NaN or infinite.
    """

    cell_class: ClassVar[type[Cell]]

    def __init__(
        self,
        name: str,
        spec: dict[str, Any],
        optimizer: dict[str, Any],
        schedule: dict[str, Any] | None = None,
        *,
        net: dict[str, Any],
        hidden_size: Positive = 64,
        log_every_n_steps: int = 50,
        **options: Any,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.name = name
        self.spec = TaskSpec.of(spec)
        make = partial(Recurrent, self.cell_class, hidden_size=hidden_size, batch_first=True)
        self.net = build(self.spec, partial(_make, make, options), net)
        self.optimizer_options = optimizer
        self.schedule_options = schedule
        self.log_every_n_steps = log_every_n_steps
        self._losses: dict[str, Tensor] = {}
        self._sizes = {"train": 0, "validation": 0}
        self._carried: dict[str, list[State]] = {}

    @classmethod
    def of(cls, cell_class: type[Cell]) -> "type[SequenceModule]":
        """The module of a cell that has none of its own."""
        members = {"cell_class": cell_class, "__module__": __name__, "__doc__": cls.__doc__}
        return type(f"{cell_class.__name__}Module", (cls,), members)

    @classmethod
    def parameters_of(cls, options: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
        """The type of each of the `options` that conf/cell may hold, and whether there may be others."""
        found: dict[str, Any] = {}
        is_open = False
        for taker in cls.takers(options):
            own, is_open = parameters(taker)
            found |= own | found  # the limits of the first that takes it
        return {name: kind for name, kind in found.items() if name not in NOT_OF_THE_CELL}, is_open

    @classmethod
    def takers(cls, options: Mapping[str, Any]) -> list[type]:  # noqa: ARG003 (TorchRecurrent overrides it and needs them)
        """The classes that the `options` go to, the last of which says whether there may be others."""
        return [cls, Recurrent, cls.cell_class]

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> None:
        """Raises: `UserError` for options of conf/cell that cannot work on this machine, before any data is touched."""

    @property
    def recurrent(self) -> Recurrent:
        """The net that reads the input."""
        return self.net.recurrent

    @property
    def unrolled(self) -> str:
        """The ways its recurrent nets were run over time so far."""
        return "+".join(sorted(set[str]().union(*(recurrent.chosen for recurrent in self.net.recurrents))))

    @property
    def state_size(self) -> int:
        """Numbers carried from one timestep to the next, for one sequence, by all its recurrent nets."""
        return sum(recurrent.state_size for recurrent in self.net.recurrents)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of the matrix products of one timestep of one sequence, in all its recurrent nets."""
        return sum(recurrent.multiply_adds for recurrent in self.net.recurrents)

    @property
    def parameter_count(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())

    def forward(self, batch: Batch) -> Tensor:
        """What the loss is taken of; see the layout for its shape."""
        prediction: Tensor = self.net(batch)[0]
        return prediction

    def loss(self, batch: Batch) -> Tensor:
        """The mean loss of a batch, the state being the initial one."""
        return self.net.loss(self(batch), batch)[0]

    def training_step(self, batch: Batch, _: int) -> Tensor:
        loss = self._step(batch, "train")
        # straight to the logger and not at each step: `self.log` costs as much as a short step
        if self.logger is not None and self.global_step % self.log_every_n_steps == 0:
            row = {"loss/train_step": loss.item(), "epoch": self.current_epoch}
            self.logger.log_metrics(row, self.global_step)
        return loss

    def validation_step(self, batch: Batch, _: int) -> None:
        self._step(batch, "validation")

    def _step(self, batch: Batch, split: str) -> Tensor:
        state = None if batch.starts else self._carried.get(split)
        prediction, last = self.net(batch, state)
        if self.spec.streamed:
            self._carried[split] = detached(last)
        loss, count = self.net.loss(prediction, batch)
        if not torch.isfinite(loss):
            raise Diverged(
                f"the {split} loss became {loss.item()} at step {self.global_step} (epoch {self.current_epoch + 1})"
            )
        # one sum, not a list of all: small tensors that stay, between large ones that go, make the heap grow
        self._losses[split] = self._losses.get(split, 0) + loss.detach().double() * count
        self._sizes[split] += count
        return loss

    def on_validation_epoch_start(self) -> None:
        # here and not at the end of the training epoch, where checkpoints are written before metrics are logged
        self._log_epoch("train")
        if self.trainer.state.fn == "fit":
            self.log("learning_rate", self.optimizers().param_groups[0]["lr"])  # type: ignore[union-attr]

    def on_validation_epoch_end(self) -> None:
        self._log_epoch("validation")

    def _log_epoch(self, split: str) -> None:
        """Log the mean loss per prediction, and forget what was summed."""
        if split not in self._losses:
            return  # validation by itself, before any training
        self.log(f"loss/{split}", (self._losses.pop(split).cpu() / self._sizes[split]).float())
        self._sizes[split] = 0

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # dropout, zoneout and random initial states of a resumed run are those of one that was never stopped
        checkpoint["random_numbers"] = torch.get_rng_state()
        if self.device.type == "cuda":
            checkpoint["random_numbers_cuda"] = torch.cuda.get_rng_state(self.device)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        torch.set_rng_state(checkpoint["random_numbers"])
        if "random_numbers_cuda" in checkpoint and torch.cuda.is_available():
            torch.cuda.set_rng_state(checkpoint["random_numbers_cuda"])

    def configure_optimizers(self) -> Any:
        optimizer = _partial(self.optimizer_options)(self.parameters())
        if self.schedule_options is None:
            return optimizer
        schedule = _partial(self.schedule_options)(optimizer)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "monitor": "loss/validation"}}


def check_training(optimizer: Mapping[str, Any], schedule: Mapping[str, Any] | None) -> None:
    """Try both on a net of one number, for one step.

    Raises: `UserError` where their classes refuse an option.
    """
    parameter = torch.nn.Parameter(torch.zeros(1))
    parameter.grad = torch.zeros(1)
    told = "optimizer", optimizer
    try:
        descent = _partial(dict(optimizer))([parameter])
        if schedule is None:
            return
        told = "schedule", schedule
        course = _partial(dict(schedule))(descent)
        told = "optimizer", optimizer
        descent.step()
        told = "schedule", schedule
        course.step(*[0.0] if isinstance(course, ReduceLROnPlateau) else [])
    except (ValueError, TypeError, ArithmeticError, RuntimeError) as error:
        group, options = told
        given = ", ".join(f"{key}={value}" for key, value in options.items() if key != "_target_")
        name = options["_target_"].rpartition(".")[2]
        raise UserError(f"{group}: {name} cannot be made with {given} ({error}).") from None


def _make(make: partial[Recurrent], options: dict[str, Any], input_size: int, **other: Any) -> Recurrent:
    """A recurrent net of the configured cell; `other` replaces its options."""
    return make(input_size, **{**options, **other})


def _partial(options: dict[str, Any]) -> Any:
    """The class that `options` names, still to be called with what it works on."""
    return instantiate({**options, "_partial_": True})
