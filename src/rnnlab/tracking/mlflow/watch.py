"""Runs that are under way elsewhere, of which only their signs of life in the store can be seen."""

import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from rnnlab.errors import UserError
from rnnlab.results.files import read_json, write_json
from rnnlab.results.paths import store_root

SILENT_SECONDS = 300.0
"""Without a change of a run's sign of life, after which it is dead: five of those it gives."""


class Watch:
    """What was seen of such runs from this host, and when, in a file of the workspace.

    A host judges only what it saw itself, by a clock that nobody sets: the seconds since it was started. So neither
    the clocks of two hosts are compared, nor is a request sent to note anything.
    """

    def __init__(self) -> None:
        self._file = store_root() / "mlflow.db.seen"  # a name that git ignores

    def silent(self, beats: dict[str, str]) -> set[str]:
        """Those whose sign of life is what it was at least `SILENT_SECONDS` ago. beats: the last of each, by run id;
        of the others no note is kept."""
        now, host = time.monotonic(), _this_host()
        notes: dict[str, Any] = {}
        with suppress(UserError, FileNotFoundError):  # damaged, or not there: what is seen now is the first
            notes = read_json(self._file)
        seen = notes.get(host, {})
        mine: dict[str, tuple[str, float]] = {}
        for run, beat in beats.items():
            before, since = seen.get(run, (None, now))
            mine[run] = (beat, since if before == beat else now)
        if mine or seen:
            write_json(self._file, {**notes, host: mine})
        return {run for run, (_, since) in mine.items() if now - since >= SILENT_SECONDS}


def _this_host() -> str:
    """Since it was last started: its clock began then, and another may have its name."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return socket.gethostname()
