"""Pictures of some digits, and their captions."""

from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnlab.arguments import Part, Positive
from rnnlab.data.batches import Batch, Batches, Order
from rnnlab.data.ragged import Ragged
from rnnlab.data.splits import split_by_class
from rnnlab.data.vocabulary import IGNORED, Vocabulary
from rnnlab.datasets.mnist import Mnist
from rnnlab.errors import UserError
from rnnlab.losses import CrossEntropy
from rnnlab.output import progress
from rnnlab.spec import TaskSpec
from rnnlab.tasks.images import Images, put, shrunk
from rnnlab.tasks.raw_input import Column, images, unlabelled
from rnnlab.tasks.task import SPLITS, Split, check_parts
from rnnlab.tasks.transduction.data import MEASURES, TransductionData, read_texts, write_texts

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PLURALS = ("zeros", "ones", "twos", "threes", "fours", "fives", "sixes", "sevens", "eights", "nines")

SIDES = {"large": 16, "small": 10}
"""Pixels of a digit's image, its empty border included."""

HEIGHT, WIDTH = 16, 64

MOST = 4
"""Digits in one picture; as many large ones just fit."""

REPEATED = 0.3
"""Share of digits that are the same, in the same size, as the one on their left, so that plurals occur."""

LONGEST = 3 * MOST + (MOST - 1) + 1
"""Tokens of four phrases, of what joins them, and END."""

COMPOSED_SEED = 0


class Thing(NamedTuple):
    """One digit of a picture. size: a key of `SIDES`."""

    size: str
    digit: int


class Composed(NamedTuple):
    """images: (pictures, HEIGHT, WIDTH). captions: of each. counts: (pictures,), how many digits each has."""

    images: Images
    captions: list[str]
    counts: NDArray[np.int64]


class CaptionData(TransductionData):
    """One to four handwritten digits, large and small, from left to right:

        input    [image: a large 3, another large 3, a small 7, a large 0]     16 x 64 pixels
        target   two large threes , a small seven and a large zero END

    Neighbours that are the same digit in the same size are named together. So each picture has one right caption, and
    to write it takes more than reading digits: to count, to agree in number, to put "and" before the last phrase alone.

    Pictures are composed when the data is prepared, the same ones each time: as many digits as chance will, at places
    that chance chooses. Those of the three splits are made of digits that no other split has; the full set's official
    test digits make the test pictures. The vocabulary is learnt from the training captions.

    images: pictures in all, shared out to the splits as the digits are.
    """

    learnt: ClassVar[tuple[str, ...]] = ("vocabulary",)
    measures = ("exact_match", "bleu")
    separator = " "
    longest = LONGEST

    def __init__(
        self,
        name: str,
        images: Positive = 8000,
        validation: Part = 0.1,
        test: Part = 0.2,
        batch_size: Positive = 32,
    ) -> None:
        super().__init__()
        self.task_name = name
        self.images = images
        self.validation = validation
        self.test = test
        self.batch_size = batch_size

    def check(self) -> None:
        super().check()
        check_parts(self.validation, self.test)

    def prepare(self, dataset: Mnist, raw: Path, folder: Path) -> dict[str, Any]:
        digits = dataset.read(raw)
        missing = sorted(set(range(10)) - set(digits.labels.tolist()))
        if missing:
            raise UserError(f"the data has no images of {missing}: every digit is needed to compose pictures.")
        splits = split_by_class(digits.labels, self.validation, self.test, digits.is_test)
        composed = {}
        for number, (split, indices) in enumerate(splits.items()):
            count = round(self.images * len(indices) / len(digits.labels))
            if count == 0:
                raise UserError(f"task.images={self.images} leaves no picture for the {split} part: ask for more.")
            rng = np.random.default_rng([COMPOSED_SEED, number])
            composed[split] = compose(digits.images[indices], digits.labels[indices], count, rng)
        vocabulary = Vocabulary.fit(map(tokens_of, composed["train"].captions))
        report = {}
        for split, (pictures, captions, counts) in composed.items():
            np.save(folder / f"{split}_images.npy", pictures)
            np.save(folder / f"{split}_counts.npy", counts)
            numbers = [vocabulary.encode(tokens_of(text), end=True) for text in captions]
            Ragged.write(folder, split, numbers, np.int32)
            write_texts(folder, f"{split}_captions", captions)
            different = len(set(captions))
            report[split] = f"{len(pictures)} pictures of {len(splits[split])} digits, {different} captions"
        report["tokens"] = str(len(vocabulary))
        return {"vocabulary": vocabulary.as_list(), "report": report}

    def open(self, folder: Path, meta: dict[str, Any], seed: int) -> None:
        self.restore(meta)
        self.seed = seed
        self.pictures = {split: np.load(folder / f"{split}_images.npy", mmap_mode="r") for split in SPLITS}
        self._targets = {split: Ragged.open(folder, split) for split in SPLITS}
        self.captions = {split: read_texts(folder, f"{split}_captions") for split in SPLITS}
        self.counts: dict[Split, NDArray[np.int64]] = {
            split: np.load(folder / f"{split}_counts.npy") for split in SPLITS
        }

    def restore(self, learnt: dict[str, Any]) -> None:
        self.meta = learnt
        self.vocabulary = Vocabulary.from_list(learnt["vocabulary"])
        self.spec = TaskSpec(
            task=self.task_name,
            layout="one_to_many",
            input_size=HEIGHT * WIDTH,
            output_size=len(self.vocabulary),
            loss=CrossEntropy(),
            metrics={measure: MEASURES[measure] for measure in self.measures},
            rank_by="exact_match",
            image=(HEIGHT, WIDTH),
            # each is composed by itself of the digits of its split, several of the same digit: what is inferred holds
            # for other pictures of these digits, and says nothing of other handwriting
            unit="picture",
        )

    def raw_columns(self) -> dict[str, Column]:
        held = f"{HEIGHT * WIDTH} pixels row by row, 0 paper to 255 ink"
        return {"image": Column("integer", held, 1, (HEIGHT, WIDTH))}

    def raw_example(self) -> pd.DataFrame:
        image = np.zeros((HEIGHT, WIDTH), np.int64)
        image[2:14, 8:10] = 255
        return pd.DataFrame({"image": [image.ravel().tolist()]})

    def encode(self, table: pd.DataFrame) -> Batch:
        return unlabelled(torch.from_numpy(images(table, "image", HEIGHT, WIDTH)))

    def take(self, split: Split, indices: Tensor) -> Batch:
        images = torch.from_numpy(self.pictures[split][indices.numpy()]).float().div_(255)
        targets, _ = self._targets[split].take(indices, padding=IGNORED)
        return Batch(images, targets)

    def loader(self, split: Split) -> Batches:
        order = Order(len(self.pictures[split]), self.seed if split == "train" else None)
        return Batches(lambda indices: self.take(split, indices), order, self.batch_size)

    def texts(self, split: Split) -> tuple[list[str], list[str]]:
        return [f"picture {number}" for number in range(len(self.captions[split]))], self.captions[split]


