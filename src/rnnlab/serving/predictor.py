"""A trained net without its data: raw input in, answers in the task's own words out."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from hydra.utils import get_class, instantiate
from omegaconf import DictConfig, OmegaConf
from safetensors import SafetensorError
from safetensors.torch import load_file

from rnnlab.cells.cell import Cell
from rnnlab.config.fingerprint import plain
from rnnlab.errors import UserError
from rnnlab.layouts.layout import Layout
from rnnlab.losses import Loss
from rnnlab.modules.build import build_module
from rnnlab.modules.module import SequenceModule
from rnnlab.results.files import read_json
from rnnlab.results.origin import is_current
from rnnlab.serving.timesteps import TimestepStream
from rnnlab.tasks.judging import Judging
from rnnlab.tasks.task import Task

CONFIG, LEARNT, WEIGHTS = "config.json", "learnt.json", "weights.safetensors"
"""What a net's folder holds: how it is built, what its task learnt from data, its weights. No code, no pickle."""

OURS = "rnnlab."

NAMED: dict[str, tuple[type, ...]] = {
    "cell._target_": (SequenceModule, Cell),
    "task.data._target_": (Task,),
    "task.judging._target_": (Judging,),
    "task.net._target_": (Layout,),
}
"""What a config names, and what each is made from."""


class Predictor:
    """judging: of the task, which is restored, without data. module: with its trained weights, on the processor.

    data: the title of what it was trained on; empty where an earlier version trained it.

    `row` in every answer counts the rows of raw input from 0; errors name rows by the same number.
    """

    def __init__(self, judging: Judging, module: SequenceModule, data: str = "") -> None:
        self.judging = judging
        self.data = data
        self.task = judging.task
        self.module = module.eval()

    @classmethod
    def load(cls, folder: Path, cell: type[Cell] | None = None) -> "Predictor":
        """From a net's folder, see `what_builds` and `CONFIG`. cell: the class of its cell, where it is not rnnlab's.

        Raises: `UserError` for a file that is missing, names code from elsewhere, or does not fit the others.
        """
        for name in (CONFIG, LEARNT, WEIGHTS):
            if not (folder / name).is_file():
                raise UserError(f"{folder} has no {name}: it is no folder of a net, or not whole.")
        return cls.of(OmegaConf.create(read_json(folder / CONFIG)), read_json(folder / LEARNT), folder / WEIGHTS, cell)

    @classmethod
    def of_run(cls, folder: Path) -> "Predictor":
        """From a seed's folder, as training writes it.

        Raises: `UserError` where it was trained by an earlier version, or is not whole.
        """
        if (folder / "run.json").is_file() and not is_current(folder / "run.json"):
            raise UserError(f"{folder} was trained by an earlier version of rnnlab: train it again.")
        for name in (LEARNT, WEIGHTS):
            if not (folder / name).is_file():
                raise UserError(f"{folder} has no {name}: it is not whole. Train it again, with force=true.")
        return cls.of(OmegaConf.create(config_of(folder)), read_json(folder / LEARNT), folder / WEIGHTS)

    @classmethod
    def of(cls, cfg: DictConfig, learnt: dict[str, Any], weights: Path, cell: type[Cell] | None = None) -> "Predictor":
        _check(cfg, weights.parent, cell)
        task: Task = instantiate(cfg.task.data)
        task.check()
        task.restore(learnt["learnt"])
        module = build_module(cfg, task, cell)
        try:
            module.load_state_dict(load_file(weights))
        except SafetensorError as error:
            raise UserError(f"{weights} is not whole ({error}).") from None
        except RuntimeError as error:
            detail = str(error).splitlines()[-1].strip()
            raise UserError(f"{weights} does not fit what this version of rnnlab builds: {detail}") from None
        return cls(instantiate(cfg.task.judging, task), module, learnt.get("data", {}).get("title", ""))

    @property
    def trained_on(self) -> str:
        """In words: the title, and what else is known."""
        more = self.judging.learnt_from()
        return f"{self.data} ({more})" if more else self.data

    def respond(self, tables: Iterable[pd.DataFrame], **options: Any) -> Iterator[pd.DataFrame]:
        """The answers to raw input, piece by piece. options: see `Judging.raw_options`.

        A table whose index has the name `row` is numbered by it; the rows of others are counted from 0 through all.

        Raises: `UserError` for an unknown option, and for input that cannot be read, which names its row and column.
        """
        known = self.judging.raw_options()
        for name in options:
            if name not in known:
                raise UserError(f"{self.task.spec.task} takes no option {name}; it takes {', '.join(known) or 'none'}.")
        for answers in self.judging.respond(self.module, _numbered(tables), **options):
            by_row = answers.index.name == ROW
            yield answers.reset_index() if by_row else answers.reset_index(drop=True)

    def stream(self) -> TimestepStream:
        """What answers at each timestep of a sequence while it comes: `stream.step("They")`.

        Raises: `UserError` for a net that has to see the end first, and a task without timesteps of its own.
        """
        return TimestepStream(self.judging, self.module)

    def predict(self, table: pd.DataFrame, **options: Any) -> pd.DataFrame:
        """All answers at once."""
        counted = table.reset_index(drop=True)  # whatever its index, it has no numbers of a file
        return pd.concat(list(self.respond([counted], **options)), ignore_index=True)


