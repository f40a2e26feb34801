"""Chorales read right, moved right, judged right, and written so that they can be played."""

import io
import json
import os
import struct
from copy import copy
from itertools import pairwise
from pathlib import Path

import mido
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from rnnlab.config.stages import compose_task
from rnnlab.data.midi import LARGEST, LONGEST, TICKS, midi_file, notes_of
from rnnlab.data.ragged import Ragged
from rnnlab.datasets.chorales import FULL, KEYS, LOWEST, Chorales, Piece, distinct, read_score
from rnnlab.errors import UserError
from rnnlab.modules.build import build_module
from rnnlab.results.files import write_json
from rnnlab.tasks.music.baselines import MusicBaselines
from rnnlab.tasks.music.data import MusicData, transposed
from rnnlab.tasks.music.judging import GIVEN, WRITTEN, MusicJudging
from rnnlab.tasks.task import Task
from rnnlab.training.prepare import open_task

rolls = arrays.arrays(np.uint8, st.tuples(st.integers(2, 12), st.just(KEYS)), elements=st.integers(0, 1))

PITCHES = {60: "<step>C</step><octave>4</octave>", 62: "<step>D</step><octave>4</octave>"}
PITCHES |= {
    61: "<step>C</step><alter>1</alter><octave>4</octave>",
    59: "<step>C</step><alter>-1</alter><octave>4</octave>",
}


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> MusicData:
    root = tmp_path_factory.mktemp("music")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNLAB_ROOT", str(root))
        opened = open_task(compose_task("music"), 0)
    assert isinstance(opened, MusicData)
    return opened


PIECES = {"train": 20, "validation": 5, "test": 5}


def notes(frame: NDArray[np.generic]) -> list[int]:
    return (np.flatnonzero(frame) + LOWEST).tolist()


def pieces(task: MusicData, split: str) -> list[NDArray[np.uint8]]:
    ragged: Ragged = task.rolls[split]  # type: ignore[index]
    return [np.array(ragged[index]) for index in range(len(ragged))]


def note(key: int | None, length: int, chord: bool = False) -> str:
    pitch = "<rest/>" if key is None else f"<pitch>{PITCHES[key]}</pitch>"
    return f"<note>{'<chord/>' if chord else ''}{pitch}<duration>{length}</duration></note>"


def score(parts: list[list[str]], divisions: int) -> bytes:
    """MusicXML with the given elements of each measure of each part."""
    begin = f"<attributes><divisions>{divisions}</divisions></attributes>"
    written = [
        "<part>" + "".join(f"<measure>{begin if not i else ''}{m}</measure>" for i, m in enumerate(part)) + "</part>"
        for part in parts
    ]
    return f'<?xml version="1.0" encoding="utf-8"?><score-partwise>{"".join(written)}</score-partwise>'.encode()


@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from([None, *PITCHES]), st.integers(1, 9)), min_size=3, max_size=8),
        min_size=4,
        max_size=4,
    ),
    st.sampled_from([1, 2, 3, 4]),
)
@settings(deadline=None)
def test_a_note_sounds_at_the_quarter_notes_within_it(
    parts: list[list[tuple[int | None, int]]], divisions: int
) -> None:
    """Against a reading of the same notes tick by tick."""
    by_tick: list[set[int]] = [set() for _ in range(100)]
    for part in parts:
        now = 0
        for key, length in part:
            for tick in range(now, now + length):
                by_tick[tick] |= set() if key is None else {key}
            now += length
    frames = by_tick[::divisions]
    while frames and not frames[-1]:
        frames.pop()
    while frames and not frames[0]:
        frames.pop(0)
    content = score([[note(*each) for each in part] for part in parts], divisions)
    if len(frames) < 2:
        with pytest.raises(UserError, match="at least 2"):
            read_score(content, "score")
        return
    roll = read_score(content, "score")
    assert roll is not None
    assert [set(notes(frame)) for frame in roll] == frames


