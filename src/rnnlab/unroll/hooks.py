"""Looking on while a net reads."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rnnlab.unroll.loop import Step
from rnnlab.unroll.recurrent import Recurrent


@contextmanager
def watched(recurrent: Recurrent, watch: Callable[[int, Step], Step]) -> Iterator[None]:
    """While it lasts, the net runs step by step, and `watch(number, step)` takes the place of each cell's step."""
    unroll, chosen = recurrent.unroll, set(recurrent.chosen)
    recurrent.unroll, recurrent.watch = "loop", watch
    try:
        yield
    finally:
        recurrent.unroll, recurrent.chosen, recurrent.watch = unroll, chosen, None
