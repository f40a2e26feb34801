"""What a task can do without a recurrent net, on the same test split."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import pandas as pd

from rnnlab.tasks.judging import Judging


class Baselines(ABC):
    """judging: of the same task, which it knows as `judging.task`; it makes tables of predictions."""

    reference: ClassVar[str]
    """The baseline that everything is tested against."""

    def __init__(self, judging: Judging) -> None:
        self.judging: Any = judging
        self.task: Any = judging.task

    @abstractmethod
    def predictions(self) -> dict[str, pd.DataFrame]:
        """Of the test split, a table for each baseline by name."""
