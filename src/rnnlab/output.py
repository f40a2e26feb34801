"""Lines to standard output: without secrets, and in silence once nobody reads any longer."""

import logging
import os
import sys
from typing import TextIO

from rnnlab.addresses import without_secrets


class Lines(logging.StreamHandler[TextIO]):
    """A line for each message; in silence once nobody reads any longer, as behind `head`, so that the work goes on."""

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        if isinstance(sys.exc_info()[1], BrokenPipeError):
            print_into_nothing()
        else:
            super().handleError(record)


def print_into_nothing() -> None:
    """From now on: once the reader of standard output has gone, also what Python writes of its buffer as it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
