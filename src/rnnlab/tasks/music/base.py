"""Which notes sound next in a chorale, and chorales that a net goes on with."""

import io
import re
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from scipy.special import expit, logit
from torch import Tensor

from rnnlab.data.batches import Batch, Batches, ByLength
from rnnlab.data.ragged import Ragged
from rnnlab.data.splits import split_at_random
from rnnlab.datasets.chorales import KEYS, LOWEST, Chorales, Piece, Roll, distinct
from rnnlab.errors import UserError
from rnnlab.losses import BinaryCrossEntropy
from rnnlab.spec import TaskSpec
from rnnlab.tasks.raw_input import Column, real_timesteps, refuse, sequences
from rnnlab.tasks.task import SPLITS, Array, Model, Split, Task, check_parts, check_whole

METRICS: dict[str, Literal["min", "max"]] = {"nll": "min", "nll_by_piece": "min", "accuracy": "max"}

OCTAVE = 12
PARTS = (0, 8, 16, 32, 64)
"""The parts of a piece that `plot_rows` tells apart begin behind these frames."""

GIVEN, WRITTEN = 16, 64
"""Frames of a true piece that a net is given, and frames that it then writes by itself."""

SHOWN_FRAMES = 64
LONGEST = 20_000
"""Quarter notes of a score that is read, at most: four hours at the usual tempo."""
LARGEST = 1 << 22
"""Bytes of its file, at most."""

TICKS = 480  # of a MIDI file, in a quarter note
TEMPO = 80  # quarter notes in a minute
CHURCH_ORGAN = 19  # of General MIDI


