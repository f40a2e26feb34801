"""Series of numbers by date: temperatures of the sea from a package, or any table with a date column.

| path | from                                                      | what                                              |
|------|-----------------------------------------------------------|---------------------------------------------------|
| null | package bokeh-sampledata: buoy B01, Western Maine Shelf   | 19,225 temperatures in °C, one every half hour,   |
|      | (NERACOOS; free to use and to pass on)                    | 2016-02-15 to 2017-03-22                          |
| any  | your file or address                                      | the columns you name                              |
"""

import csv
import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnlab.arguments import OneOf, check_arguments
from rnnlab.data.download import retrieve, sha256_of
from rnnlab.data.tables.table import Table, iso
from rnnlab.data.tables.user_table import OwnTable
from rnnlab.data.tables.values import DateOrder, Decimal, Notation
from rnnlab.datasets.bokeh import installed_table
from rnnlab.datasets.table_report import gaps, left_out, of_business_days
from rnnlab.errors import UserError
from rnnlab.results.files import read_json, write_json

MISSING = ("previous", "refuse", "skip")
"""What becomes of an empty cell, and of rows that the dates say are left out."""

SAMPLE_NAME = "sea_surface_temperature.csv.gz"
SAMPLE_SHA256 = "529155ac773634b0dca439781a839487640db92e2bdb597e372a2b0ba0ffbff0"  # in bokeh-sampledata 2026.1
SAMPLE_COLUMNS = ("time (UTC)", "temperature (celsius)")
DAY = 48
"""Timesteps of the sample until the time of day is the same."""


@dataclass(frozen=True)
class SeriesTable:
    """A series and what was measured beside it, by ascending date, each date once.

    frame: float64, without gaps, the target first; its index the dates. measured: (rows,), False where the target is
    filled. season: timesteps after which the series comes back to the same phase, where that is known.
    notes: one-line remarks on how the file was read. report: rows, first and last date, gaps; plain JSON.
    """

    frame: pd.DataFrame
    measured: NDArray[np.bool_]
    season: int | None
    notes: tuple[str, ...]
    report: dict[str, Any]

    @property
    def target(self) -> str:
        return str(self.frame.columns[0])


@dataclass(frozen=True)
class Series:
    """Which series, and how to read it.

    name: what it is called. path: a local file or an http(s) address; None: the sample.
    date, target: columns; None: found. inputs: further columns, or ["all"]. decimal, date_order: of a file, see
    `Notation`. missing: one of `MISSING`:

        previous  an empty cell, or a row left out of a regular series, takes the last value known; no forecast is
                  judged by such a value, and none is a target
        refuse    an error that names the place
        skip      rows with an empty cell are left out, and those beside a gap follow each other
    """

    worded: ClassVar[tuple[str, ...]] = ("path", "target")

    name: str
    path: str | None = None
    date: str | None = None
    target: str | None = None
    inputs: Sequence[str] = ()
    missing: Annotated[str, OneOf(MISSING)] = "previous"
    decimal: Decimal | None = None
    date_order: DateOrder | None = None

    def __post_init__(self) -> None:
        # YAML and the command line read a column called 700 as a number
        for name in ("path", "date", "target"):
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else str(value))
        object.__setattr__(self, "inputs", names_of(self.inputs))

    def in_words(self, facts: Mapping[str, Any]) -> Sequence[str]:
        return ["temperature of the sea"] if self.path is None else [OwnTable(self.path).name, str(facts["target"])]

    def check(self) -> None:
        """Raises: `UserError` for options that cannot work; reads no data."""
        check_arguments(Series, vars(self), "task.")
        if self.path is None:
            installed_table(SAMPLE_NAME)
        else:
            OwnTable(self.path).check()

    def fingerprint(self) -> dict[str, Any]:
        """All that decides which rows `read` gives, as plain JSON: the options and the content of a local file."""
        content = sha256_of(installed_table(SAMPLE_NAME)) if self.path is None else OwnTable(self.path).sha256()
        reading = {"date": self.date, "target": self.target, "inputs": list(self.inputs), "missing": self.missing}
        return {"name": self.name, **self._file_options(), **reading, **self._notation().given(), "sha256": content}

    @property
    def is_settled(self) -> bool:
        """Whether what is fetched tomorrow is what was fetched today."""
        return self.path is None or OwnTable(self.path).is_settled

    def fetch(self, folder: Path, mirror: str | None = None) -> None:
        """Write the table, and `source.json` that tells where it came from, into `folder`.

        mirror: serves an address only, see `rnnlab.data.download.retrieve`.

        Raises: `UserError` for whatever `check` finds, and where the file cannot be had.
        """
        self.check()
        if self.path is None:
            packed = installed_table(SAMPLE_NAME)
            file = folder / SAMPLE_NAME.removesuffix(".gz")
            facts = {"file": file.name} | retrieve(
                file,
                dataset=self.name,
                origin=lambda part: _write_sample(packed, part),
                origin_name=f"bokeh-sampledata, _data/{SAMPLE_NAME}",
                mirror="",  # it is here already
            )
            same = sha256_of(packed) == SAMPLE_SHA256
            facts["notes"] = [] if same else ["the installed bokeh-sampledata holds another series than version 2026.1"]
        else:
            facts = OwnTable(self.path).fetch(folder, self.name, mirror, "series.csv")
            facts["notes"] = []
        write_json(folder / "source.json", {**facts, "options": self._file_options()})

    def read(self, folder: Path) -> SeriesTable:
        """Read what `fetch` wrote into `folder`.

        Raises: `UserError` that names the file, line and column, what was found there and what to do.
        """
        source_file = folder / "source.json"
        facts = read_json(source_file) if source_file.is_file() else {}
        if facts.get("options") != self._file_options():
            raise UserError(f"{folder} does not hold the series {self._shown()}: fetch '{self.name}' first.")
        table = Table.read(folder / facts["file"], self._shown(), self._notation())
        frame = table.series(self.date, self.target, self.inputs, empty_cells=self.missing != "refuse")
        season = DAY if self.path is None else None
        return whole(frame, self.missing, season, (*facts["notes"], *table.notes), self._shown())

    def _notation(self) -> Notation:
        return Notation(self.decimal, self.date_order)

    def _shown(self) -> str:
        return SAMPLE_NAME.removesuffix(".gz") if self.path is None else OwnTable(self.path).shown

    def _file_options(self) -> dict[str, Any]:
        return {"source": "sample"} if self.path is None else {"source": "csv", **OwnTable(self.path).identity()}


