"""Every key of the config checked, before anything starts: what may stand there, and whether anything reads it."""

import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import MISSING, fields, is_dataclass
from pkgutil import resolve_name
from typing import Any, cast, get_type_hints

from omegaconf import DictConfig, Node, OmegaConf
from omegaconf.errors import InterpolationResolutionError

from rnnlab.arguments import INVALID, Name, Positive, PositiveNumber, conform, needed, parameters, refusal, written
from rnnlab.config.names import check_names, is_class_of, packages_of
from rnnlab.config.schema import Config, Named, Task
from rnnlab.errors import UserError

GIVEN: dict[str, tuple[str, ...]] = {
    "task.net": ("spec", "make"),
    "task.judging": ("task",),
    "task.figures": ("judging",),
    "task.baselines": ("judging",),
}
"""What their makers add to the options of such a node."""

BEYOND: dict[str, dict[str, Any]] = {
    "optimizer": {"lr": PositiveNumber},
    "schedule": {"T_max": Positive | None},  # null: over the budget, see `rnnlab.training.budget`
}
"""What may stand at options of such a node, where the signature of torch's class says less."""

NEEDED = {"optimizer": ("lr",), "cell": ("hidden_size",)}
"""Options that are read of such a node whatever its class."""

BASES = {
    "task.data": "rnnlab.tasks.task.Task",
    "task.judging": "rnnlab.tasks.judging.Judging",
    "task.figures": "rnnlab.tasks.figures.Figures",
    "task.baselines": "rnnlab.tasks.baselines.baselines.Baselines",
    "tracking": "rnnlab.tracking.tracker.Tracker",
    "cluster": "rnnlab.cluster.engine.Engine",
    "optimizer": "torch.optim.Optimizer",
}
"""What the class of such a node derives from, by its name as the makers below."""

MAKERS = {"cell": "rnnlab.modules.build.module_class"}
"""Nodes that may also name something simpler, and the function that gives the class which is then made. By its name,
since it is imported only where objects are made."""

OF_HYDRA = ("_target_", "_recursive_", "_convert_")
"""Keys of a made node that say how it is made."""


def check(cfg: DictConfig, makes: Iterable[str] = (), group: type[Any] = Config) -> None:
    """Check every key of the schema, and of the nodes `makes`, those of `MADE` that the caller makes objects of.

    In place, a text such as "no" becomes the truth value where one is declared, and a whole number a text. An
    interpolation stays one: what it points to is converted.

    group: what `cfg` is declared as.

    Raises: `UserError` that names every value that cannot stand where it does, every key that is missing, and every one
    that nothing reads.
    """
    refuse(faults(cfg, makes, group))


def unresolved(error: InterpolationResolutionError) -> str:
    """The message for an interpolation that leads nowhere, such as ${oc.env:NAME} of a variable that is not set."""
    reason = str(error.msg).partition("\n")[0].rpartition("resolving interpolation: ")[2].strip('"')
    return f"{error.full_key}: {reason}." if error.full_key else f"{reason}."


def refuse(found: dict[str, str]) -> None:
    """Raises: `UserError` with all faults, if there are any."""
    if found:
        raise UserError(" ".join(dict.fromkeys(found.values())))


def faults(cfg: DictConfig, makes: Iterable[str] = (), group: type[Any] = Config) -> dict[str, str]:
    """What `check` would say, by key."""
    found: dict[str, str] = {}
    allowed = packages_of(cfg)
    try:
        if group is Config:
            check_names(cfg, found, allowed)
            _check_kind(cfg.task, found)
        _check_group(cfg, group, found)
    except InterpolationResolutionError:
        if not found:
            raise  # otherwise it points to a value that is reported
    else:
        add_faults_of_made(cfg, makes, found)
    return found


def add_faults_of_made(cfg: DictConfig, makes: Iterable[str], found: dict[str, str]) -> None:
    """Add those of the nodes `makes`, whose classes are imported, to the faults of `cfg` that are `found`, by key."""
    allowed = packages_of(cfg)
    try:
        for key in makes:
            node = OmegaConf.select(cfg, key)
            if isinstance(node, DictConfig):
                _check_node(node, key, found, allowed)
    except InterpolationResolutionError:
        if not found:
            raise


def _check_kind(task: DictConfig, found: dict[str, str]) -> None:
    """Where a task names its classes by its kind, as `${..layouts.${..kind}}`, it must be a key of that mapping."""
    content = OmegaConf.to_container(task, resolve=False)
    assert isinstance(content, dict)
    for name, choices in content.items():
        by_kind = isinstance(choices, dict) and f"{name!s}.${{..kind}}" in str(content)
        if by_kind and content["kind"] not in choices:
            found["task.kind"] = refusal("task.kind", f"one of {', '.join(map(str, choices))}", content["kind"])


def check_made(cfg: DictConfig, key: str) -> None:
    """Check one node of `MADE` alone. Raises: `UserError` as `check` does."""
    found: dict[str, str] = {}
    allowed = packages_of(cfg)
    check_names(cfg, found, allowed)
    _check_node(cfg[key], key, found, allowed)
    refuse(found)


