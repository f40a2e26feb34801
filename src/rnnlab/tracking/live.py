"""A run under way: its metrics go to the store from a thread of their own, and training never waits for them."""

import logging
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from rnnlab.addresses import shown, without_secrets

log = logging.getLogger("rnnlab")

FIRST_PAUSE, LONGEST_PAUSE = 2.0, 60.0
"""Seconds between attempts to reach a store that failed; each pause is twice the one before."""

BEAT_SECONDS = 60.0
"""Between the signs of life that a run under way gives to the store."""

PATIENCE = 10.0
"""Seconds that the end of training waits for the store to take the last rows."""

AWAY = "the MLflow store failed (%s): results are kept on disk, and sent when it answers again or by tracking=sync"

CAUSES = (
    "Connection refused",
    "Connection reset by peer",
    "Remote end closed connection",
    "timed out",
    "Name or service not known",
    "Temporary failure in name resolution",
    "could not translate host name",
    "password authentication failed",
    "Access denied",
    "does not exist",
    "error code 401",
    "error code 403",
    "error code 404",
)
"""What of a long message of MLflow's or of a database's driver is shown."""


class Row(NamedTuple):
    """One value of one metric. `epoch`: from 1; 0 for what was measured before any. `time`: milliseconds since 1970."""

    key: str
    value: float
    step: int
    epoch: int
    time: int


def reason(error: Exception, address: str) -> str:
    """What failed, in one line. address: of the store, of whose secrets a driver's message may repeat any part."""
    text = str(error).strip()
    cause = next((cause for cause in CAUSES if cause in text), None)
    if cause is None and (shown(address) == address or isinstance(error, ImportError)):
        cause = without_secrets(text.partition("\n")[0])
    return cause or type(error).__name__


class Connection:
    """Whether the store answers, known to all runs of a process; a failure is told once, until it answers again."""

    def __init__(self, address: str = "") -> None:
        self._address = address
        self._failed: float | None = None

    @property
    def away(self) -> bool:
        """Whether it failed so short a time ago that trying again would only cost time."""
        return self._failed is not None and time.monotonic() - self._failed < LONGEST_PAUSE

    def failed(self, error: Exception) -> None:
        if self._failed is None:
            log.warning(AWAY, reason(error, self._address))
        self._failed = time.monotonic()

    def answered(self) -> None:
        if self._failed is not None:
            log.info("the MLflow store answers again")
        self._failed = None


class LiveRun:
    """A run under way, made in the store by `begin` and filled by `log_rows`, both called from its own thread, as is
    `beat` with a number that is raised every `BEAT_SECONDS`.

    Without them, nothing is tracked. Rows wait until the store has taken them, however long it is away. `log_rows` may
    see a row twice: the answer to a request, and not the request, may be what was lost.
    """

    def __init__(
        self,
        begin: Callable[[], str] | None = None,
        log_rows: Callable[[str, list[Row]], None] | None = None,
        connection: Connection | None = None,
        beat: Callable[[str, int], None] | None = None,
    ) -> None:
        self.run_id: str | None = None
        self._begin = begin
        self._log_rows = log_rows
        self._beat = beat
        self._beats = 0
        self._next_beat = time.monotonic() + BEAT_SECONDS
        self._connection = connection or Connection()
        self._waiting: list[Row] = []
        self._change = threading.Condition()
        self._ending = False
        self._thread: threading.Thread | None = None
        if begin is not None:
            # a daemon: a server that does not answer must not keep the process from ending
            self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)
            self._thread.start()

    @property
    def complete(self) -> bool:
        """Whether the store has the run and every row that was sent."""
        return self.run_id is not None and not self._waiting

    def send(self, rows: list[Row]) -> None:
        """Hand rows over, at once."""
        if self._thread is not None:
            with self._change:
                self._waiting += rows
                self._change.notify()

    def close(self) -> None:
        """Let the thread send what it has, in one last attempt, and end; where nothing answers, it is left alone."""
        if self._thread is None:
            return
        with self._change:
            self._ending = True
            self._change.notify()
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            self._connection.failed(TimeoutError(f"no answer within {PATIENCE:.0f} s"))

    def _work(self) -> None:
        pause = FIRST_PAUSE
        while True:
            with self._change:
                self._change.wait_for(
                    lambda: self._ending or self._waiting or self.run_id is None,
                    timeout=None if self._beat is None else max(0.0, self._next_beat - time.monotonic()),
                )
                rows, last = list(self._waiting), self._ending
                if last and self.complete:
                    return
            try:
                self._deliver(rows)
            except Exception as error:  # whatever it is: a thread that dies would say nothing
                self._connection.failed(error)
                if last:
                    return
                with self._change:
                    self._change.wait_for(lambda: self._ending, timeout=pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                self._connection.answered()
                pause = FIRST_PAUSE

    def _deliver(self, rows: list[Row]) -> None:
        assert self._begin is not None
        assert self._log_rows is not None
        if self.run_id is None:
            self.run_id = self._begin()
        if self._beat is not None and time.monotonic() >= self._next_beat and not self._ending:
            self._beat(self.run_id, self._beats + 1)
            self._beats += 1
            self._next_beat = time.monotonic() + BEAT_SECONDS
        if rows:
            self._log_rows(self.run_id, rows)
            with self._change:
                del self._waiting[: len(rows)]
