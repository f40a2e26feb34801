"""Folders of the user's own: sounds by class, scores, texts."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnlab.data.midi import midi_file
from rnnlab.datasets.chorales import LOWEST, MELODY_STEP, Piece, distinct
from rnnlab.datasets.plain_text import Text
from tests.conftest import Run
from tests.data.sequences import writing

FAST = ("cell=rnn", "trainer.max_epochs=1", "tracking=none")


def scores(folder: Path, count: int = 12) -> Path:
    """MIDI files of unlike walks over the keys."""
    place = folder / "scores"
    place.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        roll = np.zeros((24, 88), np.uint8)
        roll[np.arange(24), rng.integers(20, 70, 24)] = 1
        (place / f"{number:02}.mid").write_bytes(midi_file(roll, LOWEST))
    return place


def texts(folder: Path) -> Path:
    place = folder / "texts"
    place.mkdir()
    for number, name in enumerate(("a.txt", "b.txt", "c.txt")):
        (place / name).write_text(f"line {number} of a tale that goes on. " * 200)
    (place / "notes.md").write_text("not read")
    return place


@pytest.mark.parametrize(("task", "make"), [("speech", writing.sounds), ("music", scores), ("text", texts)])
def test_a_net_is_trained_on_a_folder(task: str, make: Any, run: Run, root: Path, tmp_path: Path) -> None:
    folder = make(_fresh(tmp_path))
    command = (f"task={task}", f"task.path={folder}", *FAST)
    trained = run("train", *command)
    assert trained.code == 0, trained.err
    assert f"runs/{task}/{folder.name}" in trained.out + trained.err
    assert run("train", *command).out.count("already trained") == 1


def _fresh(folder: Path) -> Path:
    place = folder / "own"
    place.mkdir()
    return place


def test_recordings_of_unlike_rates_are_heard_as_they_are(run: Run, root: Path, tmp_path: Path) -> None:
    folder = writing.sounds(_fresh(tmp_path), rate=8000)
    other = writing.sounds(_fresh(_fresh(tmp_path / "own")), rate=16000)
    for path in other.rglob("*.wav"):
        path.rename(folder / path.parent.name / f"other-{path.name}")
    trained = run("train", "task=speech", f"task.path={folder}", *FAST)
    assert trained.code == 0, trained.err
    assert "recordings of 8000 to 16000 samples a second" in trained.out + trained.err


def test_texts_are_read_in_the_order_of_their_names_each_ending_a_line(tmp_path: Path) -> None:
    folder = _fresh(tmp_path)
    (folder / "b.txt").write_text("two\n")
    (folder / "a.txt").write_text("one")
    (folder / "c.txt").write_text("three")
    for path in (str(folder), [str(folder / name) for name in ("a.txt", "b.txt", "c.txt")]):
        data = Text("text", path=path)
        data.fetch(tmp_path)
        read = "".join(chr(code) for codes in data.codes(tmp_path) for code in codes)
        assert read == "one\ntwo\nthree"


def test_melodies_that_share_intervals_are_pieces_of_their_own() -> None:
    rng = np.random.default_rng(0)
    rolls = []
    for _ in range(12):
        roll = np.zeros((24, 88), np.uint8)
        roll[np.arange(24), rng.integers(40, 50, 24)] = 1
        rolls.append(roll)
    repeated = np.roll(rolls[3], 5, axis=1)
    kept = distinct([Piece(str(number), roll) for number, roll in enumerate([*rolls, repeated])], MELODY_STEP)
    assert [piece.name for piece in kept] == [str(number) for number in range(12)]


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def one_class(folder: Path) -> None:
    shutil.rmtree(folder / "low")


def damaged(folder: Path) -> None:
    next(iter(sorted(path for path in folder.rglob("*") if path.is_file()))).write_bytes(b"damaged")


@pytest.mark.parametrize(
    ("task", "make", "spoil", "said"),
    [
        ("speech", writing.sounds, empty, "the folder is empty"),
        ("speech", writing.sounds, one_class, "one folder with .wav in it, high"),
        ("speech", writing.sounds, damaged, "high/0.wav is cut off or no wav file"),
        ("music", scores, empty, "the folder is empty"),
        ("music", scores, damaged, "00.mid is cut off or no MIDI file"),
        ("text", texts, empty, "is a folder without a .txt"),
    ],
)
def test_what_is_wrong_is_named(
    task: str, make: Any, spoil: Any, said: str, run: Run, root: Path, tmp_path: Path
) -> None:
    folder = make(_fresh(tmp_path))
    spoil(folder)
    outcome = run("train", f"task={task}", f"task.path={folder}", *FAST)
    assert outcome.code == 2
    assert said in outcome.err
    assert outcome.err.count("\n") <= 2


def test_a_file_is_no_folder(run: Run, root: Path, tmp_path: Path) -> None:
    (tmp_path / "one.wav").write_bytes(b"")
    for task in ("speech", "music"):
        outcome = run("train", f"task={task}", f"task.path={tmp_path / 'one.wav'}", *FAST)
        assert outcome.code == 2
        assert "is no folder" in outcome.err


def test_scores_in_folders_for_train_and_test_keep_them(run: Run, root: Path, tmp_path: Path) -> None:
    folder = scores(_fresh(tmp_path))
    for part, begin in (("train", "0"), ("test", "1")):
        (folder / part).mkdir()
        for path in folder.glob(f"{begin}*.mid"):
            path.rename(folder / part / path.name)
    trained = run("train", "task=music", f"task.path={folder}", *FAST)
    assert trained.code == 0, trained.err
    assert "train: 8 pieces" in trained.out + trained.err
    assert "test: 2 pieces" in trained.out + trained.err


@pytest.mark.parametrize("others", [("test",), ("validation", "test")])
def test_a_class_without_recordings_to_train_on_is_named(
    others: tuple[str, ...], run: Run, root: Path, tmp_path: Path
) -> None:
    sounds = writing.sounds(_fresh(tmp_path))
    folder = tmp_path / "parted"
    for part in ("train", *others):
        shutil.copytree(sounds, folder / part)
    (folder / "test" / "high").rename(folder / "test" / "shrill")
    outcome = run("train", "task=speech", f"task.path={folder}", *FAST)
    assert outcome.code == 2
    assert "parted has no recording of class shrill to train on" in outcome.err
