"""Standard MIDI Files: which notes sound at each quarter note, read and written."""

import io
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.errors import UserError
from rnnlab.extras import require

LONGEST = 20_000
"""Quarter notes of a score that is read, at most: four hours at the usual tempo."""
LARGEST = 1 << 22
"""Bytes of its file, at most."""

TICKS = 480  # of a MIDI file, in a quarter note
TEMPO = 80  # quarter notes in a minute
CHURCH_ORGAN = 19  # of General MIDI


def notes_of(content: bytes, name: str) -> list[list[int]]:
    """The MIDI numbers that sound at the beginning of each quarter note of a Standard MIDI File, all tracks together.

    Raises: `UserError` that names the file, where it is no such file, holds no note, or is longer than `LONGEST` or
    larger than `LARGEST`; `MissingExtra` without mido.
    """
    require("tasks", f"Reading {name}", "mido")
    import mido

    if len(content) > LARGEST:
        raise UserError(f"{name} has {len(content):,} bytes; a MIDI file of at most {LARGEST:,} is read: cut it.")
    if re.search(rb"[\x80-\xff]{4096}", content):  # read as one number, in time quadratic in its length
        raise UserError(f"{name} is no MIDI file (a number in it is thousands of bytes long).")
    try:
        file = mido.MidiFile(file=io.BytesIO(content))
        messages = list(mido.merge_tracks(file.tracks))
    except Exception as error:  # mido checks little by itself: any exception of its parser reaches us
        raise UserError(f"{name} is cut off or no MIDI file ({str(error) or 'it ends too early'}).") from None
    if file.ticks_per_beat <= 0:
        raise UserError(
            f"{name} gives times in {'video frames (SMPTE)' if file.ticks_per_beat else 'parts of no length'}; "
            "parts of a quarter note are needed (a positive division in its header): export it again."
        )
    if sum(message.time for message in messages) > LONGEST * file.ticks_per_beat:
        raise UserError(f"{name} is longer than {LONGEST:,} quarter notes: cut it.")
    sounding: set[int] = set()
    frames: list[list[int]] = []
    now = 0
    for message in messages:
        # what sounds until this message sounded at each quarter note before it
        now += message.time
        while len(frames) * file.ticks_per_beat < now:
            frames.append(sorted(sounding))
        if message.type == "note_on" and message.velocity > 0:
            sounding.add(message.note)
        elif message.type in ("note_on", "note_off"):
            sounding.discard(message.note)
    if not any(frames):
        raise UserError(f"{name} holds no note.")
    return frames


def midi_file(roll: NDArray[Any], lowest: int) -> bytes:
    """The content of a file; a key that sounds at several quarter notes in a row is held down.

    roll: (quarter notes, keys), 1 where a key sounds, else 0. lowest: the MIDI number of the first key.
    """
    import mido

    track = mido.MidiTrack()
    track.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(TEMPO)))
    track.append(mido.Message("program_change", program=CHURCH_ORGAN))
    silence = np.zeros((1, roll.shape[1]), np.int8)
    changes = np.diff(np.concatenate([silence, roll.astype(np.int8), silence]), axis=0)
    waited = 0
    for change in changes:
        for key in np.flatnonzero(change):
            kind = "note_on" if change[key] > 0 else "note_off"
            track.append(mido.Message(kind, note=lowest + int(key), time=waited))
            waited = 0
        waited += TICKS
    content = io.BytesIO()
    mido.MidiFile(tracks=[track], ticks_per_beat=TICKS).save(file=content)
    return content.getvalue()
