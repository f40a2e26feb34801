"""Sound into numbers: what a wav file may be, and what its spectra are."""

import io
import re
import struct
import wave

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rnnlab.data.audio import HIGHEST_RATE, SILENCE, log_mel, mel_filters, read_sound, read_wav
from rnnlab.errors import UserError

RATE = 8000


def wav(samples: NDArray[np.int16], rate: int = RATE, channels: int = 1, width: int = 2) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return buffer.getvalue()


def tone(hertz: float, seconds: float = 0.5, rate: int = RATE) -> NDArray[np.float32]:
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate).astype(np.float32)


@given(st.lists(st.integers(-32768, 32767), min_size=1, max_size=50))
def test_a_wav_file_is_read_as_it_was_written(samples: list[int]) -> None:
    read = read_wav(wav(np.array(samples)), "a.wav", RATE)
    assert read.dtype == np.float32
    assert (read * 32768).tolist() == samples


SOUND = np.arange(100)


@pytest.mark.parametrize("rate", [HIGHEST_RATE + 1, 2**32 - 1])
def test_a_rate_that_no_recorder_has_commands_no_memory(rate: int) -> None:
    samples, read = read_sound(wav(SOUND, HIGHEST_RATE), "a.wav")
    assert len(log_mel(samples, read, 10.0, 40)) == 1
    told = f"a.wav has {rate} samples a second; at most 768000 are read: resample it."
    with pytest.raises(UserError, match=re.escape(told)):
        read_sound(wav(SOUND).replace(struct.pack("<L", RATE), struct.pack("<L", rate)), "a.wav")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (wav(SOUND, rate=16000), "16000 samples a second; 8000 are expected"),
        (wav(SOUND, channels=2), "2 channels; one is expected"),
        (wav(SOUND, width=1), "samples of 8 bits; 16 are expected"),
        (wav(SOUND[:0]), "no samples"),
        (wav(SOUND)[:-60], "cut off"),
        (wav(SOUND)[:30], "cut off or no wav file"),
        (b"", "cut off or no wav file of plain samples (it ends too early)."),
        (b"hello", "cut off or no wav file of plain samples (it ends too early)."),
        (b"ID3 this is something else", "cut off or no wav file"),
        (wav(SOUND).replace(b"fmt \x10", b"fmt \xf0"), "cut off or no wav file"),
    ],
    ids=[
        *("rate", "stereo", "8 bits", "no samples", "cut off", "cut off in its head", "empty", "text"),
        *("another format", "a part longer than the file"),
    ],
)
def test_what_cannot_be_read_is_named(content: bytes, words: str) -> None:
    with pytest.raises(UserError, match=r"^7_theo_3\.wav ") as found:
        read_wav(content, "7_theo_3.wav", RATE)
    assert words in str(found.value)


def test_log_mel_is_its_equation() -> None:
    """Frame by frame, and the Fourier transform by its own sum."""
    samples = np.random.default_rng(0).normal(size=900).astype(np.float32)
    size, step, points = 200, 80, 256
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    scaled = samples / np.sqrt((samples.astype(np.float64) ** 2).mean())
    weights = mel_filters(24, points, RATE)
    expected = []
    for start in range(0, len(samples) - size + 1, step):
        frame = scaled[start : start + size] * window
        turns = np.exp(-2j * np.pi * np.outer(np.arange(points // 2 + 1), np.arange(size)) / points)
        power = np.abs(turns @ frame) ** 2 / (window**2).sum()
        expected.append(np.log(weights @ power + SILENCE))
    np.testing.assert_allclose(log_mel(samples, RATE, 10, 24), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rate", [8000, 22050])
@pytest.mark.parametrize("hertz", [300, 1000, 2500])
def test_a_tone_is_loudest_in_the_filter_whose_peak_is_nearest(hertz: float, rate: int) -> None:
    mel = 2595 * np.log10(1 + np.array([hertz, 4000]) / 700)
    expected = mel[0] / mel[1] * 25 - 1  # 24 peaks between 0 and 4,000 Hz
    loudest = log_mel(tone(hertz, rate=rate), rate, 10, 24).argmax(axis=1)
    assert np.abs(loudest - expected).max() <= 0.75


@pytest.mark.parametrize(("filters", "rate"), [(8, 8000), (24, 8000), (24, 22050), (80, 8000)])
def test_every_filter_hears_something_and_weighs_one(filters: int, rate: int) -> None:
    points = 256 if rate == 8000 else 1024
    weights = mel_filters(filters, points, rate)
    assert weights.shape == (filters, points // 2 + 1)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    assert (np.diff(weights.argmax(axis=1)) >= 0).all()


def test_how_loud_a_sound_is_does_not_matter_and_silence_is_the_floor() -> None:
    samples = tone(500)
    np.testing.assert_allclose(log_mel(samples, RATE, 10, 24), log_mel(samples / 50, RATE, 10, 24), atol=1e-4)
    silence = log_mel(np.zeros(800, np.float32), RATE, 10, 24)
    np.testing.assert_allclose(silence, np.log(SILENCE), rtol=1e-6)


@settings(max_examples=20)
@given(size=st.integers(1, 1000), hop=st.integers(1, 40))
def test_there_are_as_many_frames_as_fit(size: int, hop: int) -> None:
    frames = log_mel(np.ones(size, np.float32), RATE, hop, 8)
    assert frames.shape == (1 + max(0, size - 200) // (8 * hop), 8)
    assert np.isfinite(frames).all()