def names_of(columns: Any) -> tuple[str, ...]:
    """The names of columns as YAML and the command line may give them: none, one or several."""
    if columns is None:
        return ()
    several = isinstance(columns, Sequence) and not isinstance(columns, str)
    return tuple(str(column) for column in columns) if several else (str(columns),)


def whole(frame: pd.DataFrame, missing: str, season: int | None, notes: tuple[str, ...], shown: str) -> SeriesTable:
    """The table without gaps, as `missing` says. frame: as `Table.series` gives it; shown: its name in messages."""
    remarks = list(notes)
    if missing == "skip" and frame.isna().to_numpy().any():
        remarks.append(f"rows with an empty cell left out: {frame.isna().any(axis=1).sum()}")
        frame = frame.dropna()
    gap_count, longest = gaps(frame.index.to_series())
    if longest:
        told = (
            f"gaps in the dates: {gap_count}, the longest from {longest['after']} to {longest['before']} "
            f"({longest['days']:g} days)"
        )
        if missing == "refuse":
            raise UserError(
                f"{shown} has {told}. Give the rows, or fill them with the last value known (task.missing=previous), "
                "or take the rows for consecutive (task.missing=skip)."
            )
        remarks.append(told)
    measured = np.ones(len(frame), np.bool_)
    if missing == "previous":
        frame, measured = _filled(frame, shown, remarks)
    if frame.empty:
        raise UserError(f"{shown} has no row in which each column has a number; name other columns.")
    report = {
        "rows": len(frame),
        "first": iso(frame.index[0]),
        "last": iso(frame.index[-1]),
        "gaps": gap_count,
        "longest_gap": longest,
        "inputs": ", ".join(frame.columns[1:]) or None,
    }
    return SeriesTable(frame, measured, season, tuple(remarks), report)


def _filled(frame: pd.DataFrame, shown: str, remarks: list[str]) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    """Every row that the dates make expect, from the first with all numbers on; and where the target was measured."""
    frame = frame.reindex(pd.DatetimeIndex(_all_dates(frame.index.to_numpy("datetime64[us]"), shown)))
    measured = frame.iloc[:, 0].notna().to_numpy()
    filled = frame.ffill()
    # once a column has a number, it has one for ever
    begin = int(filled.isna().any(axis=1).sum())
    if begin:
        remarks.append(f"rows left out at the beginning, before each column has a number: {begin}")
    filled, measured = filled.iloc[begin:], measured[begin:]
    if not measured.all():
        remarks.append(f"filled with the last value known, which judges no forecast: {(~measured).sum()} rows")
    return filled, measured


def _all_dates(dates: NDArray[np.datetime64], shown: str) -> NDArray[np.datetime64]:
    """The dates and those left out between them."""
    counts = left_out(dates)
    if counts.sum() > len(dates):
        raise UserError(
            f"{shown} has {len(dates)} rows, and its dates leave out {counts.sum()} more: too many to fill. "
            "Take the rows for consecutive (task.missing=skip), or give a regular series."
        )
    pieces = [dates]
    for at in np.flatnonzero(counts):
        numbers = np.arange(1, counts[at] + 1)
        if of_business_days(dates):
            pieces.append(np.busday_offset(dates[at].astype("datetime64[D]"), numbers).astype(dates.dtype))
        else:
            pieces.append(dates[at] + (dates[at + 1] - dates[at]) / (counts[at] + 1) * numbers)
    return np.sort(np.concatenate(pieces))


def _write_sample(packed: Path, part: Path) -> None:
    """As it is, but for plain names of the columns, and the first row only of a half hour that stands there twice."""
    with gzip.open(packed, "rt", encoding="utf-8", newline="") as source, part.open("w", newline="") as copy:
        rows = csv.reader(source)
        if tuple(next(rows)) != SAMPLE_COLUMNS:
            raise UserError(f"{packed} lacks {' and '.join(SAMPLE_COLUMNS)}; install bokeh-sampledata 2026.1.")
        writer = csv.writer(copy, lineterminator="\n")
        writer.writerow(("time", "temperature"))
        before = ""
        for time, temperature in rows:
            if time != before:
                writer.writerow((time, temperature))
            before = time
