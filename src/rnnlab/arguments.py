"""What a function's signature says its arguments are, and whether a value is such a one."""

import inspect
import math
import re
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import is_dataclass
from functools import cache
from numbers import Integral, Real
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from rnnlab.errors import UserError

Name = Annotated[str, "part of a path"]
"""A text that folders, experiments and models are named by."""


TRUTH = {"yes": True, "on": True, "y": True, "true": True, "no": False, "off": False, "n": False, "false": False}
"""What stands for a truth value, in any case: all but true and false reach the command line's config as texts."""

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")

UNIONS = (types.UnionType, Union)

RESERVED = "baselines"
"""The folder of the baselines, next to those of the cells."""


def check_arguments(made: Callable[..., Any], arguments: Mapping[str, Any], prefix: str = "") -> None:
    """Raises: `UserError` for arguments of another type than the signature of `made` says; "no" is not converted."""
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
    if kind == Name:
        name = conform(value, str)
        return name if name is not INVALID and NAME.fullmatch(name) and name != RESERVED else INVALID
    if kind is types.NoneType:
        return value if value is None else INVALID
    if is_dataclass(kind):
        return value if isinstance(value, Mapping) else INVALID
    origin, members = get_origin(kind), get_args(kind)
    if origin in UNIONS:
        return _conform_any(value, members)
    if origin is Literal and all(isinstance(member, str) for member in members):
        return conform(value, str)
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


def _is_checked(kind: Any) -> bool:
    return kind in (bool, int, float, str, types.NoneType, Name) or get_origin(kind) is not None


def needed(kind: Any) -> str:
    """What may stand there, as a message says it."""
    if kind == Name:
        return f"a name of at most 100 letters, digits, _, - and . (not beginning with - or ., and not {RESERVED})"
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
