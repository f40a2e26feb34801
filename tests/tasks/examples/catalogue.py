"""An example of every task, small enough for a test, as each family's file gives it."""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import tests.tasks.examples


@dataclass(frozen=True, eq=False)
class Bad:
    """Something that cannot work: overrides, files that are put into place first, and words the error must have.

    break_raw: is given the folder of the fetched data, and spoils it.
    """

    name: str
    overrides: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    files: dict[str, bytes] = field(default_factory=dict)
    break_raw: Callable[[Path], None] | None = None


@dataclass(frozen=True, eq=False)
class Example:
    """A task of conf/task as it runs in a test, from its default source unless that is too large.

    overrides: what makes it small. slow_cells: cells left out of the product of all, with the reason.
    """

    task: str
    overrides: tuple[str, ...] = ()
    bad: tuple[Bad, ...] = ()
    slow_cells: dict[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return " ".join([self.task, *self.overrides])


def examples() -> list[Example]:
    """All `EXAMPLES` of the modules beside this one."""
    found: list[Example] = []
    for module in pkgutil.iter_modules(tests.tasks.examples.__path__):
        if module.name != "catalogue":
            found += importlib.import_module(f"tests.tasks.examples.{module.name}").EXAMPLES
    return found
