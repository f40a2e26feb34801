"""Labelled sequences in whatever form a file has."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnnlab.data.sequences.reading import read_sequences
from rnnlab.data.sequences.sequences import Reading, Sequences
from rnnlab.errors import UserError
from tests.data.sequences import writing
from tests.data.sequences.writing import CHANNELS, FORMS, walks


def read(path: Path, **how: object) -> Sequences:
    return read_sequences(path, path.name, Reading(**how))  # type: ignore[arg-type]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_holds_the_same_sequences(form: str, tmp_path: Path) -> None:
    frame = walks()
    found = read(FORMS[form](frame, tmp_path))
    expected = {str(number): own for number, own in frame.groupby("id", sort=False)}
    assert found.labels is not None
    if form in ("ts", "npz", "npy"):  # whose channels have no names
        assert len(found.channels) == 2
    else:
        assert sorted(found.channels) == CHANNELS
    order = [found.channels.index(name) for name in CHANNELS] if sorted(found.channels) == CHANNELS else [0, 1]
    # files of a folder come by class and name: compared as sets
    got = sorted((label, values[:, order].tolist()) for label, values in zip(found.labels, found.values, strict=True))
    assert got == sorted((own["label"].iloc[0], own[CHANNELS].to_numpy().tolist()) for own in expected.values())


def test_who_a_sequence_is_of_is_found_and_said(tmp_path: Path) -> None:
    found = read(writing.long_csv(walks(), tmp_path))
    assert found.groups == [f"p{number % 8}" for number in range(24)]
    assert "group 'patient'" in found.notes[0]


def test_the_form_of_the_ucr_archive(tmp_path: Path) -> None:
    frame = walks()
    writing.two_files(frame, tmp_path)
    found = read(tmp_path)
    assert found.labels == ["1", "2", "3"] * 8
    assert found.parts == ["train"] * 12 + ["test"] * 12
    steps = int(frame.groupby("id").size().min())
    assert found.values[0][:, 0].tolist() == frame["x"].iloc[:steps].tolist()


def test_the_form_arff(tmp_path: Path) -> None:
    frame = walks()
    found = read(writing.arff(frame, tmp_path))
    assert found.labels == frame.groupby("id", sort=False)["label"].first().tolist()
    steps = int(frame.groupby("id").size().min())
    assert found.values[0].tolist() == frame[CHANNELS].iloc[:steps].to_numpy().tolist()


def test_a_label_at_each_timestep(tmp_path: Path) -> None:
    frame = walks().drop(columns="patient")
    frame["label"] = np.where(frame["x"] > 0, "up", "down")
    found = read(writing.long_csv(frame, tmp_path), kind="tagging")
    assert found.labels is not None
    assert [tag for tags in found.labels for tag in tags] == frame["label"].tolist()


def test_a_number_for_each_sequence(tmp_path: Path) -> None:
    frame = walks().drop(columns="patient")
    frame["label"] = frame.groupby("id")["x"].transform("mean")
    found = read(writing.long_csv(frame, tmp_path), kind="regression")
    assert found.labels == pytest.approx(frame.groupby("id", sort=False)["label"].first().tolist())


def test_texts_are_a_categorical_channel_and_static_columns_channels(tmp_path: Path) -> None:
    frame = walks().assign(mode=["on", "off", "off"] * (len(walks()) // 3) + ["on"] * (len(walks()) % 3), age=40)
    found = read(writing.long_csv(frame, tmp_path), static=("age",))
    assert found.channels == ["x", "y", "mode", "age"]
    texts = [found.categories[2][int(code)] for values in found.values for code in values[:, 2]]
    assert texts == frame["mode"].tolist()
    assert any("categorical" in note for note in found.notes)


def test_sounds_in_folders(tmp_path: Path) -> None:
    found = read(writing.sounds(tmp_path))
    assert set(found.labels or ()) == {"high", "low"}
    assert {values.shape[1] for values in found.values} == {24}


def test_parts_by_folder(tmp_path: Path) -> None:
    for part in ("train", "test"):
        writing.sounds(tmp_path / "all" / part).rename(tmp_path / "all" / part / "x")
        for label in ("high", "low"):
            (tmp_path / "all" / part / "x" / label).rename(tmp_path / "all" / part / label)
        (tmp_path / "all" / part / "x").rmdir()
    found = read(tmp_path / "all")
    assert found.parts == ["test"] * 12 + ["train"] * 12


def bad(frame: pd.DataFrame, what: str) -> pd.DataFrame:
    frame = frame.astype({"x": object, "time": object, "label": object, "id": object})
    if what == "text in x":
        frame.loc[7, "x"] = "oops"
    elif what == "infinite x":
        frame.loc[7, "x"] = "inf"
    elif what == "two labels":
        frame.loc[3, "label"] = "run"
    elif what == "no label":
        frame.loc[3, "label"] = ""
    elif what == "no id":
        frame.loc[3, "id"] = ""
    elif what == "a time twice":
        frame.loc[3, "time"] = frame.loc[2, "time"]
    elif what == "no time":
        frame.loc[3, "time"] = ""
    elif what == "no rows":
        frame = frame.iloc[:0]
    elif what == "all missing":
        frame[["x", "y"]] = ""
    elif what == "no label column":
        frame = frame.drop(columns="label")
    elif what == "no channel":
        frame = frame.drop(columns=["x", "y"])
    elif what == "no id column":
        frame = frame.drop(columns="id")
    return frame


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("text in x", "long.csv, line 9, column 3 (x): found 'oops' where a number belongs"),
        ("infinite x", "line 9, column 3 (x): found 'inf', an infinite value"),
        ("two labels", "long.csv, id s0: column 'label' says 'walk' in line 2 and 'run' in line 5"),
        ("no label", "long.csv, id s0, line 5: column 'label' is empty"),
        ("no id", "line 5, column 1 (id): the id is missing"),
        ("a time twice", "id s0 has the same time twice (lines 4 and 5)"),
        ("no time", "line 5, column 2 (time): the time is missing"),
        ("no rows", "no rows"),
        ("all missing", "all values are missing"),
        ("no label column", "as task.label=NAME"),
        ("no channel", "no channel beside its label, id and time"),
        ("no id column", "as task.id=NAME"),
    ],
)
def test_what_is_wrong_in_a_long_table_is_said_with_its_place(what: str, said: str, tmp_path: Path) -> None:
    frame = bad(walks().drop(columns="patient"), what)
    with pytest.raises(UserError) as error:
        read(writing.long_csv(frame, tmp_path))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "empty"),
        ("label,t0,t1\n", "no rows"),
        ("label,t0,t1\na,,\n", "line 2: all values are missing"),
        ("label,id,t0,t1\na,k,1,2\nb,k,2,3\n", "column 'label' says 'a' in line 2 and 'b' in line 3"),
        ("label,t0,t1\n,1,2\nb,1,2\n", "line 2, line 2: column 'label' is empty"),
        ('label,x,y\na,"[1,2]","[1]"\n', "unlike numbers of timesteps: 'x' has 2, 'y' has 1"),
        ('label,x\na,"[1,2"\n', "where a list with a value for each timestep belongs"),
        ('label,x\na,"[1,""b""]"\nb,"[1,2]"\n', "texts"),
        ("label,t0,t0\na,1,2\n", "several columns named 't0'"),
    ],
)
def test_what_is_wrong_in_other_tables(content: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "wide.csv").write_text(content)
    with pytest.raises(UserError) as error:
        read(tmp_path / "wide.csv")
    assert said in str(error.value)


@pytest.mark.parametrize("what", ["empty", "one class", "other channels", "damaged"])
def test_what_is_wrong_in_a_folder(what: str, tmp_path: Path) -> None:
    place = writing.folder_of_csv(walks(6), tmp_path) if what != "empty" else tmp_path / "by_class"
    if what == "empty":
        (place / "walk").mkdir(parents=True)
        (place / "run").mkdir()
    elif what == "one class":
        for label in ("run", "sit"):
            for path in (place / label).iterdir():
                path.unlink()
            (place / label).rmdir()
    elif what == "other channels":
        (place / "walk/003.csv").write_text("time,x,z\n0,1,2\n")
    else:
        (place / "walk/003.csv").write_bytes(b"\x00\x01\x02")
    said = {
        "empty": "no folder with",
        "one class": "one folder with",
        "other channels": "walk/003.csv has the channels",
    }
    with pytest.raises(UserError, match=said.get(what, "walk/003.csv")):
        read(place)


def test_the_same_channel_is_needed_in_both_files(tmp_path: Path) -> None:
    walks().to_csv(tmp_path / "a_TRAIN.csv", index=False)
    walks(6).drop(columns="y").to_csv(tmp_path / "a_TEST.csv", index=False)
    with pytest.raises(UserError, match="both need the same"):
        read(tmp_path)


def test_a_column_that_could_be_two_things_is_what_its_neighbours_are(tmp_path: Path) -> None:
    """Of one timestep all values may happen to have three decimals, and one none."""
    (tmp_path / "wide.csv").write_text("label,t0,t1,t2\na,0.51,1.003,2.25\nb,0.25,2,1.5\na,0.75,3.004,0.5\nb,1,2,3\n")
    found = read(tmp_path / "wide.csv")
    assert found.values[0][:, 0].tolist() == [0.51, 1.003, 2.25]


def test_trials_that_each_patient_counts_from_the_first_are_sequences_of_their_own(tmp_path: Path) -> None:
    frame = walks(24)
    number = frame["id"].str[1:].astype(int)
    counted = frame.assign(trial=number // 8, patient="p" + (number % 8).astype(str)).drop(columns="id")
    found = read(writing.long_csv(counted, tmp_path))
    expected = [own[CHANNELS].to_numpy().tolist() for _, own in frame.groupby("id", sort=False)]
    assert [values.tolist() for values in found.values] == expected
    assert found.groups == [f"p{index % 8}" for index in range(24)]
    assert found.places[9] == "long.csv, trial 1 of p1"


def test_a_column_that_counts_the_rows_is_left_out(tmp_path: Path) -> None:
    walks().to_csv(tmp_path / "indexed.csv")
    found = read(tmp_path / "indexed.csv")
    assert found.channels == CHANNELS
    assert any("counts the rows" in note for note in found.notes)


def test_a_time_of_day_is_a_time(tmp_path: Path) -> None:
    frame = walks().drop(columns="patient")
    minutes = (frame["time"] * 10).astype(int)
    frame["time"] = [f"{9 + minute // 60:02}:{minute % 60:02}:30" for minute in minutes]
    shuffled = frame.groupby("id", sort=False, group_keys=False).sample(frac=1, random_state=0)
    found = read(writing.long_csv(shuffled, tmp_path))
    assert found.values[0].tolist() == frame[frame["id"] == "s0"][CHANNELS].to_numpy().tolist()


def test_a_table_without_names_that_may_be_long_is_refused(tmp_path: Path) -> None:
    walks().drop(columns="patient").to_csv(tmp_path / "bare.csv", index=False, header=False)
    with pytest.raises(UserError, match="no line with the names of its columns"):
        read(tmp_path / "bare.csv")
