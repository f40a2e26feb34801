"""Captions: a picture of some digits, put into words."""

import io
from itertools import groupby
from pathlib import Path
from textwrap import shorten
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from rnnlab.data.batches import Batch, Batches, Order
from rnnlab.data.ragged import Ragged
from rnnlab.data.splits import split_by_class
from rnnlab.data.vocabulary import END, IGNORED, Vocabulary
from rnnlab.datasets.mnist import Mnist
from rnnlab.errors import UserError
from rnnlab.losses import CrossEntropy
from rnnlab.spec import TaskSpec
from rnnlab.tasks.images import Images, put, shrunk
from rnnlab.tasks.raw_input import Column, images, unlabelled
from rnnlab.tasks.task import SPLITS, Model, Split, check_parts, check_whole
from rnnlab.tasks.transduction.base import MEASURES, Written, read_texts, write_texts

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

DISTANCES = 200
"""Test images that are compared with all training images at a time."""

SHOWN = 8

SHOWN_LETTERS = 70
"""Of a caption under a picture; a right one is never longer."""


class Thing(NamedTuple):
    """One digit of a picture. size: a key of `SIDES`."""

    size: str
    digit: int


class Composed(NamedTuple):
    """images: (pictures, HEIGHT, WIDTH). captions: of each. counts: (pictures,), how many digits each has."""

    images: Images
    captions: list[str]
    counts: NDArray[np.int64]


