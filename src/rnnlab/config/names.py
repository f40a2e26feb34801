"""What a config may name to be made: classes of a few packages, at a few places.

A config may come from anyone: an experiment, an overlay, a file of --config-dir. To make what it names is to run it, so
which packages may be named, beside `OURS`, is said on the command line or in the environment, and by no file.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pkgutil import resolve_name
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rnnlab.errors import UserError

OURS = ("rnnlab", "torch.optim", "pytorch_lightning.callbacks")
"""Packages that any config may name."""

VARIABLE = "RNNLAB_PACKAGES"
"""Of the environment: further packages, separated by commas."""

PLACES = re.compile(
    r"cell|optimizer|schedule|tracking|cluster|callbacks\.[^.]+"
    r"|task\.(net|dataset|data|data\.loss|judging|figures|baselines)"
)
"""Where a `_target_` may stand."""

PACKAGE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")

DEEPEST = 30
"""Level of a config: further down, interpolations go in circles."""

NOT_TAKEN = ("_args_", "_partial_")
"""Of Hydra's keys of a made node: with them, a node is no longer a class and its options."""

OF_HYDRA = ("hydra._internal.core_plugins", "hydra_plugins", "hydra.experimental.callbacks")
"""Packages that Hydra's own part of the config may name."""

HYDRA_PLACES = re.compile(r"hydra\.(launcher|sweeper)(\..+)?|hydra\.callbacks\.[^.]+")

BEFORE_SWEEP = "rnnlab.commands.sweep.BeforeSweep"

HYDRA_DEFAULTS = frozenset(
    (
        "hydra._internal.core_plugins.basic_launcher.BasicLauncher",
        "hydra._internal.core_plugins.basic_sweeper.BasicSweeper",
    )
)

SILENT = {"version": 1, "root": None, "disable_existing_loggers": False}
"""Hydra's logging as conf/config.yaml has it: none. What `logging` reads there, it would call."""


def given_packages(words: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Those of a command line, the last `packages=[...]` in it, and of the environment.

    Raises: `UserError` for what is no name of a package.
    """
    found: list[Any] = [name.strip() for name in environment.get(VARIABLE, "").split(",") if name.strip()]
    values = [word for word in words if re.match(r"\+{0,2}packages=", word)]
    if values:
        try:
            value = OverridesParser.create().parse_override(values[-1]).value()
        except HydraException:
            value = [values[-1]]
        found += value if isinstance(value, list) else [value]
    for name in found:
        if not isinstance(name, str) or not PACKAGE.fullmatch(name):
            raise UserError(f"packages={name}: names of packages are needed, as packages=[mine] or {VARIABLE}=mine.")
    return list(dict.fromkeys(found))


def packages_of(cfg: DictConfig) -> tuple[str, ...]:
    """All that `cfg` may name; its `packages` are those of the command line, see `rnnlab.config.cli`."""
    return (*OURS, *(cfg.get("packages") or ()))


def check_names(cfg: DictConfig, found: dict[str, str], allowed: Sequence[str]) -> None:
    """Adds to `found`, by key, each `_target_` at a place where nothing is made, or of another package.

    Nothing is imported: to import a module is to run it. That it is the name of a class is checked where it is made.
    """
    for key, node in _nodes(cfg):
        if key.startswith("hydra"):
            continue
        for name in NOT_TAKEN:
            if name in node:
                found[f"{key}.{name}"] = f"{key}.{name}: a class and its options are needed, without {name}."
        if "_target_" in node:
            _check_target(key, _target(node), PLACES, allowed, found)


def check_hydra(cfg: DictConfig, packages: Sequence[str]) -> None:
    """Hydra makes callbacks, launcher and sweeper, and sets up logging, before any other check.

    Raises: `UserError` where its part of the config names others than Hydra's own and its plugins', or calls anything
    by way of logging or of the environment.
    """
    found: dict[str, str] = {}
    allowed = (*OF_HYDRA, *packages)
    for key, node in _nodes(cfg.hydra, "hydra"):
        target = _target(node) if "_target_" in node else None
        if target is None or (key == "hydra.callbacks.sweep" and target == BEFORE_SWEEP) or target in HYDRA_DEFAULTS:
            continue
        _check_target(key, target, HYDRA_PLACES, allowed, found)
        if f"{key}._target_" not in found and not is_class_of(_resolved(target), allowed):
            found[f"{key}._target_"] = f"{key}._target_={target}: this is no class of {' or '.join(allowed)}."
    for key in ("job_logging", "hydra_logging"):
        if cfg.hydra[key] != SILENT:
            found[key] = f"hydra.{key}: rnnlab does not use Hydra's logging; leave hydra/{key} out."
    for name, value in (cfg.hydra.job.env_set or {}).items():
        if value != os.environ.get(name):
            found[name] = f"hydra.job.env_set.{name}: set it in the environment of the command instead."
    if found:
        raise UserError(" ".join(found.values()))


def is_class_of(made: Any, allowed: Sequence[str]) -> bool:
    """Whether it is a class that is defined in one of these packages, and not what one of them has imported."""
    return isinstance(made, type) and _is_in(made.__module__, allowed)


def _check_target(
    key: str, target: Any, places: re.Pattern[str], allowed: Sequence[str], found: dict[str, str]
) -> None:
    shown = f"{key}._target_={target}"
    if not places.fullmatch(key):
        found[f"{key}._target_"] = f"{shown}: nothing is made at this place."
    elif isinstance(target, str) and not _is_in(target, allowed):
        found[f"{key}._target_"] = (
            f"{shown}: a class of {', '.join(allowed)} is needed. Those of a package of your own are allowed by "
            f"packages=[its name] on the command line, or by {VARIABLE}=its name in the environment."
        )


def _is_in(name: str, packages: Sequence[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _target(node: DictConfig) -> Any:
    try:
        return node["_target_"]
    except OmegaConfBaseException:
        return None


def _resolved(target: str) -> Any:
    try:
        return resolve_name(target)
    except (ImportError, AttributeError, ValueError):
        return None


def _nodes(node: DictConfig | ListConfig, key: str = "", depth: int = 0) -> Iterator[tuple[str, DictConfig]]:
    """Every group of keys, at any depth, in lists and behind interpolations too, with its dotted key.

    Raises: `UserError` where interpolations lead in circles.
    """
    if depth > DEEPEST:
        raise UserError(f"{key[:100]}...: interpolations that lead in circles.")
    if isinstance(node, DictConfig):
        yield key, node
    names: list[Any] = [*node] if isinstance(node, DictConfig) else [*range(len(node))]
    for name in names:
        try:
            child = node[name]
        except OmegaConfBaseException:
            continue  # what cannot be read now cannot be made later
        if OmegaConf.is_config(child):
            yield from _nodes(child, f"{key}.{name}".lstrip("."), depth + 1)
