"""What each key of the config may hold, checked once before anything starts.

The groups that are ours are declared below; of a node with a `_target_`, the signature of that class says the types.
"""

import inspect
import math
import re
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from functools import cache
from numbers import Integral, Real
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from hydra.utils import get_object
from omegaconf import DictConfig, Node, OmegaConf
from omegaconf.errors import InterpolationResolutionError

from rnnlab.errors import UserError

Name = Annotated[str, "part of a path"]
"""A text that folders, experiments and models are named by."""


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
    log_samples: int | None
    log_norms: bool
    log_timestep_gradients: int | None
    log_memory: int | None


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
class Tracking:
    enabled: bool
    uri: str | None
    sync: bool


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
    optimizer: dict[str, Any]
    schedule: dict[str, Any] | None
    budget: Budget
    parameters: Parameters
    tracking: Tracking
    tuning: Tuning
    search: Search


MADE = ("cell", "optimizer", "schedule", "task.net", "task.dataset", "task.data")
"""Nodes that objects are made of. Their classes have to be imported to know what they take."""

TRUTH = {"yes": True, "on": True, "y": True, "true": True, "no": False, "off": False, "n": False, "false": False}
"""What stands for a truth value, in any case: all but true and false reach the command line's config as texts."""

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")

UNIONS = (types.UnionType, Union)

TAKEN = "baselines"
"""Beside the folders of cells lies one of this name."""


def check(cfg: DictConfig, makes: Iterable[str] = (), faults: Iterable[str] = (), group: type[Any] = Config) -> None:
    """Check every key of the groups above, and of the nodes `makes`, those of `MADE` that the caller makes objects of.

    In place, a word for a truth value becomes one, and a whole number where a text is declared becomes a text. An
    interpolation stays one: what it points to is converted.

    faults: further ones, to be said together with those found here. group: what `cfg` is declared as.

    Raises: `UserError` that names every value of a wrong type, every key that is missing, and every one that nobody
    reads.
    """
    found = {fault: fault for fault in faults}
    try:
        _check_group(cfg, group, found)
        for key in makes:
            node = OmegaConf.select(cfg, key)
            if isinstance(node, DictConfig):
                _check_made(node, key, found)
    except InterpolationResolutionError:
        if not found:
            raise  # else it points into what is of no use
    if found:
        raise UserError(" ".join(found.values()))


def check_arguments(made: Callable[..., Any], arguments: Mapping[str, Any], prefix: str = "") -> None:
    """Raises: `UserError` for arguments of another type than the signature of `made` says: no word is converted."""
    kinds, _ = parameters(made)
    wrong = [
        f"{prefix}{name}={value!r}: {needed(kinds[name])} is needed."
        for name, value in arguments.items()
        if name in kinds and conform(value, kinds[name]) is not value
    ]
    if wrong:
        raise UserError(" ".join(wrong))


@cache
def parameters(made: Callable[..., Any]) -> tuple[dict[str, Any], bool]:
    """The type of each parameter of a class or function, and whether it takes others as well.

    Where a constructor hands its `**options` on, those of the next class in the order of inheritance belong to it.
    """
    if not isinstance(made, type):
        return _own_parameters(made)
    found: dict[str, Any] = {}
    for base in made.__mro__:
        if "__init__" in vars(base):
            own, is_open = _own_parameters(vars(base)["__init__"])
            found = {**own, **found}
            if not is_open:
                return found, False
    return found, True


