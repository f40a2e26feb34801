"""Files of a user's own that are damaged, or ask for more than they hold: one line that names them."""

import gzip
import io
import struct
import zlib
from pathlib import Path

import pandas as pd
import pytest
from hydra.utils import instantiate

from rnnlab.config.stages import compose_task
from rnnlab.errors import UserError
from rnnlab.serving.reading import read_input
from rnnlab.tasks.classification.sentiment.data import SentimentData
from rnnlab.tasks.task import Task
from tests.data.test_rows import workbook


@pytest.fixture(scope="module")
def task() -> Task:
    """One that reads pictures of 28 x 28 pixels, or tables with a list of as many numbers, in `image`."""
    digits: Task = instantiate(compose_task("digits").task.data)
    digits.restore({})
    return digits


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">L", len(content)) + kind + content + struct.pack(">L", zlib.crc32(kind + content))


def png(width: int, height: int, *further: bytes) -> bytes:
    """A grey picture, empty but for its first pixels."""
    head = struct.pack(">LLBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", head), *further, chunk(b"IDAT", zlib.compress(bytes(28 * 29))), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def parquet(before: bytes, after: bytes) -> bytes:
    """A table of one empty picture, with other bytes in the place of some."""
    content = io.BytesIO()
    pd.DataFrame({"image": [[0] * 784]}).to_parquet(content)
    assert before in content.getvalue()
    return content.getvalue().replace(before, after)


DEEP = "[" * 100_000
DIGITS = "9" * 5000

FILES = {
    "picture of 60,000 x 60,000": ("a.png", png(60_000, 60_000), "is cut off or no picture"),
    "picture with a long text": (
        "a.png",
        png(28, 28, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2 << 20)))),
        "is cut off or no picture",
    ),
    "picture with half a header": ("a.png", b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", b"\0"), "is cut off or no picture"),
    "table nested deep": ("a.json", DEEP.encode(), "is not JSON"),
    "number of 5,000 digits": ("a.json", f'[{{"image": {DIGITS}}}]'.encode(), "is not JSON"),
    "lines nested deep": ("a.jsonl", b"{}\n" + DEEP.encode(), "line 2 is not JSON"),
    "line of 5,000 digits": ("a.jsonl", DIGITS.encode(), "line 1 is not JSON"),
    "cell nested deep": ("a.csv", f'image\n"{DEEP}"\n'.encode(), "row 0, column 'image': not 784 pixels"),
    "columns that are no JSON": ("a.parquet", parquet(b'"columns":', b"'columns':"), "is cut off or no Parquet file"),
    "type that is none": ("a.parquet", parquet(b'"object"', b'"objeat"'), "is cut off or no Parquet file"),
    "cut off": ("a.parquet", parquet(b"", b"")[:-20], "is cut off or no Parquet file"),
    "list nested in lists": ("a.json", f'[{{"image": {"[" * 900 + "]" * 900}}}]'.encode(), "a list of numbers"),
    "number beyond all": ("a.json", f'[{{"image": [1{"0" * 400}]}}]'.encode(), "a list of numbers"),
}


def read(task: Task, path: Path) -> None:
    for table in read_input(str(path), task).tables:
        task.encode(table)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_asks_for_too_much_is_named_in_one_line(task: Task, tmp_path: Path, name: str) -> None:
    file, content, told = FILES[name]
    (tmp_path / file).write_bytes(content)
    with pytest.raises(UserError) as error:
        read(task, tmp_path / file)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


class Texts(SentimentData):
    """What a net that was trained on a table with the column `Meinung` reads."""

    def __init__(self) -> None:
        super().__init__("sentiment")
        self.meta = {"columns": ["Meinung", "Note"]}


def as_text(encoding: str, separator: str, column: str) -> bytes:
    return f"id{separator}{column}\n7{separator} très bien\n8{separator}n'importe\n".encode(encoding)


def packed(content: bytes) -> bytes:
    return gzip.compress(content)


FORMS = {
    "latin.csv": as_text("latin-1", ",", "text"),
    "semicolons.csv": as_text("utf-8", ";", "meinung"),
    "utf16.csv": as_text("utf-16", "\t", "Review"),
    "bom.tsv": as_text("utf-8-sig", "\t", "TEXT"),
    "a.csv.gz": packed(as_text("utf-8", ",", "text")),
    "a.jsonl.gz": packed(b'{"id": 7, "Text": " tr\\u00e8s bien"}\n{"id": 8, "Text": "n\'importe"}\n'),
    "a.json": b'[{"Meinung": " tr\\u00e8s bien", "text of another": ""}, {"Meinung": "n\'importe"}]',
    "lines.txt": "très bien\n\nn'importe\n".encode("latin-1"),
    "a.xlsx": workbook([["id", "Review"], [7, " très bien"], [8, "n'importe"]]),
}


@pytest.mark.parametrize("name", FORMS)
def test_texts_are_read_from_every_form_and_their_column_is_found(name: str, tmp_path: Path) -> None:
    if name.endswith(".xlsx"):
        pytest.importorskip("python_calamine")
    (tmp_path / name).write_bytes(FORMS[name])
    (table,) = read_input(str(tmp_path / name), Texts()).tables
    assert [text.strip() for text in table["text"]] == ["très bien", "n'importe"]
    if name.startswith("latin"):
        assert table["text"][0] == " très bien"  # as it stands there: to a prompt, spaces matter


def test_rows_of_empty_cells_are_left_out_and_said_to_be(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "rnnlab")
    (tmp_path / "a.csv").write_text("id,text\n1,good\n,\n,\n")
    (table,) = read_input(str(tmp_path / "a.csv"), Texts()).tables
    assert len(table) == 1
    assert "rows of empty cells left out: 2" in caplog.text