def test_chords_second_voices_and_grace_notes_are_read() -> None:
    """A whole measure of C with a D above; back to its beginning, half a measure later a C sharp; a grace note."""
    measure = note(60, 4) + note(62, 4, chord=True) + "<backup><duration>4</duration></backup>"
    measure += "<forward><duration>2</duration></forward>" + note(61, 2)
    grace = f"<note><grace/><pitch>{PITCHES[59]}</pitch></note>"
    silent = [note(None, 4), note(None, 1)]
    roll = read_score(score([[measure, grace + note(60, 1)], silent, silent, silent], 1), "score")
    assert roll is not None
    assert [notes(frame) for frame in roll] == [[60, 62], [60, 62], [60, 61, 62], [60, 61, 62], [60]]
    assert read_score(score([silent] * 3, 1), "score") is None, "three parts are no chorale"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe<", "UTF-8"),
        (b"<score-partwise>", "no MusicXML"),
        (b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>', "declares entities"),
        (score([["<note><pitch><step>H</step><octave>4</octave></pitch><duration>1</duration></note>"]] * 4, 1), "'H'"),
        (score([[note(60, 4)]] * 4, 0), "no MusicXML"),
        (score([[note(60, 1)]] * 4, 1), "1 frame"),
    ],
)
def test_a_score_that_is_none_is_named(content: bytes, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read_score(content, "bwv1.mxl")
    assert "bwv1.mxl" in str(caught.value)


GOOD = {"train": [[[60], [62]]], "valid": [[[60], []]], "test": [[[60, 64], [62]]]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "no JSON"),
        (b"\xff", "no JSON"),
        (b"[]", "train, valid, test"),
        (json.dumps({"train": [], "test": []}).encode(), "train, valid, test"),
        (json.dumps({**GOOD, "valid": 3}).encode(), "valid"),
        (json.dumps({**GOOD, "test": [[60, 62]]}).encode(), "test 0"),
        (json.dumps({**GOOD, "test": [[[60], ["62"]]]}).encode(), "test 0, frame 1: '62'"),
        (json.dumps({**GOOD, "test": [[[60], [20]]]}).encode(), "test 0, frame 1: 20"),
        (json.dumps({**GOOD, "test": [[[60]]]}).encode(), r"test 0 has 1 frame\(s\)"),
    ],
)
def test_json_of_another_shape_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / FULL.name).write_bytes(content)
    write_json(tmp_path / "source.json", {"source": "full"})
    with pytest.raises(UserError, match=message):
        Chorales("jsb-chorales", "full").read(tmp_path)


def test_the_official_splits_are_kept(tmp_path: Path) -> None:
    (tmp_path / FULL.name).write_text(json.dumps(GOOD))
    write_json(tmp_path / "source.json", {"source": "full"})
    read = Chorales("jsb-chorales", "full").read(tmp_path)
    assert [(piece.part, [notes(frame) for frame in piece.roll]) for piece in read] == [
        ("train", [[60], [62]]),
        ("validation", [[60], []]),
        ("test", [[60, 64], [62]]),
    ]


@given(st.lists(st.integers(40, 70), min_size=9, max_size=9, unique=True), st.integers(-12, 12))
@settings(deadline=None)
def test_a_piece_in_another_key_is_the_same_piece(keys: list[int], semitones: int) -> None:
    roll = np.eye(KEYS, dtype=np.uint8)[np.array(keys) - LOWEST]
    moved = np.roll(roll, semitones, axis=1)
    assert [piece.name for piece in distinct([Piece("one", roll), Piece("other", moved)])] == ["one"]
    leaps = np.eye(KEYS, dtype=np.uint8)[[0, 31, 62]]  # wider than any of the piece
    assert len(distinct([Piece("leaps", leaps), Piece("other", moved)])) == 2


def test_the_example_of_the_docstring_is_true(task: MusicData) -> None:
    lines = [
        line.split() for line in str(MusicData.__doc__).splitlines() if line.split()[:1] in (["input"], ["target"])
    ]
    batch = next(batch for batch, index in zip(task.loader("test"), batches(task), strict=True) if 0 in index)
    row = next(index for index in batches(task) if 0 in index).tolist().index(0)
    assert task.meta["test_pieces"][0] == "bwv10.7"
    for line, tensor in zip(lines, (batch.inputs, batch.targets), strict=True):
        said = [int(word) for word in line[1:-1]]
        assert said == [key for frame in tensor[row, :5].numpy() for key in notes(frame)]


