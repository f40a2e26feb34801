"""Four-part chorales by J. S. Bach, as the keys of a piano that sound at each quarter note.

| source | from                                             | chorales                                | licence        |
|--------|--------------------------------------------------|-----------------------------------------|----------------|
| sample | package music21, its corpus of Bach              | 364, no official split                  | see below      |
| full   | JSB Chorales (Boulanger-Lewandowski et al. 2012) | 229 to train on, 76 validation, 77 test | public domain  |
| files  | your folder of MIDI files, with folders train,   | your pieces                             | yours          |
|        | validation and test in it or not                 |                                         |                |

The music is in the public domain. The scores of music21's corpus are encoded by others and distributed with their
permission, some not for commercial use: see corpus/license.txt in it.
"""

import io
import json
import math
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from rnnlab.data.class_folders import files_below, parts_of
from rnnlab.data.midi import notes_of
from rnnlab.datasets.dataset import UNREADABLE, File, members, why_unreadable
from rnnlab.datasets.own_folders import FILES, OwnFolders
from rnnlab.errors import UserError
from rnnlab.output import progress

ENDINGS = (".mid", ".midi")

SAMPLE = File(
    "music21-10.5.1-py3-none-any.whl",
    ("dc3309498c4c95cebdf8d4f20c868deb6b63bce1d929cad4f51a7ccc982987b1",),
    distribution="music21==10.5.1",
)
CORPUS = "music21/corpus/bach/"

FULL = File(
    "jsb-chorales-quarter.json",
    ("2db9329f1881a1d3f49703ec556bf1d6f84b4f6c1d702c156536e93cf31e1c91",),
    address="https://raw.githubusercontent.com/czhuang/JSB-Chorales-dataset/"
    "9a7f733ddb4ed91f48da64ac7f0f621c34aadd4d/jsb-chorales-quarter.json",
)
OFFICIAL = {"train": "train", "valid": "validation", "test": "test"}

LOWEST, KEYS = 21, 88
"""The MIDI number of a piano's lowest key, and how many keys there are: 21 to 108."""

VOICES = 4
TIMED = ("attributes", "note", "backup", "forward")
"""The elements of a measure that time depends on."""

SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}

ALIKE = 0.5
"""Two pieces that share more of their steps than this are taken for one."""

CHORALE_STEP, MELODY_STEP = 2, 8
"""Quarter notes of a step. Two of four voices are seldom met elsewhere; of one voice they are an interval, which most
melodies share."""

Roll = NDArray[np.uint8]
"""(quarter notes, 88): 1 where a key sounds at the beginning of that quarter note."""


class Piece(NamedTuple):
    """part: of the official split, "train", "validation" or "test"; "" where there is none."""

    name: str
    roll: Roll
    part: str = ""


@dataclass(frozen=True)
class Chorales(OwnFolders):
    """See the module's table."""

    holds: ClassVar[str] = "a folder of MIDI files"

    source: Literal["sample", "full", "files"]

    def titled(self) -> str:
        return "chorales of Bach" if self.source == "sample" else "JSB Chorales"

    def packed(self) -> File:
        return SAMPLE if self.source == "sample" else FULL

    def check_folder(self, folder: Path) -> None:
        if not files_below(folder, ENDINGS):
            raise UserError(f"task.path={self.path} holds no MIDI file: {' and '.join(ENDINGS)} are read.")

    def read(self, folder: Path) -> list[Piece]:
        """Raises: `UserError` for a file of another format, notes that no piano has, and pieces of a single frame."""
        self.fetched(folder)
        if self.source == "files":
            return list(_read_files(folder / FILES, self.called))
        if self.source == "full":
            return list(_read_lists(folder / FULL.name))
        pieces = list(_read_corpus(folder / SAMPLE.name))
        if not pieces:
            raise UserError(f"{folder / SAMPLE.name} holds no {CORPUS}*.mxl in four parts: delete it and fetch again.")
        return pieces


def _read_files(folder: Path, called: str) -> Iterator[Piece]:
    """The MIDI files of a folder, by name; each is of the part that the folder above all others names."""
    found = [(part or "", path) for part, above in parts_of(folder) for path in files_below(above, ENDINGS)]
    for part, path in progress(found, f"reading {called}"):
        place = f"{called}/{path.relative_to(folder).as_posix()}"
        frames = notes_of(path.read_bytes(), place)
        notes = [(frame, note) for frame, sounding in enumerate(frames) for note in sounding]
        yield Piece(path.relative_to(folder).as_posix(), _roll(notes, len(frames), place), part)


def _read_lists(path: Path) -> Iterator[Piece]:
    """{"train": [piece, ...], "valid": ..., "test": ...}, a piece being a list of frames, a frame of MIDI numbers."""
    try:
        content = json.loads(path.read_bytes())
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"{path} is no JSON ({error}): delete it and fetch again.") from None
    if not isinstance(content, dict) or not OFFICIAL.keys() <= content.keys():
        raise UserError(f"{path} holds no lists of pieces under {', '.join(OFFICIAL)}: fetch it again.")
    for key, part in OFFICIAL.items():
        if not isinstance(content[key], list):
            raise UserError(f"{path} holds no list of pieces under {key}: fetch it again.")
        for number, frames in enumerate(content[key]):
            name = f"{key} {number}"
            if not isinstance(frames, list) or not all(isinstance(frame, list) for frame in frames):
                raise UserError(f"{path}, {name}: not a list of frames, each a list of notes: fetch it again.")
            notes = [(frame, note) for frame, sounding in enumerate(frames) for note in sounding]
            yield Piece(name, _roll(notes, len(frames), f"{path}, {name}"), part)