class MusicData(Task):
    """The keys of a piano that sound at each quarter note of a chorale, 88 zeros and ones; bass to soprano:

        input    55 58 67 74    55 58 67 74    57 60 65 77    57 60 65 77    58 62 65 74    ...
        target   55 58 67 74    57 60 65 77    57 60 65 77    58 62 65 74    57 60 66 74    ...

    The numbers are MIDI's, 60 the middle C; so begins BWV 10.7. Whole pieces are read; each frame but the first is
    predicted from all before it, each note by itself: p(yₜ | y₁..yₜ₋₁) = Π over the keys k of p(yₜₖ | y₁..yₜ₋₁).

    The full set keeps its official splits. Of the sample, a piece that repeats another in whatever key is left out, and
    the splits are drawn, the same whatever the seed.

    validation, test: shares of the sample's pieces. batch_size: pieces. transpose: in training, each piece is moved up
    or down by at most so many semitones, drawn anew in each epoch.
    """

    reference: ClassVar[str] = "repetition"

    def __init__(
        self, name: str, validation: float = 0.2, test: float = 0.2, batch_size: int = 16, transpose: int = 0
    ) -> None:
        super().__init__()
        self.task_name = name
        self.validation = validation
        self.test = test
        self.batch_size = batch_size
        self.transpose = transpose

    def check(self) -> None:
        check_parts(self.validation, self.test)
        check_whole("batch_size", self.batch_size)
        check_whole("transpose", self.transpose, at_least=0)
        if self.transpose > OCTAVE:
            raise UserError(f"task.transpose={self.transpose}: more than an octave, {OCTAVE} semitones, is no new key.")

    def prepare(self, dataset: Chorales, raw: Path, folder: Path) -> dict[str, Any]:
        found = dataset.read(raw)
        official = all(piece.part for piece in found)
        pieces = found if official else distinct(found)
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
            return {split: [piece for piece in pieces if piece.part == split] for split in SPLITS}
        drawn = split_at_random(len(pieces), self.validation, self.test)
        return {split: [pieces[index] for index in indices] for split, indices in drawn.items()}

    def open(self, folder: Path, meta: dict[str, Any], seed: int) -> None:
        self.restore(meta)
        self.seed = seed
        self._rolls = {split: Ragged.open(folder, split) for split in SPLITS}
        self._actual = _following(self._rolls["test"]).astype(bool)
        lengths = self._rolls["test"].lengths.numpy() - 1
        self._pieces = np.repeat(np.arange(len(lengths)), lengths)
        self._frames = np.concatenate([np.arange(1, length + 1) for length in lengths])

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
            causal=True,
        )

    def loader(self, split: Split) -> Batches:
        rolls = self._rolls[split]
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
        return {"notes": Column("integer", "for each quarter note a list of the MIDI numbers that sound", 2)}

    def raw_example(self) -> pd.DataFrame:
        return pd.DataFrame({"notes": [[[55, 58, 67, 74], [55, 58, 67, 74], [57, 60, 65, 77], []]]})

    def encode(self, table: pd.DataFrame) -> Batch:
        return sequences([_roll(row, piece).astype(np.float32) for row, piece in table["notes"].items()])

    def say(self, model: Model, batch: Batch, table: pd.DataFrame) -> pd.DataFrame:
        """A row for each frame, and what is likely to sound behind it: the `expected` notes, those with p > 0.5, and p
        of each key, p_21 to p_108."""
        logits = model(batch.to(model.device))
        real = real_timesteps(batch)
        p = expit(logits.double().cpu().numpy()[real])
        answers = {
            "frame": np.nonzero(real)[1] + 1,
            "expected": [" ".join(map(str, np.flatnonzero(frame > 0.5) + LOWEST)) for frame in p],
        }
        each = {f"p_{LOWEST + key}": p[:, key] for key in range(KEYS)}
        return pd.DataFrame(answers | each, index=table.index.repeat(real.sum(axis=1)))

    def predict(self, model: Model) -> pd.DataFrame:
        loader = self.loader("test")
        found, pieces = [], []
        for (batch, prediction), indices in zip(
            self.answers(model), loader.sampler.batches(self.batch_size), strict=True
        ):
            assert batch.lengths is not None
            real = torch.arange(prediction.shape[1], device=prediction.device) < batch.lengths[:, None]
            found.append(prediction[real].double().cpu())
            pieces.append(indices.repeat_interleave(batch.lengths.cpu()))
        in_order = torch.cat(pieces).argsort(stable=True)
        return self.table(torch.cat(found)[in_order].numpy())

    def table(self, logits: Array) -> pd.DataFrame:
        """Predictions from ln p/(1 - p) of each key at each predicted frame of the test split, (frames, 88).

        A row for each of these: its `piece` and `frame`, the `notes` that sound there, `nll` = -Σ over the keys of
        y ln p + (1 - y) ln(1 - p), and p of each key, p_21 to p_108. If each key were drawn with its p, so many notes
        are to be expected that sound (`hits`), that do not (`false_alarms`), and that sound and are not drawn
        (`misses`).
        """
        actual, p = self._actual, expit(logits)
        table = pd.DataFrame(
            {
                "piece": self._pieces,
                "frame": self._frames,
                "notes": [" ".join(map(str, np.flatnonzero(frame) + LOWEST)) for frame in actual],
                "nll": (np.logaddexp(0, logits) - np.where(actual, logits, 0)).sum(axis=1),
                "hits": (p * actual).sum(axis=1),
                "false_alarms": (p * ~actual).sum(axis=1),
                "misses": ((1 - p) * actual).sum(axis=1),
            }
        )
        names = [f"p_{LOWEST + key}" for key in range(KEYS)]
        return table.join(pd.DataFrame(p.astype(np.float32), columns=names))

    def baselines(self) -> dict[str, pd.DataFrame]:
        """repetition: what sounds goes on. unigram: each key as often as in training.

        Both are frequencies of training, of each key by itself, with half an observation of either kind added:
        repetition has one where the key sounded at the frame before and one where it did not.
        """
        rolls = self._rolls["train"]
        before, after = _preceding(rolls).astype(float), _following(rolls).astype(float)
        unigram = (after.sum(axis=0) + 0.5) / (len(after) + 1)
        going_on = ((before * after).sum(axis=0) + 0.5) / (before.sum(axis=0) + 1)
        beginning = (((1 - before) * after).sum(axis=0) + 0.5) / ((1 - before).sum(axis=0) + 1)
        sounded = _preceding(self._rolls["test"]).astype(bool)
        return {
            "repetition": self.table(logit(np.where(sounded, going_on, beginning))),
            "unigram": self.table(np.tile(logit(unigram), (len(sounded), 1))),
        }

    def losses(self, predictions: pd.DataFrame) -> Array:
        """The summed nll of each piece, over the mean number of predicted frames of a piece: their mean is `nll`."""
        by_piece = predictions.groupby("piece")["nll"].sum()
        return np.asarray(by_piece * len(by_piece) / len(predictions), np.float64)

    def judge(self, predictions: pd.DataFrame) -> dict[str, float]:
        """Of one table:

        nll           in nats per frame, the mean over all predicted frames (as in Bai, Kolter and Koltun 2018)
        nll_by_piece  the mean over the pieces of each piece's mean (as in Zakovskis et al. 2021)
        accuracy      TP / (TP + FP + FN) over all frames and keys (Bay et al. 2009), the numbers being those to be
                      expected if each note were drawn with its probability; precision: likewise TP / (TP + FP)
        """
        hits, false_alarms, misses = predictions[["hits", "false_alarms", "misses"]].sum()
        return {
            "nll": float(predictions["nll"].mean()),
            "nll_by_piece": float(_by_piece(predictions).mean()),
            "accuracy": float(hits / (hits + false_alarms + misses)),
            "precision": float(hits / (hits + false_alarms)),
        }

    def plot_rows(self, predictions: list[pd.DataFrame]) -> pd.DataFrame:
        """nll by how far into a piece a frame lies."""
        whole = pd.concat(predictions)
        rows = []
        for before, last in zip(PARTS, (*PARTS[1:], None), strict=True):
            part = whole[whole["frame"].between(before + 1, last or np.inf)]
            if len(part):
                named = f"{before + 1} to {last}" if last else f"{before + 1} on"
                rows.append({"part": named, "score": part["nll"].mean()})
        return pd.DataFrame(rows)

    def figures(self, predictions: list[pd.DataFrame], name: str) -> dict[str, Figure]:
        by_piece = _by_piece(pd.concat(predictions))
        # the piece in the middle of all, by its loss
        piece = int(by_piece.sort_values(kind="stable").index[len(by_piece) // 2])
        title = f"{name}: {self.meta['test_pieces'][piece]}, {by_piece[piece]:.2f} nats per frame"
        reference = _by_piece(self.baselines()[self.reference])
        return {
            "piano_roll": self._draw_predictions(predictions[0], piece, title),
            "nll_by_piece": draw_by_piece(by_piece, reference, name, self.reference),
        }

    def _draw_predictions(self, predictions: pd.DataFrame, piece: int, title: str) -> Figure:
        chosen = predictions["piece"].to_numpy() == piece
        probabilities = predictions.loc[chosen, [f"p_{LOWEST + key}" for key in range(KEYS)]].to_numpy()
        actual = self._actual[chosen][:SHOWN_FRAMES]
        figure = Figure(figsize=(11, 5), layout="constrained")
        axes = figure.subplots()
        picture = axes.imshow(probabilities[:SHOWN_FRAMES].T, cmap="Blues", vmin=0, vmax=1, **_extent(len(actual), 1))
        frames, keys = np.nonzero(actual)
        axes.scatter(frames + 1, keys + LOWEST, s=9, color="C1", linewidths=0, label="sounds in the piece")
        _label(axes, actual)
        axes.set_title(title, fontsize=10)
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), frameon=False, fontsize=9, borderaxespad=0)
        figure.colorbar(picture, ax=axes, shrink=0.8, label="probability that it sounds")
        return figure

    @torch.inference_mode()
    def continuation(self, model: Model, split: Split, piece: int = 0) -> Roll:
        """The first `GIVEN` frames of a piece, then `WRITTEN` that the net draws, each note by itself.

        The draws are the same each time.
        """
        model.eval()
        generator = torch.Generator().manual_seed(piece)
        given = torch.tensor(self._rolls[split][piece][:GIVEN]).float()
        read = given[None].to(model.device)
        logits, state = model.net(Batch(read, read))
        prepared = model.net.recurrent.prepare()
        prediction, written = logits[:, -1], []
        for _ in range(WRITTEN):
            drawn = torch.bernoulli(prediction.float().sigmoid().cpu(), generator=generator)
            written.append(drawn)
            prediction, state = model.net.step(drawn.to(model.device), state, prepared)
        return torch.cat([given, *written]).numpy().astype(np.uint8)

    def look(self, model: Model) -> dict[str, Figure]:
        """A chorale of the test part that the net goes on with."""
        return {"continuation": draw_continuation(self.continuation(model, "test"), self.meta["test_pieces"][0])}

    def samples(self, model: Model) -> dict[str, str | bytes]:
        """The same of two pieces of the validation part, as MIDI files and as piano rolls."""
        found: dict[str, str | bytes] = {}
        for piece in range(min(2, len(self._rolls["validation"]))):
            roll = self.continuation(model, "validation", piece)
            found[f"continuation_{piece}.mid"] = midi_file(roll)
            found[f"continuation_{piece}.png"] = _png(draw_continuation(roll, f"validation piece {piece}"))
        return found


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


