"""Spoken strings of digits and their words, no one saying where each of them begins."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import pandas as pd
from torch import Tensor

from rnnlab.arguments import OneOf, Part, Positive, Range
from rnnlab.data.audio import Samples, log_mel
from rnnlab.data.batches import Batch, Batches, ByLength
from rnnlab.data.ctc import timesteps_needed
from rnnlab.data.ragged import Ragged
from rnnlab.data.scaler import Scaler
from rnnlab.data.splits import SPLIT_SEED, split_by_class
from rnnlab.data.vocabulary import IGNORED, SPECIAL, Vocabulary
from rnnlab.datasets.digit_strings import DigitStrings
from rnnlab.datasets.spoken_digits import RATE, WORDS, Recording
from rnnlab.datasets.synthetic_speech import FASTEST, HIGHEST, LOWEST, SLOWEST, VOICES, Utterance, say
from rnnlab.errors import UserError
from rnnlab.losses import ConnectionistTemporal
from rnnlab.output import progress
from rnnlab.spec import TaskSpec
from rnnlab.tasks.raw_input import Column, sequences, sounds, tone
from rnnlab.tasks.task import SPLITS, Array, Split, check_parts
from rnnlab.tasks.transduction.data import MEASURES, TransductionData, read_texts, write_texts

UNITS = ("words", "letters")

PAUSE_SECONDS = (0.05, 0.25)


class Spoken(NamedTuple):
    """Something said. speaker: whose voice it is; source: a name for it."""

    words: str
    speaker: str
    source: str


class Sound(NamedTuple):
    """samples: (time,), `rate` of them a second."""

    samples: Samples
    rate: int


class TranscribeData(TransductionData):
    """A spoken string of 1 to `digits` digits, and its words:

        input   57 frames of 24 log mel energies, 20 ms apart: "four nine two", 184 words a minute
        target  four nine two

    source=espeak: `size` utterances by a synthesiser, in twelve voices at many speeds and pitches, no two the same.
    source=full: `size` strings of recordings, each of one speaker, no two the same; no recording occurs in two parts,
    and those of the official test split make up the test part. `speaker`, where one is named, is heard in the test part
    alone, and nobody else is there. Before and after an utterance, and a recording, is a pause of 50 to 250 ms.

    units: what is put out, at some of the timesteps: whole words, or letters. Every feature is scaled to mean 0 and
    standard deviation 1 over the frames of the training part; the vocabulary, too, is that of the training part.
    """

    measures = ("word_error_rate", "exact_match")

    def __init__(
        self,
        name: str,
        units: Annotated[str, OneOf(UNITS)] = "words",
        digits: Positive = 5,
        speaker: str | None = None,
        size: Annotated[int, Range(at_least=10)] = 3000,
        hop: Positive = 20,
        filters: Positive = 24,
        validation: Part = 0.1,
        test: Part = 0.2,
        batch_size: Positive = 32,
    ) -> None:
        super().__init__()
        self.task_name = name
        self.units = units
        self.digits = digits
        self.speaker = speaker
        self.size = size
        self.hop = hop
        self.filters = filters
        self.validation = validation
        self.test = test
        self.batch_size = batch_size

    def check(self) -> None:
        super().check()
        check_parts(self.validation, self.test)
        if self._sizes()["train"] < 1:
            raise UserError("task.validation and task.test leave nothing to train on: together they must stay below 1.")

    def _sizes(self) -> dict[Split, int]:
        validation, test = (max(1, round(share * self.size)) for share in (self.validation, self.test))
        return {"train": self.size - validation - test, "validation": validation, "test": test}

    def prepare(self, dataset: DigitStrings, raw: Path, folder: Path) -> dict[str, Any]:
        spoken = self._synthetic() if dataset.source == "espeak" else self._joined(dataset.read(raw))
        frames: dict[str, list[Array]] = {split: [] for split in SPLITS}
        said: dict[str, list[Spoken]] = {split: [] for split in SPLITS}
        for split, each, sound in progress(spoken, f"{self.task_name}: spectra of strings", self.size):
            frames[split].append(log_mel(*sound, self.hop, self.filters).astype(np.float64))
            said[split].append(each)
        scaler = Scaler.fit(np.concatenate(frames["train"]))
        vocabulary = Vocabulary.fit(self._tokens(each.words) for each in said["train"])
        for split in SPLITS:
            labels = [vocabulary.encode(self._tokens(each.words)) for each in said[split]]
            for each, spectra, tokens in zip(said[split], frames[split], labels, strict=True):
                self._refuse_short(each, len(spectra), timesteps_needed(tokens.tolist()))
            Ragged.write(folder, f"{split}_frames", map(scaler.scale, frames[split]), np.float32)
            Ragged.write(folder, f"{split}_labels", labels, np.int32)
            write_texts(folder, f"{split}_references", [each.words for each in said[split]])
            write_texts(folder, f"{split}_sources", [each.source for each in said[split]])
        lengths = [len(spectra) for split in SPLITS for spectra in frames[split]]
        return {
            "source": dataset.source,
            "vocabulary": vocabulary.as_list(),
            "scaler": scaler.as_dict(),
            "longest": max(lengths),
            "speakers": {split: [each.speaker for each in said[split]] for split in ("validation", "test")},
            "report": {
                **{split: f"{len(said[split])} strings, by {_voices(said[split])}" for split in SPLITS},
                "timesteps": f"{min(lengths)} to {max(lengths)}, {np.mean(lengths):.1f} on the average",
                "tokens": " ".join(vocabulary.tokens[len(SPECIAL) :]),
            },
        }

    def _tokens(self, words: str) -> list[str]:
        return words.split() if self.units == "words" else list(words)

    def _refuse_short(self, spoken: Spoken, timesteps: int, needed: int) -> None:
        if timesteps < needed:
            raise UserError(
                f"{spoken.words!r}, said by {spoken.source}, has {timesteps} frames, and its {self.units} need "
                f"{needed}: one each, and one more between two that are the same. Lower task.hop={self.hop}, or take "
                "task.units=words."
            )

    def _synthetic(self) -> Iterator[tuple[Split, Spoken, Sound]]:
        """What eSpeak NG says, split by split."""
        if self.speaker is not None and self.speaker not in VOICES:
            raise UserError(f"task.speaker={self.speaker} is none of the voices: {', '.join(VOICES)}.")
        rng = np.random.default_rng(SPLIT_SEED)
        # in the order in which they are said, and without those drawn before
        drawn: dict[Utterance, Split] = {}
        for split, size in self._sizes().items():
            if self.speaker is None:
                voices = list(VOICES)
            else:
                voices = [voice for voice in VOICES if (voice == self.speaker) == (split == "test")]
            wanted = len(drawn) + size
            while len(drawn) < wanted:
                words = " ".join(WORDS[digit] for digit in rng.integers(10, size=rng.integers(1, self.digits + 1)))
                speed, pitch = rng.integers((SLOWEST, LOWEST), (FASTEST + 1, HIGHEST + 1)).tolist()
                drawn.setdefault(Utterance(words, voices[rng.integers(len(voices))], speed, pitch), split)
        for (utterance, split), (samples, rate) in zip(drawn.items(), say(list(drawn)), strict=True):
            name = f"{utterance.voice}, {utterance.speed} words a minute, pitch {utterance.pitch}"
            yield split, Spoken(utterance.words, utterance.voice, name), _paused([samples], rate, rng)

    def _joined(self, recordings: list[Recording]) -> Iterator[tuple[Split, Spoken, Sound]]:
        """Strings of recordings, split by split."""
        speakers = sorted({recording.speaker for recording in recordings})
        if self.speaker is not None and self.speaker not in speakers:
            raise UserError(f"task.speaker={self.speaker} is none of those who speak: {', '.join(speakers)}.")
        is_test = [
            recording.is_test if self.speaker is None else recording.speaker == self.speaker for recording in recordings
        ]
        digits = np.array([recording.digit for recording in recordings])
        parts = split_by_class(digits, self.validation, self.test, np.array(is_test))
        rng = np.random.default_rng(SPLIT_SEED)
        for split, size in self._sizes().items():
            of_part = [recordings[index] for index in parts[split]]
            by_speaker = [[each for each in of_part if each.speaker == speaker] for speaker in speakers]
            for chosen in self._strings([each for each in by_speaker if each], size, rng, split):
                words = " ".join(WORDS[recording.digit] for recording in chosen)
                name = f"{chosen[0].speaker}: {' '.join(f'{each.digit}_{each.number}' for each in chosen)}"
                sound = _paused([recording.samples for recording in chosen], RATE, rng)
                yield split, Spoken(words, chosen[0].speaker, name), sound

    def _strings(
        self, by_speaker: list[list[Recording]], size: int, rng: np.random.Generator, split: Split
    ) -> Iterator[list[Recording]]:
        """`size` strings of recordings, no two the same, each of one speaker."""
        possible = sum(sum(len(own) ** length for length in range(1, self.digits + 1)) for own in by_speaker)
        if size > possible // 2:
            raise UserError(
                f"task.size={self.size}: {size} strings of at most {self.digits} recordings are wanted for the {split} "
                f"part, and only {possible} can be made. Lower it, or raise task.digits."
            )
        drawn: set[tuple[str, ...]] = set()
        while len(drawn) < size:
            own = by_speaker[rng.integers(len(by_speaker))]
            chosen = [own[index] for index in rng.integers(len(own), size=rng.integers(1, self.digits + 1))]
            names = tuple(recording.name for recording in chosen)
            if names not in drawn:
                drawn.add(names)
                yield chosen

    def open(self, folder: Path, meta: dict[str, Any], seed: int) -> None:
        self.restore(meta)
        self.seed = seed
        self.frames = {split: Ragged.open(folder, f"{split}_frames") for split in SPLITS}
        self._labels = {split: Ragged.open(folder, f"{split}_labels") for split in SPLITS}
        self._texts = {
            split: (read_texts(folder, f"{split}_sources"), read_texts(folder, f"{split}_references"))
            for split in SPLITS
        }

    def restore(self, learnt: dict[str, Any]) -> None:
        self.meta = learnt
        self.vocabulary = Vocabulary.from_list(learnt["vocabulary"])
        self.separator = " " if self.units == "words" else ""
        self.longest = learnt["longest"]
        self.spec = TaskSpec(
            task=self.task_name,
            layout="sequence_to_sequence",
            input_size=self.filters,
            output_size=len(self.vocabulary),
            loss=ConnectionistTemporal(),
            metrics={measure: MEASURES[measure] for measure in self.measures},
            rank_by=self.measures[0],
            unit=self._unit(learnt["source"]),
        )

    def _unit(self, source: str) -> str:
        """What is independent of the rest of the test part.

        Synthesised strings have at most a voice in common, one of twelve that training has, too. Strings of one person
        share recordings, of which a part has few: a speaker is one item. A voice or speaker that training has not
        stands for all those, and is one of them.
        """
        if source == "full":
            return "speaker"
        return "string" if self.speaker is None else "voice"

    def state_dict(self) -> dict[str, Any]:
        """What the data taught, and how sound becomes numbers: with it a model can take a recording."""
        kept = ("source", "vocabulary", "scaler", "longest", "digest")
        return {"hop": self.hop, "filters": self.filters, "units": self.units} | {key: self.meta[key] for key in kept}

    def raw_columns(self) -> dict[str, Column]:
        return {"sound": Column("bytes", "a wav file of one channel, 16 bits")}

    def raw_example(self) -> pd.DataFrame:
        return pd.DataFrame({"sound": [tone()]})

    def encode(self, table: pd.DataFrame) -> Batch:
        scaler = Scaler.from_dict(self.meta["scaler"])
        found = [log_mel(*sound, self.hop, self.filters).astype(np.float64) for sound in sounds(table, "sound")]
        return sequences([scaler.scale(frames).astype(np.float32) for frames in found])

    def texts(self, split: Split) -> tuple[list[str], list[str]]:
        return self._texts[split]

    def take(self, split: Split, indices: Tensor) -> Batch:
        inputs, lengths = self.frames[split].take(indices)
        labels, _ = self._labels[split].take(indices, padding=IGNORED)
        return Batch(inputs, labels, lengths)

    def loader(self, split: Split) -> Batches:
        order = ByLength(self.frames[split].lengths, self.seed if split == "train" else None)
        return Batches(lambda indices: self.take(split, indices), order, self.batch_size)


def _voices(spoken: list[Spoken]) -> str:
    speakers = {each.speaker for each in spoken}
    return f"{len(speakers)} voices" if len(speakers) > 1 else speakers.pop()


def _paused(parts: list[Samples], rate: int, rng: np.random.Generator) -> Sound:
    """One part after the other, with a pause before each and after the last."""
    pauses = [np.zeros(round(rng.uniform(*PAUSE_SECONDS) * rate), np.float32) for _ in range(len(parts) + 1)]
    return Sound(
        np.concatenate([each for pair in zip(pauses, parts, strict=False) for each in pair] + pauses[-1:]), rate
    )