def batches(task: MusicData) -> list[torch.Tensor]:
    found: list[torch.Tensor] = task.loader("test").sampler.batches(task.batch_size)
    return found


def test_no_piece_is_trained_on_and_tested_in_whatever_key(task: MusicData) -> None:
    def steps(roll: NDArray[np.uint8]) -> set[tuple[object, ...]]:
        sounding = [notes(frame) for frame in roll]
        return {
            (tuple(key - one[0] for key in one), tuple(key - one[0] for key in two))
            for one, two in pairwise(sounding)
            if one
        }

    seen = [steps(roll) for split in ("train", "validation") for roll in pieces(task, split)]
    for roll in pieces(task, "test"):
        own = steps(roll)
        assert max(len(own & other) / min(len(own), len(other)) for other in seen) < 0.6


@given(st.lists(st.integers(-20, 20), min_size=3, max_size=3), st.integers(0, 2**31))
@settings(deadline=None)
def test_a_piece_is_moved_as_a_whole_and_no_note_is_lost(shifts: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    frames = torch.from_numpy((rng.random((3, 5, KEYS)) < 0.05).astype(np.int64))
    moved = transposed(frames, torch.tensor(shifts))
    for before, after, shift in zip(frames.numpy(), moved.numpy(), shifts, strict=True):
        keys = np.flatnonzero(before.any(axis=0))
        by = int(np.clip(shift, -keys.min(), KEYS - 1 - keys.max())) if len(keys) else 0
        for one, other in zip(before, after, strict=True):
            assert [key + by for key in notes(one)] == notes(other)


def test_training_alone_is_moved_and_anew_in_each_epoch(task: MusicData) -> None:
    moved = MusicData("music", transpose=5)
    moved.meta, moved.seed, moved.rolls = task.meta, 0, task.rolls

    def read(epoch: int, split: str) -> list[torch.Tensor]:
        loader = moved.loader(split)  # type: ignore[arg-type]
        loader.sampler.set_epoch(epoch)
        order = loader.positions()
        frames = [(row, int(n)) for batch in loader for row, n in zip(batch.inputs, batch.lengths, strict=True)]
        return [frames[index][0][: frames[index][1]] for index in order.argsort()]

    plain = [torch.from_numpy(roll[:-1]).float() for roll in pieces(task, "train")]
    one, again, other = read(0, "train"), read(0, "train"), read(1, "train")
    assert all(a.equal(b) for a, b in zip(one, again, strict=True))
    assert sum(not a.equal(b) for a, b in zip(one, other, strict=True)) > len(one) / 2
    assert sum(not a.equal(b) for a, b in zip(one, plain, strict=True)) > len(one) / 2
    assert all(
        a.equal(torch.from_numpy(b[:-1]).float()) for a, b in zip(read(0, "test"), pieces(task, "test"), strict=True)
    )


def test_the_regressions_see_the_last_frames_and_their_pairs(task: MusicData) -> None:
    """Pieces in which a key follows where the one before, or the two of the frame two before, sounded."""
    rng = np.random.default_rng(0)

    def piece() -> NDArray[np.uint8]:
        roll = np.zeros((60, KEYS), np.uint8)
        roll[:, 40:42] = rng.integers(2, size=(60, 2))
        roll[2:, 50] = roll[:-2, 40]  # two frames before
        roll[1:, 51] = roll[:-1, 40] ^ roll[:-1, 41]  # two keys of the last frame
        return roll

    small = copy(task)
    small.rolls = {split: Ragged.of([piece() for _ in range(count)]) for split, count in PIECES.items()}
    judging = MusicJudging(small)
    tables = {name: predict("test") for name, predict in MusicBaselines(judging).fitted().items()}
    actual = small.actual("test")
    nats = {
        name: {key: -np.log(np.where(actual[:, key], table[f"p_{LOWEST + key}"], 1 - table[f"p_{LOWEST + key}"])).mean()
               for key in (50, 51)}
        for name, table in tables.items()
    }  # fmt: skip
    assert nats["linear"][50] < 0.1 < 0.5 < nats["repetition"][50]
    assert nats["chords"][51] < 0.1 < 0.5 < min(nats["linear"][51], nats["repetition"][51])
    assert judging.judge(tables["chords"])["nll"] < judging.judge(tables["linear"])["nll"]


def test_baselines_and_metrics_agree_with_counting_by_hand(task: MusicData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnlab.tasks.music.baselines.FRAMES", (1,))
    monkeypatch.setattr("rnnlab.tasks.music.baselines.PENALTIES", (1e-3,))
    seen, test = pieces(task, "train"), pieces(task, "test")
    counts = np.zeros((2, 2, KEYS))  # by what was before, and what is now
    for roll in seen:
        for before, now in pairwise(roll):
            np.add.at(counts, (before, now, np.arange(KEYS)), 1)
    judging = MusicJudging(task)
    fitted = MusicBaselines(judging).fitted()
    tables = {name: predict("test") for name, predict in fitted.items()}
    going_on = (counts[:, 1] + 0.5) / (counts.sum(axis=1) + 1)
    unigram = (counts.sum(axis=0)[1] + 0.5) / (counts.sum(axis=(0, 1)) + 1)
    for name, rows in {
        "repetition": [going_on[before, np.arange(KEYS)] for roll in test for before in roll[:-1]],
        "unigram": [unigram for roll in test for _ in roll[1:]],
    }.items():
        table, p = tables[name], np.array(rows)
        actual = np.concatenate([roll[1:] for roll in test])
        nll = -(actual * np.log(p) + (1 - actual) * np.log(1 - p)).sum(axis=1)
        assert np.allclose(table["nll"], nll)
        assert np.allclose(table.filter(like="p_"), p, atol=1e-6)
        metrics = judging.judge(table)
        assert metrics["nll"] == pytest.approx(nll.mean())
        ends = np.cumsum([len(roll) - 1 for roll in test])[:-1]
        assert metrics["nll_by_piece"] == pytest.approx(np.mean([part.mean() for part in np.split(nll, ends)]))
        hits = (actual * p).sum()
        assert metrics["accuracy"] == pytest.approx(hits / (actual.sum() + p.sum() - hits))
        losses, lengths = judging.losses(table), np.array([len(roll) - 1 for roll in test])
        sums = np.array([part.sum() for part in np.split(nll, ends)])
        assert losses == pytest.approx(nll.mean() + (sums - nll.mean() * lengths) / lengths.mean())
        assert losses.mean() == pytest.approx(metrics["nll"])
    assert judging.judge(tables["repetition"])["nll"] < judging.judge(tables["unigram"])["nll"]
    held_out = pieces(task, "validation")
    for name, predict in fitted.items():
        table = predict("validation")
        assert [list(map(int, text.split())) for text in table["notes"]] == [
            notes(f) for roll in held_out for f in roll[1:]
        ]
        assert len(judging.losses(table)) == len(held_out)
        assert judging.judge(table)["nll"] == pytest.approx(judging.judge(tables[name])["nll"], rel=0.1)


def test_a_net_is_judged_on_each_piece_as_if_it_stood_alone(task: MusicData) -> None:
    torch.manual_seed(0)
    net = build_module(compose_task("music", "cell=gru", "cell.hidden_size=8"), task).eval()
    table = MusicJudging(task).predict(net)
    for piece, roll in list(enumerate(pieces(task, "test")))[::9]:
        frames = torch.from_numpy(roll)[None].float()
        with torch.no_grad():
            logits = net.net.entry(frames[:, :-1])
            logits = net.net._leave(net.net.recurrent(logits)[0])
        expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, frames[:, 1:], reduction="none").sum(-1)
        own = table[table["piece"] == piece]
        assert np.allclose(own["nll"], expected[0], rtol=1e-4)
        assert [list(map(int, text.split())) for text in own["notes"]] == [notes(frame) for frame in roll[1:]]
        assert own["frame"].tolist() == list(range(1, len(roll)))


def test_a_net_goes_on_from_what_it_is_given_and_always_alike(task: MusicData) -> None:
    torch.manual_seed(0)
    net = build_module(compose_task("music", "cell=lstm", "cell.hidden_size=8"), task)
    judging = MusicJudging(task)
    once, again = judging.continuation(net, "test", 1), judging.continuation(net.train(), "test", 1)
    assert np.array_equal(once, again)
    assert once.shape == (GIVEN + WRITTEN, KEYS)
    assert np.array_equal(once[:GIVEN], pieces(task, "test")[1][:GIVEN])
    assert not np.array_equal(once[GIVEN:], judging.continuation(net, "test", 0)[GIVEN:])


def take_the_test_part_away(task: Task, patch: pytest.MonkeyPatch) -> None:
    """From everything that a task holds by split."""
    for name, value in vars(task).items():
        if isinstance(value, dict) and "test" in value and name != "meta":
            patch.setattr(task, name, {split: part for split, part in value.items() if split != "test"})


def test_samples_are_midi_files_and_pictures_and_need_no_test_part(task: MusicData) -> None:
    """Which `evaluate` alone reads: samples are written during training as well."""
    net = build_module(compose_task("music", "cell=lstm", "cell.hidden_size=8"), task).eval()
    judging = MusicJudging(task)
    with pytest.MonkeyPatch.context() as patch:
        take_the_test_part_away(task, patch)
        with pytest.raises(KeyError, match="test"):
            judging.predict(net)
        samples = judging.samples(net)
    assert sorted(samples) == [f"continuation_{piece}.{ending}" for piece in (0, 1) for ending in ("mid", "png")]
    for piece in (0, 1):
        assert samples[f"continuation_{piece}.mid"] == midi_file(judging.continuation(net, "validation", piece), LOWEST)
        content = samples[f"continuation_{piece}.png"]
        assert isinstance(content, bytes)
        assert content.startswith(b"\x89PNG")


@given(rolls)
@settings(deadline=None, max_examples=30)
def test_a_midi_file_plays_the_roll(roll: NDArray[np.uint8]) -> None:
    heard = np.zeros_like(roll)
    now, down = 0, {}
    for message in mido.MidiFile(file=io.BytesIO(midi_file(roll, LOWEST))).tracks[0]:
        now += message.time
        if message.type == "note_on":
            down[message.note] = now
        elif message.type == "note_off":
            heard[down.pop(message.note) // TICKS : now // TICKS, message.note - LOWEST] = 1
    assert not down
    assert np.array_equal(heard, roll)


def midi(events: bytes, division: int = TICKS) -> bytes:
    """A file of one track. events: each its delta time and then its message."""
    return struct.pack(">4sLhhh4sL", b"MThd", 6, 1, 1, division, b"MTrk", len(events)) + events


NOTE = b"\x00\x90\x3c\x40" + b"\x83\x60\x80\x3c\x00"
"""The middle C for a quarter note of 480 ticks."""


def test_a_score_may_be_as_long_as_is_said() -> None:
    assert notes_of(midi(NOTE), "a.mid") == [[60]]
    whole = midi(NOTE[:4] + b"\x81\x9c\x20\x80\x3c\x00", division=1)
    assert notes_of(whole, "a.mid") == [[60]] * LONGEST
    with pytest.raises(UserError, match=r"^a\.mid is longer than 20,000 quarter notes"):
        notes_of(whole.replace(b"\x81\x9c\x20", b"\x81\x9c\x21"), "a.mid")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (midi(NOTE, division=0), "parts of no length"),
        (midi(NOTE, division=-7528), "SMPTE"),
        (midi(NOTE[:4] + b"\xff\xff\xff\x7f\x80\x3c\x00", division=1), "longer than 20,000 quarter notes"),
        (midi(b"\x00\xff\x59\x02\x64\x00" + NOTE), "no MIDI file (Could not decode key"),
        (midi(b"\xff" * 100_000 + NOTE), "thousands of bytes long"),
        (midi(NOTE) + bytes(LARGEST), "has 4,194,335 bytes"),
        (midi(NOTE)[:28], "no MIDI file (it ends too early)"),
    ],
    ids=["no division", "SMPTE", "a long pause", "a key of 100 sharps", "a long number", "too large", "cut off"],
)
def test_a_file_that_asks_for_more_than_a_score_is_refused(content: bytes, told: str) -> None:
    with pytest.raises(UserError) as error:
        notes_of(content, "a.mid")
    assert told in str(error.value)


