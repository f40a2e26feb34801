"""What the outputs of a net mean on a task: predictions of the test split, their metrics, and answers to raw input."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from rnnlab.arguments import check_arguments
from rnnlab.data.batches import Batch, Batches
from rnnlab.data.vocabulary import PADDING, SPECIAL, UNKNOWN
from rnnlab.errors import UserError
from rnnlab.output import progress
from rnnlab.tasks.raw_input import check_columns, pieces
from rnnlab.tasks.task import Array, Split, Task

MANY_UNKNOWN = 0.5
"""Share of tokens that training had not, above which raw input is of another kind."""


class Model(Protocol):
    """What a task sees of a trained net: `model(batch)`, and its layout as `model.net` (see `rnnlab.layouts`)."""

    net: Any

    @property
    def device(self) -> torch.device: ...

    def __call__(self, batch: Batch, /) -> Any: ...

    def eval(self) -> Any: ...


class Judging(ABC):
    """Predictions are a table with a row for each thing predicted; only the task's judging knows its columns.

    task: open, or restored where only raw input is answered. Options of a class that derives from it decide how
    outputs are decoded, and nothing of the training; it raises `UserError` for those that cannot work.
    """

    timestep: ClassVar[str] = "timestep"
    """The column that counts the timesteps of a sequence, from 1, in answers to each of them."""

    def __init__(self, task: Task) -> None:
        self.task = task

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> None:
        """options: of the constructor, by name, as `task.judging` has them.

        Raises: `UserError` for one that cannot work; no data is needed to know.
        """
        check_arguments(cls, options, "task.")

    @abstractmethod
    def predict(self, model: Model) -> pd.DataFrame:
        """What the model says of the test split, as a table in the task's own units."""

    @abstractmethod
    def losses(self, predictions: pd.DataFrame) -> Array:
        """The loss of each `spec.unit` of the split that a table is of, lower being better; in time, in its order.

        In the same order for every table, so that two methods can be compared item by item. Their mean is the metric
        that ranks, or, where a higher one is better, the best value that it can have less the metric: so an interval of
        the mean is one of the metric. A metric that is no mean is linearised: see `losses_of_ratio`.
        """

    @abstractmethod
    def judge(self, predictions: pd.DataFrame) -> dict[str, float]:
        """The metrics of one table of predictions, `spec.metrics` and any others worth reporting."""

    def metrics(self, predictions: list[pd.DataFrame]) -> dict[str, float]:
        """What is reported of the tables of several seeds: the mean of each metric."""
        each = [self.judge(table) for table in predictions]
        return {key: float(np.mean([metrics[key] for metrics in each])) for key in each[0]}

    def remarks(self) -> list[str]:
        """What a user should know before training, of what the test split is too small to show."""
        return []

    def published(self) -> str:
        """What others have reached on this very test split, in a sentence for below the results; empty: not known."""
        return ""

    @abstractmethod
    def plot_rows(self, predictions: list[pd.DataFrame]) -> pd.DataFrame:
        """A small table that `dvc plots` draws: a `score` for each `part` of the test split: horizon, class, length."""

    @property
    def writes(self) -> bool:
        """Whether there are any `samples`."""
        return type(self).samples is not Judging.samples

    def samples(self, model: Model) -> dict[str, str | bytes]:
        """What one net writes by itself, by file name with its ending, during training and at its end."""
        return {}

    def raw_options(self) -> dict[str, int | float]:
        """What may be asked of an answer, with its default."""
        return {}

    def say(self, model: Model, batch: Batch, table: pd.DataFrame) -> pd.DataFrame:
        """The answers to rows of raw input in the task's own words; the index is that of the row each belongs to."""
        raise UserError(f"{type(self).__name__} answers no raw input: it has no `say`.")

    def learnt_from(self) -> str:
        """What a restored task knows of the data that the net was trained on, in words; empty: nothing."""
        return ""

    def misfits(self, table: pd.DataFrame) -> list[str]:
        """In what raw input is unlike the data of training, though it can be answered, a line each; nothing of what
        cannot be read, which is refused with its place when it is answered."""
        columns = self.task.raw_columns()
        if table.empty:
            return []
        try:
            check_columns(table, columns)
            inputs = self.task.encode(next(pieces(table))).inputs
        except UserError:
            return []
        found = []
        if any(column.shape for column in columns.values()) and 0 < inputs.max() <= 1 / 255:
            found.append("all pixels of the first images are between 0 and 1, where ink is 255")
        if self.task.meta.get("vocabulary", [])[: len(SPECIAL)] == [*SPECIAL] and self.task.spec.tokens:
            share = float((inputs == UNKNOWN).sum() / (inputs != PADDING).sum())
            if share > MANY_UNKNOWN:
                found.append(f"{share:.0%} of the first tokens are none of those in training")
        return found

    def respond(self, model: Model, tables: Iterable[pd.DataFrame], **options: Any) -> Iterator[pd.DataFrame]:
        """The answers to raw input, piece by piece, so that neither need ever be whole in memory."""
        model.eval()
        for table in tables:
            check_columns(table, self.task.raw_columns())
            for part in pieces(table):
                with torch.inference_mode():
                    yield self.say(model, self.task.encode(part), part)

    def answers(self, model: Model, split: Split = "test") -> Iterator[tuple[Batch, Tensor]]:
        """Each batch of a split with what the model says of it; of a stream, with the state carried over."""
        model.eval()
        state = None
        with torch.inference_mode():
            for batch in progress(self.task.loader(split), f"{self.task.spec.task}: predicting the {split} part"):
                batch = batch.to(model.device)
                prediction, state = model.net(batch, None if batch.starts else state)
                yield batch, prediction

    def outputs(self, model: Model, split: Split = "test") -> Array:
        """The model's outputs for a whole split, one for each example, in the order in which the examples lie."""
        loader = self.task.loader(split)
        assert isinstance(loader, Batches)
        found = torch.cat([prediction.double().cpu() for _, prediction in self.answers(model, split)])
        result = torch.empty_like(found)
        result[loader.positions()] = found
        return result.numpy()


def losses_of_ratio(errors: Array, sizes: Array) -> Array:
    """Losses of units that differ in size, such as the wrong tags of each sentence: eᵢ/s̄ + r (1 - sᵢ/s̄), r = Σe / Σs.

    Their mean is the ratio r; their standard error that of r by the delta method, for which eᵢ / s̄ alone would count
    the sizes as errors.
    """
    ratio = errors.sum() / sizes.sum()
    losses: Array = errors / sizes.mean() + ratio * (1 - sizes / sizes.mean())
    return losses
