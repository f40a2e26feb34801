"""Files of a user's own that are damaged, or ask for more than they hold: one line that names them."""

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
from rnnlab.tasks.task import Task


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
