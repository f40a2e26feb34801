"""A spoken string of digits into words, no one saying where each of them begins."""

from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from itertools import zip_longest
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from rnnlab.data.audio import Samples, log_mel
from rnnlab.data.batches import Batch, Batches, ByLength
from rnnlab.data.ctc import decode, make_head, timesteps_needed
from rnnlab.data.ragged import Ragged
from rnnlab.data.scaler import Scaler
from rnnlab.data.splits import SPLIT_SEED, split_by_class
from rnnlab.data.vocabulary import IGNORED, PADDING, SPECIAL, Vocabulary
from rnnlab.datasets.digit_strings import DigitStrings
from rnnlab.datasets.spoken_digits import RATE, WORDS, Recording
from rnnlab.datasets.synthetic_speech import FASTEST, HIGHEST, LOWEST, SLOWEST, VOICES, Utterance, say
from rnnlab.errors import UserError
from rnnlab.losses import ConnectionistTemporal
from rnnlab.spec import TaskSpec
from rnnlab.tasks.raw_input import Column, sequences, sounds, tone
from rnnlab.tasks.task import SPLITS, Array, Model, Split, check_choice, check_parts, check_whole
from rnnlab.tasks.transduction.base import MEASURES, Written, read_texts, write_texts

UNITS = ("words", "letters")

PAUSE_SECONDS = (0.05, 0.25)

CANDIDATES, JUDGED = 100, 400
"""Strings that may be the one always written, and training examples that it is chosen on, at most."""

REACH, WIDTH, EPOCHS, LEARNING_RATE = 5, 64, 20, 0.003
"""Of the net without memory."""

NOTHING = ""
"""In the place of a word that was left out, or put in."""

SHOWN = 3


class Spoken(NamedTuple):
    """Something said. speaker: whose voice it is; source: a name for it."""

    words: str
    speaker: str
    source: str


class Sound(NamedTuple):
    """samples: (time,), `rate` of them a second."""

    samples: Samples
    rate: int


