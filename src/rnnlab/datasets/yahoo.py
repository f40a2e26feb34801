"""Prices from Yahoo Finance's chart, through yfinance."""

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnlab.data.tables.table import COLUMNS
from rnnlab.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

INTRADAY = ("1m", "2m", "5m", "15m", "30m", "60m", "90m", "1h")
INTERVALS = (*INTRADAY, "1d", "5d", "1wk", "1mo", "3mo")
FIRST_DAY = "1900-01-01"  # before Yahoo's oldest series


def write_history(
    path: Path,
    symbol: str,
    *,
    start: str | None,
    end: str,
    interval: str,
    retries: int,
    backoff_seconds: float,
    other_ways: str,
    session: Any = None,
) -> list[str]:
    """Write the rows in [start, end) to `path`, as CSV with `COLUMNS`; intraday instants are UTC.

    Args:
        start, end: ISO dates; no start: from the first row there is.
        retries: further tries while Yahoo is busy, broken or out of reach. An answer without prices is tried again
            twice at most: mostly it means that there are none.
        backoff_seconds: wait before the first of these, doubled for each next one.
        other_ways: to such prices, in words, for the error.
        session: the `requests` or curl_cffi session to use; None: yfinance's own.

    Returns:
        One-line remarks on the rows.

    Raises:
        UserError: what Yahoo answered the last time, and what to do.
    """
    import time

    reason, without_prices = "", 0
    with _client(session) as (ticker, answers):
        for attempt in range(retries + 1):
            if attempt:
                time.sleep(backoff_seconds * 2 ** (attempt - 1))
            answers.clear()
            try:
                frame = ticker(symbol).history(
                    start=start or FIRST_DAY, end=end, interval=interval, auto_adjust=False, actions=False
                )
            # the client raises whatever an answer of an unforeseen form makes it trip on
            except Exception as error:
                reason, is_passing = _why(error, answers[-1] if answers else "")
            else:
                if frame["Close"].notna().any():
                    return _write(frame, path, end, interval)
                reason, is_passing = "an answer without prices", False
            without_prices += not is_passing
            if without_prices > 2:
                break
    raise UserError(
        f"Yahoo gave no prices of {symbol} from {start or 'the beginning'} to {end} (interval {interval}): {reason}. "
        f"Check symbol, dates and network and try later, or {other_ways}."
    )


def _write(frame: "pd.DataFrame", path: Path, end: str, interval: str) -> list[str]:
    notes = []
    if end > datetime.now(UTC).date().isoformat():
        notes.append(f"task.end={end} has not come yet: the same fetch will give other rows later")
    priced = frame[frame["Close"].notna()]
    if len(priced) < len(frame):
        notes.append(f"left out {len(frame) - len(priced)} rows that Yahoo gave without a price")
    date_format = "%Y-%m-%d"
    if interval in INTRADAY:
        priced, date_format = priced.tz_convert("UTC"), "%Y-%m-%dT%H:%M:%SZ"
    date, *others = COLUMNS
    priced.to_csv(path, columns=others, index_label=date, date_format=date_format, lineterminator="\n")
    return notes


@contextmanager
def _client(session: Any) -> Iterator[tuple[Callable[[str], Any], list[str]]]:
    """`Ticker` of yfinance, made to raise, and a list that each answer on prices is noted in; all is put back after."""
    import logging
    import os

    with warnings.catch_warnings():  # importing yfinance sets filters
        import yfinance as yf
        from yfinance.data import YfData

        warnings.simplefilter("ignore")  # what it calls of pandas is not the user's to mend
        debug, logger = yf.config.debug, logging.getLogger("yfinance")
        before = debug.hide_exceptions, logger.level
        # its SQLite caches fail in a read-only or shared home; a place that can hold no file turns them off
        yf.set_tz_cache_location(os.path.join(os.devnull, "yfinance"))  # noqa: PTH118
        session = session or yf.Ticker("AAPL").session
        answers: list[str] = []
        send = session.request

        def request(method: str, url: str, *args: Any, **kwargs: Any) -> Any:
            response = send(method, url, *args, **kwargs)
            if "/chart/" in url:
                answers.append(f"HTTP {response.status_code}")
            return response

        def ticker(symbol: str) -> Any:
            YfData.cache_get.cache_clear()  # it keeps failed answers too, and would give them again
            return yf.Ticker(symbol, session=session)

        debug.hide_exceptions = False
        logger.setLevel(logging.CRITICAL)  # the one error at the end tells all
        session.request = request
        try:
            yield ticker, answers
        finally:
            del session.request
            debug.hide_exceptions = before[0]
            logger.setLevel(before[1])


def _why(error: Exception, status: str) -> tuple[str, bool]:
    """What went wrong, in words, and whether it may pass. status: of the last answer; "" where there was none."""
    kind = type(error)
    if kind.__name__ == "YFRateLimitError":
        return "too many requests (HTTP 429)", True
    if not status:
        return f"no connection ({kind.__name__})", True
    if re.search(r" (429|5\d\d)$", status):
        return f"it answered {status}", True
    if kind.__module__.startswith("yfinance"):
        said, _, _ = str(error).partition("\n")
        return f"{status}, {said}", False
    if status.startswith("HTTP 4"):
        return f"it answered {status}", False
    if isinstance(error, ValueError):
        return f"a cut-off answer or one that is not JSON ({status})", True
    if isinstance(error, OSError):
        return f"the connection broke ({kind.__name__})", True
    return f"an answer without prices ({status})", False
