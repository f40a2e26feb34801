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
            Bad("source", ("task.source=vowels",), ("task.source=vowels", "sample, full")),
            Bad("split", ("task.split=voice",), ("task.split=voice", "official, random, speaker")),
            Bad(
                "a split that the vowels have not", ("task.split=speaker",), ("task.split=speaker", "task.source=full")
            ),
            Bad("hop", ("task.hop=0",), ("task.hop=0", "at least 1")),
            Bad("validation", ("task.validation=1",), ("task.validation=1", "between 0 and 1")),
            Bad("no validation", ("task.validation=0.001",), ("none is left for the validation part",)),
            Bad("cut-off archive", messages=("cut off",), break_raw=cut_off),
        ),
    ),
    Example(
        "transcribe",
        ("task.size=60", "task.digits=2", "task.batch_size=8"),
        bad=(
            Bad("source", ("task.source=people",), ("task.source=people", "espeak, full")),
            Bad("units", ("task.units=phonemes",), ("task.units=phonemes", "words, letters")),
            Bad("digits", ("task.digits=0",), ("task.digits=0", "at least 1")),
            Bad("size", ("task.size=5",), ("task.size=5", "at least 10")),
            Bad("no training", ("task.validation=0.5", "task.test=0.5"), ("leave nothing to train on",)),
            Bad("beam", ("task.beam=0",), ("task.beam=0", "at least 1")),
        ),
    ),
]
