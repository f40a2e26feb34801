"""The notes of chorales, quarter note by quarter note."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnlab.arguments import Part, Positive, Range
from rnnlab.data.batches import Batch, Batches, ByLength
from rnnlab.data.ragged import Ragged
from rnnlab.data.splits import SPLIT_SEED, Splits, split_at_random, with_training
from rnnlab.datasets.chorales import CHORALE_STEP, KEYS, LOWEST, MELODY_STEP, Chorales, Piece, Roll, distinct
from rnnlab.errors import UserError
from rnnlab.losses import BinaryCrossEntropy
from rnnlab.spec import TaskSpec
from rnnlab.tasks.raw_input import Column, refuse, sequences
from rnnlab.tasks.task import SPLITS, Split, Task, check_parts

METRICS: dict[str, Literal["min", "max"]] = {"nll": "min", "nll_by_piece": "min", "accuracy": "max"}

OCTAVE = 12


class MusicData(Task):
    """The keys of a piano that sound at each quarter note of a chorale, 88 zeros and ones; bass to soprano:

        input    55 58 67 74    55 58 67 74    57 60 65 77    57 60 65 77    58 62 65 74    ...
        target   55 58 67 74    57 60 65 77    57 60 65 77    58 62 65 74    57 60 66 74    ...

    The numbers are MIDI's, 60 the middle C; so begins BWV 10.7. Whole pieces are read; each frame but the first is
    predicted from all before it, each note by itself: p(yₜ | y₁..yₜ₋₁) = Π over the keys k of p(yₜₖ | y₁..yₜ₋₁).

    The full set keeps its official splits, and a folder of one's own those of its folders train and test, with a
    validation part drawn from the first where there is no folder for it.
    Of other sources, a piece that repeats another in whatever key is left out, and
    the splits are drawn, the same whatever the seed.

    validation, test: shares of the sample's pieces. train: how many of the training part are used; None: all.
    batch_size: pieces. transpose: in training, each piece is moved up
    or down by at most so many semitones, drawn again in each epoch; more than an octave is no new key.
    """

    causal: ClassVar[bool] = True

    def __init__(
        self,
        name: str,
        validation: Part = 0.2,
        test: Part = 0.2,
        train: Positive | None = None,
        batch_size: Positive = 16,
        transpose: Annotated[int, Range(at_least=0, at_most=OCTAVE)] = 0,
    ) -> None:
        super().__init__()
        self.task_name = name
        self.validation = validation
        self.test = test
        self.train = train
        self.batch_size = batch_size
        self.transpose = transpose

    def check(self) -> None:
        super().check()
        check_parts(self.validation, self.test)

    def prepare(self, dataset: Chorales, raw: Path, folder: Path) -> dict[str, Any]:
        found = dataset.read(raw)
        official = all(piece.part for piece in found)
        parts = {piece.part for piece in found}
        if official and not {"train", "test"} <= parts:
            raise UserError(f"The pieces are in folders {', '.join(sorted(parts))}: both train and test are needed.")
        step = MELODY_STEP if dataset.source == "files" else CHORALE_STEP
        pieces = found if official else distinct(found, step)
        splits = self._split(pieces, official)
        for split, chosen in splits.items():
            Ragged.write(folder, split, [piece.roll for piece in chosen], np.uint8)
        sounding = np.concatenate([piece.roll for piece in pieces])
        low, *_, high = np.flatnonzero(sounding.any(axis=0)) + LOWEST
        return {
            "test_pieces": [piece.name for piece in splits["test"]],
            "report": {
                **{
                    split: f"{len(chosen)} pieces, {sum(len(piece.roll) for piece in chosen):,} quarter notes"
                    for split, chosen in splits.items()
                },
                "test split": "official" if official else "drawn",
                "left out": f"{len(found) - len(pieces)} pieces that repeat another, in whatever key",
                "notes": f"{sounding.sum(axis=1).mean():.2f} at a time, from {low} to {high}",
                "silence": f"{1 - sounding.any(axis=1).mean():.1%} of the quarter notes",
            },
        }

    def _split(self, pieces: list[Piece], official: bool) -> dict[str, list[Piece]]:
        if official:
            part = np.array([piece.part for piece in pieces])
            splits: Splits = {split: np.flatnonzero(part == split) for split in SPLITS}
            if not len(splits["validation"]):
                free = np.random.default_rng(SPLIT_SEED).permutation(splits["train"])
                count = max(1, round(self.validation * len(free)))
                splits |= {"validation": np.sort(free[:count]), "train": np.sort(free[count:])}
        else:
            splits = split_at_random(len(pieces), self.validation, self.test)
        splits = with_training(splits, self.train)
        return {split: [pieces[index] for index in indices] for split, indices in splits.items()}

    def open(self, folder: Path, meta: dict[str, Any], seed: int) -> None:
        self.restore(meta)
        self.seed = seed
        self.rolls = {split: Ragged.open(folder, split) for split in SPLITS}

    def restore(self, learnt: dict[str, Any]) -> None:
        self.meta = learnt
        self.spec = TaskSpec(
            task=self.task_name,
            layout="many_to_many",
            input_size=KEYS,
            output_size=KEYS,
            loss=BinaryCrossEntropy(),
            metrics=METRICS,
            rank_by="nll",
            causal=self.causal,
            unit="piece",
        )

    def actual(self, split: Split) -> NDArray[np.bool_]:
        """Which keys sound in each predicted frame, all but the first of each piece: (frames, 88)."""
        return following(self.rolls[split]).astype(np.bool_)

    def loader(self, split: Split) -> Batches:
        rolls = self.rolls[split]
        order = ByLength(rolls.lengths, self.seed if split == "train" else None)
        moved = split == "train" and self.transpose > 0

        def take(indices: Tensor) -> Batch:
            frames, lengths = rolls.take(indices)
            if moved:
                semitones = 2 * self.transpose + 1
                shifts = torch.randint(semitones, (order.size,), generator=order.generator()) - self.transpose
                frames = transposed(frames, shifts[indices])
            frames = frames.float()
            return Batch(frames[:, :-1], frames[:, 1:], lengths - 1)

        return Batches(take, order, self.batch_size)

    def raw_columns(self) -> dict[str, Column]:
        return {"notes": Column("note", "for each quarter note a list of the MIDI numbers that sound", 2)}

    def raw_timestep(self) -> Column:
        return Column("note", "the MIDI numbers that sound in a quarter note", 1)

    def raw_example(self) -> pd.DataFrame:
        return pd.DataFrame({"notes": [[[55, 58, 67, 74], [55, 58, 67, 74], [57, 60, 65, 77], []]]})

    def encode(self, table: pd.DataFrame) -> Batch:
        return sequences([_roll(row, piece).astype(np.float32) for row, piece in table["notes"].items()])


def _roll(row: Any, piece: Any) -> Roll:
    """The frames of raw input, (time, 88)."""
    try:
        frames = [[int(note) for note in frame] for frame in piece]
    except (TypeError, ValueError, OverflowError):  # of infinity
        frames = []
    if not frames:
        refuse(row, "notes", f"found {piece!r:.60}, lists of MIDI numbers are needed, [] for silence")
    roll = np.zeros((len(frames), KEYS), np.uint8)
    for frame, notes in zip(roll, frames, strict=True):
        beyond = [note for note in notes if not LOWEST <= note < LOWEST + KEYS]
        if beyond:
            refuse(row, "notes", f"found the note {beyond[0]}, no key of the piano: {LOWEST} to {LOWEST + KEYS - 1}")
        frame[np.array(notes, np.int64) - LOWEST] = 1
    return roll


def preceding(rolls: Ragged) -> NDArray[Any]:
    """All frames but the last of each piece."""
    return np.delete(rolls.values, rolls.offsets[1:].numpy() - 1, axis=0)


def following(rolls: Ragged) -> NDArray[Any]:
    """All frames but the first of each piece."""
    return np.delete(rolls.values, rolls.offsets[:-1].numpy(), axis=0)


def transposed(frames: Tensor, shifts: Tensor) -> Tensor:
    """Each piece moved up by so many semitones, or as far as its notes stay on the piano.

    frames: (pieces, time, 88); shifts: (pieces,).
    """
    sounding = frames.amax(dim=1)
    below, above = sounding.argmax(dim=1), sounding.flip(1).argmax(dim=1)
    shifts = torch.maximum(torch.minimum(shifts, above), -below)
    keys = (torch.arange(KEYS) - shifts[:, None]) % KEYS
    return frames.gather(2, keys[:, None].expand_as(frames))
