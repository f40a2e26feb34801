"""The format .ts of the archives."""

import re
from pathlib import Path

import numpy as np
import pytest

from rnnlab.data.sequences.sequences import Reading, Sequences
from rnnlab.data.sequences.ts import read_ts
from rnnlab.errors import UserError

TS = b"""# what it is
@problemName two
@dimensions 2
@classLabel true a b
@data
0.1,0.2,0.3:5,6,7:b
1:2:a
"""


def read(content: bytes, folder: Path, **how: object) -> Sequences:
    (folder / "two.ts").write_bytes(content)
    return read_ts(folder / "two.ts", "two.ts", Reading(**how))  # type: ignore[arg-type]


def test_it_is_read_as_the_docstring_says(tmp_path: Path) -> None:
    found = read(TS, tmp_path)
    assert found.labels == ["b", "a"]
    assert [each.tolist() for each in found.values] == [[[0.1, 5], [0.2, 6], [0.3, 7]], [[1, 2]]]


def test_a_value_may_be_missing(tmp_path: Path) -> None:
    for mark in (b"?", b"NaN", b""):
        found = read(TS.replace(b"0.2", mark), tmp_path)
        np.testing.assert_array_equal(found.values[0][:, 0], [0.1, np.nan, 0.3])


def test_a_number_may_be_what_is_asked_for(tmp_path: Path) -> None:
    content = TS.replace(b"@classLabel true a b", b"@targetLabel true").replace(b":b", b":1.5").replace(b":a", b":-2")
    assert read(content, tmp_path, kind="regression").labels == [1.5, -2.0]


def test_labels_may_be_left_out(tmp_path: Path) -> None:
    content = TS.replace(b"@classLabel true a b", b"@classLabel false").replace(b":b", b"").replace(b":a", b"")
    assert read(content, tmp_path).labels is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (TS.replace(b":b", b":c"), "line 6: the class 'c' is none of a, b"),
        (TS.replace(b"1:2:a", b"1:a"), "line 7: found 1 channels where others have 2"),
        (TS.replace(b"5,6,7", b"5,6"), "line 6: its channels have unlike numbers of timesteps: 3, 2"),
        (TS.replace(b"0.2", b"0.2x"), "line 6: could not convert string to float: '0.2x'"),
        (TS[: TS.index(b"0.1")], "has no sequence"),
        (TS.replace(b"@data", b"@dat"), "a line @data is expected"),
        (TS.replace(b"@problemName two", b"@timeStamps true"), "has a time at each value"),
        (TS.replace(b"what", b"\xff"), "not UTF-8"),
        (b"", "a line @data is expected"),
    ],
)
def test_what_is_none_is_named_by_its_line(content: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=re.escape(words)) as found:
        read(content, tmp_path)
    assert str(found.value).startswith("two.ts")


def test_a_class_is_no_number(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="line 6: found 'b' where a number is asked for"):
        read(TS, tmp_path, kind="regression")
