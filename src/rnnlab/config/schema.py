"""What each key of the config may hold, checked once before anything starts.

The groups that are ours are declared below; of a node with a `_target_`, the signature of that class says the types.
"""

import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, is_dataclass
from pkgutil import resolve_name
from typing import Any, cast, get_type_hints

from omegaconf import DictConfig, Node, OmegaConf
from omegaconf.errors import InterpolationResolutionError

from rnnlab.arguments import INVALID, Name, conform, needed, parameters
from rnnlab.config.names import check_names, is_class_of, packages_of
from rnnlab.errors import UserError


@dataclass(frozen=True)
class Sampling:
    length: int
    temperature: float
    top_k: int
    seed: int


@dataclass(frozen=True)
class Fetch:
    mirror: str | None


@dataclass(frozen=True)
class Report:
    folder: Name
    write: bool
    show: bool


@dataclass(frozen=True)
class Training:
    hidden_size: int
    max_epochs: int
    lr: float


@dataclass(frozen=True)
class Named:
    """Further keys are those of its `_target_`."""

    name: Name


@dataclass(frozen=True)
class Task:
    """Further keys are a task's own: those that an interpolation reads."""

    name: Name
    training: Training
    net: dict[str, Any]
    dataset: Named
    data: dict[str, Any]
    judging: dict[str, Any]
    figures: dict[str, Any]
    baselines: dict[str, Any]


@dataclass(frozen=True)
class Trainer:
    max_epochs: int | None
    patience: int | None
    gradient_clip_val: float | None
    accelerator: str
    precision: str
    threads: int
    deterministic: bool
    limit_batches: int | None
    log_every_n_steps: int


@dataclass(frozen=True)
class Budget:
    name: Name
    steps: int | None
    seconds: float | None


@dataclass(frozen=True)
class Parameters:
    name: Name
    count: int | None
    reference: Name


@dataclass(frozen=True)
class Tuning:
    name: Name
    trials: int | None
    study: str | None


@dataclass(frozen=True)
class Search:
    name: Name
    trials: int
    seed: int
    startup_trials: int
    pruner: str
    warmup_epochs: int
    space: dict[str, Any]


@dataclass(frozen=True)
class Config:
    seed: int
    force: bool
    checkpoint: str | None
    discard: bool
    dvc: bool
    packages: list[str]
    model: str | None
    input: Any
    output: str | None
    sampling: Sampling
    fetch: Fetch
    port: int
    report: Report
    task: Task
    cell: Named
    trainer: Trainer
    callbacks: dict[str, Any]
    optimizer: dict[str, Any]
    schedule: dict[str, Any] | None
    budget: Budget
    parameters: Parameters
    tracking: dict[str, Any]
    tuning: Tuning
    search: Search


TASK_PARTS = ("task.judging", "task.figures", "task.baselines")

MADE = (
    "cell", "optimizer", "schedule", "task.net", "task.dataset", "task.data", *TASK_PARTS, "callbacks", "tracking"
)  # fmt: skip
"""Nodes that objects are made of, and `callbacks`, a group of such. Their classes have to be imported to know what they
take."""


GIVEN: dict[str, tuple[str, ...]] = {
    "task.net": ("spec", "make"),
    "task.judging": ("task",),
    "task.figures": ("judging",),
    "task.baselines": ("judging",),
}
"""What their makers add to the options of such a node."""

MAKERS = {"cell": "rnnlab.modules.build.module_class"}
"""Nodes that may also name something simpler, and the function that gives the class which is then made. By its name,
since it is imported only where objects are made."""

OF_HYDRA = ("_target_", "_recursive_", "_convert_")
"""Keys of a made node that say how it is made."""


def check(cfg: DictConfig, makes: Iterable[str] = (), faults: Iterable[str] = (), group: type[Any] = Config) -> None:
    """Check every key of the groups above, and of the nodes `makes`, those of `MADE` that the caller makes objects of.

    In place, a text such as "no" becomes the truth value where one is declared, and a whole number a text. An
    interpolation stays one: what it points to is converted.

    faults: further ones, to be said together with those found here. group: what `cfg` is declared as.

    Raises: `UserError` that names every value of a wrong type, every key that is missing, and every one that nothing
    reads.
    """
    found = {fault: fault for fault in faults}
    allowed = packages_of(cfg)
    try:
        if group is Config:
            check_names(cfg, found, allowed)
        _check_group(cfg, group, found)
        for key in makes:
            node = OmegaConf.select(cfg, key)
            if isinstance(node, DictConfig):
                _check_node(node, key, found, allowed)
    except InterpolationResolutionError:
        if not found:
            raise  # otherwise it points to a value that is reported
    if found:
        raise UserError(" ".join(found.values()))


def check_made(cfg: DictConfig, key: str) -> None:
    """Check one node of `MADE` alone. Raises: `UserError` as `check` does."""
    found: dict[str, str] = {}
    allowed = packages_of(cfg)
    check_names(cfg, found, allowed)
    _check_node(cfg[key], key, found, allowed)
    if found:
        raise UserError(" ".join(found.values()))


