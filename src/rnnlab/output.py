"""What a user sees while a command works: lines to standard output, and how far the work is.

Lines come without secrets, and in silence once nobody reads any longer. How far the work is, a `Meter` says: a bar on
standard error in a terminal, which lines leave whole, a plain line every `BETWEEN_LINES` seconds elsewhere.
"""

import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TextIO, TypeVar

from rnnlab.addresses import without_secrets

log = logging.getLogger("rnnlab")

AFTER, BETWEEN_BARS, BETWEEN_LINES = 0.5, 0.1, 10.0
"""Seconds until a bar is drawn, until it is drawn again, and between lines, also until the first."""

WIDTH = 80
"""Columns of a terminal that does not know how many it has."""

Item = TypeVar("Item")


class Lines(logging.StreamHandler[TextIO]):
    """A line for each message, above the bar if there is one; in silence once nobody reads any longer, as behind
    `head`, so that the work goes on."""

    def emit(self, record: logging.LogRecord) -> None:
        with _bar_aside(self.stream):
            super().emit(record)

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        if isinstance(sys.exc_info()[1], BrokenPipeError):
            print_into_nothing()
        else:
            super().handleError(record)


@contextmanager
def until_nobody_reads() -> Iterator[None]:
    """What is printed within it may have a reader that goes away, as `head` does: the rest is dropped."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        print_into_nothing()


def print_into_nothing() -> None:
    """From now on: once the reader of standard output has gone, also what Python writes of its buffer as it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


class Meter:
    """How far some work is, until `close`. Of work within work only the outer one's is shown.

    What is written to standard error beside a bar is put above it, as `Lines` are.

    Whoever does the work calls `show` once `time.monotonic()` has come to `due`, which is all that a step costs.

    terminal: whether it is a bar. bound: what a line says of the time left, that it is "about" or "at most" that.
    """

    def __init__(self, label: str, bound: str = "about") -> None:
        global _shown
        self.terminal = sys.stderr.isatty()
        self._label, self._bound = label, bound
        self._bar: Any = None
        self._stderr: Any = None
        self._above: Any = None
        self.restart(0.0)
        self.due = self._since + (AFTER if self.terminal else BETWEEN_LINES)
        if _shown is None:
            _shown = self
        else:
            self.due = float("inf")

    def restart(self, share: float) -> None:
        """Estimate the time left from now on: `share` of the work is done, and says nothing of what the rest takes."""
        self._first, self._since = share, time.monotonic()

    def left(self, share: float) -> str:
        """The time that the rest takes, in words; empty as long as nothing can be said."""
        if share <= self._first:
            return ""
        seconds = (time.monotonic() - self._since) / (share - self._first) * (1 - share)
        return f"{in_words(seconds)} left" if self.terminal else f"{self._bound} {in_words(seconds)} left"

    def show(self, share: float | None, *facts: str) -> None:
        """Draw the bar at `share`, from 0 to 1, None where that is unknown, or log a line; either says the `facts`."""
        if _shown is not self:
            return
        text = ", ".join(filter(None, facts))
        if self.terminal:
            self._draw(share, text)
        else:
            log.info("%s: %s", self._label, text)
        self.due = time.monotonic() + (BETWEEN_BARS if self.terminal else BETWEEN_LINES)

    def close(self) -> None:
        """Take the bar away."""
        global _shown
        if self._bar is not None:
            self._bar.close()
            self._bar = None
            if sys.stderr is self._above:
                sys.stderr = self._stderr
        if _shown is self:
            _shown = None

    def _draw(self, share: float | None, text: str) -> None:
        # here: most commands end before any bar is drawn
        from tqdm import tqdm
        from tqdm.contrib import DummyTqdmFile

        text = text.replace("{", "{{").replace("}", "}}")  # of tqdm's template
        template = "{desc}: " + ("" if share is None else "{percentage:3.0f}%|{bar}| ") + text
        done = min(share or 0.0, 1.0)
        if self._bar is None:
            tqdm.monitor_interval = 0  # a thread that draws what `due` has not asked for
            self._bar = tqdm(
                total=1.0, initial=done, desc=self._label, ncols=_width(), bar_format=template, leave=False
            )
            # a warning, or the message of an error that ends the work
            self._stderr, self._above = sys.stderr, DummyTqdmFile(sys.stderr)
            sys.stderr = self._above
            return
        self._bar.n, self._bar.ncols, self._bar.bar_format = done, _width(), template
        # tqdm itself would keep the lock where a signal unwinds the process
        with tqdm.get_lock():  # type: ignore[no-untyped-call]
            self._bar.refresh(nolock=True)


_shown: Meter | None = None
"""The one that is drawn or logged."""


def close_meter() -> None:
    """Of work that an error has ended: where the error is kept, so is an iterator of `progress` that was under way."""
    if _shown is not None:
        _shown.close()


def progress(items: Iterable[Item], label: str, total: int | None = None) -> Iterator[Item]:
    """The items, one after another, while a `Meter` with this label says how many have been dealt with.

    total: how many there are, where `items` has no length.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    meter = Meter(label)
    try:
        for done, item in enumerate(items):
            if time.monotonic() >= meter.due:
                show_count(meter, done, total)
            yield item
    finally:
        meter.close()


def show_count(meter: Meter, done: int, total: int | None, unit: str = "", per_unit: int = 1) -> None:
    """Show that `done` of `total` are done, None where nobody knows how many there are."""
    text = f"{done // per_unit:,}"
    if not total:
        meter.show(None, f"{text}{unit}")
        return
    share, whole = done / total, f"{total // per_unit:,}"
    count = f"{text}/{whole}{unit}" if meter.terminal else f"{100 * share:.0f} % of {whole}{unit}"
    meter.show(share, count, meter.left(share))


def in_words(seconds: float) -> str:
    """As exact as a guess deserves: 55 s, 12 min, 3.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"


def _bar_aside(stream: TextIO) -> AbstractContextManager[None]:
    """Within it the bar is not there, so that a line can be written to `stream`; afterwards it is drawn again."""
    if _shown is None or _shown._bar is None:
        return nullcontext()
    from tqdm import tqdm

    aside: AbstractContextManager[None] = tqdm.external_write_mode(file=stream)
    return aside


def _width() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or WIDTH
    except OSError:
        return WIDTH
