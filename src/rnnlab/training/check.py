"""What of a run's settings cannot work, found before any data is touched."""

from dataclasses import dataclass
from functools import partial

import torch
from hydra.utils import get_class, get_object
from omegaconf import DictConfig, OmegaConf

from rnnlab.cells.rnn import RNNCell
from rnnlab.config.checking import faults, refuse
from rnnlab.config.files import find
from rnnlab.config.fingerprint import plain
from rnnlab.config.schema import MADE
from rnnlab.errors import MissingExtra, UserError
from rnnlab.layouts.layout import Layout, build, layout_named
from rnnlab.layouts.per_timestep import OneToOne
from rnnlab.losses import CrossEntropy
from rnnlab.modules.build import build_module, module_class, schedule_of
from rnnlab.modules.module import check_training
from rnnlab.spec import TaskSpec
from rnnlab.tasks.task import Task
from rnnlab.training.budget import check_budget
from rnnlab.training.callbacks import make_callbacks
from rnnlab.training.prepare import checked_task
from rnnlab.training.sizing import check_sizing
from rnnlab.unroll.recurrent import Recurrent

SIZE = 4
"""Numbers in and out of the net that stands for the task's own, whose sizes only its data knows."""


def check(cfg: DictConfig) -> None:
    """Check the whole config. Raises: `UserError` with all that cannot work, before any data is touched."""
    found = faults(cfg, ("tracking", *MADE))
    add_faults(cfg, found)
    refuse(found)


def add_faults(cfg: DictConfig, found: dict[str, str]) -> None:
    """Add to the faults that are `found`, by key, what of a run's settings cannot work although each may stand there.

    What reads a group that has a fault already is not tried.
    """
    at_fault = {key.partition(".")[0] for key in found}
    if any(key.startswith("task.training") for key in found):
        at_fault |= {"cell", "trainer", "optimizer"}  # they read it
    for check_part, groups in CHECKS.items():
        if at_fault.isdisjoint(groups):
            try:
                check_part(cfg)
            except UserError as error:
                if isinstance(error, MissingExtra) and not found:
                    raise  # in a sweep the job is left out
                found[check_part.__name__] = str(error)
            except Exception:
                if not found:
                    raise  # otherwise it may follow from a fault that is known


def _check_device(cfg: DictConfig) -> None:
    if cfg.trainer.accelerator == "gpu" and not torch.cuda.is_available():
        raise UserError("trainer.accelerator=gpu, but torch sees no CUDA device: use cpu or auto.")


def _check_optimizer(cfg: DictConfig) -> None:
    check_training(plain(cfg.optimizer), schedule_of(cfg))


def _check_tuning(cfg: DictConfig) -> None:
    if cfg.tuning.name == "none":
        return
    overlay = f"tuned/{cfg.tuning.name}/{cfg.task.name}_{cfg.cell.name}"
    if find(overlay) is None:
        raise UserError(f"tuning={cfg.tuning.name}: nothing is tuned for this pair: there is no conf/{overlay}.yaml.")


@dataclass(frozen=True)
class _AnyTask:
    """One of any sizes, whose net is built without numbers: what a cell or layout refuses, it refuses then."""

    spec: TaskSpec

    @classmethod
    def of(cls, layout: type[Layout], name: str = "any", causal: bool = False) -> "_AnyTask":
        tokens = layout is not OneToOne
        return cls(TaskSpec(name, layout.name, SIZE, SIZE, CrossEntropy(), {}, "", tokens=tokens, causal=causal))


def _check_cell(cfg: DictConfig) -> None:
    module_class(get_object(cfg.cell._target_)).check_options(cfg.cell)
    if cfg.parameters.name != "free":
        return  # its size is still open
    alone = cfg.copy()
    net = {"_target_": f"{OneToOne.__module__}.{OneToOne.__qualname__}"}
    OmegaConf.update(alone, "task.net", net, merge=False)
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        build_module(alone, _AnyTask.of(OneToOne))


def _check_layout(cfg: DictConfig) -> None:
    net = plain(cfg.task.net)
    layout = layout_named(str(net.get("_target_")))
    data: type[Task] = get_class(cfg.task.data._target_)
    task = _AnyTask.of(layout, cfg.task.name, data.causal)
    bidirectional = bool(cfg.cell.get("bidirectional"))
    make = partial(Recurrent, RNNCell, hidden_size=SIZE, bidirectional=bidirectional, batch_first=True)
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        build(task.spec, make, net)


CHECKS = {
    check_budget: ("budget", "trainer", "schedule"),
    _check_device: ("trainer",),
    _check_optimizer: ("optimizer", "schedule", "trainer"),
    check_sizing: ("parameters", "cell", "tuning"),
    _check_tuning: ("tuning", "task", "cell"),
    _check_cell: ("cell", "parameters"),
    _check_layout: ("task", "cell"),
    make_callbacks: ("callbacks",),
    checked_task: ("task",),
}
"""Each with the groups whose faults it would only repeat. Independent of each other: what all find is said together."""