class CaptionData(Written):
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

    reference: ClassVar[str] = "nearest"
    learnt: ClassVar[tuple[str, ...]] = ("vocabulary",)
    measures = ("exact_match", "bleu")
    separator = " "
    parts = "digits in the picture"
    longest = LONGEST

    def __init__(
        self,
        name: str,
        images: int = 8000,
        validation: float = 0.1,
        test: float = 0.2,
        batch_size: int = 32,
        beam: int = 1,
    ) -> None:
        super().__init__()
        self.task_name = name
        self.images = images
        self.validation = validation
        self.test = test
        self.batch_size = batch_size
        self.beam = beam

    def check(self) -> None:
        check_parts(self.validation, self.test)
        for key in ("images", "batch_size", "beam"):
            check_whole(key, getattr(self, key))

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
        self._images = {split: np.load(folder / f"{split}_images.npy", mmap_mode="r") for split in SPLITS}
        self._targets = {split: Ragged.open(folder, split) for split in SPLITS}
        self._captions = {split: read_texts(folder, f"{split}_captions") for split in SPLITS}
        self._test_counts: NDArray[np.int64] = np.load(folder / "test_counts.npy")

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

    def _take(self, split: Split, indices: Tensor) -> Batch:
        images = torch.from_numpy(self._images[split][indices.numpy()]).float().div_(255)
        targets, _ = self._targets[split].take(indices, padding=IGNORED)
        return Batch(images, targets)

    def loader(self, split: Split) -> Batches:
        order = Order(len(self._images[split]), self.seed if split == "train" else None)
        return Batches(lambda indices: self._take(split, indices), order, self.batch_size)

    def texts(self, split: Split) -> tuple[list[str], list[str]]:
        return [f"picture {number}" for number in range(len(self._captions[split]))], self._captions[split]

    def text(self, numbers: list[int]) -> str:
        return super().text(numbers).replace(" ,", ",")

    def columns(self) -> dict[str, Any]:
        return {"digits": self._test_counts}

    def part(self, predictions: pd.DataFrame) -> "pd.Series[str]":
        names = pd.Categorical([NAMES[count] for count in predictions["digits"]], NAMES[1 : MOST + 1], ordered=True)
        return pd.Series(names, predictions.index)

    def baselines(self) -> dict[str, pd.DataFrame]:
        """nearest: the caption of the training picture whose pixels differ least (Euclid). frequent: the caption that
        most training pictures have."""
        train, test = (torch.from_numpy(np.array(self._images[split], np.float32)) for split in ("train", "test"))
        nearest: list[int] = []
        for some in torch.split(test.flatten(1), DISTANCES):
            nearest += torch.cdist(some, train.flatten(1)).argmin(dim=1).tolist()
        captions = self._captions["train"]
        frequent = pd.Series(captions).mode()[0]
        return {
            "nearest": self.table([captions[index] for index in nearest]),
            "frequent": self.table([frequent] * len(test)),
        }

    def figures(self, predictions: list[pd.DataFrame], name: str) -> dict[str, Figure]:
        table = predictions[0].iloc[_spread(len(predictions[0]), SHOWN)]
        pictures = self._images["test"][table.index.to_numpy()]
        return {
            "parts": super().figures(predictions, name)["parts"],
            "written": draw_captions(pictures, table["reference"].tolist(), table["written"].tolist(), name),
        }

    def samples(self, model: Model) -> dict[str, str | bytes]:
        """Validation pictures with what the net writes of them."""
        indices = _spread(len(self._captions["validation"]), SHOWN)
        batch = self._take("validation", torch.from_numpy(indices))
        references = [self._captions["validation"][index] for index in indices]
        figure = draw_captions(self._images["validation"][indices], references, self.write(model, batch))
        return {"written.png": _png(figure)}

    def look(self, model: Model) -> dict[str, Figure]:
        """With attention: for each word that is written of some test pictures, the columns that the net looks at."""
        indices = _spread(len(self._captions["test"]), SHOWN // 2)
        batch = self._take("test", torch.from_numpy(indices)).to(model.device)
        decoded = model.net.decode(batch, self.longest)
        if decoded.weights is None:
            return {}
        tokens = decoded.tokens.tolist()
        words = [self.vocabulary.decode(numbers) + ["(end)"] * (END in numbers) for numbers in tokens]
        weights = [found[: len(row)] for found, row in zip(decoded.weights.cpu().numpy(), words, strict=True)]
        return {"attention": draw_attention(self._images["test"][indices], words, weights)}


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
    for picture in pictures:
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


def _spread(size: int, count: int) -> NDArray[np.int64]:
    """`count` indices from the first to the last of `size`, or all."""
    return np.unique(np.linspace(0, size - 1, count).astype(np.int64))


def draw_captions(pictures: Images, references: list[str], written: list[str], name: str = "") -> Figure:
    """Each picture under its caption; where what was written is another, that stands below it, in red."""
    rows = -(-len(pictures) // 2)
    figure = Figure(figsize=(8.6, 0.4 + 1.35 * rows), layout="constrained")
    all_axes = figure.subplots(rows, 2, squeeze=False).ravel()
    for axes in all_axes[len(pictures) :]:
        axes.set_axis_off()
    for axes, picture, reference, text in zip(all_axes, pictures, references, written, strict=False):
        axes.imshow(picture, cmap="gray_r", vmin=0, vmax=255)
        axes.set(xticks=[], yticks=[])
        axes.set_title(f"\n{reference}", fontsize=8)
        if text != reference:
            axes.set_xlabel(shorten(text, SHOWN_LETTERS, placeholder=" ...") or "(nothing)", fontsize=8, color="C3")
    figure.suptitle(
        f"{name}{': ' if name else ''}captions, and below them in red what was written wrongly", fontsize=10
    )
    return figure


def draw_attention(pictures: Images, words: list[list[str]], weights: list[NDArray[np.floating]]) -> Figure:
    """Below each picture a row for each word that was written of it: how much of it each column of the image had."""
    rows = -(-len(pictures) // 2)
    longest = max(map(len, words))
    figure = Figure(figsize=(9, rows * (1.3 + 0.17 * longest)), layout="constrained")
    grid = figure.add_gridspec(2 * rows, 2, height_ratios=[1.0, 0.17 * longest] * rows)
    for number, (picture, text, looks) in enumerate(zip(pictures, words, weights, strict=True)):
        row, column = 2 * (number // 2), number % 2
        upper, lower = figure.add_subplot(grid[row, column]), figure.add_subplot(grid[row + 1, column])
        upper.imshow(picture, cmap="gray_r", vmin=0, vmax=255, aspect="auto")
        upper.set(xticks=[], yticks=[])
        lower.imshow(looks, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        lower.set_xticks([])
        lower.set_yticks(range(len(text)), text, fontsize=8)
    figure.suptitle("where the net looks for each word, darker for more", fontsize=10)
    return figure


def _png(figure: Figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=100, metadata={"Software": None})
    return content.getvalue()
