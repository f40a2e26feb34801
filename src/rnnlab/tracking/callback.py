"""Callbacks that look into a run: what Lightning's own hooks do not show them of it."""

from pathlib import Path

from omegaconf import DictConfig
from pytorch_lightning.callbacks import Callback

from rnnlab.modules.module import SequenceModule
from rnnlab.tasks.task import Task


class RunCallback(Callback):
    """A Lightning callback that is shown the run, and may leave files beside the trained weights.

    It is named in conf/callbacks by `_target_` and made with the further keys there. Lightning's own callbacks need
    none of this. Training calls `bind`, then Lightning's hooks, then `conclude` and `write`; a search never `write`.
    """

    def bind(self, cfg: DictConfig, task: Task, folder: Path) -> None:
        """Before training. cfg: the whole config. task: with its data. folder: of the checkpoints, where what is to
        last over a stop is kept under a name of one's own; it is empty when training starts from the beginning."""

    def conclude(self, module: SequenceModule, epoch: int) -> None:
        """After training: `module` has the weights that are kept, as they were after so many epochs."""

    def write(self, folder: Path, name: str) -> None:
        """Leave in `folder`, beside the weights, what is to last. name: of the run, for a title."""
