"""Utterances and their classes: how they are read and split, and the baseline that warps time."""

import io
import itertools
import os
import re
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rnnlab.config.stages import compose_task
from rnnlab.data.download import sha256_of
from rnnlab.datasets.speech import Speech
from rnnlab.datasets.spoken_digits import ARCHIVE, Recording, read_recordings
from rnnlab.errors import UserError
from rnnlab.modules.build import build_module
from rnnlab.tasks.baselines.dtw import warped_distances
from rnnlab.tasks.classification.speech.baselines import SpeechBaselines
from rnnlab.tasks.classification.speech.data import SpeechData
from rnnlab.tasks.classification.speech.figures import SpeechFigures
from rnnlab.tasks.classification.speech.judging import SpeechJudging
from rnnlab.training.prepare import open_task
from tests.data.test_audio import tone, wav

MIRROR = os.environ.get("RNNLAB_MIRROR")


def warped(x: NDArray[Any], y: NDArray[Any]) -> float:
    """The recursion of the docstring as it stands."""
    d = np.linalg.norm(x[:, None] - y[None], axis=-1)
    g = np.full((len(x) + 1, len(y) + 1), np.inf)
    g[0, 0] = 0
    for i, j in itertools.product(range(1, len(x) + 1), range(1, len(y) + 1)):
        step = d[i - 1, j - 1]
        g[i, j] = min(g[i - 1, j] + step, g[i - 1, j - 1] + 2 * step, g[i, j - 1] + step)
    return float(g[-1, -1] / (len(x) + len(y)))


def warped_by_squares(x: NDArray[Any], y: NDArray[Any]) -> float:
    """That of the squares."""
    d = np.square(x[:, None] - y[None]).sum(axis=-1)
    g = np.full((len(x) + 1, len(y) + 1), np.inf)
    g[0, 0] = 0
    for i, j in itertools.product(range(1, len(x) + 1), range(1, len(y) + 1)):
        g[i, j] = min(g[i - 1, j], g[i - 1, j - 1], g[i, j - 1]) + d[i - 1, j - 1]
    return float(g[-1, -1])


@settings(max_examples=20)
@given(
    seed=st.integers(0, 1000),
    queries=st.lists(st.integers(1, 6), min_size=1, max_size=20),
    references=st.lists(st.integers(1, 6), min_size=1, max_size=5),
)
def test_warping_is_its_recursion_whatever_lies_beside(seed: int, queries: list[int], references: list[int]) -> None:
    rng = np.random.default_rng(seed)
    x = [rng.normal(size=(length, 2)).astype(np.float32) for length in queries]
    y = [rng.normal(size=(length, 2)).astype(np.float32) for length in references]
    expected = [[warped(one, other) for other in y] for one in x]
    np.testing.assert_allclose(warped_distances(x, y), expected, rtol=1e-4, atol=1e-4)
    expected = [[warped_by_squares(one, other) for other in y] for one in x]
    np.testing.assert_allclose(warped_distances(x, y, squared=True), expected, rtol=1e-4, atol=1e-3)


def test_a_stretched_sequence_is_no_further_away() -> None:
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    assert warped_distances([np.repeat(x, 3, axis=0)], [x, x + 1])[0] == pytest.approx(
        [0, warped(np.repeat(x, 3, 0), x + 1)], abs=1e-3
    )


def archive(path: Path, files: dict[str, bytes], folder: str = "any-1.0/recordings") -> Path:
    """A .tar.gz of these files, and something else beside them."""
    with tarfile.open(path, "w:gz") as packed:
        for name, content in {"README.md": b"# spoken", **files}.items():
            member = tarfile.TarInfo(f"{folder}/{name}" if name.endswith(".wav") else name)
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
    return path


def sound(digit: int) -> bytes:
    return wav(20000 * tone(200 + 100 * digit, seconds=0.1))


def test_recordings_are_found_in_any_folder(tmp_path: Path) -> None:
    names = ("7_theo_5.wav", "7_theo_10.wav", "0_ada_4.wav")
    for folder in ("fsdd", "free-spoken-digit-dataset-1.0.10/recordings"):
        found = read_recordings(archive(tmp_path / "a.tar.gz", {name: sound(1) for name in names}, folder))
        assert [(each.digit, each.speaker, each.number, each.is_test) for each in found] == [
            (0, "ada", 4, True),
            (7, "theo", 5, False),
            (7, "theo", 10, False),
        ]
        assert all(len(each.samples) == 800 for each in found)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"7_theo_5.wav": wav(tone(100), rate=16000)}, "7_theo_5.wav has 16000 samples a second"),
        ({"7_theo_5.wav": wav(tone(100), channels=2)}, "7_theo_5.wav has 2 channels"),
        ({"7_theo_5.wav": wav(tone(100)[:0])}, "7_theo_5.wav holds no sound"),
        ({"7_theo_5.wav": sound(7)[:100]}, "7_theo_5.wav is cut off"),
        ({"seven_theo_5.wav": sound(7)}, "seven_theo_5.wav; <digit>_<speaker>_<number>.wav is expected"),
        ({}, "holds no wav file"),
    ],
    ids=["rate", "stereo", "no samples", "cut off", "name", "nothing"],
)
def test_an_archive_s_bad_recording_is_named(tmp_path: Path, files: dict[str, bytes], words: str) -> None:
    with pytest.raises(UserError, match=re.escape(words)):
        read_recordings(archive(tmp_path / "a.tar.gz", files))


