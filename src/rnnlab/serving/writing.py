"""Answers to a file, piece by piece; the file is there whole or not at all."""

import json
import math
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import pandas as pd

from rnnlab.errors import UserError
from rnnlab.output import print_into_nothing
from rnnlab.results.files import atomic_file

KINDS = (".csv", ".parquet", ".json", ".jsonl")


def check_output(output: str | None) -> None:
    """Raises: `UserError` for a kind of file that is not written, and for a folder."""
    if output is None:
        return
    if Path(output).suffix.lower() not in KINDS:
        raise UserError(f"output={output}: a name that ends in one of {', '.join(KINDS)} is needed.")
    if Path(output).is_dir():
        raise UserError(f"output={output} is a folder: a name for a file is needed.")


def write_answers(tables: Iterable[pd.DataFrame], output: str | None) -> int | None:
    """Into `output`, or to standard output as a line of JSON each.

    Returns: how many rows; None where whoever reads standard output has gone, as `head` does: no further table is then
    asked for.
    """
    if output is None:
        return _print(tables)
    counted = _Counted(tables)
    path = Path(output)
    with atomic_file(path) as part:
        kind = path.suffix.lower()
        if kind == ".parquet":
            _write_parquet(counted, part)
        else:
            with part.open("w", encoding="utf-8", newline="") as file:
                {".csv": _write_csv, ".json": _write_list, ".jsonl": _write_lines}[kind](counted, file)
    return counted.rows


def _print(tables: Iterable[pd.DataFrame]) -> int | None:
    rows = 0
    for table in tables:
        try:
            _write_lines([table], sys.stdout)
            sys.stdout.flush()
        except BrokenPipeError:
            print_into_nothing()
            return None
        rows += len(table)
    return rows


class _Counted:
    def __init__(self, tables: Iterable[pd.DataFrame]) -> None:
        self.tables = tables
        self.rows = 0

    def __iter__(self) -> Iterator[pd.DataFrame]:
        for table in self.tables:
            self.rows += len(table)
            yield table


def _write_csv(tables: Iterable[pd.DataFrame], file: IO[str]) -> None:
    for number, table in enumerate(tables):
        table.to_csv(file, index=False, header=number == 0, date_format="%Y-%m-%dT%H:%M:%S")


def _write_lines(tables: Iterable[pd.DataFrame], file: IO[str]) -> None:
    for line in _lines(tables):
        file.write(line + "\n")


def _write_list(tables: Iterable[pd.DataFrame], file: IO[str]) -> None:
    file.write("[")
    for number, line in enumerate(_lines(tables)):
        file.write((",\n " if number else "\n ") + line)
    file.write("\n]\n")


def _lines(tables: Iterable[pd.DataFrame]) -> Iterator[str]:
    for table in tables:
        for record in table.to_dict(orient="records"):
            yield json.dumps({key: _plain(value) for key, value in record.items()}, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    if isinstance(value, float) and math.isnan(value):  # JSON has none
        return None
    return value.item() if hasattr(value, "item") else value


def _write_parquet(tables: Iterable[pd.DataFrame], part: Path) -> None:
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    writer = None
    try:
        for table in tables:
            found = pyarrow.Table.from_pandas(table, schema=writer.schema if writer else None, preserve_index=False)
            if writer is None:
                writer = ParquetWriter(part, found.schema)
            writer.write_table(found)
    finally:
        if writer is not None:
            writer.close()
