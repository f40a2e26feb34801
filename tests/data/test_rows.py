"""The same table in whatever file: the same columns and the same text; and what cannot be read, in one line."""

import csv
import gzip
import io
import json
import tracemalloc
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rnnlab.data.tables.rows import ROWS, Rows, starts_with_numbers
from rnnlab.data.tables.table import Table
from rnnlab.errors import UserError

COLUMNS = ["day", "text", "value"]
TABLE = [["2024-01-31", "naïve; a, b", "0.1"], ["2024-02-01", 'says "no"', "2"], ["2024-02-02", "x", ""]]
FRAME = pd.DataFrame({"day": pd.to_datetime([row[0] for row in TABLE]), "text": [row[1] for row in TABLE]})
FRAME["value"] = [0.1, 2.0, None]


def delimited(separator: str) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=separator).writerows([COLUMNS, *TABLE])
    return text.getvalue().encode()


def parquet(frame: pd.DataFrame = FRAME) -> bytes:
    content = io.BytesIO()
    frame.to_parquet(content)
    return content.getvalue()


def workbook(rows: list[list[Any]], sheets: int = 1) -> bytes:
    """An .xlsx of which only the first sheet holds cells: texts, numbers, dates, and None."""

    def cell(row: int, column: int, value: Any) -> str:
        place = f'r="{chr(65 + column)}{row}"'
        if isinstance(value, date):  # days since 1899-12-30, in the style of a date
            return f'<c {place} s="1"><v>{(value - date(1899, 12, 30)).days}</v></c>'
        return (
            f"<c {place}><v>{value}</v></c>"
            if isinstance(value, int | float)
            else f'<c {place} t="inlineStr"><is><t>{value.replace("&", "&amp;")}</t></is></c>'
        )

    lines = []
    for number, row in enumerate(rows, 1):
        cells = "".join(cell(number, at, value) for at, value in enumerate(row) if value is not None)
        lines.append(f'<row r="{number}">{cells}</row>')
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    numbers = range(1, sheets + 1)
    files = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"/>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook {main} xmlns:r="{office}"><sheets>'
        + "".join(f'<sheet name="S{number}" sheetId="{number}" r:id="r{number}"/>' for number in numbers)
        + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">'
        + "".join(
            f'<Relationship Id="r{number}" Type="{office}/worksheet" Target="worksheets/sheet{number}.xml"/>'
            for number in numbers
        )
        + f'<Relationship Id="s" Type="{office}/styles" Target="styles.xml"/></Relationships>',
        "xl/styles.xml": f'<styleSheet {main}><cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs>'
        "</styleSheet>",
    } | {
        f"xl/worksheets/sheet{number}.xml": f"<worksheet {main}><sheetData>{''.join(lines) if number == 1 else ''}"
        "</sheetData></worksheet>"
        for number in numbers
    }
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>{text}')
    return content.getvalue()


