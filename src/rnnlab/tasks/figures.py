"""What is drawn of a task: figures of its predictions, and of what one net does."""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from rnnlab.data.batches import Batch
from rnnlab.tasks.judging import Judging, Model


class Passage(NamedTuple):
    """A sequence of one row whose states and gates are worth a figure. labels: of its timesteps, unit: what they are.

    past: a batch that is read before it, None where it starts from the initial state.
    """

    batch: Batch
    labels: list[str]
    unit: str
    past: Batch | None = None


class Figures(ABC):
    """judging: of the same task, which it knows as `judging.task`."""

    def __init__(self, judging: Judging) -> None:
        self.judging: Any = judging
        self.task: Any = judging.task

    @abstractmethod
    def figures(self, predictions: list[pd.DataFrame], name: str) -> dict[str, Figure]:
        """Of the predictions of one cell, by file name."""

    def inspect(self, model: Model) -> dict[str, Figure]:
        """Of what one trained net does, by file name: where it attends, what it writes."""
        return {}

    def passage(self) -> Passage | None:
        """What states and gates are drawn of; None: they are not."""
        return None