class TranscribeData(Written):
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

    reference: ClassVar[str] = "window"

    measures = ("word_error_rate", "exact_match")
    parts = "length of the string"

    def __init__(
        self,
        name: str,
        units: str = "words",
        digits: int = 5,
        speaker: str | None = None,
        size: int = 3000,
        hop: int = 20,
        filters: int = 24,
        validation: float = 0.1,
        test: float = 0.2,
        batch_size: int = 32,
        beam: int = 1,
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
        self.beam = beam

    def check(self) -> None:
        check_choice("units", self.units, UNITS)
        for key in ("digits", "hop", "filters", "batch_size", "beam"):
            check_whole(key, getattr(self, key))
        check_whole("size", self.size, at_least=10)
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
        for split, each, sound in spoken:
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
            "test_speakers": [each.speaker for each in said["test"]],
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
        self._frames = {split: Ragged.open(folder, f"{split}_frames") for split in SPLITS}
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
        )

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

    def columns(self) -> dict[str, Any]:
        return {"timesteps": self._frames["test"].lengths.numpy(), "speaker": self.meta["test_speakers"]}

    def part(self, predictions: pd.DataFrame) -> "pd.Series[str]":
        """How many words the string has."""
        words = predictions["reference"].str.count(" ") + 1
        names = [f"{number} word{'s' * (number > 1)}" for number in range(1, words.max() + 1)]
        return pd.Series(
            pd.Categorical([names[number - 1] for number in words], names, ordered=True), predictions.index
        )

    def _take(self, split: Split, indices: Tensor) -> Batch:
        inputs, lengths = self._frames[split].take(indices)
        labels, _ = self._labels[split].take(indices, padding=IGNORED)
        return Batch(inputs, labels, lengths)

    def loader(self, split: Split) -> Batches:
        order = ByLength(self._frames[split].lengths, self.seed if split == "train" else None)
        return Batches(lambda indices: self._take(split, indices), order, self.batch_size)

    def losses(self, predictions: pd.DataFrame) -> Array:
        """The word errors of each string, by the mean number of words: their mean is the word error rate."""
        errors = self._aligned(predictions).groupby("string")["wrong"].sum()
        return errors.to_numpy() / (predictions["reference"].str.count(" ") + 1).mean()

    def judge(self, predictions: pd.DataFrame) -> dict[str, float]:
        """What `Written` says, and what the word error rate is the sum of: substitutions, deletions, insertions."""
        aligned = self._aligned(predictions)
        words = int((aligned["true"] != NOTHING).sum())
        kinds = {
            "substitutions": (aligned["true"] != NOTHING) & (aligned["written"] != NOTHING) & aligned["wrong"],
            "deletions": aligned["written"] == NOTHING,
            "insertions": aligned["true"] == NOTHING,
        }
        return super().judge(predictions) | {kind: float(found.sum()) / words for kind, found in kinds.items()}

    def _aligned(self, predictions: pd.DataFrame) -> pd.DataFrame:
        """A row for each word of the alignment of each `string` that has the fewest errors: the `true` word, `NOTHING`
        where one was inserted, the `written` one, `NOTHING` where it was deleted, and whether that is `wrong`."""
        import jiwer

        found = jiwer.process_words(predictions["reference"].tolist(), predictions["written"].tolist())
        rows = []
        strings = zip(found.references, found.hypotheses, found.alignments, strict=True)
        for number, (reference, written, chunks) in enumerate(strings):
            for chunk in chunks:
                true = reference[chunk.ref_start_idx : chunk.ref_end_idx]
                put = written[chunk.hyp_start_idx : chunk.hyp_end_idx]
                for one, other in zip_longest(true, put, fillvalue=NOTHING):
                    rows.append((number, one, other, one != other))
        return pd.DataFrame(rows, columns=["string", "true", "written", "wrong"])

    def baselines(self) -> dict[str, pd.DataFrame]:
        """window: a convolution over `REACH` frames on either side, trained by the same loss: what can be heard without
        any memory. frequent: always the same string, the one of the commonest in training that makes the fewest errors.
        """
        size = len(self._frames["test"])
        return {"window": self.table(self._window()), "frequent": self.table([self._frequent()] * size)}

    def _frequent(self) -> str:
        from torchmetrics.functional.text import word_error_rate

        references = self._texts["train"][1]
        commonest = sorted(Counter(references).items(), key=lambda item: (-item[1], item[0]))[:CANDIDATES]
        judged = references[:JUDGED]
        return min(
            (text for text, _ in commonest), key=lambda text: float(word_error_rate([text] * len(judged), judged))
        )

    def _window(self) -> list[str]:
        order = ByLength(self._frames["train"].lengths, seed=0)
        batches = Batches(lambda indices: self._take("train", indices), order, self.batch_size)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            net = _Window(self.filters, len(self.vocabulary))
        optimizer = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE)
        lowest, best = np.inf, net.state_dict()
        for epoch in range(EPOCHS):
            order.set_epoch(epoch)
            for batch in batches:
                optimizer.zero_grad()
                label_loss(net(batch.inputs), batch)[0].backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            with torch.inference_mode():
                losses = [label_loss(net(batch.inputs), batch) for batch in self.loader("validation")]
            loss = sum(float(loss) * count for loss, count in losses)
            if loss < lowest:
                lowest, best = loss, deepcopy(net.state_dict())
        net.load_state_dict(best)
        loader = self.loader("test")
        written = [""] * len(self._frames["test"])
        with torch.inference_mode():
            found = [
                self.text(numbers)
                for batch in loader
                for numbers in decode(net(batch.inputs), batch.lengths, self.longest, self.beam).tokens.tolist()
            ]
        for position, text in zip(loader.positions().tolist(), found, strict=True):
            written[position] = text
        return written

    def text(self, numbers: list[int]) -> str:
        """As in `Written`; of letters, with one space between two words."""
        return " ".join(super().text(numbers).split())

    def figures(self, predictions: list[pd.DataFrame], name: str) -> dict[str, Figure]:
        aligned = self._aligned(pd.concat(predictions, ignore_index=True))
        return {**super().figures(predictions, name), "words": draw_words(aligned, name)}

    def look(self, model: Model) -> dict[str, Figure]:
        """What is put out at each timestep, for a short, a middling and a long string of the test part."""
        model.eval()
        lengths = self._frames["test"].lengths
        chosen = torch.argsort(lengths, stable=True)[torch.linspace(0.2, 0.95, SHOWN).mul(len(lengths)).long()]
        batch = self._take("test", chosen).to(model.device)
        with torch.inference_mode():
            probabilities = model(batch).exp().cpu().numpy()
        written = self.write(model, batch)
        tokens = self.vocabulary.tokens
        # from zero to nine, letters from a to z
        named = sorted(tokens[len(SPECIAL) :], key=lambda token: (WORDS.index(token) if token in WORDS else 0, token))
        rows = [PADDING, *map(tokens.index, named)]
        figure = Figure(figsize=(13, 6), layout="constrained")
        widths = lengths[chosen].tolist()
        upper, lower = figure.subplots(2, SHOWN, sharex="col", sharey="row", width_ratios=widths)
        for number, index in enumerate(chosen.tolist()):
            sound = self._frames["test"][index]
            upper[number].imshow(sound.T, aspect="auto", origin="lower", cmap="magma", interpolation="nearest")
            upper[number].set_title(f"said: {self._texts['test'][1][index]}\nwritten: {written[number]}", fontsize=9)
            heard = probabilities[number, : len(sound)][:, rows]
            lower[number].imshow(heard.T, aspect="auto", cmap="Greys", vmin=0, vmax=1, interpolation="nearest")
            lower[number].set_xlabel(f"timestep of {self.hop} ms")
        upper[0].set_ylabel("mel filter")
        lower[0].set_yticks(range(len(rows)), ["blank", *(name.replace(" ", "space") for name in named)])
        lower[0].set_ylabel("probability of each token")
        return {"posteriorgram": figure}