def performed(roll: NDArray[np.uint8]) -> bytes:
    """The roll with what else a file may hold: a name, a tempo, a key, a pedal, a message of the instrument's maker."""
    file = mido.MidiFile(file=io.BytesIO(midi_file(roll, LOWEST)))
    kinds: list[tuple[str, dict[str, object]]] = [
        ("track_name", {"name": "Kyrie"}),
        ("set_tempo", {"tempo": 400_000}),
        ("key_signature", {"key": "Bbm"}),
        ("time_signature", {"numerator": 3}),
        ("smpte_offset", {}),
    ]
    extra = mido.MidiTrack([mido.MetaMessage(kind, **facts) for kind, facts in kinds])
    extra += [mido.Message("control_change", control=64, value=90, time=7), mido.Message("sysex", data=(1, 2, 3))]
    file.tracks.append(extra)
    content = io.BytesIO()
    file.save(file=content)
    return content.getvalue()


def altered(content: bytes, changes: list[tuple[int, int]], length: int) -> bytes:
    changed = bytearray(content)
    for place, byte in changes:
        changed[place % len(changed)] = byte
    return bytes(changed[:length])


changes = st.lists(st.tuples(st.one_of(st.integers(8, 40), st.integers(0, 2000)), st.integers(0, 255)), max_size=6)


