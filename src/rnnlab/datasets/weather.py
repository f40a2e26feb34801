"""The weather of Seattle by the day, 2012 to 2015, none missing: from the package vega-datasets (MIT; the data are
NOAA's, public domain).

| column                              | unit                                        |
|-------------------------------------|---------------------------------------------|
| precipitation                       | mm                                          |
| temp_max, temp_min                  | °C                                          |
| wind                                | m/s, the day's mean                         |
| drizzle, fog, rain, snow, sun       | 1 on a day of that weather, 0 on any other  |
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from rnnlab.data.tables.table import Table
from rnnlab.datasets.dataset import Dataset, File, read_member
from rnnlab.datasets.series import SeriesTable, names_of, whole
from rnnlab.errors import UserError

SAMPLE = File(
    "vega_datasets-0.9.0-py3-none-any.whl",
    ("3d7c63917be6ca9b154b565f4779a31fedce57b01b5b9d99d8a34a7608062a1d",),
    distribution="vega-datasets==0.9.0",
)
MEMBER = "vega_datasets/_data/seattle-weather.csv"

KINDS = ("drizzle", "fog", "rain", "snow", "sun")


@dataclass(frozen=True)
class Weather(Dataset):
    """target: the column to forecast. inputs: further columns, or ["all"]."""

    worded: ClassVar[tuple[str, ...]] = ("source",)

    source: Literal["sample"] = "sample"
    target: str = "temp_max"
    inputs: Sequence[str] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", names_of(self.inputs))

    def in_words(self, facts: Mapping[str, Any]) -> Sequence[str]:
        return ["Seattle"]

    def files(self) -> list[File]:
        return [SAMPLE]

    def fingerprint(self) -> dict[str, Any]:
        return {**super().fingerprint(), "target": self.target, "inputs": list(self.inputs)}

    def read(self, folder: Path) -> SeriesTable:
        """Raises: `UserError` for a column that is not there, and a kind of weather that is none of those known."""
        self.fetched(folder)
        table = _with_kinds(Table.parse(read_member(folder / SAMPLE.name, MEMBER), MEMBER))
        frame = table.series("date", self.target, self.inputs, empty_cells=False)
        return whole(frame, "refuse", None, tuple(table.notes), MEMBER)


def _with_kinds(table: Table) -> Table:
    """A column of 0 and 1 for each kind of weather, in place of the one that names it."""
    if "weather" not in table.columns:
        raise UserError(f"{table.shown} has no column 'weather': it is another version. Delete it and fetch again.")
    column = table.columns.index("weather")
    rows = []
    for row, line in zip(table.rows, table.lines, strict=True):
        if row[column] not in KINDS:
            raise UserError(
                f"{table.shown}, line {line}: found the weather '{row[column]}', none of {', '.join(KINDS)}."
            )
        kinds = [str(int(row[column] == kind)) for kind in KINDS]
        rows.append([*row[:column], *kinds, *row[column + 1 :]])
    return replace(table, columns=[*table.columns[:column], *KINDS, *table.columns[column + 1 :]], rows=rows)
