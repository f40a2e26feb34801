"""Prices of one instrument: an embedded sample, Yahoo through yfinance, or any table with a date column and numbers.

    prices = Prices("aapl", source="sample", symbol="AAPL")
    prices.check()                          # the options alone; instant
    prices.fetch(Path("data/raw/aapl"))     # one data file, verbatim, and source.json
    table = prices.read(Path("data/raw/aapl"))

| source | from                             | licence                            | closes                              |
|--------|----------------------------------|------------------------------------|-------------------------------------|
| sample | package bokeh-sampledata         | public domain                      | adjusted; raw ones jump at splits   |
| yahoo  | Yahoo Finance's chart, or mirror | Yahoo's terms, do not redistribute | adjusted for splits and dividends   |
| csv    | your file or address             | yours                              | as they are                         |
"""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from rnnlab.arguments import Natural, Range, check_arguments, refusal, written
from rnnlab.data.download import retrieve, sha256_of
from rnnlab.data.tables.table import COLUMNS, Table, nearest
from rnnlab.data.tables.user_table import OwnTable
from rnnlab.data.tables.values import DateOrder, Decimal, Notation
from rnnlab.datasets.bokeh import installed_table
from rnnlab.datasets.table_report import inspect
from rnnlab.datasets.yahoo import INTERVALS, INTRADAY, write_history
from rnnlab.errors import UserError
from rnnlab.results.files import read_json, write_json

if TYPE_CHECKING:
    import pandas as pd

SOURCES = ("sample", "yahoo", "csv")
SAMPLE_SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
SAMPLE_LAST = "2013-03-01"
SAMPLE_NAME = "stocks.csv.gz"
SAMPLE_SHA256 = "5abadf99b2d394f920120a27de6f0df129859d71d4cfb0bf661bcc99446ab1fd"  # in bokeh-sampledata 2026.1
ADJUSTED = "'Adj Close' is the close adjusted for splits and dividends as of retrieved_at, kept beside 'Close'"


class IsoDate:
    """A day, as the years of four digits have it."""

    def admits(self, value: str) -> bool:
        try:
            return len(value) == 10 and bool(date.fromisoformat(value))
        except ValueError:
            return False

    def described(self, kind: str) -> str:
        return "an ISO date such as 2024-01-31"


Day = Annotated[str, IsoDate()]


@dataclass(frozen=True)
class PriceTable:
    """A series of closes, ascending by date, each date once.

    frame: `date` (datetime64, UTC without a zone), `close` (float64, above zero), `volume` (float64) if there is one.
    target: the name that `close` has in the file. notes: one-line remarks on how the file was read.
    report: rows, first and last date, duplicates, gaps, suspected splits (the largest, and how many); plain JSON.
    """

    frame: "pd.DataFrame"
    target: str
    notes: tuple[str, ...]
    report: dict[str, Any]