def _check_group(node: DictConfig, group: type, found: dict[str, str]) -> None:
    kinds = get_type_hints(group, include_extras=True)
    further = {*map(str, node)} - {*kinds}
    if group is Named:
        further = set()  # what they are, `_check_made` knows
    elif group is Task and isinstance(node.get("data"), DictConfig):
        further -= _read_of_the_task(node)
    elif group is Task:
        further = set()  # it is `data` that reads them
    for name, kind in kinds.items():
        if name in node:
            _check_value(node, name, kind, found)
        else:
            key = node._get_full_key(name)
            found[key] = f"{key}: the key is missing."
    for name in sorted(further):
        key = node._get_full_key(name)
        known = [name for name in map(str, node) if name not in further]
        found[key] = f"{key}: nothing reads this key. There are {', '.join(known)}."


def _read_of_the_task(node: DictConfig) -> set[str]:
    """Keys of the task that an interpolation names: ${..key}, ${oc.select:..key}, ${task.key}, ${task[key]}."""
    texts = _texts(OmegaConf.to_container(node._get_root()))
    return {key for text in texts for key in re.findall(r"(?:[{:]\.+|\btask\.|\btask\[)(\w+)", text)}


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, dict | list):
        for child in node.values() if isinstance(node, dict) else node:
            yield from _texts(child)
    elif isinstance(node, str):
        yield node


def _check_node(node: DictConfig, key: str, found: dict[str, str], allowed: Sequence[str]) -> None:
    if key != "callbacks":
        _check_made(node, key, found, allowed)
        return
    for name in map(str, node):
        if isinstance(node[name], DictConfig):
            _check_made(node[name], f"{key}.{name}", found, allowed)
        elif node[name] is not None:
            found[f"{key}.{name}"] = f"{key}.{name}={_shown(node[name])}: a group with a _target_ is needed, or null."


def _check_made(node: DictConfig, key: str, found: dict[str, str], allowed: Sequence[str]) -> None:
    if f"{key}._target_" in found:
        return  # it is not to be imported
    target = node.get("_target_")
    if not isinstance(target, str):
        found[f"{key}._target_"] = f"{key}._target_={_shown(target)}: the name of a class is needed."
        return
    try:
        made = resolve_name(target)
    except (ImportError, AttributeError, ValueError):
        found[f"{key}._target_"] = f"{key}._target_={_shown(target)}: there is no such class to import."
        return
    if inspect.isabstract(made):
        found[f"{key}._target_"] = f"{key}._target_={_shown(target)}: a class made from it is needed."
        return
    if not is_class_of(made, allowed):
        found[f"{key}._target_"] = f"{key}._target_={_shown(target)}: this is no class of {' or '.join(allowed)}."
        return
    try:
        taker = resolve_name(MAKERS[key])(made) if key in MAKERS else made
    except UserError as error:
        found[f"{key}._target_"] = str(error)
        return
    ask = getattr(taker, "parameters_of", None)
    kinds, is_open = ask(node) if ask else parameters(taker)
    kinds = {name: kind for name, kind in kinds.items() if name not in GIVEN.get(key, ())}
    if key == "schedule" and "T_max" in kinds:
        kinds = {**kinds, "T_max": int | None}  # null: over the budget, see `rnnlab.training.budget`
    for name in map(str, node):
        child = node._get_node(name)
        if isinstance(child, DictConfig) and "_target_" in child:
            _check_made(child, f"{key}.{name}", found, allowed)
        elif name in kinds:
            _check_value(node, name, Name if name == "name" else kinds[name], found)
        elif not is_open and name not in OF_HYDRA:
            takes = f"There are {', '.join(kinds)}" if kinds else "There are none"
            found[f"{key}.{name}"] = f"{key}.{name}={_shown(node[name])}: {made.__name__} does not take it. {takes}."


def _check_value(node: DictConfig, name: str, kind: Any, found: dict[str, str]) -> None:
    if OmegaConf.is_missing(node, name):
        key = node._get_full_key(name)
        found[key] = f"{key}=???: a value is needed."
        return
    value = node[name]
    if is_dataclass(kind) and isinstance(value, DictConfig):
        _check_group(value, cast(type, kind), found)
        return
    if OmegaConf.is_config(value):
        value = OmegaConf.to_container(value, resolve=True)
    result = conform(value, kind)
    if result is value:
        return
    held = node._get_node(name)
    assert isinstance(held, Node)
    as_text = isinstance(result, str)  # a number that others may read as one stays one where they find it
    key = (held._dereference_node() if held._is_interpolation() and not as_text else held)._get_full_key(None)
    if result is INVALID:
        would_do = isinstance(value, bool | float) and isinstance(conform(str(value), kind), str)
        hint = f""" As a text: "{key}='{_shown(value)}'".""" if would_do else ""
        found[key] = f"{key}={_shown(value)}: {needed(kind)} is needed.{hint}"
    else:
        OmegaConf.update(node._get_root(), key, result)


def _shown(value: Any) -> str:
    """As it is written in an override."""
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    text = str(value)
    text = text if text.isprintable() and text.strip() else repr(text)
    return text if len(text) <= 60 else f"{text[:60]}..."