class _Window(nn.Module):
    """ln p of each token from the frames around it: (batch, time, features) -> (batch, time, tokens)."""

    def __init__(self, features: int, tokens: int) -> None:
        super().__init__()
        self.around = nn.Conv1d(features, WIDTH, 2 * REACH + 1, padding=REACH)
        self.head = make_head(WIDTH, tokens)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = torch.relu(self.around(inputs.transpose(1, 2)))
        found: Tensor = self.head(hidden.transpose(1, 2)).log_softmax(-1)
        return found


def _voices(spoken: list[Spoken]) -> str:
    speakers = {each.speaker for each in spoken}
    return f"{len(speakers)} voices" if len(speakers) > 1 else speakers.pop()


def _paused(parts: list[Samples], rate: int, rng: np.random.Generator) -> Sound:
    """One part after the other, with a pause before each and after the last."""
    pauses = [np.zeros(round(rng.uniform(*PAUSE_SECONDS) * rate), np.float32) for _ in range(len(parts) + 1)]
    return Sound(
        np.concatenate([each for pair in zip(pauses, parts, strict=False) for each in pair] + pauses[-1:]), rate
    )


def draw_words(aligned: pd.DataFrame, name: str) -> Figure:
    """How often each word was written for each other, in percent of the true one. What was put in is in percent of all
    words; a net that writes letters may write what is no word."""
    known = {word: number for number, word in enumerate((*WORDS, NOTHING))}
    rows, columns = [*WORDS, "put in"], [*WORDS, "left out", "no word"]
    counts = np.zeros((len(rows), len(columns)))
    for true, put in zip(aligned["true"], aligned["written"], strict=True):
        counts[known[true], known.get(put, len(known))] += 1
    totals = counts.sum(axis=1)
    totals[-1] = totals[:-1].sum()
    share = 100 * counts / np.maximum(totals, 1)[:, None]
    if not counts[:, -1].any():
        share, columns = share[:, :-1], columns[:-1]
    figure = Figure(figsize=(6.4, 5.6), layout="constrained")
    axes: Axes = figure.subplots()
    picture = axes.imshow(share, cmap="Blues", vmin=0, vmax=100)
    for row, column in np.argwhere(share >= 0.5):
        colour = "white" if share[row, column] > 55 else "black"
        axes.text(column, row, f"{share[row, column]:.0f}", ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(len(columns)), columns, rotation=90)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xlabel("written")
    axes.set_ylabel("said")
    axes.set_title(f"{name}: in % of each word said", fontsize=10)
    figure.colorbar(picture, ax=axes, shrink=0.7, label="%")
    return figure
