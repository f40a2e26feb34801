"""Utterances: which class they have, and what they say."""

from pathlib import Path

from tests.tasks.examples.catalogue import Bad, Example


def cut_off(raw: Path) -> None:
    (archive,) = raw.glob("*.whl")
    archive.write_bytes(archive.read_bytes()[:100_000])


EXAMPLES = [
    Example(
        "speech",
        ("task.batch_size=8",),
        bad=(
            Bad("source", ("task.source=vowels",), ("task.source must be one of sample, full, files, got vowels.",)),
            Bad("split", ("task.split=voice",), ("task.split must be one of official, random, speaker, got voice.",)),
            Bad(
                "a split that the vowels have not", ("task.split=speaker",), ("task.split=speaker", "task.source=full")
            ),
            Bad("hop", ("task.hop=0",), ("task.hop must be an integer >= 1", "got 0.")),
            Bad("validation", ("task.validation=1",), ("task.validation must be a number > 0 and < 1, got 1.",)),
            Bad("no validation", ("task.validation=0.001",), ("none is left for the validation part",)),
            Bad("cut-off archive", messages=("cut off",), break_raw=cut_off),
        ),
    ),
    Example(
        "transcribe",
        ("task.size=60", "task.digits=2", "task.batch_size=8"),
        bad=(
            Bad("source", ("task.source=people",), ("task.source must be one of espeak, full, got people.",)),
            Bad("units", ("task.units=phonemes",), ("task.units must be one of words, letters, got phonemes.",)),
            Bad("digits", ("task.digits=0",), ("task.digits must be an integer >= 1", "got 0.")),
            Bad("size", ("task.size=5",), ("task.size must be an integer >= 10", "got 5.")),
            Bad("no training", ("task.validation=0.5", "task.test=0.5"), ("leave nothing to train on",)),
            Bad("beam", ("task.beam=0",), ("task.beam must be an integer >= 1", "got 0.")),
        ),
    ),
]
