"""What every task is: data from a data set to batches, a baseline without recurrence, and what its errors mean."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from rnnlab.data.batches import Batches
from rnnlab.spec import TaskSpec


class Task(pl.LightningDataModule, ABC):
    """A Lightning data module that also knows how to prepare its data, to judge predictions and to draw them.

    `prepare` turns a data set into a folder of `.npy` and JSON; `open` maps that folder. Predictions are a table with
    a row for each thing predicted; only the task knows its columns.
    """

    reference: ClassVar[str]
    """The baseline that everything is tested against."""

    spec: TaskSpec
    meta: dict[str, Any]
    """What `prepare` found out, with the `digest` of the arrays; there once the task is open."""

    @abstractmethod
    def check(self) -> None:
        """Raises: `UserError` for options that cannot work, before anything is read."""

    @abstractmethod
    def prepare(self, dataset: Any, raw: Path, folder: Path) -> dict[str, Any]:
        """Read the fetched `raw` folder of `dataset`, write arrays into `folder`, return the facts for `meta.json`."""

    @abstractmethod
    def open(self, folder: Path, meta: dict[str, Any], seed: int) -> None:
        """Map a prepared folder; `seed` decides the order of the training examples."""

    @abstractmethod
    def loader(self, split: str) -> Batches:
        """The examples of a split, "train" in a new order each epoch, the others as they lie."""

    @abstractmethod
    def predictions(self, outputs: NDArray[np.float64]) -> pd.DataFrame:
        """The net's outputs for the whole test split, (examples, output_size), as a table in the task's own units."""

    @abstractmethod
    def baselines(self) -> dict[str, pd.DataFrame]:
        """Predictions of the test split by methods that use no recurrent net."""

    @abstractmethod
    def metrics(self, predictions: list[pd.DataFrame]) -> dict[str, float]:
        """What is reported of one table of predictions, or of several seeds together (then the mean over seeds)."""

    @abstractmethod
    def figures(self, predictions: list[pd.DataFrame], name: str) -> dict[str, Figure]:
        """Pictures of the predictions of one cell, by file name."""

    @abstractmethod
    def plot_rows(self, predictions: list[pd.DataFrame]) -> pd.DataFrame:
        """A small table that `dvc plots` draws."""

    def train_dataloader(self) -> Batches:
        return self.loader("train")

    def val_dataloader(self) -> Batches:
        return self.loader("validation")

    def predict(self, model: torch.nn.Module) -> NDArray[np.float64]:
        """The model's outputs for the whole test split, in order."""
        model.eval()
        with torch.inference_mode():
            outputs: list[Tensor] = [model(inputs).double().cpu() for inputs, _ in self.loader("test")]
        result: NDArray[np.float64] = torch.cat(outputs).numpy()
        return result