def _own_parameters(function: Callable[..., Any]) -> tuple[dict[str, Any], bool]:
    given = inspect.signature(function).parameters.values()
    named = [each for each in given if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
    is_open = any(each.kind == each.VAR_KEYWORD for each in given)
    names = getattr(inspect.unwrap(function), "__globals__", {})
    return {each.name: _hint(each.annotation, names) for each in named if each.name != "self"}, is_open


def _hint(annotation: Any, names: dict[str, Any]) -> Any:
    """The type that is meant; any, where it is not said, or of a module that is only imported to check types."""
    if annotation is inspect.Parameter.empty:
        return Any
    holder = types.SimpleNamespace(__annotations__={"it": annotation})
    try:
        return get_type_hints(holder, names, include_extras=True)["it"]
    except (NameError, TypeError):
        return Any


NO = object()
"""No value."""


def conform(value: Any, kind: Any) -> Any:
    """The value as `kind` has it, the very same object where it is of this type; `NO` where it cannot be had.

    Types that no config can hold, such as a tensor or a function, are not checked.
    """
    truth = isinstance(value, bool)  # which Python counts among the whole numbers
    if kind is bool:
        return value if truth else TRUTH.get(value.lower(), NO) if isinstance(value, str) else NO
    if kind is int:
        return value if isinstance(value, Integral) and not truth else NO
    if kind is float:
        finite = isinstance(value, Real) and not truth and abs(cast(float, value)) < math.inf
        return value if finite else NO
    if kind is str:
        return value if isinstance(value, str) else str(value) if isinstance(value, Integral) and not truth else NO
    if kind == Name:
        name = conform(value, str)
        return name if name is not NO and NAME.fullmatch(name) and name != TAKEN else NO
    if kind is types.NoneType:
        return value if value is None else NO
    if is_dataclass(kind):
        return value if isinstance(value, Mapping) else NO
    origin, members = get_origin(kind), get_args(kind)
    if origin in UNIONS:
        return _conform_any(value, members)
    if origin is Literal and all(isinstance(member, str) for member in members):
        return conform(value, str)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return value if isinstance(value, Mapping) else NO
    if isinstance(origin, type) and issubclass(origin, Iterable) and members:
        return _conform_each(value, origin, members)
    return value


def _conform_any(value: Any, members: tuple[Any, ...]) -> Any:
    results = [conform(value, member) for member in members if _is_checked(member)]
    if not any(_is_checked(member) for member in members if member is not types.NoneType):
        return value
    return next((result for result in results if result is value), next((r for r in results if r is not NO), NO))


def _conform_each(value: Any, origin: type, members: tuple[Any, ...]) -> Any:
    if isinstance(value, str) and origin not in (list, tuple):
        return value  # a sequence of texts, too; `all` stands for such a list
    if not isinstance(value, Sequence) or isinstance(value, str):
        return NO
    kinds = members[:1] * len(value) if origin is not tuple or members[-1] is ... else members
    if len(kinds) != len(value):
        return NO
    results = [conform(item, kind) for item, kind in zip(value, kinds, strict=True)]
    if any(result is NO for result in results):
        return NO
    return value if all(result is item for result, item in zip(results, value, strict=True)) else results


def _is_checked(kind: Any) -> bool:
    return kind in (bool, int, float, str, types.NoneType, Name) or get_origin(kind) is not None


def needed(kind: Any) -> str:
    """What may stand there, as a message says it."""
    if kind == Name:
        return f"a name of at most 100 letters, digits, _, - and . (not beginning with - or ., and not {TAKEN})"
    named = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", types.NoneType: "null"}
    if kind in named:
        return named[kind]
    if get_origin(kind) in UNIONS:
        return " or ".join(dict.fromkeys(needed(member) for member in get_args(kind) if _is_checked(member)))
    if get_origin(kind) is Literal:
        return needed(str)
    if is_dataclass(kind) or issubclass(get_origin(kind), Mapping):
        return "a group of keys"
    return f"a list, each item {needed(get_args(kind)[0])},"


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
    """Keys of the task that an interpolation names, from within the task or from elsewhere."""
    texts = _texts(OmegaConf.to_container(node._get_root()))
    return {key for text in texts for key in re.findall(r"(?:\{\.\.+|\btask\.)(\w+)", text)}


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, dict | list):
        for child in node.values() if isinstance(node, dict) else node:
            yield from _texts(child)
    elif isinstance(node, str):
        yield node


def _check_made(node: DictConfig, key: str, found: dict[str, str]) -> None:
    if key == "task.net":
        kinds, is_open, who = _of_any_layout(), False, "no layout takes it"
    else:
        target = node.get("_target_")
        if not isinstance(target, str):
            found[f"{key}._target_"] = f"{key}._target_={_shown(target)}: the name of a class is needed."
            return
        made = get_object(target)
        ask = getattr(made, "parameters_of", None)
        kinds, is_open = ask(node) if ask else parameters(made)
        who = f"{made.__name__} does not take it"
        if key == "schedule" and "T_max" in kinds:
            kinds = {**kinds, "T_max": int | None}  # null: over the budget, see `rnnlab.budget`
    for name in map(str, node):
        if name in kinds:
            _check_value(node, name, Name if name == "name" else kinds[name], found)
        elif not is_open and not name.startswith("_"):  # as Hydra's own do
            found[f"{key}.{name}"] = f"{key}.{name}={_shown(node[name])}: {who}. There are {', '.join(kinds)}."


def _of_any_layout() -> dict[str, Any]:
    """Which layout a net has is only known with the data; what one does not take, it then refuses."""
    from rnnlab.layouts import LAYOUTS
    from rnnlab.layouts.ctc import ConnectionistTemporal

    found: dict[str, Any] = {}
    for layout in (*LAYOUTS.values(), ConnectionistTemporal):
        found |= parameters(layout)[0]
    return {name: kind for name, kind in found.items() if name not in ("spec", "make")}


def _check_value(node: DictConfig, name: str, kind: Any, found: dict[str, str]) -> None:
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
    key = (held._dereference_node() if held._is_interpolation() else held)._get_full_key(None)
    if result is NO:
        as_text = isinstance(value, bool | float) and isinstance(conform(str(value), kind), str)
        hint = f""" As a text: "{key}='{_shown(value)}'".""" if as_text else ""
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