RECORDS = [{"day": day, "text": text, "value": float(value) if value else None} for day, text, value in TABLE]
FORMS: dict[str, Callable[[], bytes]] = {
    "a.csv": lambda: delimited(","),
    "semicolons.csv": lambda: delimited(";"),
    "a.tsv": lambda: delimited("\t"),
    "bars.txt": lambda: delimited("|"),
    "bom.csv": lambda: b"\xef\xbb\xbf" + delimited(","),
    "latin.csv": lambda: delimited(",").decode().encode("latin-1"),
    "utf16.csv": lambda: delimited("\t").decode().encode("utf-16"),
    "a.csv.gz": lambda: gzip.compress(delimited(",")),
    "a.parquet": parquet,
    "another ending.dat": parquet,
    "a.jsonl": lambda: b"".join(json.dumps(record).encode() + b"\n" for record in RECORDS),
    "packed.gz": lambda: gzip.compress(b"".join(json.dumps(record).encode() + b"\n\n" for record in RECORDS)),
    "a.json": lambda: json.dumps(RECORDS).encode(),
    "columns.json": lambda: json.dumps({name: [record[name] for record in RECORDS] for name in COLUMNS}).encode(),
    "indented.json": lambda: json.dumps(RECORDS, indent=2).encode(),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_table_is_the_same_in_every_form(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(FORMS[name]())
    rows = Rows.open(path, name)
    assert rows.columns == COLUMNS
    for _ in range(2):  # from the first row on each time
        assert [row for _, cells in rows for row in cells] == TABLE


def test_a_spreadsheet_is_the_same_table(tmp_path: Path) -> None:
    pytest.importorskip("python_calamine")
    path = tmp_path / "a.xlsx"
    cells = [[None, date.fromisoformat(row[0]), row[1], float(row[2]) if row[2] else None] for row in TABLE]
    path.write_bytes(workbook([[], [None, *COLUMNS], *cells], sheets=2))
    rows = Rows.open(path, "a.xlsx")
    assert rows.columns == COLUMNS
    assert list(rows) == [([3, 4, 5], TABLE)]
    assert rows.notes == ["read: sheet 'S1', of 2"]


@pytest.mark.parametrize("packed", [False, True])
def test_a_long_text_is_never_held_whole(packed: bool, tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    content = b"id,text\n" + b"".join(b"%d,%s\n" % (row, b"word " * 200) for row in range(20_000))
    path.write_bytes(gzip.compress(content, 1) if packed else content)
    tracemalloc.start()
    count = sum(len(cells) for _, cells in Rows.open(path, "long.csv"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 20_000
    assert max(len(cells) for _, cells in Rows.open(path, "long.csv")) == ROWS
    assert peak < len(content) / 2


@pytest.mark.parametrize("name", ["a.csv.gz", "a.parquet", "a.jsonl", "columns.json"])
def test_a_series_is_read_from_every_form(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(FORMS[name]())
    frame = Table.read(path, name).series(None, "value", [])
    assert frame["value"].dropna().tolist() == [0.1, 2]
    assert [str(day.date()) for day in frame.index] == [row[0] for row in TABLE]


def test_typed_decimals_are_never_thousands(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(parquet(pd.DataFrame({"date": pd.date_range("2024-01-01", periods=2), "y": [1.003, 999.0]})))
    assert Table.read(path, "a.parquet").series(None, "y", [])["y"].tolist() == [1.003, 999]


def test_a_nameless_index_is_no_column_and_a_list_is_json(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(parquet(pd.DataFrame({"x": [[1, 2], [3, 4]], "b": [b"1", b"2"]}, index=[5, 6])))
    rows = Rows.open(path, "a.parquet")
    assert (rows.columns, list(rows)) == (["x"], [([1, 2], [["[1, 2]"], ["[3, 4]"]])])
    assert rows.notes == ["columns of binary data left out: b"]


@pytest.mark.parametrize(
    ("content", "numbers"),
    [
        (b"1,0.5,2\n2,1e-3,3\n", True),
        (b"1\t0.5\n2\t0.25\n", True),
        (b" 1.0  2.5\n -1e0 3\n", True),
        (b"a,b\n1,2\n", False),
    ],
)
def test_a_first_line_of_numbers_is_data(content: bytes, numbers: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    assert starts_with_numbers(path, "a.txt") == numbers
    if numbers:
        rows = Rows.open(path, "a.txt", header=False)
        assert rows.columns == [str(number + 1) for number in range(len(rows.columns))]
        assert [lines for lines, _ in rows] == [[1, 2]]


BAD = {
    "a.csv": (b"", "a.csv is empty"),
    "b.csv": (b"a,b\n", "a header and no rows"),
    "c.csv": (b"a,b\n1,2\n3\n", "c.csv, line 3: found 1 fields where the header has 2"),
    "d.csv": (b'a,b\n1,"2\n', "line 2: a quotation mark is not closed"),
    "e.csv": (bytes(range(256)), "e.csv is not text"),
    "f.csv": (b"2024-01-31,1\n2024-02-01,2\n", "found the date '2024-01-31'"),
    "g.gz": (gzip.compress(b"a,b\n1,2\n" * 999)[:-12], "g.gz is a packed file or a spreadsheet that cannot be read"),
    "h.zip": (b"PK\x03\x04rest", "h.zip is a packed file or a spreadsheet that cannot be read"),
    "i.parquet": (b"PAR1" + bytes(40), "i.parquet is cut off or no Parquet file"),
    "j.json": (b'{"a": 1}', "j.json: a list of objects is needed"),
    "k.json": (b"[]", "k.json has no rows"),
    "l.jsonl": (b'{"a": 1}\n[1]\n', "l.jsonl, line 2: an object is needed"),
    "m.jsonl": (b'{"a": 1}\n{"a": \n', "m.jsonl, line 2 is not JSON"),
    "n.json": (b'[{"a": ' + b"[" * 100_000, "n.json is not JSON"),
    "o.csv": (b"Price,Close,Close\nTicker,A,B\nDate,,\n2024-01-01,1,2\n", "several tickers, A, B"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_table_is_said_in_one_line(name: str, tmp_path: Path) -> None:
    content, said = BAD[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as failure:
        list(Rows.open(tmp_path / name, name))
    assert said in str(failure.value)
    assert "\n" not in str(failure.value)


def test_a_spreadsheet_without_its_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnlab.extras._is_there", lambda _: False)
    (tmp_path / "a.xlsx").write_bytes(workbook([["a"], ["b"]]))
    with pytest.raises(UserError, match=r"pip install 'rnnlab\[excel\]'; or save it as CSV"):
        Rows.open(tmp_path / "a.xlsx", "a.xlsx")
