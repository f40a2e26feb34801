"""What of a run's settings cannot work, found before any data is touched."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from rnnlab.cells.rnn import RNNCell
from rnnlab.config.fingerprint import plain
from rnnlab.errors import UserError
from rnnlab.layouts.layout import Layout, build, layout_named
from rnnlab.layouts.per_timestep import OneToOne
from rnnlab.losses import CrossEntropy
from rnnlab.modules.build import build_module, module_class, schedule_of
from rnnlab.modules.module import check_training
from rnnlab.results.paths import CONF
from rnnlab.spec import TaskSpec
from rnnlab.training.budget import check_budget
from rnnlab.training.callbacks import make_callbacks
from rnnlab.training.prepare import checked_task
from rnnlab.training.sizing import check_sizing
from rnnlab.unroll.recurrent import Recurrent

ACCELERATORS = ("auto", "cpu", "gpu")
PRECISIONS = ("32-true", "64-true", "16-mixed", "bf16-mixed")


SIZE = 4
"""Numbers in and out of the net that stands for the task's own, whose sizes only its data knows."""


def check(cfg: DictConfig) -> None:
    """Raises: `UserError` with all settings that cannot work, their types being right, before any data is touched."""
    found = list(_out_of_range(cfg))
    for check_part in CHECKS:
        try:
            check_part(cfg)
        except UserError as error:
            found.append(str(error))
    if found:
        raise UserError(" ".join(dict.fromkeys(found)))


def _out_of_range(cfg: DictConfig) -> Iterator[str]:
    for key, choices in (("accelerator", ACCELERATORS), ("precision", PRECISIONS)):
        if cfg.trainer[key] not in choices:
            yield f"trainer.{key}={cfg.trainer[key]} is none of {', '.join(choices)}."
    if cfg.trainer.accelerator == "gpu" and not torch.cuda.is_available():
        yield "trainer.accelerator=gpu, but torch sees no CUDA device: use cpu or auto."
    whole = ("max_epochs", "threads", "patience", "limit_batches", "log_every_n_steps")
    for key in (*(f"trainer.{name}" for name in whole), "cell.hidden_size", "cell.num_layers"):
        value = OmegaConf.select(cfg, key)
        if value is not None and value < 1:
            yield f"{key}={value}: a whole number of at least 1 is needed."
    value = cfg.trainer.gradient_clip_val
    if value is not None and not 0 <= value < math.inf:
        yield f"trainer.gradient_clip_val={value}: a number of at least 0 is needed."
    if not 0 <= cfg.seed < 2**32:
        yield f"seed={cfg.seed}: a whole number from 0 to 4294967295 is needed."
    if not cfg.optimizer.get("lr", 0) > 0:
        yield f"optimizer.lr={cfg.optimizer.get('lr')}: a rate above 0 is needed."


def _check_optimizer(cfg: DictConfig) -> None:
    check_training(plain(cfg.optimizer), schedule_of(cfg))


def _check_tuning(cfg: DictConfig) -> None:
    if cfg.tuning.name == "none":
        return
    overlay = CONF / "tuned" / cfg.tuning.name / f"{cfg.task.name}_{cfg.cell.name}.yaml"
    if not overlay.exists():
        raise UserError(
            f"tuning={cfg.tuning.name}: nothing is tuned for this pair: there is no {overlay.relative_to(CONF.parent)}."
        )


@dataclass(frozen=True)
class _AnyTask:
    """One of any sizes, whose net is built without numbers: what a cell or layout refuses, it refuses then."""

    spec: TaskSpec

    @classmethod
    def of(cls, layout: type[Layout]) -> "_AnyTask":
        return cls(TaskSpec("any", layout.name, SIZE, SIZE, CrossEntropy(), {}, "", tokens=layout is not OneToOne))


def _check_cell(cfg: DictConfig) -> None:
    module_class(get_object(cfg.cell._target_)).check_options(cfg.cell)
    if cfg.parameters.name != "free" or cfg.cell.get("hidden_size", 1) < 1 or cfg.cell.get("num_layers", 1) < 1:
        return  # its size is still open, or already refused
    alone = cfg.copy()
    net = {"_target_": f"{OneToOne.__module__}.{OneToOne.__qualname__}"}
    OmegaConf.update(alone, "task.net", net, merge=False)
    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            build_module(alone, _AnyTask.of(OneToOne))
    except UserError as error:  # `Recurrent` knows its options without their group
        raise UserError(f"cell.{error}" if re.match(r"\w+=", str(error)) else str(error)) from None


def _check_layout(cfg: DictConfig) -> None:
    net = plain(cfg.task.net)
    layout = layout_named(str(net.get("_target_")))
    make = partial(Recurrent, RNNCell, hidden_size=SIZE, batch_first=True)
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        build(_AnyTask.of(layout).spec, make, net)


CHECKS = (
    check_budget,
    _check_optimizer,
    check_sizing,
    _check_tuning,
    _check_cell,
    _check_layout,
    make_callbacks,
    checked_task,
)
"""Independent of each other: `check` reports what all of them find."""
