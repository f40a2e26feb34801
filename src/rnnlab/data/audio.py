"""Sound as a sequence of spectra: wav files, and what a net hears of them."""

import io
import wave

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from rnnlab.errors import UserError

Samples = NDArray[np.float32]

UNREADABLE = (wave.Error, EOFError, RuntimeError)
"""What wave raises of what is no wav file, or not a whole one."""

WINDOW_SECONDS = 0.025
HIGHEST_HZ = 4000.0
"""All that sound of 8,000 samples a second holds: above it nothing is heard, at whatever rate."""
HIGHEST_RATE = 768_000
"""Samples a second, at most: more than any recorder takes. A window is as long as a file's header says this is high."""
SILENCE = 1e-4
"""Power, of the sound's own, below which all is silence: 40 decibels down."""


def read_wav(content: bytes, name: str, rate: int) -> Samples:
    """The samples of a wav file, (time,), from -1 to 1.

    Raises: `UserError` that names the file, unless it holds sound at all, `rate` samples a second, 16 bits each, in one
    channel, and is whole.
    """
    try:
        with wave.open(io.BytesIO(content)) as file:
            found = file.getparams()
            data = file.readframes(found.nframes)
    except UNREADABLE as error:
        raise UserError(f"{name} is cut off or no wav file of plain samples ({_why(error)}).") from None
    if found.nchannels != 1:
        raise UserError(f"{name} has {found.nchannels} channels; one is expected: mix them.")
    if found.sampwidth != 2:
        raise UserError(f"{name} has samples of {8 * found.sampwidth} bits; 16 are expected: convert it.")
    if found.framerate != rate:
        raise UserError(f"{name} has {found.framerate} samples a second; {rate} are expected: resample it.")
    if found.nframes == 0:
        raise UserError(f"{name} holds no sound: it has no samples.")
    if len(data) != 2 * found.nframes:
        raise UserError(f"{name} is cut off: it says {found.nframes} samples and holds {len(data) // 2}.")
    return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768)


def read_sound(content: bytes, name: str) -> tuple[Samples, int]:
    """The samples of a wav file, as `read_wav` has them, and how many of them are a second.

    Raises: `UserError` that names the file, as `read_wav` does, and for a rate that cannot hold 4,000 Hz or
    is above `HIGHEST_RATE`.
    """
    try:
        with wave.open(io.BytesIO(content)) as file:
            rate = file.getframerate()
    except UNREADABLE as error:
        raise UserError(f"{name} is cut off or no wav file of plain samples ({_why(error)}).") from None
    if rate < 2 * HIGHEST_HZ:
        raise UserError(f"{name} has {rate} samples a second; at least {2 * HIGHEST_HZ:.0f} are needed.")
    if rate > HIGHEST_RATE:
        raise UserError(f"{name} has {rate} samples a second; at most {HIGHEST_RATE} are read: resample it.")
    return read_wav(content, name, rate), rate


def _why(error: Exception) -> str:
    """In words; of a part that says it is longer than the file there are none."""
    return str(error) or "it ends too early"


def wav_file(samples: Samples, rate: int) -> bytes:
    """Samples from -1 to 1 as a wav file of 16 bits each, in one channel."""
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setparams((1, 2, rate, len(samples), "NONE", ""))
        file.writeframes(np.rint(samples * 32768).clip(-32768, 32767).astype("<i2").tobytes())
    return content.getvalue()


def log_mel(samples: Samples, rate: int, hop: float, filters: int) -> NDArray[np.float32]:
    """ln(Σ_f w_kf |X_tf|² + 10⁻⁴) -> (frames, filters).

    X_t is the Fourier transform of frame t, 25 ms under a Hann window, its power divided by that of the window; frames
    start `hop` ms apart, and what is shorter than one is filled up with silence. w_k are triangles, each of sum 1,
    evenly spaced from 0 to 4,000 Hz on the mel scale, 2595 log₁₀(1 + f / 700) (Davis and Mermelstein 1980). The sound
    is scaled to power 1 first: how loud it is depends on the microphone.

    samples: (time,), `rate` of them a second.
    """
    size = round(WINDOW_SECONDS * rate)
    step = round(hop * rate / 1000)
    power = float(np.mean(samples.astype(np.float64) ** 2))
    sound = samples / np.sqrt(power) if power > 0 else samples
    sound = np.pad(sound, (0, max(0, size - len(sound))))
    window = np.hanning(size + 1)[:-1]  # periodic
    points = 1 << (size - 1).bit_length()
    spectra = np.fft.rfft(sliding_window_view(sound, size)[::step] * window, points)
    energy = (np.abs(spectra) ** 2 / (window**2).sum()) @ mel_filters(filters, points, rate).T
    result: NDArray[np.float32] = np.log(energy + SILENCE).astype(np.float32)
    return result


def mel_filters(filters: int, points: int, rate: int) -> NDArray[np.float64]:
    """The weights w of `log_mel`, (filters, points / 2 + 1)."""
    highest = 2595 * np.log10(1 + HIGHEST_HZ / 700)
    edges = 700 * (10 ** (np.linspace(0, highest, filters + 2) / 2595) - 1)
    frequencies = np.fft.rfftfreq(points, 1 / rate)
    low, peak, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (frequencies - low) / (peak - low), (high - frequencies) / (high - peak)
    weights = np.maximum(0, np.minimum(rising, falling))
    # a triangle between two points of the transform has none: it takes the nearest
    empty = np.flatnonzero(weights.sum(axis=1) == 0)
    weights[empty, np.abs(frequencies - peak[empty]).argmin(axis=1)] = 1
    result: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return result
