"""An utterance, frame by frame: whose vowel, or which digit is it?"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnlab.arguments import OneOf, Part, Positive
from rnnlab.data.audio import log_mel
from rnnlab.data.batches import Batch, Batches, ByLength
from rnnlab.data.ragged import Ragged
from rnnlab.data.scaler import Scaler
from rnnlab.data.splits import Splits, split_by_class
from rnnlab.datasets.speech import Speech
from rnnlab.datasets.spoken_digits import RATE
from rnnlab.errors import UserError
from rnnlab.losses import CrossEntropy
from rnnlab.output import progress
from rnnlab.spec import TaskSpec
from rnnlab.tasks.classification.data import METRICS, ClassificationData
from rnnlab.tasks.raw_input import Column, arrays, sequences, sounds, tone
from rnnlab.tasks.task import SPLITS, Split, check_parts

PARTITIONS = ("official", "random", "speaker")


class Utterances(NamedTuple):
    """series: each (time, features); labels: numbers of `classes`. speaker: whose voice each is; is_test: of each."""

    series: Sequence[NDArray[np.floating]]
    labels: NDArray[np.int64]
    classes: list[str]
    speakers: list[str]
    is_test: NDArray[np.bool_]
    splits: Splits | None = None
    notes: list[str] = []  # noqa: RUF012  # a field of a tuple, which nothing changes


class SpeechData(ClassificationData):
    """An utterance as a sequence, and what it is:

        source=sample  input   7 to 29 timesteps of 12 cepstral coefficients: "ae"      target  speaker 4
        source=full    input   12 to 226 frames of 24 log mel energies: "seven"         target  7
        source=files   input   the frames of a recording of yours                       target  its folder's name

    split: `official`, the data set's own test part, or that of a folder test/; of recordings also `random`, a share of
    them, the same of each class; or, of the digits, `speaker`, all that one speaker said: how well does a net know a
    voice that it never heard? `hop` (in milliseconds) and `filters` are those of `rnnlab.data.audio.log_mel`, which
    recordings go through.

    With `speaker` the unit that is judged is the speaker, of whom there is one: no test of a difference between methods
    is made, for nobody knows how it would be with another voice. Elsewhere the same speakers are trained on and tested,
    the question is how well a net knows these, and a recording is the unit.

    Every feature is scaled to mean 0 and standard deviation 1 over the frames of the training part.
    """

    def __init__(
        self,
        name: str,
        split: Annotated[str, OneOf(PARTITIONS)] = "official",
        speaker: str = "theo",
        hop: Positive = 10,
        filters: Positive = 24,
        validation: Part = 0.2,
        test: Part = 0.2,
        batch_size: Positive = 32,
    ) -> None:
        super().__init__()
        self.task_name = name
        self.split = split
        self.speaker = speaker
        self.hop = hop
        self.filters = filters
        self.validation = validation
        self.test = test
        self.batch_size = batch_size

    def check(self) -> None:
        super().check()
        check_parts(self.validation, self.test)

    def prepare(self, dataset: Speech, raw: Path, folder: Path) -> dict[str, Any]:
        read = {"sample": self._vowels, "full": self._digits, "files": self._files}
        found = read[dataset.source](dataset, raw)
        splits = found.splits or split_by_class(found.labels, self.validation, self.test, found.is_test, found.classes)
        scaler = Scaler.fit(np.concatenate([found.series[index] for index in splits["train"]]).astype(np.float64))
        for split, indices in splits.items():
            scaled = [scaler.scale(found.series[index]) for index in indices]
            Ragged.write(folder, f"{split}_series", scaled, np.float32)
            np.save(folder / f"{split}_labels.npy", found.labels[indices])
        lengths = [len(series) for series in found.series]
        return {
            "source": dataset.source,
            "classes": found.classes,
            "scaler": scaler.as_dict(),
            "speakers": {split: [found.speakers[index] for index in indices] for split, indices in splits.items()},
            "report": {
                **{split: f"{len(indices)} utterances" for split, indices in splits.items()},
                "test split": self.split if self.split != "speaker" else f"all that {self.speaker} said",
                "timesteps": f"{min(lengths)} to {max(lengths)}, {np.mean(lengths):.1f} on the average",
                "classes": len(found.classes),
                "notes": found.notes or None,
            },
        }

    def _files(self, dataset: Speech, raw: Path) -> Utterances:
        if self.split == "speaker":
            raise UserError(
                "task.split=speaker: who speaks in files of your own is not known; take official or random."
            )
        recordings = dataset.read_files(raw)
        files = [file for file, _, _ in recordings]
        sounds = progress(recordings, f"{self.task_name}: spectra")
        series = [log_mel(samples, rate, self.hop, self.filters) for _, samples, rate in sounds]
        classes = sorted({file.label for file in files})
        labels = np.array([classes.index(file.label) for file in files])
        parts = np.array([file.part if self.split == "official" else None for file in files])
        unlearnt = [
            name for number, name in enumerate(classes) if set(parts[labels == number]) <= {"validation", "test"}
        ]
        if unlearnt:
            raise UserError(
                f"{dataset.called} has no recording of class {unlearnt[0]} to train on: move some to the folder train, "
                "or leave the class out."
            )
        splits: Splits | None = None
        if (parts == "validation").any():
            splits = {part: np.flatnonzero(parts == part) for part in SPLITS}
            if empty := [part for part, indices in splits.items() if not len(indices)]:
                raise UserError(f"The folders of task.path name parts, and none is of the {empty[0]} part.")
        rates = sorted({rate for _, _, rate in recordings})
        notes = [f"recordings of {rates[0]} to {rates[-1]} samples a second, each heard as it is"] if rates[1:] else []
        return Utterances(series, labels, classes, [""] * len(files), parts == "test", splits, notes)

    def _vowels(self, dataset: Speech, raw: Path) -> Utterances:
        if self.split != "official":
            raise UserError(
                f"task.split={self.split}: the vowels of task.source=sample have an official split, and who speaks is "
                "what is asked. Take task.split=official, or task.source=full."
            )
        train, test = dataset.read_vowels(raw)
        labels = np.concatenate([train.labels, test.labels])
        is_test = np.repeat([False, True], [len(train.labels), len(test.labels)])
        speakers = [train.classes[label] for label in labels]
        return Utterances(train.series + test.series, labels, train.classes, speakers, is_test)

    def _digits(self, dataset: Speech, raw: Path) -> Utterances:
        recordings = dataset.read_digits(raw)
        speakers = [recording.speaker for recording in recordings]
        if self.split == "speaker":
            known = sorted(set(speakers))
            if self.speaker not in known:
                raise UserError(f"task.speaker={self.speaker} is none of those who speak: {', '.join(known)}.")
            is_test = [speaker == self.speaker for speaker in speakers]
        else:
            is_test = [recording.is_test and self.split == "official" for recording in recordings]
        sounds = progress(recordings, f"{self.task_name}: spectra")
        series = [log_mel(recording.samples, RATE, self.hop, self.filters) for recording in sounds]
        labels = np.array([recording.digit for recording in recordings])
        return Utterances(series, labels, [str(digit) for digit in range(10)], speakers, np.array(is_test))

    def open(self, folder: Path, meta: dict[str, Any], seed: int) -> None:
        self.restore(meta)
        self.seed = seed
        self.series = {split: Ragged.open(folder, f"{split}_series") for split in SPLITS}
        self.labels = {split: np.load(folder / f"{split}_labels.npy") for split in SPLITS}

    def restore(self, learnt: dict[str, Any]) -> None:
        self.meta = learnt
        self.classes = learnt["classes"]
        self._scaler = Scaler.from_dict(learnt["scaler"])
        self.spec = TaskSpec(
            task=self.task_name,
            layout="many_to_one",
            input_size=len(self._scaler.mean),
            output_size=len(self.classes),
            loss=CrossEntropy(),
            metrics=METRICS,
            rank_by="accuracy",
            # whether a net knows these speakers, recordings tell; whether it knows a new one, only further ones would
            unit="speaker" if self.split == "speaker" else "recording",
        )

    def state_dict(self) -> dict[str, Any]:
        """What the data taught, and how an utterance becomes numbers: with it a model can take a recording."""
        kept = ("source", "classes", "scaler", "digest")
        return {"hop": self.hop, "filters": self.filters, **{key: self.meta[key] for key in kept}}

    def raw_columns(self) -> dict[str, Column]:
        if self.meta["source"] == "sample":
            return {"frames": Column("number", "12 cepstral coefficients at each timestep", 2)}
        return {"sound": Column("bytes", "a wav file of one channel, 16 bits")}

    def raw_timestep(self) -> Column:
        if self.meta["source"] == "sample":
            return Column("number", "12 cepstral coefficients", 1)
        return super().raw_timestep()

    def raw_example(self) -> pd.DataFrame:
        if self.meta["source"] == "sample":
            return pd.DataFrame({"frames": [np.tile(self._scaler.mean, (20, 1)).tolist()]})
        return pd.DataFrame({"sound": [tone()]})

    def encode(self, table: pd.DataFrame) -> Batch:
        found: list[NDArray[Any]]
        if self.meta["source"] == "sample":
            found = [frames.astype(np.float32) for frames in arrays(table, "frames", (None, self.spec.input_size))]
        else:
            found = [log_mel(samples, rate, self.hop, self.filters) for samples, rate in sounds(table, "sound")]
        return sequences([self._scaler.scale(series).astype(np.float32) for series in found])

    def _take(self, split: Split, indices: Tensor) -> Batch:
        inputs, lengths = self.series[split].take(indices)
        return Batch(inputs, torch.from_numpy(self.labels[split])[indices], lengths)

    def loader(self, split: Split) -> Batches:
        order = ByLength(self.series[split].lengths, self.seed if split == "train" else None)
        return Batches(lambda indices: self._take(split, indices), order, self.batch_size)

    def utterances(self, split: Split) -> list[NDArray[np.float32]]:
        """Each (time, features), scaled."""
        return [self.series[split][index] for index in range(len(self.series[split]))]
