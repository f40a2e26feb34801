"""What a task can do without a recurrent net, on the same test split."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import pandas as pd

from rnnlab.tasks.judging import Judging
from rnnlab.tasks.task import Split

Predict = Callable[[Split], pd.DataFrame]
"""A fitted baseline: its table of predictions of the validation or the test split."""


class Baselines(ABC):
    """judging: of the same task, which it knows as `judging.task`; it makes tables of predictions."""

    trivial: ClassVar[str]
    """The baseline that takes nothing to know: the commonest class, the last value."""

    def __init__(self, judging: Judging) -> None:
        self.judging: Any = judging
        self.task: Any = judging.task

    @abstractmethod
    def fitted(self) -> dict[str, Predict]:
        """Each baseline by name, fitted to the training split, its options chosen on the validation split."""
