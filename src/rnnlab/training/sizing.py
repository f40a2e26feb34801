"""As many parameters for each cell: the hidden_size that comes nearest to a number of them."""

import logging
from collections.abc import Callable
from functools import cache

import torch
from omegaconf import DictConfig, OmegaConf

from rnnlab.config.files import find
from rnnlab.config.sizing import with_reference
from rnnlab.errors import UserError
from rnnlab.modules.build import Specified, build_module

log = logging.getLogger("rnnlab")

TOLERANCE = 0.05
"""Share of the target beyond which the difference is told."""

REACH = 64
"""Sizes in a row that a cell may refuse, because its heads or blocks do not divide them."""

LARGEST = 2**20


def check_sizing(cfg: DictConfig) -> None:
    """Raises: `UserError` for what `parameters=matched` cannot go with, before any data is touched."""
    wanted = cfg.parameters
    if wanted.name == "free":
        if wanted.count is not None:
            raise UserError(
                f"parameters.count={wanted.count} is of no use with parameters=free: add parameters=matched."
            )
        return
    if not OmegaConf.is_interpolation(cfg.cell, "hidden_size"):
        raise UserError(
            f"parameters=matched chooses cell.hidden_size, but cell.hidden_size={cfg.cell.hidden_size} is given: leave "
            "it out, or say how many parameters there are to be with parameters.count=..."
        )
    if wanted.count is None:
        if cfg.tuning.name != "none":
            raise UserError(
                f"parameters=matched with tuning={cfg.tuning.name}: what is tuned may change the reference's size from "
                "one cell to the next. Say how many parameters there are to be: parameters.count=..."
            )
        if find(f"cell/{wanted.reference}") is None:
            raise UserError(f"parameters.reference={wanted.reference}: there is no conf/cell/{wanted.reference}.yaml.")


def match_parameters(cfg: DictConfig, task: Specified) -> DictConfig:
    """A copy of the config. Under `parameters=matched`, it has the `cell.hidden_size` that comes nearest, and as
    `parameters.count` the number that size was chosen for.

    Counted is every trainable parameter of the net for the task, embeddings and heads included. Of a copy, the copy is
    the same.

    Raises: `UserError` where the cell can have no size near that.
    """
    result = cfg.copy()
    if cfg.parameters.name == "free" or not OmegaConf.is_interpolation(cfg.cell, "hidden_size"):
        return result

    def parameters(candidate: DictConfig) -> int:
        # on "meta" no number is drawn or kept; a cell that draws some all the same must not move the seed's
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            module = build_module(candidate, task)
        return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)

    @cache
    def count(hidden_size: int) -> int:
        candidate = cfg.copy()
        candidate.cell.hidden_size = hidden_size
        return parameters(candidate)

    target, source = cfg.parameters.count, "parameters.count"
    if target is None:
        target = parameters(with_reference(cfg))
        source = f"{cfg.parameters.reference} of {cfg.task.training.hidden_size}"
    size = nearest_size(count, target)
    found = f"{cfg.cell.name} of hidden_size {size} has {count(size):,} parameters"
    if abs(count(size) - target) > TOLERANCE * target:
        log.info("%s: no other size comes nearer to the %s wanted (%s)", found, f"{target:,}", source)
    else:
        log.info("%s, matched to %s (%s)", found, f"{target:,}", source)
    result.cell.hidden_size = size
    result.parameters.count = target
    return result


def nearest_size(count: Callable[[int], int], target: int) -> int:
    """The size s of at least 1 whose `count(s)`, which grows with s, lies nearest to `target`; of two, the smaller.

    Sizes that `count` refuses with a `UserError` are passed over, up to `REACH` in a row.
    """
    low = high = _allowed(count, 1)
    while count(high) < target:
        if high > LARGEST:
            raise UserError(f"No hidden_size up to {LARGEST} gives {target} parameters.")
        low, high = high, _allowed(count, 2 * high)
    end = high  # no size from here to `high` is allowed
    while end - low > 1:
        middle = (low + end) // 2
        size = _allowed(count, middle)
        if size < end and count(size) < target:
            low = size
        else:
            high, end = min(size, high), middle
    return min((low, high), key=lambda size: abs(count(size) - target))


def _allowed(count: Callable[[int], int], size: int) -> int:
    """The first size from this one on that the cell can have."""
    for candidate in range(size, size + REACH):
        try:
            count(candidate)
        except UserError as error:
            reason = error
        else:
            return candidate
    raise reason
