"""How far some work is: a bar in a terminal, which lines leave whole, and a plain line now and then elsewhere."""

import contextlib
import logging
import os
import pty
import re
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from rnnlab import output
from rnnlab.output import Lines, Meter, in_words, progress
from rnnlab.training.progress import Progress
from tests.conftest import Run, start


class Clock:
    """Stands still until it is moved."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def over(self, count: int, seconds: float) -> Iterator[int]:
        """As many items, each of which takes so long."""
        for number in range(count):
            yield number
            self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What is logged; there is no terminal."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    caplog.set_level(logging.INFO)
    return lambda: [record.getMessage() for record in caplog.records]


def visible(shown: bytes) -> list[str]:
    """The lines that stay on a screen: what is written behind a carriage return takes the place of what stood there."""
    result = []
    for line in shown.decode().split("\n"):
        cells: list[str] = []
        for part in line.split("\r"):
            cells[: len(part)] = part
        result.append("".join(cells).rstrip())
    return [line for line in result if line]


def read_all(end: int) -> bytes:
    shown = b""
    with contextlib.suppress(OSError):  # what reading from a closed terminal gives
        while part := os.read(end, 65536):
            shown += part
    return shown


class Terminal:
    """Standard output and error of this process, as one terminal."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
        ours, its = pty.openpty()
        termios.tcsetwinsize(its, (30, columns))
        self.its = os.fdopen(its, "w", buffering=1)
        monkeypatch.setattr(sys, "stderr", self.its)
        monkeypatch.setattr(sys, "stdout", self.its)
        self._shown = b""
        self._reader = threading.Thread(target=self._read, args=(ours,))  # a terminal that nobody reads takes 4 KB
        self._reader.start()

    def _read(self, ours: int) -> None:
        self._shown = read_all(ours)

    def shown(self) -> bytes:
        self.its.close()
        self._reader.join()
        return self._shown


def test_without_a_terminal_work_that_takes_long_is_told_every_ten_seconds(
    clock: Clock, lines: Callable[[], list[str]]
) -> None:
    assert list(progress(clock.over(100, 0.25), "reading", 100)) == list(range(100))
    assert lines() == ["reading: 40 % of 100, about 15 s left", "reading: 80 % of 100, about 5 s left"]


def test_without_a_terminal_short_work_is_silent(clock: Clock, lines: Callable[[], list[str]]) -> None:
    assert len(list(progress(clock.over(99, 0.1), "reading"))) == 99
    assert lines() == []


def test_work_of_unknown_length_is_counted(clock: Clock, lines: Callable[[], list[str]]) -> None:
    for _ in progress(clock.over(3000, 1 / 128), "reading"):
        pass
    assert lines() == ["reading: 1,280", "reading: 2,560"]


def test_of_work_within_work_the_outer_one_is_told(clock: Clock, lines: Callable[[], list[str]]) -> None:
    for _ in progress(range(3), "outer"):
        list(progress(clock.over(10, 2.0), "inner"))
    assert lines() == ["outer: 33 % of 3, about 40 s left", "outer: 67 % of 3, about 20 s left"]
    list(progress(clock.over(10, 2.0), "inner", 10))
    assert lines()[2:] == ["inner: 50 % of 10, about 10 s left"], "once the outer one has ended"


def test_work_that_fails_or_is_left_makes_room_for_other_work(clock: Clock, lines: Callable[[], list[str]]) -> None:
    with contextlib.suppress(ZeroDivisionError):
        for number in progress([0], "failing"):
            assert 1 / number
    for _ in progress([1, 2], "left"):
        break
    list(progress(clock.over(2, 10.0), "other", 2))
    assert lines() == ["other: 50 % of 2, about 10 s left"]


