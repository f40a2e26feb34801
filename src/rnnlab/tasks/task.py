"""What every task is: data from a data set to batches, a baseline without recurrence, and what its errors mean."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from rnnlab.data.batches import Batch, Batches, Streams
from rnnlab.errors import UserError
from rnnlab.spec import TaskSpec
from rnnlab.tasks.raw_input import Column, check_columns, pieces

Array = NDArray[np.float64]

Split = Literal["train", "validation", "test"]

SPLITS: tuple[Split, ...] = ("train", "validation", "test")


class Model(Protocol):
    """What a task sees of a trained net: `model(batch)`, and its layout as `model.net` (see `rnnlab.layouts`)."""

    net: Any

    @property
    def device(self) -> torch.device: ...

    def __call__(self, batch: Batch, /) -> Any: ...

    def eval(self) -> Any: ...


class Task(pl.LightningDataModule, ABC):
    """A Lightning data module that also knows how to prepare its data, to judge predictions and to draw them.

    `prepare` turns a data set into a folder of `.npy` and JSON; `open` maps that folder. Predictions are a table with
    a row for each thing predicted; only the task knows its columns.
    """

    reference: ClassVar[str]
    """The baseline that everything is tested against."""

    learnt: ClassVar[tuple[str, ...]] = ()
    """What of `meta` a model needs to take raw input: vocabularies, scalers, classes. It goes into the checkpoint."""

    spec: TaskSpec
    meta: dict[str, Any]
    """What `prepare` found out, with the `digest` of the arrays; there once the task is open."""

    @abstractmethod
    def check(self) -> None:
        """Raises: `UserError` for options that cannot work, before anything is read."""

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

    def raw_options(self) -> dict[str, int | float]:
        """What may be asked of an answer, with its default."""
        return {}

    def encode(self, table: pd.DataFrame) -> Batch:
        """Rows of raw input as `prepare` would have it, as one batch in their order.

        Raises: `UserError` that names the row and column of what cannot be read.
        """
        raise self._no_raw_input()

    def say(self, model: Model, batch: Batch, table: pd.DataFrame) -> pd.DataFrame:
        """The answers to rows of raw input in the task's own words; the index is that of the row each belongs to."""
        raise self._no_raw_input()

    def respond(self, model: Model, tables: Iterable[pd.DataFrame], **options: Any) -> Iterator[pd.DataFrame]:
        """The answers to raw input, piece by piece, so that neither need ever be whole in memory."""
        model.eval()
        for table in tables:
            check_columns(table, self.raw_columns())
            for part in pieces(table):
                with torch.inference_mode():
                    yield self.say(model, self.encode(part), part)

    def _no_raw_input(self) -> UserError:
        return UserError(f"{type(self).__name__} takes no raw input: it has no `restore`, `encode` and `say`.")

    @abstractmethod
    def loader(self, split: Split) -> Batches | Streams:
        """The examples of a split, "train" in a new order each epoch, the others always in the same."""

    @abstractmethod
    def predict(self, model: Model) -> pd.DataFrame:
        """What the model says of the test split, as a table in the task's own units."""

    @abstractmethod
    def baselines(self) -> dict[str, pd.DataFrame]:
        """Predictions of the test split by methods that use no recurrent net."""

    @abstractmethod
    def losses(self, predictions: pd.DataFrame) -> Array:
        """The loss of each item of the test split that can be taken for independent of the others, lower being better.

        In the same order for every table, so that two methods can be compared item by item; their mean is what the
        ranking metric says, or goes up and down with it.
        """

    @abstractmethod
    def judge(self, predictions: pd.DataFrame) -> dict[str, float]:
        """The metrics of one table of predictions, `spec.metrics` and any others worth reporting."""

    def metrics(self, predictions: list[pd.DataFrame]) -> dict[str, float]:
        """What is reported of the tables of several seeds: the mean of each metric."""
        each = [self.judge(table) for table in predictions]
        return {key: float(np.mean([metrics[key] for metrics in each])) for key in each[0]}

    @abstractmethod
    def figures(self, predictions: list[pd.DataFrame], name: str) -> dict[str, Figure]:
        """Pictures of the predictions of one cell, by file name."""

    @abstractmethod
    def plot_rows(self, predictions: list[pd.DataFrame]) -> pd.DataFrame:
        """A small table that `dvc plots` draws: a `score` for each `part` of the test split: horizon, class, length."""

    def look(self, model: Model) -> dict[str, Figure]:
        """Pictures of what one trained net does, by file name: where it attends, what it writes."""
        return {}

    @property
    def writes(self) -> bool:
        """Whether there are any `samples`."""
        return type(self).samples is not Task.samples

    def samples(self, model: Model) -> dict[str, str | bytes]:
        """What one net writes by itself, by file name with its ending, during training and at its end."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {key: self.meta[key] for key in (*self.learnt, "digest")}

    def train_dataloader(self) -> Batches | Streams:
        return self.loader("train")

    def val_dataloader(self) -> Batches | Streams:
        return self.loader("validation")

    def answers(self, model: Model, split: Split = "test") -> Iterator[tuple[Batch, Tensor]]:
        """Each batch of a split with what the model says of it; of a stream, with the state carried over."""
        model.eval()
        state = None
        with torch.inference_mode():
            for batch in self.loader(split):
                batch = batch.to(model.device)
                prediction, state = model.net(batch, None if batch.starts else state)
                yield batch, prediction

    def outputs(self, model: Model, split: Split = "test") -> Array:
        """The model's outputs for a whole split, one for each example, in the order in which the examples lie."""
        loader = self.loader(split)
        assert isinstance(loader, Batches)
        found = torch.cat([prediction.double().cpu() for _, prediction in self.answers(model, split)])
        result = torch.empty_like(found)
        result[loader.positions()] = found
        return result.numpy()


def check_whole(key: str, value: Any, at_least: int = 1) -> None:
    """Raises: `UserError` unless task.<key> is a whole number, and large enough."""
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise UserError(f"task.{key}={value}: a whole number of at least {at_least} is needed.")


def check_share(key: str, value: Any) -> None:
    """Raises: `UserError` unless task.<key> lies between 0 and 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise UserError(f"task.{key}={value}: a share between 0 and 1 is needed.")


def check_parts(validation: Any, test: Any) -> None:
    """Raises: `UserError` unless both shares lie between 0 and 1 and leave something to train on."""
    check_share("validation", validation)
    check_share("test", test)
    if validation + test >= 1:
        raise UserError("task.validation and task.test leave nothing to train on: together they must stay below 1.")


def check_choice(key: str, value: Any, choices: tuple[str, ...]) -> None:
    """Raises: `UserError` unless task.<key> is one of the choices."""
    if value not in choices:
        raise UserError(f"task.{key}={value} is none of {', '.join(choices)}.")
