"""From a composed config to a net: the module that `conf/cell` names, sized for a task."""

import re
from typing import Any, Protocol

from hydra.utils import get_object
from omegaconf import DictConfig

from rnnlab.arguments import refusal
from rnnlab.cells.cell import Cell
from rnnlab.config.fingerprint import plain
from rnnlab.errors import UserError
from rnnlab.modules.module import SequenceModule
from rnnlab.spec import TaskSpec

TOO_LARGE = re.compile("allocate|overflow", re.IGNORECASE)
"""What torch's errors say of a tensor that no memory holds."""


class Specified(Protocol):
    """What a net is sized for: a task, of which no more is read than its `spec`."""

    @property
    def spec(self) -> TaskSpec: ...


def module_class(named: Any) -> type[SequenceModule]:
    """The module of the class that a `_target_` of conf/cell names: a `SequenceModule` itself; a `Cell` is wrapped.

    Raises: `UserError` for anything else.
    """
    if isinstance(named, type) and issubclass(named, SequenceModule) and hasattr(named, "cell_class"):
        return named
    if isinstance(named, type) and issubclass(named, Cell) and named is not Cell:
        return SequenceModule.of(named)
    name = getattr(named, "__name__", named)
    raise UserError(refusal("cell._target_", "a class made from Cell, or from SequenceModule with one", name))


def build_module(cfg: DictConfig, task: Specified, cell: type | None = None) -> SequenceModule:
    """The cell's module, sized for the task, with fresh weights.

    cell: the class, where it is at hand; by default the one that the config names.

    Raises: `UserError` for options that the cell or the layout cannot have, and for a net that no memory holds.
    """
    options = plain(cfg.cell)
    target = options.pop("_target_")
    make = module_class(get_object(target) if cell is None else cell)
    try:
        return make(
            **options,
            spec=task.spec.as_dict(),
            net=plain(cfg.task.net),
            optimizer=plain(cfg.optimizer),
            schedule=schedule_of(cfg),
            log_every_n_steps=cfg.trainer.log_every_n_steps,
        )
    except (MemoryError, OverflowError, RuntimeError, TypeError, ValueError) as error:
        if TOO_LARGE.search(str(error)):
            raise UserError(
                f"cell.hidden_size={cfg.cell.hidden_size}: a net of this size does not fit into memory."
            ) from None
        raise


def schedule_of(cfg: DictConfig) -> dict[str, Any] | None:
    """The learning rate's schedule over epochs; None where there is none, or where the budget sets the rate."""
    return plain(cfg.schedule) if cfg.schedule and not follows_budget(cfg) else None


def follows_budget(cfg: DictConfig) -> bool:
    """Whether the learning rate falls over the budget: a cosine without an end of its own.

    Read from the schedule alone, which is all that a trained net's own config has of it.
    """
    return cfg.schedule is not None and cfg.schedule.get("T_max", 0) is None