def _check(cfg: DictConfig, folder: Path, cell: type[Cell] | None) -> None:
    """A config may come from anyone, and `instantiate` would call whatever it names, at any depth. cell: a class that
    stands for the one it names, which is then not asked for.

    Raises: `UserError` where it names anything but the parts of a net and its task, all of them rnnlab's, or looks up
    other values.
    """
    if OmegaConf.select(cfg, "task.judging._target_") is None:
        raise UserError(f"{folder} was made by an earlier version of rnnlab: train it again.")
    named = list(_targets(OmegaConf.to_container(cfg, resolve=False)))
    classes = {key: str(OmegaConf.select(cfg, key)) for key in NAMED}
    if cell is not None:
        own = classes.pop("cell._target_")
        if own != f"{cell.__module__}.{cell.__qualname__}":
            raise UserError(f"{folder} is of the cell {own}, and not of {cell.__module__}.{cell.__qualname__}.")
        named.remove(own)
    for target in named:
        if not target.startswith(OURS):
            raise UserError(f"{folder} names {target}, which is none of rnnlab's: not loaded.")
    loss = OmegaConf.select(cfg, "task.data.loss._target_")  # of those tasks that leave it open
    classes |= {} if loss is None else {"task.data.loss._target_": str(loss)}
    if sorted(named) != sorted(classes.values()) or not all(
        _is_ours(target, NAMED.get(key, (Loss,))) for key, target in classes.items()
    ):
        raise UserError(f"{folder} names {', '.join(named)}, and not the parts of a net of rnnlab's: not loaded.")


def _targets(node: Any) -> Iterator[str]:
    """All that a config names to be called, and its interpolations, which could name it later."""
    if isinstance(node, str) and "${" in node:
        yield node
    for key, child in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        if key == "_target_":
            yield str(child)
        else:
            yield from _targets(child)


def _is_ours(target: str, bases: tuple[type, ...]) -> bool:
    """Whether the target is a class derived from one of `bases` in rnnlab, and not what a module there imports."""
    try:
        found = get_class(target)
    except (ImportError, ValueError):
        return False
    return issubclass(found, bases) and found.__module__.startswith(OURS)


ROW = "row"


def _numbered(tables: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Tables without rows are left out.

    Raises: `UserError` where no row is left.
    """
    first = 0
    for table in tables:
        if len(table):
            numbers = pd.RangeIndex(first, first + len(table), name=ROW)
            yield table if table.index.name == ROW else table.set_index(numbers)
        first += len(table)
    if not first:
        raise UserError("the input has no rows.")


def config_of(folder: Path) -> dict[str, Any]:
    """Of the config in a seed's folder, `what_builds` the net and its task.

    Raises: `UserError` where there is none.
    """
    if not (folder / "config.yaml").is_file():
        raise UserError(f"{folder} has no config.yaml: it is no seed's folder of a run.")
    cfg = OmegaConf.load(folder / "config.yaml")
    assert isinstance(cfg, DictConfig)
    return what_builds(cfg)


def what_builds(cfg: DictConfig) -> dict[str, Any]:
    """Of a run's config what builds the net and its task; no path, address or setting of the machine."""
    return {
        "task": {"name": cfg.task.name, **{part: plain(cfg.task[part]) for part in ("data", "judging", "net")}},
        "cell": plain(cfg.cell),
        # how it was trained is in the run's own config
        "optimizer": {},
        "schedule": None,
        "trainer": {"log_every_n_steps": cfg.trainer.log_every_n_steps},
    }