@dataclass(frozen=True)
class Prices:
    """Which prices, and how to read them.

    name: what it is called. source: "sample", "yahoo" or "csv".
    symbol: of sample and yahoo. path: of csv, a local file or an http(s) address.
    date, target, volume: columns; None: the date column is found, the target is the adjusted close where there is one,
    else the close, the volume is the column 'volume' where there is one. decimal, date_order: of csv, see `Notation`.
    start, end: ISO dates, rows in [start, end). interval: of yahoo. retries, backoff_seconds: how patient a fetch is.
    """

    worded: ClassVar[tuple[str, ...]] = ("source", "symbol", "path", "target", "retries", "backoff_seconds")

    name: str
    source: str
    symbol: str | None = None
    path: str | None = None
    date: str | None = None
    target: str | None = None
    volume: str | None = None
    decimal: Decimal | None = None
    date_order: DateOrder | None = None
    start: Day | None = None
    end: Day | None = None
    interval: str = "1d"
    retries: Natural = 4
    backoff_seconds: Annotated[float, Range(at_least=0)] = 2.0

    def __post_init__(self) -> None:
        # YAML and the command line read a symbol or a column called 700 as a number
        for name in ("symbol", "path", "date", "target", "volume", "start", "end", "interval"):
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else str(value))

    def in_words(self, facts: Mapping[str, Any]) -> Sequence[str]:
        if self.source == "csv":
            return [self._own().name, str(facts["target"])]
        symbol = str(self.symbol).upper() + (" of Yahoo" if self.source == "yahoo" else "")
        return [symbol, self.target or ""]

    def check(self) -> None:
        """Raise `UserError` for options that cannot work; reads no data."""
        if self.source not in SOURCES:
            raise UserError(_none_of("source", self.source, SOURCES))
        patience = {name: getattr(self, name) for name in ("retries", "backoff_seconds")}
        check_arguments(Prices, patience, "task.dataset.")
        check_arguments(Prices, {name: value for name, value in vars(self).items() if name not in patience}, "task.")
        if self.start and self.end and date.fromisoformat(self.start) >= date.fromisoformat(self.end):
            raise UserError(refusal("task.start", f"before task.end={self.end}, which is left out", self.start))
        if self.source == "sample":
            self._check_sample()
        elif self.source == "yahoo":
            self._check_yahoo()
        else:
            self._own().check()

    def fingerprint(self) -> dict[str, Any]:
        """All that decides which rows `read` gives, as plain JSON: the options and the content of a local file."""
        content = None
        if self.source == "sample":
            content = sha256_of(installed_table(SAMPLE_NAME))
        elif self.source == "csv":
            content = self._own().sha256()
        reading = {"name": self.name, "date": self.date, "target": self.target, "volume": self.volume}
        reading |= self._file_options() | self._notation().given()
        return reading | {"start": self.start, "end": self.end, "sha256": content}

    @property
    def is_settled(self) -> bool:
        """Whether what is fetched tomorrow is what was fetched today: no open end, no address of someone's file."""
        if self.source == "yahoo":
            return self.end is not None and self.end <= datetime.now(UTC).date().isoformat()
        return self.source == "sample" or self._own().is_settled

    def fetch(self, folder: Path, mirror: str | None = None, session: Any = None) -> None:
        """Write the data file, and `source.json` that tells where it came from, into `folder`.

        Args:
            mirror: see `rnnlab.data.download.retrieve`. It serves `yahoo` by day and a `csv` at an address.
            session: the `requests` or curl_cffi session that yfinance shall use; None: its own.

        Raises:
            UserError: whatever `check` finds; no such file; Yahoo does not answer, or has no such prices.
        """
        from importlib.metadata import version

        self.check()
        patience: dict[str, Any] = {"retries": self.retries, "backoff_seconds": self.backoff_seconds}
        notes: list[str] = []
        if self.source == "sample":
            packed = installed_table(SAMPLE_NAME)
            file = folder / f"{self.symbol}.csv"
            facts = {"file": file.name} | retrieve(
                file,
                dataset=self.name,
                origin=lambda part: _write_sample(packed, str(self.symbol), part),
                origin_name=f"bokeh-sampledata, _data/{packed.name}",
                mirror="",  # it is here already
                **patience,
            )
            if sha256_of(packed) != SAMPLE_SHA256:
                notes.append("the installed bokeh-sampledata holds other prices than version 2026.1")
        elif self.source == "yahoo":
            asked = self._yahoo_options()
            other_ways = self._other_ways()
            file = folder / f"{asked['symbol']}.csv"
            facts = {"file": file.name} | retrieve(
                file,
                dataset=asked["symbol"].lower(),
                origin=lambda part: notes.extend(
                    write_history(part, **asked, **patience, other_ways=other_ways, session=session)
                ),
                origin_name="Yahoo Finance, through yfinance",
                mirror=mirror if self.interval == "1d" else "",  # mirrors hold days
                **patience,
            )
            facts |= asked | {
                "adjusted": ADJUSTED,
                "yfinance": version("yfinance") if facts["via"] == "origin" else None,
            }
        else:
            facts = self._own().fetch(folder, self.name, mirror, "prices.csv", **patience)
        facts |= {"notes": notes, "options": self._file_options()}
        write_json(folder / "source.json", facts)

    def read(self, folder: Path) -> PriceTable:
        """Read what `fetch` wrote into `folder`.

        Raises:
            UserError: names the file, line and column, what was found there and what to do.
        """
        source_file = folder / "source.json"
        if not source_file.is_file():
            raise UserError(
                f"{folder} holds no fetched prices (no source.json); fetch the data set '{self.name}' first."
            )
        facts = read_json(source_file)
        if facts["options"] != self._file_options():
            raise UserError(f"{folder} holds prices fetched with other options (see {source_file}); fetch them again.")
        data_file = folder / facts["file"]
        shown = self._own().shown if self.source == "csv" else str(data_file)
        table = Table.read(data_file, shown, self._notation())
        frame, target = table.prices(self.date, self.target, self.volume)
        notes = [*facts["notes"], *table.notes]
        frame = self._cut(frame, shown, notes)
        report, remarks = inspect(frame)
        return PriceTable(frame, target, (*notes, *remarks), report)

    def _check_sample(self) -> None:
        if self.symbol not in SAMPLE_SYMBOLS:
            raise UserError(
                f"{_none_of('symbol', self.symbol, SAMPLE_SYMBOLS)} For any other ticker: task.source=yahoo, from "
                "Yahoo or a mirror (fetch.mirror= or RNNLAB_MIRROR), or "
                "your own table (task.source=csv task.path=my.csv)."
            )
        installed_table(SAMPLE_NAME)

    def _check_yahoo(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9^][A-Za-z0-9.^=-]*", self.symbol or ""):
            raise UserError(refusal("task.symbol", "one of Yahoo's, such as AAPL, BTC-USD or ^GSPC", self.symbol))
        if self.interval not in INTERVALS:
            raise UserError(_none_of("interval", self.interval, INTERVALS))
        if self.end is None:
            raise UserError(
                "task.end is missing: Yahoo's adjusted history changes with every split and dividend, and grows by the "
                "day, so say where it ends, as task.end=2024-04-01 (that day left out)."
            )
        if self.interval in INTRADAY and self.start is None:
            raise UserError(f"task.start is missing: Yahoo keeps few days at task.interval={self.interval}.")

    def _notation(self) -> Notation:
        return Notation(self.decimal, self.date_order)

    def _own(self) -> OwnTable:
        if not self.path:
            raise UserError("task.path is missing: give your table, as task.source=csv task.path=my.csv.")
        return OwnTable(self.path)

    def _file_options(self) -> dict[str, Any]:
        """The options that decide which file is fetched."""
        if self.source == "sample":
            return {"source": "sample", "symbol": self.symbol}
        if self.source == "yahoo":
            return {"source": "yahoo"} | self._yahoo_options()
        return {"source": "csv", **self._own().identity()}

    def _yahoo_options(self) -> dict[str, Any]:
        symbol = (self.symbol or "").upper()
        return {"symbol": symbol, "interval": self.interval, "start": self.start, "end": self.end}

    def _other_ways(self) -> str:
        """To these prices where Yahoo gives none, for its error."""
        symbol, ways = self._yahoo_options()["symbol"], []
        if self.interval == "1d":
            file = f"{symbol.lower()}/{symbol}.csv"
            ways.append(f"name a mirror that holds {file} (fetch.mirror= or RNNLAB_MIRROR)")
            if symbol in SAMPLE_SYMBOLS and (self.start or "") <= SAMPLE_LAST:
                ways.append(f"take task.source=sample (up to {SAMPLE_LAST}, no network needed)")
        return ", or ".join([*ways, "give your own table (task.source=csv task.path=my.csv)"])

    def _cut(self, frame: "pd.DataFrame", shown: str, notes: list[str]) -> "pd.DataFrame":
        """The rows in [start, end); a remark where they do not reach as far as was asked."""
        first, last = frame["date"].iloc[0], frame["date"].iloc[-1]
        slack = 5 * (last - first) / max(1, len(frame) - 1)  # a long weekend
        start = datetime.fromisoformat(self.start) if self.start else None
        end = datetime.fromisoformat(self.end) if self.end else None
        if (start and start + slack < first) or (end and last + slack < end):
            asked = f"{self.start or 'the first row'} to {self.end or 'the last row'}"
            notes.append(f"asked for {asked}, but {shown} covers {first:%Y-%m-%d} to {last:%Y-%m-%d} only")
        if start:
            frame = frame[frame["date"] >= start]
        if end:
            frame = frame[frame["date"] < end]
        if frame.empty:
            raise UserError(
                f"{shown} has no rows from task.start={self.start} to before task.end={self.end}; it covers "
                f"{first:%Y-%m-%d} to {last:%Y-%m-%d}."
            )
        return frame.reset_index(drop=True)


def _write_sample(packed: Path, symbol: str, part: Path) -> None:
    import gzip

    with gzip.open(packed, "rt", encoding="utf-8", newline="") as source, part.open("w", newline="") as copy:
        rows = csv.DictReader(source)
        missing = {"Ticker", *COLUMNS} - set(rows.fieldnames or ())
        if missing:
            raise UserError(
                f"{packed} lacks the columns {', '.join(sorted(missing))}; install bokeh-sampledata 2026.1."
            )
        writer = csv.writer(copy, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([row[column] for column in COLUMNS] for row in rows if row["Ticker"] == symbol)


def _none_of(key: str, value: str | None, known: tuple[str, ...]) -> str:
    """The message for a value that is no choice, with the one that it is close to."""
    return f"task.{key} must be one of {', '.join(known)}, got {written(value)}{nearest(value or '', known)}"