def notes_of(content: bytes, name: str) -> list[list[int]]:
    """The MIDI numbers that sound at the beginning of each quarter note of a Standard MIDI File, all tracks together.

    Raises: `UserError` that names the file, where it is no such file, holds no note, or is longer than `LONGEST` or
    larger than `LARGEST`.
    """
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


def _preceding(rolls: Ragged) -> NDArray[Any]:
    """All frames but the last of each piece."""
    return np.delete(rolls.values, rolls.offsets[1:].numpy() - 1, axis=0)


def _following(rolls: Ragged) -> NDArray[Any]:
    """All frames but the first of each piece."""
    return np.delete(rolls.values, rolls.offsets[:-1].numpy(), axis=0)


def _by_piece(predictions: pd.DataFrame) -> "pd.Series[float]":
    return predictions.groupby("piece")["nll"].mean()


def transposed(frames: Tensor, shifts: Tensor) -> Tensor:
    """Each piece moved up by so many semitones, or as far as its notes stay on the piano.

    frames: (pieces, time, 88); shifts: (pieces,).
    """
    sounding = frames.amax(dim=1)
    below, above = sounding.argmax(dim=1), sounding.flip(1).argmax(dim=1)
    shifts = torch.maximum(torch.minimum(shifts, above), -below)
    keys = (torch.arange(KEYS) - shifts[:, None]) % KEYS
    return frames.gather(2, keys[:, None].expand_as(frames))