@pytest.mark.parametrize(("seconds", "words"), [(0.4, "0 s"), (99, "99 s"), (120, "2 min"), (7200, "2.0 h")])
def test_the_time_left_is_as_exact_as_a_guess_deserves(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


@pytest.mark.parametrize("columns", [120, 40, 0])
def test_a_bar_fits_its_terminal_also_one_that_does_not_know_its_width(
    columns: int, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    terminal = Terminal(monkeypatch, columns)
    list(progress(clock.over(30, 0.06), "reading {these}", 30))
    shown = terminal.shown()
    drawn = [part for part in shown.decode().split("\r") if part.strip()]
    assert {"{these}" in part for part in drawn} == {True}
    assert max(map(len, drawn)) <= (columns or 80)
    assert re.search(r" 63%\|[^|]*\| 19/30, 1 s left", shown.decode())
    assert len(drawn) <= 1.8 / 0.1, "at most ten times a second"
    assert visible(shown) == [], "it is taken away at the end"


def test_a_line_leaves_the_bar_whole(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    terminal = Terminal(monkeypatch, 80)
    logger = logging.getLogger("another.package")
    monkeypatch.setattr(logging.getLogger(), "handlers", [Lines(sys.stdout)])
    for number in progress(clock.over(30, 0.06), "reading", 30):
        if number in (15, 16):
            logger.warning("line %d", number)
        if number == 20:
            print("an error", file=sys.stderr)
    shown = terminal.shown()
    assert visible(shown) == ["line 15", "line 16", "an error"]
    assert sys.stderr is terminal.its
    assert re.search(rb"line 16\r\n\rreading: +\d+%\|", shown), "it is there again at once"


def train(callback: Progress, clock: Clock, epochs: int, first: int = 0, steps: int = 80, checks: int = 20) -> None:
    """What Lightning calls: the first step takes 50 s, any other, and any of the validation, 0.5 s."""
    trainer: Any = SimpleNamespace(
        max_epochs=epochs,
        num_training_batches=steps,
        num_val_batches=[checks],
        callback_metrics={},
        current_epoch=first,
    )
    module: Any = None
    callback.on_train_start(trainer, module)
    clock.now += 49.5
    for epoch in range(first, epochs):
        trainer.current_epoch = epoch
        for step in range(steps):
            clock.now += 0.5
            callback.on_train_batch_end(trainer, module, None, None, step)
        for check in range(checks):
            clock.now += 0.5
            callback.on_validation_batch_end(trainer, module, None, None, check)
        trainer.callback_metrics = {"loss/train": torch.tensor(0.5 / (epoch + 1)), "loss/validation": torch.tensor(0.7)}
        callback.on_train_epoch_end(trainer, module)
    callback.on_train_end(trainer, module)


def test_without_a_terminal_a_training_is_told_within_its_epochs(clock: Clock, lines: Callable[[], list[str]]) -> None:
    """Epochs count from 1; what the first step took, with a kernel to compile, is not what the others take."""
    train(Progress("price/lstm seed 0"), clock, epochs=3)
    assert lines()[0] == "price/lstm seed 0: epoch 1 of 3, 2 % of it, at most 2 min left"
    assert (
        "price/lstm seed 0: epoch 2 of 3, 42 % of it, train loss 0.5000, validation loss 0.7000, at most 79 s left"
        in (lines())
    )
    assert len(lines()) == 15, "one every ten seconds"


def test_a_resumed_training_says_what_is_left_of_it(clock: Clock, lines: Callable[[], list[str]]) -> None:
    train(Progress("price/lstm seed 0"), clock, epochs=3, first=2)
    assert lines()[1] == "price/lstm seed 0: epoch 3 of 3, 22 % of it, at most 39 s left"


def test_under_a_budget_the_share_of_it_is_told(clock: Clock, lines: Callable[[], list[str]]) -> None:
    begin = clock.now
    train(Progress("price/lstm seed 0", lambda: (clock.now - begin) / 200), clock, epochs=2)
    assert lines()[1] == "price/lstm seed 0: epoch 1, 30 % of the budget, at most 2 min left"


def test_a_training_whose_work_has_parts_of_its_own_is_what_is_told(
    clock: Clock, lines: Callable[[], list[str]]
) -> None:
    """As a callback that lets the net predict."""
    meter = Meter("training")
    list(progress(clock.over(10, 5.0), "predicting"))
    assert lines() == []
    meter.close()


def test_without_a_terminal_progress_comes_in_plain_lines(root: Path) -> None:
    process = start(root, "train", "trainer.max_epochs=2", "tracking=none")
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "\r" not in printed
    assert re.search(r"validation loss \d\.\d+ in epoch [12],", printed)


def test_in_a_terminal_a_training_is_a_bar_that_moves_within_its_epochs(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kernels are compiled meanwhile, and say so in lines of their own."""
    monkeypatch.setenv("RNNLAB_CACHE", str(root / "cache"))
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (30, 120))
    process = start(
        root,
        "train",
        "task=adding",
        "cell=gru",
        "trainer.max_epochs=2",
        "task.train=2000",
        "tracking=none",
        terminal=its,
    )
    os.close(its)
    shown = read_all(ours)
    assert process.wait(timeout=60) == 0
    drawn = re.findall(rb"adding/gru seed 0: +(\d+)%\|[^|]*\| epoch (\d)/2", shown)
    assert {epoch for _, epoch in drawn} == {b"1", b"2"}, shown[-2000:]
    assert len({share for share, _ in drawn}) > 4, "more often than once in an epoch"
    assert re.search(rb"epoch 2/2, \d+ (s|min) left, train \d\.\d{3}, validation \d\.\d{3}", shown)
    said = visible(shown)
    assert sum(line == f"compiled a kernel in {line[21:24]} s, kept in {root}/cache/kernels" for line in said) >= 1, (
        said
    )
    assert not [line for line in said if "%|" in line], "no bar is left, and none within a line"


def test_data_training_judging_and_baselines_all_say_how_far_they_are(
    run: Run, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "BETWEEN_LINES", 0.0)
    words = ("task=sentiment", "cell=rnn", "trainer.max_epochs=1", "trainer.limit_batches=2", "tracking=none")
    trained = run("train", *words)
    assert trained.code == 0, trained.err
    for said in ("learning the words: 0 % of ", "reading the test part: 0 % of "):
        assert f"sentiment: {said}" in trained.out
    assert re.search(r"sentiment/rnn seed 0: epoch 1 of 1, 50 % of it, at most \d+ s left\n", trained.out)
    judged = run("evaluate", *words)
    assert judged.code == 0, judged.err
    for said in (
        "sentiment: predicting the test part: 0 % of ",
        "sentiment: n-grams: 0 % of 3",
        "logistic regression: 0 % of 3",
    ):
        assert f"{said}" in judged.out
    assert "\r" not in judged.out + judged.err
