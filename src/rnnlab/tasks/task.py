"""What every task is to training: data from a data set to batches, its dimensions, and what was learnt from it."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import pytorch_lightning as pl
from numpy.typing import NDArray

from rnnlab.arguments import check_arguments
from rnnlab.data.batches import Batch, Batches, Streams
from rnnlab.errors import UserError
from rnnlab.spec import TaskSpec
from rnnlab.tasks.raw_input import Column, Timestep, refuse

Array = NDArray[np.float64]

Split = Literal["train", "validation", "test"]

SPLITS: tuple[Split, ...] = ("train", "validation", "test")


class Task(pl.LightningDataModule, ABC):
    """A Lightning data module that also prepares its data: all that training reads, and how raw input is encoded.

    `prepare` turns a data set into a folder of `.npy` and JSON; `open` maps that folder. What predictions mean, how
    they are drawn and what stands beside them are classes of their own: see `Judging`, `Figures`, `Baselines`.
    """

    learnt: ClassVar[tuple[str, ...]] = ()
    """What of `meta` a model needs to take raw input: vocabularies, scalers, classes. It goes into the checkpoint."""

    causal: ClassVar[bool] = False
    """Whether the targets of a timestep are inputs of later ones, so that nothing may be read from the end: known
    before any data is read."""

    spec: TaskSpec
    meta: dict[str, Any]
    """What `prepare` found out, with the `digest` of the arrays; there once the task is open."""

    def options(self) -> dict[str, Any]:
        """The constructor's arguments by name: attributes, beside what a class keeps under another name and adds."""
        return vars(self)

    def check(self) -> None:
        """Raises: `UserError` for options that cannot work, before anything is read."""
        check_arguments(type(self), self.options(), "task.")

    @abstractmethod
    def prepare(self, dataset: Any, raw: Path, folder: Path) -> dict[str, Any]:
        """Read the fetched `raw` folder of `dataset`, write arrays into `folder`, return the facts for `meta.json`.

        The facts have a `report`: what a person wants to know of the data, a line for each key.
        """

    @abstractmethod
    def open(self, folder: Path, meta: dict[str, Any], seed: int) -> None:
        """Map a prepared folder; `seed` decides the order of the training examples."""

    def restore(self, learnt: dict[str, Any]) -> None:
        """Be ready for raw input without any data: take what was `learnt` for `meta`, and find `spec` from it.

        learnt: what `state_dict` gave. `open` begins with the same, of the whole `meta`.
        """
        raise self._no_raw_input()

    def raw_columns(self) -> dict[str, Column]:
        """The columns of the table that raw input is."""
        raise self._no_raw_input()

    def raw_example(self) -> pd.DataFrame:
        """A small table of raw input."""
        raise self._no_raw_input()

    def encode(self, table: pd.DataFrame) -> Batch:
        """Rows of raw input as `prepare` would have it, as one batch in their order.

        Raises: `UserError` that names the row and column of what cannot be read.
        """
        raise self._no_raw_input()

    def raw_timestep(self) -> Column:
        """What one timestep of raw input is, where a sequence is handed over piece by piece.

        Raises: `UserError` where a timestep is nothing that a user has by itself.
        """
        raise UserError(f"{self.spec.task} has no timesteps of raw input: it takes {self._held()} as a whole.")

    def read_timestep(self, value: Any, before: Timestep | None = None) -> Timestep:
        """One timestep, encoded as it would be within its sequence. before: the one before it, None at the beginning.

        Raises: `UserError` for what is no timestep, or several.
        """
        ((name, column),) = self.raw_columns().items()
        table = pd.DataFrame({name: [[value] if column.depth else value]})
        batch = self.encode(table)
        if batch.inputs.shape[1] != 1:
            refuse(0, name, f"found {batch.inputs.shape[1]} timesteps, one is needed: {self.raw_timestep().holds}")
        return Timestep(table, batch)

    def _held(self) -> str:
        return " and ".join(column.holds for column in self.raw_columns().values())

    def _no_raw_input(self) -> UserError:
        return UserError(f"{type(self).__name__} takes no raw input: it has no `restore` and `encode`.")

    @abstractmethod
    def loader(self, split: Split) -> Batches | Streams:
        """The examples of a split, "train" in a new order each epoch, the others always in the same."""

    def state_dict(self) -> dict[str, Any]:
        return {key: self.meta[key] for key in (*self.learnt, "digest")}

    def train_dataloader(self) -> Batches | Streams:
        return self.loader("train")

    def val_dataloader(self) -> Batches | Streams:
        return self.loader("validation")


def check_parts(validation: float, test: float) -> None:
    """Raises: `UserError` unless both shares leave something to train on."""
    if validation + test >= 1:
        raise UserError("task.validation and task.test leave nothing to train on: together they must stay below 1.")