def _read_corpus(archive: Path) -> Iterator[Piece]:
    """The scores in four parts, by name; each is MusicXML in an archive of its own."""

    def wanted(name: str) -> bool:
        return name.startswith(CORPUS) and name.endswith(".mxl")

    for name, content in sorted(members(archive, wanted)):
        shown = f"{archive}, {name}"
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as packed:
                inner = [inside for inside in packed.namelist() if inside.endswith((".xml", ".musicxml"))]
                scores = [packed.read(inside) for inside in inner if not inside.startswith("META-INF/")]
        except UNREADABLE as error:
            raise UserError(
                f"{shown} is damaged or cut off ({why_unreadable(error)}): delete the file and fetch again."
            ) from None
        if len(scores) != 1:
            raise UserError(f"{shown} holds {len(scores)} scores, one is expected: delete the file and fetch again.")
        roll = read_score(scores[0], shown)
        if roll is not None:
            yield Piece(Path(name).stem, roll)


def read_score(content: bytes, name: str) -> Roll | None:
    """The keys that sound at each quarter note of a MusicXML score, from the first that sounds to the last.

    None where the score has other than four parts. Repeats are read once; name: how errors call the score.

    Raises: `UserError` for what is no MusicXML in UTF-8, or declares entities.
    """
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise UserError(f"{name} is not UTF-8 text ({error}).") from None
    if "<!ENTITY" in text:
        raise UserError(f"{name} declares entities, which no score needs: do not use this file.")
    try:
        # without entities there is nothing that could grow or read other files
        parts = ElementTree.fromstring(text).findall("part")  # noqa: S314
        if len(parts) != VOICES:
            return None
        notes = [note for part in parts for note in _notes(part)]
    except (ElementTree.ParseError, ValueError, ZeroDivisionError, KeyError) as error:
        raise UserError(f"{name} is no MusicXML score: {error}.") from None
    beats = [beat for beat, _ in notes] or [0]
    first, last = min(beats), max(beats)
    return _roll([(beat - first, key) for beat, key in notes], last - first + 1, name)


def _notes(part: ElementTree.Element) -> Iterator[tuple[int, int]]:
    """Each quarter note's beat at which a note of the part sounds, and its MIDI number. Grace notes take no time."""
    now = onset = 0
    unit = math.lcm(*(int(divisions.text or "") for divisions in part.iter("divisions")))
    tick = unit  # in which the score counts: all times here are in units of a quarter note's unit-th part
    for measure in part.iter("measure"):
        end = now
        for element in measure:
            if element.tag not in TIMED:
                continue
            if element.tag == "attributes":
                tick = unit // int(element.findtext("divisions", str(unit // tick)))
            length = tick * int(element.findtext("duration", "0"))
            if element.tag == "backup":
                now -= length
            elif element.tag == "forward":
                now += length
            elif element.tag == "note":
                if element.find("chord") is None:
                    onset, now = now, now + length
                pitch = element.find("pitch")
                if pitch is not None:
                    key = _midi_number(pitch)
                    yield from ((beat, key) for beat in range(-(-onset // unit), -(-(onset + length) // unit)))
            end = max(end, now)
        now = end


def _midi_number(pitch: ElementTree.Element) -> int:
    step, octave = pitch.findtext("step", ""), int(pitch.findtext("octave", ""))
    return 12 * (octave + 1) + SEMITONES[step] + int(pitch.findtext("alter", "0"))


def _roll(notes: Iterable[tuple[int, Any]], frames: int, name: str) -> Roll:
    roll = np.zeros((frames, KEYS), np.uint8)
    for frame, note in notes:
        if isinstance(note, bool) or not isinstance(note, int) or not LOWEST <= note < LOWEST + KEYS:
            raise UserError(f"{name}, frame {frame}: {note!r} is no key of a piano, {LOWEST} to {LOWEST + KEYS - 1}.")
        roll[frame, note - LOWEST] = 1
    if len(roll) < 2:
        raise UserError(f"{name} has {len(roll)} frame(s); at least 2 are needed to predict one from another.")
    return roll


def distinct(pieces: list[Piece], frames: int = CHORALE_STEP) -> list[Piece]:
    """The pieces without those that repeat an earlier one, in whatever key, so that none is trained on and tested.

    A step is `frames` frames in a row (all, of a shorter piece), as intervals above the lowest note of the first; a
    piece repeats another where more than `ALIKE` of the steps of one of the two are steps of the other.
    """
    kept: list[tuple[Piece, set[bytes]]] = []
    for piece in pieces:
        steps = _steps(piece.roll, min(frames, len(piece.roll)))
        if not any(len(steps & other) > ALIKE * min(len(steps), len(other)) for _, other in kept):
            kept.append((piece, steps))
    return [piece for piece, _ in kept]


def _steps(roll: Roll, frames: int) -> set[bytes]:
    padded = np.pad(roll, ((0, 0), (KEYS, KEYS)))
    # the window begins an octave below the lowest note: leaps further down look alike, which does not matter here
    begins = KEYS + roll.argmax(axis=1) - 12
    sounding = np.flatnonzero(roll[: len(roll) - frames + 1].any(axis=1))
    return {padded[frame : frame + frames, begins[frame] : begins[frame] + KEYS].tobytes() for frame in sounding}