def midi_file(roll: Roll) -> bytes:
    """A Standard MIDI File; a key that sounds at several quarter notes in a row is held down."""
    import mido

    track = mido.MidiTrack()
    track.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(TEMPO)))
    track.append(mido.Message("program_change", program=CHURCH_ORGAN))
    silence = np.zeros((1, KEYS), np.int8)
    changes = np.diff(np.concatenate([silence, roll.astype(np.int8), silence]), axis=0)
    waited = 0
    for change in changes:
        for key in np.flatnonzero(change):
            kind = "note_on" if change[key] > 0 else "note_off"
            track.append(mido.Message(kind, note=LOWEST + int(key), time=waited))
            waited = 0
        waited += TICKS
    content = io.BytesIO()
    mido.MidiFile(tracks=[track], ticks_per_beat=TICKS).save(file=content)
    return content.getvalue()


def _extent(frames: int, first: int) -> dict[str, Any]:
    """Where `imshow` puts a piano roll: frames from left to right, keys upwards by their MIDI numbers."""
    edges = (first - 0.5, first + frames - 0.5, LOWEST - 0.5, LOWEST + KEYS - 0.5)
    return {"origin": "lower", "aspect": "auto", "interpolation": "nearest", "extent": edges}


def _label(axes: Axes, sounding: NDArray[np.bool_]) -> None:
    """Name the Cs; leave out the keys that never sound."""
    keys = np.flatnonzero(sounding.any(axis=0)) + LOWEST
    if len(keys):
        axes.set_ylim(keys.min() - 2.5, keys.max() + 2.5)
    low, high = axes.get_ylim()
    octaves = [note for note in range(24, 109, OCTAVE) if low <= note <= high]
    axes.set_yticks(octaves, [f"C{note // OCTAVE - 1}" for note in octaves])
    axes.grid(axis="y", linewidth=0.5, alpha=0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("quarter note of the piece")


def draw_continuation(roll: Roll, name: str) -> Figure:
    """A piano roll whose last `WRITTEN` frames a net drew. name: of the piece that it begins with."""
    given = len(roll) - WRITTEN
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.imshow(roll.T, cmap="Blues", vmin=0, vmax=1.3, **_extent(len(roll), 0))
    axes.axvspan(-0.5, given - 0.5, color="C1", alpha=0.15, linewidth=0)
    axes.text(0, 1.01, "given", transform=axes.get_xaxis_transform(), color="C1", fontsize=9)
    axes.text(given, 1.01, "drawn by the net", transform=axes.get_xaxis_transform(), fontsize=9)
    _label(axes, roll.astype(bool))
    axes.set_title(f"{name}, from its first {given} quarter notes on", fontsize=10, pad=16)
    return figure


def _png(figure: Figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=100, metadata={"Software": None})
    return content.getvalue()


def draw_by_piece(by_piece: "pd.Series[float]", reference: "pd.Series[float]", name: str, other: str) -> Figure:
    """A point for each piece of the test split: what it costs the net, and what it costs the baseline."""
    figure = Figure(figsize=(5.2, 5), layout="constrained")
    axes = figure.subplots()
    low = min(by_piece.min(), reference.min()) - 0.5
    high = max(by_piece.max(), reference.max()) + 0.5
    axes.plot([low, high], [low, high], color="black", linewidth=1, linestyle="--", label="the same")
    axes.scatter(reference, by_piece, s=18, color="C1", label="a piece")
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    axes.set_aspect("equal")
    axes.set_xlabel(f"{other}: nats per frame")
    axes.set_ylabel(f"{name}: nats per frame")
    better = int((by_piece < reference).sum())
    axes.set_title(f"{name} is better in {better} of {len(by_piece)} pieces", fontsize=10)
    axes.legend(frameon=False)
    return figure