@given(
    st.one_of(
        st.binary(max_size=200),
        st.builds(midi, st.binary(max_size=100), st.integers(-32768, 32767)),
        st.builds(altered, rolls.map(performed), changes, st.integers(100, 4000)),
    )
)
@settings(deadline=None, max_examples=200)
def test_whatever_a_midi_file_holds_is_frames_or_one_line(content: bytes) -> None:
    try:
        frames = notes_of(content, "a.mid")
    except UserError as error:
        frames, told = [], str(error)
    else:
        told = ""
    assert len(frames) <= LONGEST
    assert frames or told.startswith("a.mid ")
    assert "\n" not in told


def test_a_part_of_the_plots_is_a_stretch_of_the_pieces(task: MusicData) -> None:
    judging = MusicJudging(task)
    table = MusicBaselines(judging).fitted()["unigram"]("test")
    rows = judging.plot_rows([table, table])
    assert rows["part"].tolist() == ["1 to 8", "9 to 16", "17 to 32", "33 to 64", "65 on"]
    assert rows["score"][1] == pytest.approx(table.loc[table["frame"].isin(range(9, 17)), "nll"].mean())
    assert isinstance(rows, pd.DataFrame)


@pytest.mark.mirror
@pytest.mark.skipif("RNNLAB_MIRROR" not in os.environ, reason="RNNLAB_MIRROR is not set")
def test_the_full_set_is_that_of_the_literature(tmp_path: Path) -> None:
    data = Chorales("jsb-chorales", "full")
    data.fetch(tmp_path)
    read = data.read(tmp_path)
    frames = {
        part: [len(piece.roll) for piece in read if piece.part == part] for part in ("train", "validation", "test")
    }
    assert {part: len(lengths) for part, lengths in frames.items()} == {"train": 229, "validation": 76, "test": 77}
    assert {part: sum(lengths) for part, lengths in frames.items()} == {
        "train": 13807,
        "validation": 4602,
        "test": 4725,
    }
    assert [notes(frame) for frame in read[0].roll[:2]] == [[60, 72, 79, 88], [72, 79, 88]]
