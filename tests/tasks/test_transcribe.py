"""Spoken strings of digits written down: how they are made and split, what counts as an error, what a net writes."""

import importlib.util
import json
import os
import re
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlab.config.stages import compose_task
from rnnlab.data.audio import log_mel
from rnnlab.data.ctc import timesteps_needed
from rnnlab.data.vocabulary import IGNORED
from rnnlab.datasets import synthetic_speech
from rnnlab.datasets.digit_strings import DigitStrings
from rnnlab.datasets.spoken_digits import RATE, WORDS, Recording
from rnnlab.datasets.synthetic_speech import VOICES, Utterance, say
from rnnlab.errors import MissingExtra, UserError
from rnnlab.modules.build import build_module
from rnnlab.tasks.transduction.transcribe.baselines import TranscribeBaselines
from rnnlab.tasks.transduction.transcribe.data import TranscribeData
from rnnlab.tasks.transduction.transcribe.judging import TranscribeJudging
from tests.conftest import Run

MIRROR = os.environ.get("RNNLAB_MIRROR")
SPLITS = ("train", "validation", "test")

speaks = pytest.mark.skipif(
    importlib.util.find_spec("espeakng_loader") is None, reason="the extra `speech` is not installed"
)


def samples(digit: int, speaker: str, number: int) -> np.ndarray:
    """Noise that no other recording has, of a colour that tells digits apart."""
    rng = np.random.default_rng([digit, ord(speaker[0]), number])
    time = np.arange(1200) / RATE
    return (np.sin(2 * np.pi * (300 + 300 * digit) * time) + 0.1 * rng.normal(size=1200)).astype(np.float32)


class Recorded(DigitStrings):
    """Recordings of two speakers, sixteen of each digit, in the place of a fetched archive."""

    def read(self, folder: Path) -> list[Recording]:
        return [
            Recording(f"{digit}_{speaker}_{number}.wav", digit, speaker, number, samples(digit, speaker, number))
            for digit in range(10)
            for speaker in ("ada", "theo")
            for number in range(16)
        ]


def opened(folder: Path, dataset: DigitStrings | None = None, **options: Any) -> TranscribeData:
    task = TranscribeData("transcribe", **{"size": 200, **options})
    task.check()
    facts = task.prepare(dataset or Recorded("digit_strings", "full"), folder, folder)
    json.dumps(facts)
    task.open(folder, {**facts, "digest": "any"}, seed=0)
    return task


def recordings_of(task: TranscribeData, split: str) -> set[str]:
    """theo: 3_0 1_12 -> theo 3_0, theo 1_12"""
    sources = [source.split(": ") for source in task.texts(split)[0]]
    return {f"{speaker} {name}" for speaker, names in sources for name in names.split()}


def test_no_recording_is_in_two_parts_and_the_official_test_split_is_kept(tmp_path: Path) -> None:
    task = opened(tmp_path, validation=0.2, test=0.3)
    assert {split: len(task.texts(split)[1]) for split in SPLITS} == {"train": 100, "validation": 40, "test": 60}
    parts = [recordings_of(task, split) for split in SPLITS]
    assert len(set.union(*parts)) == sum(map(len, parts))
    for split, found in zip(SPLITS, parts, strict=True):
        assert all((int(name.rpartition("_")[2]) < 5) == (split == "test") for name in found)
        assert len(set(task.texts(split)[0])) == len(task.texts(split)[0])


def test_a_speaker_who_is_held_out_is_heard_in_the_test_part_alone(tmp_path: Path) -> None:
    task = opened(tmp_path, speaker="theo")
    speakers = {split: {name.split()[0] for name in recordings_of(task, split)} for split in SPLITS}
    assert speakers == {"train": {"ada"}, "validation": {"ada"}, "test": {"theo"}}
    with pytest.raises(UserError, match=r"task\.speaker=bob .*ada, theo"):
        opened(tmp_path, speaker="bob")


