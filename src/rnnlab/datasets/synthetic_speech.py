"""Speech that eSpeak NG makes of words (GPL-3.0-or-later), for those who install it: pip install 'rnnlab[speech]'.

The package espeakng-loader brings its shared library and its voices. Nothing of it is part of this project: it is
called, in a process of its own: it carries something of each utterance into the next, so that only a list of them said
from a fresh start always gives the same samples.
"""

import ctypes
import importlib
import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np

from rnnlab.data.audio import Samples
from rnnlab.errors import UserError
from rnnlab.extras import require

DISTRIBUTION = "espeakng-loader"

VOICES = (
    "en-029+f4",
    "en-029+m5",
    "en-gb-scotland+f5",
    "en-gb-scotland+m2",
    "en-gb-x-gbclan+m4",
    "en-gb-x-gbcwmd+f3",
    "en-gb-x-rp+f1",
    "en-gb-x-rp+m3",
    "en-us+f2",
    "en-us+m1",
    "en-us-nyc+f4",
    "en-us-nyc+m7",
)
"""An accent of English and a voice that speaks it, of eSpeak's own."""

SLOWEST, FASTEST = 120, 220
LOWEST, HIGHEST = 20, 80

# of espeak-ng/speak_lib.h
_SYNCHRONOUS = 2
_DO_NOT_EXIT = 0x8000
_UTF8 = 1
_RATE, _PITCH = 1, 3


class Utterance(NamedTuple):
    """voice: one of `VOICES`. speed: words a minute. pitch: 0 to 99."""

    words: str
    voice: str
    speed: int
    pitch: int


def installed_version() -> str:
    """Raises: `MissingExtra` without the package."""
    recordings = ", or take the recordings of people: task.source=full"
    require("speech", "Speech by eSpeak NG (GPL-3.0-or-later)", DISTRIBUTION, instead=recordings)
    return version(DISTRIBUTION)


def say(utterances: Sequence[Utterance]) -> Iterator[tuple[Samples, int]]:
    """For each utterance its samples, from -1 to 1, and how many of them make a second.

    Raises: `MissingExtra` without the package; `UserError` where its library cannot be loaded, or fails.
    """
    installed_version()
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(json.dumps(utterances).encode())
        process.stdin.close()
        for utterance in utterances:
            header = process.stdout.read(8)
            if len(header) < 8:
                said = process.stderr.read().decode(errors="replace").strip().splitlines()
                reason = said[-1] if said else f"exit code {process.wait()}"
                raise UserError(f"eSpeak NG cannot say {utterance.words!r} as {utterance.voice}: {reason}")
            rate, size = struct.unpack("<II", header)
            samples = np.frombuffer(process.stdout.read(2 * size), "<i2")
            yield samples.astype(np.float32) / np.float32(32768), rate


class _Engine:
    """The shared library, as `espeak-ng/speak_lib.h` declares it."""

    def __init__(self) -> None:
        loader = importlib.import_module(DISTRIBUTION.replace("-", "_"))
        self._library = ctypes.CDLL(loader.get_library_path())
        self._library.espeak_Initialize.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
        self._library.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
        self._library.espeak_SetParameter.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int]
        self._library.espeak_Synth.argtypes = [
            ctypes.c_char_p,  # text, ended by a zero
            ctypes.c_size_t,  # its bytes, the zero included
            ctypes.c_uint,  # from here on, counted
            ctypes.c_int,  # in characters,
            ctypes.c_uint,  # to its end
            ctypes.c_uint,  # flags
            ctypes.POINTER(ctypes.c_uint),  # takes the message's number: not wanted
            ctypes.c_void_p,  # handed to the callback: not wanted
        ]
        self._library.espeak_ng_SetRandSeed.argtypes = [ctypes.c_long]
        data = loader.get_data_path()
        self.rate: int = self._library.espeak_Initialize(_SYNCHRONOUS, 0, os.fsencode(data), _DO_NOT_EXIT)
        if self.rate <= 0:
            raise OSError(f"no voices can be read from {data}; it takes no path of more than about 140 characters")
        self._library.espeak_ng_SetRandSeed(1)  # of the breath in a voice; else the clock's
        self._heard: list[bytes] = []
        # kept, for the library holds but its address
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
        self._callback = kind(self._hear)
        self._library.espeak_SetSynthCallback(self._callback)

    def _hear(self, samples: Any, count: int, _: Any) -> int:
        """Called with each piece; at the end, with none. 0: go on."""
        if samples:
            self._heard.append(ctypes.string_at(samples, 2 * count))
        return 0

    def say(self, utterance: Utterance) -> bytes:
        """16 bits for each sample."""
        self._heard.clear()
        text = utterance.words.encode() + b"\0"
        for what, code in (
            ("voice", self._library.espeak_SetVoiceByName(utterance.voice.encode())),
            ("speed", self._library.espeak_SetParameter(_RATE, utterance.speed, 0)),
            ("pitch", self._library.espeak_SetParameter(_PITCH, utterance.pitch, 0)),
            ("text", self._library.espeak_Synth(text, len(text), 0, 0, 0, _UTF8, None, None)),
        ):
            if code != 0:
                raise OSError(f"its {what} was refused (code {code})")
        return b"".join(self._heard)


def _main() -> None:
    """Utterances in by standard input, as JSON; out by standard output, each rate and size, then the samples."""
    utterances = [Utterance(*each) for each in json.load(sys.stdin)]
    try:
        engine = _Engine()
        for utterance in utterances:
            samples = engine.say(utterance)
            sys.stdout.buffer.write(struct.pack("<II", engine.rate, len(samples) // 2) + samples)
    except OSError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    _main()
