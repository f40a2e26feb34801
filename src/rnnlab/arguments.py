"""What a signature says its arguments may be, and whether a value is such a one.

A limit stands beside the type: `Annotated[int, Range(at_least=1)]`. `Literal` says choices, `OneOf` those that a
constant holds.
"""

import inspect
import math
import re
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from functools import cache
from numbers import Integral, Real
from typing import (
    Annotated,
    Any,
    Literal,
    Protocol,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    runtime_checkable,
)

from rnnlab.errors import UserError

TRUTH = {"yes": True, "on": True, "y": True, "true": True, "no": False, "off": False, "n": False, "false": False}
"""What stands for a truth value, in any case: all but true and false reach the command line's config as texts."""

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")

UNIONS = (types.UnionType, Union)

RESERVED = "baselines"
"""The folder of the baselines, next to those of the cells."""


@runtime_checkable
class Limit(Protocol):
    """What an annotation says beyond the type."""

    def admits(self, value: Any) -> bool:
        """Whether a value of that type may stand there."""

    def described(self, kind: str) -> str:
        """What may stand there, `kind` being the type in words."""


@dataclass(frozen=True)
class Range:
    """Numbers between two ends, where they are given."""

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None

    def admits(self, value: Any) -> bool:
        return (
            (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )

    def described(self, kind: str) -> str:
        signs = {">=": self.at_least, ">": self.above, "<=": self.at_most, "<": self.below}
        return f"{kind} {' and '.join(f'{sign} {end}' for sign, end in signs.items() if end is not None)}"


class OneOf:
    """The choices of a constant, such as the names of a table."""

    def __init__(self, choices: Iterable[str]) -> None:
        self.choices = tuple(choices)

    def admits(self, value: Any) -> bool:
        return value in self.choices

    def described(self, kind: str) -> str:
        return f"one of {', '.join(self.choices)}"


class PartOfPath:
    """What folders, experiments and models can be named by, on every system."""

    def admits(self, value: Any) -> bool:
        return bool(NAME.fullmatch(value)) and value != RESERVED

    def described(self, kind: str) -> str:
        return f"a name of at most 100 letters, digits, _, - and . (not beginning with - or ., and not {RESERVED})"


Name = Annotated[str, PartOfPath()]
Natural = Annotated[int, Range(at_least=0)]
Positive = Annotated[int, Range(at_least=1)]
PositiveNumber = Annotated[float, Range(above=0)]
Dropout = Annotated[float, Range(at_least=0, below=1)]
"""A share that may be none, and not all."""
Part = Annotated[float, Range(above=0, below=1)]
"""A share that leaves something on both sides."""


def check_arguments(made: Callable[..., Any], arguments: Mapping[str, Any], prefix: str = "") -> None:
    """Raises: `UserError` for arguments that are not what the signature of `made` says; "no" is not converted."""
    kinds, _ = parameters(made)
    wrong = [
        refusal(f"{prefix}{name}", needed(kinds[name]), value)
        for name, value in arguments.items()
        if name in kinds and conform(value, kinds[name]) is not value
    ]
    if wrong:
        raise UserError(" ".join(wrong))


def refusal(key: str, wanted: str, value: Any) -> str:
    """The message for a value that cannot stand at a key. wanted: what may."""
    return f"{key} must be {wanted}, got {written(value)}."


def written(value: Any) -> str:
    """A value as an override has it, cut where it is long."""
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    text = str(value)
    text = text if text.isprintable() and text.strip() else repr(text)
    return text if len(text) <= 60 else f"{text[:60]}..."


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
    return {each.name: _hint(each, names) for each in named if each.name != "self"}, is_open


def _hint(parameter: inspect.Parameter, names: dict[str, Any]) -> Any:
    """The type that is meant; any, where it is not said, or of a module that is only imported to check types.

    What is true or false by default is a truth value, annotated or not.
    """
    if parameter.annotation is inspect.Parameter.empty:
        return bool if isinstance(parameter.default, bool) else Any
    holder = types.SimpleNamespace(__annotations__={"it": parameter.annotation})
    try:
        return get_type_hints(holder, names, include_extras=True)["it"]
    except (NameError, TypeError):
        return Any


INVALID = object()
"""No value."""


def conform(value: Any, kind: Any) -> Any:
    """The value converted to `kind`: the very same object where it is of this type, `INVALID` where it cannot be.

    Types that no config can hold, such as a tensor or a function, are not checked.
    """
    truth = isinstance(value, bool)  # which Python counts among the whole numbers
    if kind is bool:
        return value if truth else TRUTH.get(value.lower(), INVALID) if isinstance(value, str) else INVALID
    if kind is int:
        return value if isinstance(value, Integral) and not truth else INVALID
    if kind is float:
        finite = isinstance(value, Real) and not truth and abs(cast(float, value)) < math.inf
        return value if finite else INVALID
    if kind is str:
        return value if isinstance(value, str) else str(value) if isinstance(value, Integral) and not truth else INVALID
    if kind is types.NoneType:
        return value if value is None else INVALID
    if is_dataclass(kind):
        return value if isinstance(value, Mapping) else INVALID
    origin, members = get_origin(kind), get_args(kind)
    if origin is Annotated:
        result = conform(value, members[0])
        return INVALID if result is INVALID or not all(limit.admits(result) for limit in _limits(kind)) else result
    if origin in UNIONS:
        return _conform_any(value, members)
    if origin is Literal:
        found = conform(value, str) if all(isinstance(member, str) for member in members) else value
        return found if any(found == member and type(found) is type(member) for member in members) else INVALID
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return value if isinstance(value, Mapping) else INVALID
    if isinstance(origin, type) and issubclass(origin, Iterable) and members:
        return _conform_each(value, origin, members)
    return value


def _conform_any(value: Any, members: tuple[Any, ...]) -> Any:
    results = [conform(value, member) for member in members if _is_checked(member)]
    if not any(_is_checked(member) for member in members if member is not types.NoneType):
        return value
    if any(result is value for result in results):
        return value
    return next((result for result in results if result is not INVALID), INVALID)


def _conform_each(value: Any, origin: type, members: tuple[Any, ...]) -> Any:
    if isinstance(value, str) and origin not in (list, tuple):
        return value  # a sequence of texts, too; `all` stands for such a list
    if not isinstance(value, Sequence) or isinstance(value, str):
        return INVALID
    kinds = members[:1] * len(value) if origin is not tuple or members[-1] is ... else members
    if len(kinds) != len(value):
        return INVALID
    results = [conform(item, kind) for item, kind in zip(value, kinds, strict=True)]
    if any(result is INVALID for result in results):
        return INVALID
    return value if all(result is item for result, item in zip(results, value, strict=True)) else results


def _limits(kind: Any) -> list[Limit]:
    """Of an `Annotated` type. Others than ours may annotate for purposes of their own."""
    return [limit for limit in get_args(kind)[1:] if isinstance(limit, Limit)]


def _is_checked(kind: Any) -> bool:
    return kind in (bool, int, float, str, types.NoneType) or get_origin(kind) is not None


def needed(kind: Any) -> str:
    """What may stand there, as a message says it."""
    named = {bool: "true or false", int: "an integer", float: "a number", str: "a text", types.NoneType: "null"}
    if kind in named:
        return named[kind]
    if get_origin(kind) is Annotated:
        words = needed(get_args(kind)[0])
        for limit in _limits(kind):
            words = limit.described(words)
        return words
    if get_origin(kind) in UNIONS:
        return " or ".join(dict.fromkeys(needed(member) for member in get_args(kind) if _is_checked(member)))
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    if is_dataclass(kind) or issubclass(get_origin(kind), Mapping):
        return "a group of keys"
    return f"a list, each item {needed(get_args(kind)[0])}"