def test_a_string_is_its_recordings_with_pauses_around_them(tmp_path: Path) -> None:
    task = opened(tmp_path, hop=10, digits=3)
    for index, source in enumerate(task.texts("test")[0]):
        speaker, names = source.split(": ")
        digits = [int(name[0]) for name in names.split()]
        assert task.texts("test")[1][index] == " ".join(WORDS[digit] for digit in digits)
        seconds = 0.01 * len(task.frames["test"][index])
        pauses = len(digits) + 1
        assert 0.15 * len(digits) + 0.05 * pauses - 0.03 < seconds < 0.15 * len(digits) + 0.25 * pauses + 0.02
        # the filter that is the loudest is that of a digit of the string, and of its first and last one at the ends
        spectra = task.frames["test"][index] * task.meta["scaler"]["std"] + task.meta["scaler"]["mean"]
        alone = np.array([log_mel(samples(digit, speaker, 0), RATE, 10, 24)[3].argmax() for digit in digits])
        loud = spectra[spectra.max(axis=1) > 0].argmax(axis=1)
        assert np.abs(loud[:, None] - alone).min(axis=1).max() <= 1
        assert np.abs(loud[[0, -1]] - alone[[0, -1]]).max() <= 1


@pytest.mark.parametrize("units", ["words", "letters"])
def test_batches_say_what_the_texts_say_and_are_scaled(tmp_path: Path, units: str) -> None:
    task = opened(tmp_path, units=units, digits=2)
    for split in SPLITS:
        loader = task.loader(split)
        found = {}
        batches = list(loader)
        indices = torch.cat(loader.sampler.batches(loader.batch_size))
        rows = [(batch, row) for batch in batches for row in range(len(batch.inputs))]
        for index, (batch, row) in zip(indices.tolist(), rows, strict=True):
            labels = batch.targets[row][batch.targets[row] != IGNORED].tolist()
            assert timesteps_needed(labels) <= batch.lengths[row]
            found[index] = TranscribeJudging(task).text(labels)
        assert [found[index] for index in range(len(found))] == task.texts(split)[1]
    frames = task.frames["train"].values
    assert frames.mean(axis=0) == pytest.approx(0, abs=1e-3)
    assert frames.std(axis=0) == pytest.approx(1, abs=1e-3)
    assert len(task.vocabulary) == 4 + (10 if units == "words" else len(set("".join(WORDS))) + 1)


def test_labels_that_do_not_fit_into_the_timesteps_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"frames, and its letters need \d+.*Lower task\.hop=60"):
        opened(tmp_path, units="letters", hop=60)


def test_more_strings_than_can_be_made_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"task\.size=2000: 1400 strings of at most 1 recordings .* only 200 can be made"
    ):
        opened(tmp_path, digits=1, size=2000)


def distance(one: list[str], other: list[str]) -> int:
    """Levenshtein's, by its recursion."""
    if not one or not other:
        return len(one) + len(other)
    if one[0] == other[0]:
        return distance(one[1:], other[1:])
    return 1 + min(distance(one[1:], other), distance(one, other[1:]), distance(one[1:], other[1:]))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> TranscribeJudging:
    return TranscribeJudging(opened(tmp_path_factory.mktemp("recorded"), size=20))


strings = st.lists(st.sampled_from(["one", "two", "three"]), max_size=4)


@settings(max_examples=30, deadline=None)
@given(
    written=st.lists(strings, min_size=4, max_size=4), references=st.lists(strings.filter(bool), min_size=4, max_size=4)
)
def test_errors_are_edit_distances_and_their_sum_the_rate(
    recorded: TranscribeJudging, written: list[list[str]], references: list[list[str]]
) -> None:
    table = recorded.table([" ".join(each) for each in written]).assign(
        reference=[" ".join(each) for each in references]
    )
    words = sum(map(len, references))
    errors = np.array([distance(one, other) for one, other in zip(references, written, strict=True)])
    lengths, rate = np.array([len(each) for each in references]), errors.sum() / words
    judged = recorded.judge(table)
    by_speaker = [np.flatnonzero(table["speaker"] == speaker) for speaker in np.unique(table["speaker"])]
    expected = [(errors[rows] - rate * lengths[rows]).sum() * len(by_speaker) / words for rows in by_speaker]
    np.testing.assert_allclose(recorded.losses(table), rate + np.array(expected), atol=1e-12)
    assert judged["word_error_rate"] == pytest.approx(errors.sum() / words)
    assert judged["word_error_rate"] == pytest.approx(recorded.losses(table).mean())
    assert judged["word_error_rate"] == pytest.approx(jiwer.wer(table["reference"].tolist(), table["written"].tolist()))
    kinds = judged["substitutions"] + judged["deletions"] + judged["insertions"]
    assert kinds == pytest.approx(judged["word_error_rate"])
    assert judged["exact_match"] == np.mean(errors == 0)