def tokens_of(text: str) -> list[str]:
    """a small six, two large ones and a small two -> a small six , two large ones and a small two"""
    return text.replace(",", " ,").split()


def caption(things: list[Thing]) -> str:
    """The one right caption of what stands side by side, from left to right."""
    phrases = []
    for (size, digit), same in groupby(things):
        count = len(list(same))
        phrases.append(f"a {size} {NAMES[digit]}" if count == 1 else f"{NAMES[count]} {size} {PLURALS[digit]}")
    *others, last = phrases
    return f"{', '.join(others)} and {last}" if others else last


def compose(images: Images, labels: NDArray[np.integer], count: int, rng: np.random.Generator) -> Composed:
    """`count` pictures of these digits."""
    by_size = {size: shrunk(images, side) for size, side in SIDES.items()}
    of_digit = [np.flatnonzero(labels == digit) for digit in range(10)]
    pictures = np.zeros((count, HEIGHT, WIDTH), np.uint8)
    captions, counts = [], []
    for picture in progress(pictures, "composing pictures"):
        things = choose(rng)
        for thing, left in zip(things, places(things, rng), strict=True):
            image = by_size[thing.size][rng.choice(of_digit[thing.digit])]
            put(image, picture, int(rng.integers(HEIGHT - len(image) + 1)), left)
        captions.append(caption(things))
        counts.append(len(things))
    return Composed(pictures, captions, np.array(counts))


def choose(rng: np.random.Generator) -> list[Thing]:
    """What stands in a picture, by chance."""
    things: list[Thing] = []
    for _ in range(rng.integers(1, MOST + 1)):
        if things and rng.random() < REPEATED:
            things.append(things[-1])
        else:
            things.append(Thing(str(rng.choice(list(SIDES))), int(rng.integers(10))))
    return things


def places(things: list[Thing], rng: np.random.Generator) -> list[int]:
    """The left edge of each: no two digits share columns but for the empty borders of their images."""
    widths = [_column_width(SIDES[thing.size]) for thing in things]
    border = max(SIDES[thing.size] - width for thing, width in zip(things, widths, strict=True))
    free = WIDTH - border - sum(widths)
    gaps = np.sort(rng.integers(0, free + 1, len(things)))
    before = np.cumsum([0, *widths[:-1]])
    return [int(left) for left in gaps + before]


def _column_width(side: int) -> int:
    """What a digit itself takes: the images of MNIST have a border of 4 of their 28 pixels."""
    return side - side * 4 // 28
