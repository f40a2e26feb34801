"""What the data of all tasks share that predict the next token of one long text."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnlab.arguments import OneOf, Part, Positive, Range
from rnnlab.data.batches import Streams
from rnnlab.data.vocabulary import SPECIAL, UNKNOWN, Vocabulary
from rnnlab.datasets.plain_text import UNITS, Codes
from rnnlab.errors import UserError
from rnnlab.losses import CrossEntropy
from rnnlab.output import progress
from rnnlab.spec import TaskSpec
from rnnlab.tasks.raw_input import Column
from rnnlab.tasks.task import Split, Task, check_parts

CODES = 0x110000
"""One more than the largest code point."""

WINDOW = 100
"""Tokens that have one loss."""

EVALUATED_STREAMS = 32
EVALUATED_TIMESTEPS = 200
WARM_UP = 100

CHARACTERS = 1 << 16
"""Of a raw text, in memory at a time."""


class LanguageModellingData(Task):
    """The next token of a text, a character or a byte, after all those before it.

    The text is cut into a validation, a training and a test part, in this order, so that what is known just before the
    test part is learnt from: half a play read, its other half is easier. The vocabulary is that of the training part;
    what is not in it is one unknown token. An epoch reads the training part as streams side by side,
    each batch going on with the state in which the one before ended. The other parts are read in streams as well, each
    from a little before its first token, so that every token is predicted from a past.

    unit: "character" or "byte". validation, test: shares of the text, but at most `largest_part` tokens each.
    at_least: how often a token must occur in training to be in the vocabulary. timesteps: of a batch, which the
    gradient goes back over. batch_size: streams. epoch_steps: batches of an epoch at most; the next one goes on
    elsewhere.

    Of an open task:

    tokens: the whole text as numbers of the vocabulary, (tokens,). counts: of each in the training part.
    """

    learnt: ClassVar[tuple[str, ...]] = ("vocabulary", "unit")
    causal: ClassVar[bool] = True

    def __init__(
        self,
        name: str,
        unit: Annotated[str, OneOf(UNITS)] = "character",
        validation: Part = 0.05,
        test: Part = 0.1,
        largest_part: Annotated[int, Range(at_least=2 * WINDOW)] = 2_000_000,
        at_least: Positive = 1,
        timesteps: Positive = 100,
        batch_size: Positive = 16,
        epoch_steps: Positive | None = None,
    ) -> None:
        super().__init__()
        self.task_name = name
        self.unit = unit
        self.validation = validation
        self.test = test
        self.largest_part = largest_part
        self.at_least = at_least
        self.timesteps = timesteps
        self.batch_size = batch_size
        self.epoch_steps = epoch_steps

    def check(self) -> None:
        super().check()
        check_parts(self.validation, self.test)

    def prepare(self, dataset: Any, raw: Path, folder: Path) -> dict[str, Any]:
        """Three passes over the text in pieces: its length, the vocabulary, the tokens."""
        sizes = [len(codes) for codes in progress(dataset.codes(raw), f"{self.task_name}: measuring the text")]
        size = sum(sizes)

        def pieces(doing: str) -> Iterator[Codes]:
            return progress(dataset.codes(raw), f"{self.task_name}: {doing} the text", len(sizes))

        splits = self._split(size)
        counts = np.zeros(CODES, np.int64)
        for codes in _between(pieces("counting"), *splits["train"]):
            counts += np.bincount(codes, minlength=CODES)
        kept = np.flatnonzero(counts >= self.at_least)
        kept = kept[np.argsort(-counts[kept], kind="stable")]
        if len(kept) < 2:
            raise UserError(
                f"The training part has {len(np.flatnonzero(counts))} kind(s) of {self.unit}, {len(kept)} of them at "
                f"least {self.at_least} time(s) (task.at_least): there is nothing to predict."
            )
        vocabulary = Vocabulary([*SPECIAL, *map(chr, kept)])
        numbers = np.full(CODES, UNKNOWN, np.min_scalar_type(len(vocabulary) - 1))
        numbers[kept] = np.arange(len(SPECIAL), len(vocabulary))
        _write(folder / "tokens.npy", (numbers[codes] for codes in pieces("writing")), size, numbers.dtype)
        of_tokens = np.bincount(numbers, counts, len(vocabulary)).astype(np.int64)
        np.save(folder / "counts.npy", of_tokens)
        return {
            "unit": self.unit,
            "splits": splits,
            "vocabulary": vocabulary.as_list(),
            "report": {
                **self._report(np.load(folder / "tokens.npy", mmap_mode="r"), splits, len(kept)),
                "notes": dataset.notes() or None,
            },
        }

    def _split(self, size: int) -> dict[str, tuple[int, int]]:
        """The first token of each part, and one past its last."""
        test = min(size - int(size * (1 - self.test)), self.largest_part)
        validation = min(int(size * self.validation), self.largest_part)
        train = (validation, size - test)
        splits = {"train": train, "validation": (0, validation), "test": (size - test, size)}
        for split, (first, end) in splits.items():
            if end - first < 2 * WINDOW:
                raise UserError(
                    f"A text of {size} {self.unit}s is too short: the {split} part has {end - first}, at least "
                    f"{2 * WINDOW} are needed. Give a longer text, or other shares."
                )
        return splits

    def _report(self, tokens: NDArray[Any], splits: dict[str, tuple[int, int]], kinds: int) -> dict[str, str]:
        report = {"vocabulary": f"{kinds} kinds of {self.unit} in the training part"}
        for split, (first, end) in splits.items():
            report[split] = f"{end - first} {self.unit}s"
            if split != "train":
                report[split] += f", {(tokens[first:end] == UNKNOWN).mean():.2%} of them unknown in training"
        return report

    def open(self, folder: Path, meta: dict[str, Any], seed: int) -> None:
        self.restore(meta)
        self.seed = seed
        self.tokens = np.load(folder / "tokens.npy", mmap_mode="r")
        self.counts = np.load(folder / "counts.npy")

    def restore(self, learnt: dict[str, Any]) -> None:
        self.meta = learnt
        self.vocabulary = Vocabulary.from_list(learnt["vocabulary"])
        self.spec = TaskSpec(
            task=self.task_name,
            layout="many_to_many",
            input_size=len(self.vocabulary),
            output_size=len(self.vocabulary),
            loss=CrossEntropy(),
            metrics={f"nats_per_{self.unit}": "min", f"bits_per_{self.unit}": "min", "accuracy": "max"},
            rank_by=f"nats_per_{self.unit}",
            tokens=True,
            causal=self.causal,
            streamed=True,
            # a scene's names and a file's words are hard, or easy, in several windows on end
            unit=f"window of {WINDOW} {self.unit}s",
            overlap=1,
        )

    def raw_columns(self) -> dict[str, Column]:
        return {"prompt": Column("text", f"a text of at least one {self.unit}")}

    def raw_example(self) -> pd.DataFrame:
        return pd.DataFrame({"prompt": ["To be, or not to be"]})

    def read_text(self, path: Path) -> Iterator[str]:
        """A raw text of any size, piece by piece.

        Raises: `UserError` where it is not UTF-8.
        """
        of_bytes = self.unit == "byte"
        try:
            with path.open(encoding="latin-1" if of_bytes else "utf-8", newline="") as file:
                while piece := file.read(CHARACTERS):
                    yield piece.encode("latin-1").decode("utf-8", "surrogateescape") if of_bytes else piece
        except UnicodeDecodeError as error:
            raise UserError(f"{path} is not UTF-8 ({error.reason} at byte {error.start}); save it in UTF-8.") from None

    def units(self, text: str) -> list[str]:
        """Characters, or bytes each as the character of its number."""
        return list(text.encode().decode("latin-1")) if self.unit == "byte" else list(text)

    def loader(self, split: Split) -> Streams:
        span = self.meta["splits"][split]
        if split == "train":
            return Streams(self.tokens, span, self.timesteps, self.batch_size, seed=self.seed, at_most=self.epoch_steps)
        return Streams(self.tokens, span, EVALUATED_TIMESTEPS, EVALUATED_STREAMS, warm_up=WARM_UP)


def _between(pieces: Iterable[Codes], first: int, end: int) -> Iterator[Codes]:
    """Of all numbers of the pieces those from `first` on and before `end`."""
    for piece in pieces:
        yield piece[max(first, 0) : max(end, 0)]
        first, end = first - len(piece), end - len(piece)
        if end <= 0:
            return


def _write(path: Path, pieces: Iterable[NDArray[Any]], size: int, dtype: np.dtype[Any]) -> None:
    """An .npy of all pieces one after the other; they go to the file, where a memory map would keep them in memory."""
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (size,)}
    with path.open("wb") as file:
        np.lib.format.write_array_header_2_0(file, header)
        for piece in pieces:
            piece.tofile(file)
