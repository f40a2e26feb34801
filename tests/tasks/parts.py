"""The parts of a task as its config names them, for tests."""

from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig

from rnnlab.tasks.baselines.baselines import Baselines
from rnnlab.tasks.figures import Figures
from rnnlab.tasks.judging import Judging
from rnnlab.tasks.task import Task


def judging_of(cfg: DictConfig, task: Task) -> Any:
    judging: Judging = instantiate(cfg.task.judging, task)
    return judging


def figures_of(cfg: DictConfig, task: Task) -> Any:
    figures: Figures = instantiate(cfg.task.figures, judging_of(cfg, task))
    return figures


def baselines_of(cfg: DictConfig, task: Task) -> Any:
    baselines: Baselines = instantiate(cfg.task.baselines, judging_of(cfg, task))
    return baselines