def test_kinds_of_errors_are_told_apart(recorded: TranscribeJudging) -> None:
    table = recorded.table(["one two", "one", "", "one two three"])
    judged = recorded.judge(table.assign(reference=["one three", "one two", "one", "one three"]))
    assert [judged[kind] * 7 for kind in ("substitutions", "deletions", "insertions")] == pytest.approx([1, 2, 1])


def test_the_baseline_without_memory_hears_what_a_few_frames_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rnnlab.tasks.transduction.transcribe.baselines.REACHES", (5,))
    task = opened(tmp_path, size=400, digits=3)
    judging = TranscribeJudging(task)
    fitted = TranscribeBaselines(judging).fitted()
    for split in ("validation", "test"):
        tables = {name: predict(split) for name, predict in fitted.items()}
        scores = {name: judging.judge(table)["word_error_rate"] for name, table in tables.items()}
        assert scores["window"] < 0.2
        # better than writing nothing
        assert 0.5 < scores["frequent"] < 1
        assert tables["window"]["timesteps"].tolist() == task.frames[split].lengths.tolist()


def test_the_window_is_as_wide_as_validation_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    baselines = TranscribeBaselines(TranscribeJudging(opened(tmp_path)))
    rates = {5: 0.3, 15: 0.2}
    monkeypatch.setattr(baselines, "_window", lambda reach: reach)
    monkeypatch.setattr(baselines, "_written", lambda reach, split: [f"{reach} {split}"])
    monkeypatch.setattr(baselines, "_word_error_rate", lambda written, split: rates[int(written[0].split()[0])])
    monkeypatch.setattr(baselines.judging, "table", lambda written, split: pd.DataFrame({"written": written}))
    assert baselines.fitted()["window"]("test")["written"].tolist() == ["15 test"]


def test_what_shares_recordings_is_one_item(tmp_path: Path) -> None:
    task = opened(tmp_path)
    judging = TranscribeJudging(task)
    table = judging.table(["one"] * len(task.texts("test")[1]))
    assert table["speaker"].tolist() == [source.split(":")[0] for source in task.texts("test")[0]]
    assert (task.spec.unit, len(judging.losses(table))) == ("speaker", 2)
    task = opened(tmp_path, speaker="theo")
    judging = TranscribeJudging(task)
    table = judging.table(["one"] * len(task.texts("test")[1]))
    assert (task.spec.unit, len(judging.losses(table))) == ("speaker", 1)
    assert judging.losses(table)[0] == pytest.approx(judging.judge(table)["word_error_rate"])


def test_the_string_that_is_always_written_is_the_best_of_those_of_training(tmp_path: Path) -> None:
    task = opened(tmp_path, size=60)
    references = task.texts("train")[1]
    best = min(jiwer.wer(references, [text] * len(references)) for text in set(references))
    frequent = TranscribeBaselines(TranscribeJudging(task))._frequent()
    assert jiwer.wer(references, [frequent] * len(references)) == pytest.approx(best)


