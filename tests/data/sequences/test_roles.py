"""What a column is taken for, and which form a table has: read right, or refused, and never guessed in silence."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rnnlab.data.sequences.reading import read_sequences
from rnnlab.data.sequences.sequences import Reading, Sequences
from rnnlab.errors import UserError

ROWS, STEPS = 12, 4
VALUES = np.round(np.random.default_rng(0).normal(size=(ROWS, STEPS)), 3)
TIMES = [f"t{step}" for step in range(STEPS)]


def read(path: Path, **how: object) -> Sequences:
    return read_sequences(path, path.name, Reading(**how))  # type: ignore[arg-type]


def table(folder: Path, header: list[str] | None, row: Callable[[int], list[object]], count: int = ROWS) -> Path:
    lines = [header] if header else []
    path = folder / "table.csv"
    path.write_text("\n".join(",".join(map(str, line)) for line in [*lines, *map(row, range(count))]) + "\n")
    return path


@pytest.mark.parametrize(
    "header",
    [[*TIMES], ["0", "10", "20", "30"], ["0.0", "0.5", "1.0", "1.5"],
     ["2024-07-01", "2024-07-02", "2024-08-01", "2024-08-02"]],
)  # fmt: skip
def test_columns_of_a_wide_table_are_the_timesteps_of_one_channel(header: list[str], tmp_path: Path) -> None:
    path = table(tmp_path, ["label", *header], lambda n: ["ab"[n % 2], *VALUES[n]])
    assert [values.ravel().tolist() for values in read(path).values] == VALUES.tolist()


@pytest.mark.parametrize("names", [TIMES, ["x_0", "x_1", "y_0", "y_1"]])
def test_a_column_beside_the_numbered_ones_is_no_timestep(names: list[str], tmp_path: Path) -> None:
    plain = read(table(tmp_path, ["label", *names], lambda n: ["ab"[n % 2], *VALUES[n]]))
    found = read(table(tmp_path, ["age", "label", *names], lambda n: [20 + n, "ab"[n % 2], *VALUES[n]]))
    assert found.channels == plain.channels
    assert [values.tolist() for values in found.values] == [values.tolist() for values in plain.values]
    assert any("left out: age" in note for note in found.notes)


def test_an_id_that_comes_twice_in_a_wide_table_is_refused(tmp_path: Path) -> None:
    path = table(tmp_path, ["id", "label", *TIMES], lambda n: [max(n, 1), "ab"[n // 2 % 2], *VALUES[n]])
    with pytest.raises(UserError, match="id '1' comes twice"):
        read(path)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (["subject", "time", "ax", "ay", "az", "gx", "label"], r"task\.id=NAME"),
        (["subject", "Time (s)", "ax", "ay", "az", "gx", "label"], r"task\.id=NAME"),
        (["id", "time", "ax", "ay", "az", "gx", "label"], r"another value of 'id' in each row"),
        (["id", "case", "ax", "ay", "az", "gx", "label"], r"task\.id=case"),
    ],
)
def test_a_row_for_each_timestep_is_not_read_as_a_sequence(header: list[str], said: str, tmp_path: Path) -> None:
    def row(number: int) -> list[object]:
        first, second = (number, number // STEPS) if header[0] == "id" else (number // STEPS, number)
        return [first, second, *VALUES[number], "ab"[number // STEPS % 2]]

    with pytest.raises(UserError, match=said):
        read(table(tmp_path, header, row))


def test_the_index_that_pandas_saves_is_no_channel(tmp_path: Path) -> None:
    header = ["", "id", "time", "x", "label"]
    path = table(tmp_path, header, lambda n: [n, n // STEPS, n % STEPS, VALUES[n, 0], "ab"[n // STEPS % 2]])
    assert read(path).channels == ["x"]


def test_a_unit_behind_the_name_of_the_time(tmp_path: Path) -> None:
    path = table(tmp_path, ["id", "Time (s)", "x", "label"], lambda n: [n // STEPS, -n, n, "ab"[n // STEPS % 2]])
    assert read(path).values[0].ravel().tolist() == [3, 2, 1, 0]


def test_columns_that_a_melted_table_has_no_use_for_are_said(tmp_path: Path) -> None:
    header = ["id", "time", "sensor", "value", "heat", "label"]
    path = table(tmp_path, header, lambda n: [n // STEPS, n % STEPS // 2, "pq"[n % 2], n, 1, "ab"[n // STEPS % 2]])
    assert any("heat" in note for note in read(path).notes)


def test_a_wide_table_has_times_of_its_sequences(tmp_path: Path) -> None:
    path = table(tmp_path, ["day", "label", *TIMES], lambda n: [f"2024-01-{n + 1:02}", "ab"[n % 2], *VALUES[n]])
    starts = read(path, time="day").starts
    assert starts is not None
    assert np.diff(starts).tolist() == [86400.0] * (ROWS - 1)


@pytest.mark.parametrize("labels", [["00", "01"], ["12345678901234567890", "12345678901234567895"]])
def test_labels_are_as_the_file_has_them(labels: list[str], tmp_path: Path) -> None:
    path = table(tmp_path, ["label", *TIMES], lambda n: [labels[n % 2], *VALUES[n]])
    assert read(path).labels == labels * (ROWS // 2)


def test_rows_of_a_file_in_a_folder_are_sorted_by_their_dates(tmp_path: Path) -> None:
    for label in "ab":
        (tmp_path / "all" / label).mkdir(parents=True)
        for number in range(3):
            file = tmp_path / "all" / label / f"{number}.csv"
            file.write_text(f"date,x\n2024-01-03,{number}\n2024-01-01,7\n2024-01-02,8\n")
    assert read(tmp_path / "all").values[0].ravel().tolist() == [7, 8, 0]


def test_a_file_of_one_column_of_numbers_has_no_header(tmp_path: Path) -> None:
    for label in "ab":
        (tmp_path / "all" / label).mkdir(parents=True)
        (tmp_path / "all" / label / "1.csv").write_text("1.5\n2.5\n")
    assert read(tmp_path / "all").values[0].ravel().tolist() == [1.5, 2.5]


def test_folders_within_those_of_the_classes_are_read_and_hidden_ones_not(tmp_path: Path) -> None:
    for folder in ("a", "b", "a/old", "a/.cache"):
        (tmp_path / "all" / folder).mkdir(parents=True)
        (tmp_path / "all" / folder / "1.csv").write_text("x\n1\n2\n")
    found = read(tmp_path / "all")
    assert found.labels == ["a", "a", "b"]
    assert found.places == ["all/a/1.csv", "all/a/old/1.csv", "all/b/1.csv"]


TS = "@classLabel\ttrue a b\r\n@data\r\n" + "".join(f"{number},2,?:{'ab'[number % 2]}\r\n" for number in range(6))
ARFF = "@relation x\n@attribute p numeric\n@attribute q {a,b}\n@data\n" + "1,a\n2,b\n" * 3


@pytest.mark.parametrize(("ending", "content"), [("ts", TS), ("arff", ARFF)])
def test_the_formats_of_the_archives_may_be_packed(ending: str, content: str, tmp_path: Path) -> None:
    path = tmp_path / f"mine.{ending}.gz"
    path.write_bytes(gzip.compress(content.encode()))
    assert read(path).labels == ["a", "b"] * 3
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(UserError, match=r"mine\..*gz"):
        read(path)


def test_the_array_of_groups_may_be_named(tmp_path: Path) -> None:
    labels, who = np.arange(ROWS) % 2, np.arange(ROWS) // 3
    np.savez(tmp_path / "a.npz", X=VALUES, y=labels, who=who)
    assert read(tmp_path / "a.npz", group="who").groups == [str(each) for each in who]
    with pytest.raises(UserError, match="no array 'patient'"):
        read(tmp_path / "a.npz", group="patient")
    with pytest.raises(UserError, match=r"task\.id names a column"):
        read(tmp_path / "a.npz", id="who")


@pytest.mark.parametrize("kind", ["classification", "tagging"])
def test_a_label_that_is_missing_in_an_array_is_no_class(kind: str, tmp_path: Path) -> None:
    labels = np.zeros((ROWS, STEPS) if kind == "tagging" else ROWS)
    labels[3] = np.nan
    np.savez(tmp_path / "a.npz", X=VALUES, y=labels)
    with pytest.raises(UserError, match=r"x\[3\]: the label is missing"):
        read(tmp_path / "a.npz", kind=kind)


def test_a_sequence_without_any_value_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.ts"
    path.write_text(TS + "?,?:a\n")
    with pytest.raises(UserError, match="line 9: all values are missing"):
        read(path)


@pytest.mark.parametrize(
    ("content", "how", "said"),
    [
        ("label,x\na,1\nb,2\n", {"form": "nested"}, "no column of lists"),
        (f"label;x\na;[1{'0' * 400}]\nb;[2]\n", {}, "too large"),
        ("label;x\na;\nb;[2]\n", {}, "found ''"),
        ("label,t0,t1,t2\nnone,1,2,3\nb,2,3,4\n", {}, "call such a class otherwise"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(content: str, how: dict[str, str], said: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content)
    with pytest.raises(UserError, match=said):
        read(path, **how)


def test_what_changes_within_a_sequence_is_not_static(tmp_path: Path) -> None:
    (tmp_path / "long.csv").write_text("id,time,x,age,label\n1,0,2,40,a\n1,1,3,41,a\n2,0,1,30,b\n2,1,1,30,b\n")
    with pytest.raises(UserError, match=r"'age' of task.static changes within a sequence \(lines 2 and 3\)"):
        read(tmp_path / "long.csv", static=("age",))
