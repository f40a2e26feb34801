"""Hooks on the steps of a net's cells, one call for each timestep."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rnnlab.unroll.loop import Step
from rnnlab.unroll.recurrent import Recurrent


@contextmanager
def step_hook(recurrent: Recurrent, hook: Callable[[int, Step], Step]) -> Iterator[None]:
    """While it lasts, the net runs step by step, and `hook(number, step)` takes the place of each cell's step."""
    unroll, chosen = recurrent.unroll, set(recurrent.chosen)
    recurrent.unroll, recurrent.step_hook = "loop", hook
    try:
        yield
    finally:
        recurrent.unroll, recurrent.chosen, recurrent.step_hook = unroll, chosen, None