@pytest.mark.parametrize("beam", [1, 3])
def test_a_net_s_texts_stand_beside_their_references(tmp_path: Path, beam: int) -> None:
    task = opened(tmp_path)
    judging = TranscribeJudging(task, beam)
    module = build_module(compose_task("transcribe", "task.source=full", "cell=gru", "cell.hidden_size=8"), task)
    table = judging.predict(module)
    assert table["reference"].tolist() == task.texts("test")[1]
    loader = task.loader("test")
    (number,) = torch.nonzero(loader.positions() == 7)[0].tolist()
    batch = list(loader)[number // loader.batch_size]
    assert table["written"][7] == judging.write(module, batch)[number % loader.batch_size]
    assert pd.Series(table["timesteps"]).tolist() == task.frames["test"].lengths.tolist()


def test_without_the_extra_the_error_tells_both_ways(run: Run, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic_speech, "DISTRIBUTION", "no-such-distribution")
    outcome = run("train", "task=transcribe", "tracking=none")
    assert outcome.code == 2
    assert "pip install 'rnnlab[speech]'" in outcome.err
    assert "task.source=full" in outcome.err
    assert "GPL-3.0" in outcome.err
    assert not list(root.glob("data/cache/*/*/*"))
    with pytest.raises(MissingExtra):
        next(say([Utterance("one", VOICES[0], 160, 50)]))


@speaks
def test_what_is_said_is_a_function_of_the_list_alone() -> None:
    utterances = [Utterance("three seven", voice, 150 + 3 * number, 40) for number, voice in enumerate(VOICES)]
    once, again = ([(sound.tobytes(), rate) for sound, rate in say(utterances)] for _ in range(2))
    assert once == again
    assert len({sound for sound, _ in once}) == len(VOICES)
    slow, fast = (len(sound) for sound, _ in say([Utterance("five", VOICES[0], speed, 50) for speed in (120, 220)]))
    assert 1.3 < slow / fast < 2.2


@speaks
def test_what_cannot_be_said_is_named() -> None:
    spoken = say([Utterance("one", VOICES[0], 150, 50), Utterance("two", "nobody", 150, 50)])
    assert len(next(spoken)[0]) > 1000
    with pytest.raises(UserError, match=r"cannot say 'two' as nobody: its voice was refused"):
        next(spoken)


@speaks
def test_voices_that_lie_too_deep_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.find_spec("espeakng_loader")
    deep = tmp_path / ("deep" * 40)
    deep.mkdir()
    (deep / "espeakng_loader").symlink_to(Path(spec.origin).parent)
    monkeypatch.syspath_prepend(str(deep))
    with pytest.raises(UserError, match=f"no voices can be read from {deep}.*140 characters"):
        next(say([Utterance("one", VOICES[0], 150, 50)]))


@speaks
def test_an_utterance_of_a_voice_that_is_in_training_is_an_item(tmp_path: Path) -> None:
    task = opened(tmp_path, DigitStrings("digit_strings", "espeak"), size=40, digits=2)
    judging = TranscribeJudging(task)
    table = judging.table(["one"] * 8)
    assert (task.spec.unit, len(judging.losses(table))) == ("string", 8)
    assert judging.losses(table).mean() == pytest.approx(judging.judge(table)["word_error_rate"])


@speaks
def test_no_two_utterances_are_the_same_and_a_voice_can_be_held_out(tmp_path: Path) -> None:
    task = opened(tmp_path, DigitStrings("digit_strings", "espeak"), digits=1, speaker="en-us+f2")
    said = [(source, text) for split in SPLITS for source, text in zip(*task.texts(split), strict=True)]
    assert len(set(said)) == len(said) == 200
    assert task.spec.unit == "voice"
    voices = {split: {source.split(",")[0] for source in task.texts(split)[0]} for split in SPLITS}
    assert voices["test"] == {"en-us+f2"}
    assert "en-us+f2" not in voices["train"] | voices["validation"]
    assert voices["train"] <= set(VOICES)
    with pytest.raises(UserError, match=re.escape("task.speaker=theo is none of the voices: en-029+f4")):
        opened(tmp_path, DigitStrings("digit_strings", "espeak"), speaker="theo")


@pytest.mark.mirror
@pytest.mark.skipif(not MIRROR, reason="RNNLAB_MIRROR names no mirror of the full data sets")
def test_strings_are_made_of_the_full_set(run: Run, root: Path) -> None:
    overrides = ("task=transcribe", "task.source=full", "task.size=100", f"fetch.mirror={MIRROR}", "tracking=none")
    outcome = run("train", *overrides, "cell=rnn", "trainer.max_epochs=1")
    assert outcome.code == 0, outcome.err
    assert "train: 70 strings, by 6 voices" in outcome.out