def test_an_archive_that_is_cut_off_or_leads_out_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tar.gz", {"7_theo_5.wav": sound(7)})
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match="cut off"):
        read_recordings(path)
    with pytest.raises(UserError, match="leads out of its folder"):
        read_recordings(archive(path, {"7_theo_5.wav": sound(7)}, ".."))


class Said(Speech):
    """Recordings of two speakers, three of each of three digits, in the place of a fetched archive."""

    def read_digits(self, folder: Path) -> list[Recording]:
        rng = np.random.default_rng(0)
        return [
            Recording(
                f"{digit}_{speaker}_{number}.wav", digit, speaker, number, rng.normal(size=1000).astype(np.float32)
            )
            for digit in range(3)
            for speaker in ("ada", "theo")
            for number in (0, 4, 5, 6, 7, 8, 9, 10)
        ]


def opened(folder: Path, **options: Any) -> SpeechData:
    task = SpeechData("speech", **options)
    task.check()
    facts = task.prepare(Said("speech", "full"), folder, folder)
    task.open(folder, {**facts, "digest": "any"}, seed=0)
    return task


@pytest.mark.parametrize(("split", "test"), [("official", 12), ("random", 12), ("speaker", 24)])
def test_digits_are_split_as_asked(tmp_path: Path, split: str, test: int) -> None:
    task = opened(tmp_path, split=split, test=0.25, speaker="theo")
    judging = SpeechJudging(task)
    table = judging.table(np.eye(10)[task.labels["test"]])
    assert len(table) == test
    assert (np.bincount(table["label"]) == test // 3).all()
    assert set(table["speaker"]) == ({"theo"} if split == "speaker" else {"ada", "theo"})
    # a voice that was never heard is one unit, whatever it says: no difference can be tested on it
    assert task.spec.unit == ("speaker" if split == "speaker" else "recording")
    assert len(judging.losses(table)) == (1 if split == "speaker" else test)
    assert ("accuracy_low" in judging.judge(table)) == (split != "speaker")
    for part in ("validation", "test"):
        table = judging.table(np.random.default_rng(0).dirichlet(np.ones(10), len(task.labels[part])), part)
        assert judging.losses(table).mean() == pytest.approx(1 - judging.judge(table)["accuracy"])
    series = {part: {one.tobytes() for one in task.utterances(part)} for part in ("train", "validation", "test")}
    assert sum(map(len, series.values())) == len(set.union(*series.values())) == 48
    assert np.concatenate(task.utterances("train")).mean(axis=0) == pytest.approx(0, abs=1e-4)
    assert np.concatenate(task.utterances("train")).std(axis=0) == pytest.approx(1, abs=1e-4)


def test_a_speaker_who_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"task\.speaker=bob .*ada, theo"):
        opened(tmp_path, split="speaker", speaker="bob")


@pytest.fixture
def vowels(root: Path) -> SpeechData:
    task = open_task(compose_task("speech"), seed=0)
    assert isinstance(task, SpeechData)
    return task


def test_the_vowels_are_those_of_the_paper_and_the_baselines_stand_where_they_stood(vowels: SpeechData) -> None:
    sizes = {split: len(vowels.labels[split]) for split in ("train", "validation", "test")}
    assert sizes == {"train": 216, "validation": 54, "test": 370}
    assert np.bincount(vowels.labels["train"]).tolist() == 9 * [24]
    assert np.bincount(vowels.labels["test"]).tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]
    lengths = np.concatenate([vowels.series[split].lengths for split in sizes])
    assert (lengths.min(), lengths.max()) == (7, 29)
    judging = SpeechJudging(vowels)
    scores = {name: judging.judge(predict("test")) for name, predict in SpeechBaselines(judging).fitted().items()}
    assert scores["discriminant"]["accuracy"] > 0.99
    assert scores["warping"]["accuracy"] > 0.96
    assert scores["linear"]["accuracy"] > 0.96
    assert scores["frequency"]["accuracy"] == 31 / 370  # of nine classes as frequent, the first
    # the softmax of distances is worth something, too
    assert scores["warping"]["nll"] < 0.5


def test_after_its_last_timestep_a_net_says_what_it_says_of_the_whole(vowels: SpeechData) -> None:
    cfg = compose_task("speech")
    module = build_module(cfg, vowels).eval()
    figures = SpeechFigures(SpeechJudging(vowels))
    figure = figures.inspect(module)["listening"]
    said = figures.judging.predict(module)
    for number, index in enumerate((0, len(said) // 2 - 1, len(said) - 1)):
        axes = figure.axes[3 + number]
        named = {line.get_label(): line.get_ydata()[-1] for line in axes.get_lines()}
        true = vowels.classes[vowels.labels["test"][index]]
        assert named[true] == pytest.approx(said["p_true"][index], abs=1e-5)


@pytest.mark.mirror
@pytest.mark.skipif(not MIRROR, reason="RNNLAB_MIRROR names no mirror of the full data sets")
def test_the_full_set_has_its_recordings(tmp_path: Path) -> None:
    dataset = Speech("speech", "full")
    dataset.fetch(tmp_path, MIRROR)
    assert sha256_of(tmp_path / ARCHIVE.name) in ARCHIVE.sha256
    recordings = dataset.read_digits(tmp_path)
    assert len(recordings) == 3000
    assert len({(each.digit, each.speaker) for each in recordings}) == 60
    assert sum(each.is_test for each in recordings) == 300
    assert 0.43 < np.mean([len(each.samples) for each in recordings]) / 8000 < 0.44