def _check_group(node: DictConfig, group: type, found: dict[str, str]) -> None:
    kinds = get_type_hints(group, include_extras=True)
    optional = {each.name for each in fields(group) if each.default is not MISSING}
    further = {*map(str, node)} - {*kinds}
    if issubclass(group, Named):
        further = set()  # what they are, `_check_made` knows
    elif group is Task and isinstance(node.get("data"), DictConfig):
        further -= _read_of_the_task(node)
    elif group is Task:
        further = set()  # it is `data` that reads them
    for name, kind in kinds.items():
        if name in node:
            _check_value(node, name, kind, found)
        elif name not in optional:
            key = node._get_full_key(name)
            found[key] = f"{key}: the key is missing."
    if group is Task and isinstance(node.get("data"), DictConfig):
        options = [str(name) for name in node.data if name not in ("_target_", "name")]
        if unknown := [name for name in node.get("batch_options") or () if name not in options]:
            key = node._get_full_key("batch_options")
            found.setdefault(key, refusal(key, f"some of the options of data, {', '.join(options)}", unknown[0]))
    for name in sorted(further):
        key = node._get_full_key(name)
        known = [name for name in map(str, node) if name not in further]
        found[key] = f"{key}: nothing reads this key. There are {', '.join(known)}."


def _read_of_the_task(node: DictConfig) -> set[str]:
    """Keys of the task that an interpolation names: ${..key}, ${oc.select:..key}, ${task.key}, ${task[key]}; or that an
    earlier check has put into the data set or the data as the text that is needed there."""
    texts = _texts(OmegaConf.to_container(node._get_root()))
    named = {key for text in texts for key in re.findall(r"(?:[{:]\.+|\btask\.|\btask\[)(\w+)", text)}
    for part in (node.get("dataset"), node.get("data")):
        if isinstance(part, DictConfig):
            named |= {str(key) for key, value in part.items_ex(resolve=False) if str(value) == str(node.get(key))}
    return named


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
            found[f"{key}.{name}"] = refusal(f"{key}.{name}", "a group with a _target_, or null", node[name])


def _check_made(node: DictConfig, key: str, found: dict[str, str], allowed: Sequence[str]) -> None:
    if f"{key}._target_" in found:
        return  # it is not to be imported
    target = node.get("_target_")
    if not isinstance(target, str):
        found[f"{key}._target_"] = refusal(f"{key}._target_", "the name of a class", target)
        return
    try:
        made = resolve_name(target)
    except (ImportError, AttributeError, ValueError):
        found[f"{key}._target_"] = refusal(f"{key}._target_", "a class that can be imported", target)
        return
    except Exception as error:  # of a module of the user's own
        found[f"{key}._target_"] = f"{key}._target_={target}: its import fails ({type(error).__name__}: {error})."
        return
    if inspect.isabstract(made):
        found[f"{key}._target_"] = refusal(f"{key}._target_", f"a class made from {made.__name__}", target)
        return
    if not is_class_of(made, allowed):
        found[f"{key}._target_"] = refusal(f"{key}._target_", f"a class of {' or '.join(allowed)}", target)
        return
    if key in BASES and not issubclass(made, resolve_name(BASES[key])):
        found[f"{key}._target_"] = refusal(f"{key}._target_", f"a class made from {BASES[key]}", target)
        return
    try:
        taker = resolve_name(MAKERS[key])(made) if key in MAKERS else made
    except UserError as error:
        found[f"{key}._target_"] = str(error)
        return
    ask = getattr(taker, "parameters_of", None)
    kinds, is_open = ask(node) if ask else parameters(taker)
    beyond = {name: kind for name, kind in BEYOND.get(key, {}).items() if name in kinds}
    kinds = {name: kind for name, kind in {**kinds, **beyond}.items() if name not in GIVEN.get(key, ())}
    for name in NEEDED.get(key, ()):
        if name not in node:
            found[f"{key}.{name}"] = f"{key}.{name}: the key is missing."
    for name in map(str, node):
        child = node._get_node(name)
        if isinstance(child, DictConfig) and "_target_" in child:
            _check_made(child, f"{key}.{name}", found, allowed)
        elif name in kinds:
            _check_value(node, name, Name if name == "name" else kinds[name], found)
        elif not is_open and name not in OF_HYDRA:
            takes = f"There are {', '.join(kinds)}" if kinds else "There are none"
            found[f"{key}.{name}"] = f"{key}.{name}={written(node[name])}: {made.__name__} does not take it. {takes}."


def _check_value(node: DictConfig, name: str, kind: Any, found: dict[str, str]) -> None:
    if OmegaConf.is_missing(node, name):
        key = node._get_full_key(name)
        found[key] = f"{key}=???: a value is needed."
        return
    try:
        value = node[name]
    except InterpolationResolutionError as error:
        found[node._get_full_key(name)] = unresolved(error)
        return
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
        hint = f""" As a text: "{key}='{written(value)}'".""" if would_do else ""
        found[key] = f"{refusal(key, needed(kind), value)}{hint}"
    else:
        OmegaConf.update(node._get_root(), key, result)
