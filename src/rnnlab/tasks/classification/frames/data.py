"""Videos of moving digits: which digit is it, in each frame, also in those that do not show it?"""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from rnnlab.data.batches import Batch, Batches, Order
from rnnlab.data.splits import split_by_class
from rnnlab.datasets.mnist import Mnist
from rnnlab.errors import UserError
from rnnlab.losses import CrossEntropy
from rnnlab.spec import TaskSpec
from rnnlab.statistics import mean_interval
from rnnlab.tasks.baselines.linear import class_frequencies, logistic_regression
from rnnlab.tasks.classification.base import METRICS, Classification
from rnnlab.tasks.images import Images, put, shrunk
from rnnlab.tasks.raw_input import Column, arrays, sequences
from rnnlab.tasks.task import SPLITS, Array, Model, Split, check_parts, check_share, check_whole

SIDE = 20
"""Of a frame, in pixels."""

DIGIT_SIDE = 14

SPEEDS = (-2, -1, 1, 2)
"""Pixels for each frame, to the right and down."""

SHORTEST_SCENE, FRAMES_PER_SCENE = 3, 4
"""Frames; a video has a scene for every four of its frames, at most."""

COMPOSED_SEED = 0

BASELINE_FRAMES = 10_000
"""Training frames that a linear baseline learns from, at most."""

LONGEST_HIDDEN = 4
"""Frames since a digit was seen; more are counted with as many."""

SHOWN = 6


class Videos(NamedTuple):
    """frames: (videos, time, SIDE, SIDE); labels, is_hidden, views: (videos, time).

    views: how many frames have shown the digit since it came, this one included.
    """

    frames: Images
    labels: NDArray[np.int64]
    is_hidden: NDArray[np.bool_]
    views: NDArray[np.int64]


class FramesData(Classification):
    """A handwritten digit moves, bounces off the edges, is hidden now and then, and at a cut gives way to another:

        input    [3]  [ 3]  [  ]  [ 3]  [  ]  [7 ]  [7 ]  [  ]  ...     frames of 20 x 20 pixels
        target    3    3     3     3     3     7     7     7    ...

    A hidden frame is blank. The first frame of a scene never is, so that each frame has one right answer; but in a
    hidden one, no method knows it without a memory. As the target is in no input, a net may also read from the end.

    Videos are made when the data is prepared, the same ones each time. Those of the three splits are made of digits
    that no other split has; the full set's official test digits make the test videos.

    videos: in all, shared out to the splits as the digits are. frames: of each video; it has a scene for every 4 of
    them at most. hidden: share of the frames, but for the first of each scene.
    """

    reference: ClassVar[str] = "centred"

    def __init__(
        self,
        name: str,
        videos: int = 5000,
        frames: int = 12,
        hidden: float = 0.4,
        validation: float = 0.1,
        test: float = 0.2,
        batch_size: int = 32,
    ) -> None:
        super().__init__()
        self.task_name = name
        self.videos = videos
        self.frames = frames
        self.hidden = hidden
        self.validation = validation
        self.test = test
        self.batch_size = batch_size

    def check(self) -> None:
        check_whole("videos", self.videos)
        check_whole("frames", self.frames, at_least=SHORTEST_SCENE)
        check_whole("batch_size", self.batch_size)
        check_share("hidden", self.hidden)
        check_parts(self.validation, self.test)

    def prepare(self, dataset: Mnist, raw: Path, folder: Path) -> dict[str, Any]:
        digits = dataset.read(raw)
        splits = split_by_class(digits.labels, self.validation, self.test, digits.is_test)
        report = {}
        for number, (split, indices) in enumerate(splits.items()):
            count = round(self.videos * len(indices) / len(digits.labels))
            rng = np.random.default_rng([COMPOSED_SEED, number])
            videos = film(digits.images[indices], digits.labels[indices], (count, self.frames), self.hidden, rng)
            if count < 2 or not videos.is_hidden.any():
                raise UserError(
                    f"task.videos={self.videos} and task.hidden={self.hidden} give the {split} part {count} videos and "
                    f"{videos.is_hidden.sum()} hidden frames; 2 and 1 are needed: ask for more."
                )
            for name, values in videos._asdict().items():
                np.save(folder / f"{split}_{name}.npy", values)
            share = videos.is_hidden.mean()
            report[split] = f"{count} videos of {len(indices)} digits, {share:.0%} of the frames hidden"
        return {"report": report}

    def open(self, folder: Path, meta: dict[str, Any], seed: int) -> None:
        self.restore(meta)
        self.seed = seed
        self._videos = {
            split: Videos(*(np.load(folder / f"{split}_{name}.npy", mmap_mode="r") for name in Videos._fields))
            for split in SPLITS
        }
        self.test_labels = self._videos["test"].labels.ravel()

    def restore(self, learnt: dict[str, Any]) -> None:
        self.meta = learnt
        self.classes = [str(digit) for digit in range(10)]
        self.spec = TaskSpec(
            task=self.task_name,
            layout="many_to_many",
            input_size=SIDE * SIDE,
            output_size=10,
            loss=CrossEntropy(),
            metrics={**METRICS, "accuracy_hidden": "max", "accuracy_visible": "max"},
            rank_by="accuracy",
        )

    def raw_columns(self) -> dict[str, Column]:
        held = f"a video: its frames, each {SIDE * SIDE} pixels row by row, 0 paper to 255 ink"
        return {"frames": Column("integer", held, 2)}

    def raw_example(self) -> pd.DataFrame:
        video = np.zeros((4, SIDE, SIDE), np.int64)
        video[:, 3:17, 9:11] = 255
        return pd.DataFrame({"frames": [video.reshape(4, -1).tolist()]})

    def encode(self, table: pd.DataFrame) -> Batch:
        videos = arrays(table, "frames", (None, SIDE * SIDE))
        return sequences([video.astype(np.float32) / np.float32(255) for video in videos])

    def say(self, model: Model, batch: Batch, table: pd.DataFrame) -> pd.DataFrame:
        """As of any classification, for each frame."""
        return self.named_timesteps(model(batch.to(model.device)), batch, table)

    def _take(self, split: Split, indices: Tensor) -> Batch:
        videos = self._videos[split]
        frames = videos.frames[indices.numpy()].reshape(len(indices), -1, SIDE * SIDE)
        return Batch(torch.from_numpy(frames).float().div_(255), torch.from_numpy(videos.labels[indices.numpy()]))

    def loader(self, split: Split) -> Batches:
        order = Order(len(self._videos[split].frames), self.seed if split == "train" else None)
        return Batches(lambda indices: self._take(split, indices), order, self.batch_size)

    def outputs(self, model: Model, split: Split = "test") -> Array:
        """(frames of all videos, classes)"""
        found: Array = super().outputs(model, split).reshape(-1, 10)
        return found

    def columns(self) -> dict[str, Any]:
        videos = self._videos["test"]
        count, time = videos.labels.shape
        return {
            "video": np.repeat(np.arange(count), time),
            "frame": np.tile(np.arange(time), count),
            "views": videos.views.ravel(),
            "unseen": unseen(videos.is_hidden).ravel(),
        }

    def losses(self, predictions: pd.DataFrame) -> Array:
        """Of each video the share of frames with a wrong answer: the frames of one video depend on each other."""
        wrong = super().losses(predictions)
        by_video: Array = wrong.reshape(-1, self._videos["test"].labels.shape[1]).mean(axis=1)
        return by_video

    def judge(self, predictions: pd.DataFrame) -> dict[str, float]:
        """As of any classification, frame by frame, and

        accuracy_hidden, accuracy_visible  share of right answers among the frames that hide the digit, that show it

        The interval of `accuracy` is Student's for the mean over videos, as the frames of one depend on each other.
        """
        right = np.asarray(predictions["label"] == predictions["predicted"], np.float64)
        is_hidden = predictions["unseen"].to_numpy() > 0
        metrics = super().judge(predictions)
        low, high = mean_interval(1 - self.losses(predictions))
        metrics["accuracy_low"], metrics["accuracy_high"] = max(0.0, low), min(1.0, high)
        metrics["accuracy_hidden"] = float(right[is_hidden].mean())
        metrics["accuracy_visible"] = float(right[~is_hidden].mean())
        return metrics

    def baselines(self) -> dict[str, pd.DataFrame]:
        """centred: logistic regression on the pixels of a frame that is moved until its centre of mass stands in the
        middle, and for a hidden frame its answer to the last that showed the digit: motion undone and a memory, both
        made by hand. carried: the same on the frame as it is. linear: without the memory, too. frequency: each class
        as often as in training."""
        test = self._videos["test"]
        last_seen = np.arange(test.labels.size) - unseen(test.is_hidden).ravel()
        linear = self._regression(_pixels)
        frequency = class_frequencies(self._videos["train"].labels.ravel(), test.labels.size, 10)
        return {
            "centred": self.table(self._regression(lambda frames: _pixels(centred(frames)))[last_seen]),
            "carried": self.table(linear[last_seen]),
            "linear": self.table(linear),
            "frequency": self.table(frequency),
        }

    def _regression(self, features: Callable[[Images], Array]) -> Array:
        """Probabilities of each test frame by logistic regression on what `features` makes of the frames."""
        seen, y = visible_frames(self._videos["train"], BASELINE_FRAMES)
        seen_validation, y_validation = visible_frames(self._videos["validation"], BASELINE_FRAMES)
        test = self._videos["test"].frames.reshape(-1, SIDE, SIDE)
        return logistic_regression(features(seen), y, features(seen_validation), y_validation, features(test), 10)

    def plot_rows(self, predictions: list[pd.DataFrame]) -> pd.DataFrame:
        """Accuracy by the number of frames since the digit was seen."""
        rows = accuracy_by("unseen", pd.concat(predictions))
        return pd.DataFrame({"part": rows.index.astype(str), "score": rows.to_numpy()})

    def figures(self, predictions: list[pd.DataFrame], name: str) -> dict[str, Figure]:
        return {
            **super().figures(predictions, name),
            "memory": draw_memory(pd.concat(predictions), name),
            "videos": draw_videos(self._videos["test"].frames, predictions[0], name),
        }


def film(
    images: Images, labels: NDArray[np.integer], shape: tuple[int, int], hidden: float, rng: np.random.Generator
) -> Videos:
    """Videos of these digits. shape: how many, and the frames of each."""
    small = shrunk(images, DIGIT_SIDE)
    count, time = shape
    frames = np.zeros((count, time, SIDE, SIDE), np.uint8)
    found = np.zeros(shape, np.int64)
    is_first = np.zeros(shape, np.bool_)
    for video in range(count):
        for begin, end in scenes(time, rng):
            digit = int(rng.integers(len(small)))
            found[video, begin:end] = labels[digit]
            is_first[video, begin] = True
            for frame, (top, left) in zip(frames[video, begin:end], way(end - begin, rng), strict=True):
                put(small[digit], frame, top, left)
    is_hidden = (rng.random(shape) < hidden) & ~is_first
    frames[is_hidden] = 0
    seen = np.cumsum(~is_hidden, axis=1)
    before = np.maximum.accumulate(np.where(is_first, seen - 1, 0), axis=1)
    return Videos(frames, found, is_hidden, seen - before)


def scenes(time: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Where each scene of a video begins and ends, by chance, none shorter than `SHORTEST_SCENE`."""
    count = int(rng.integers(1, max(1, time // FRAMES_PER_SCENE) + 1))
    free = time - count * SHORTEST_SCENE
    cuts = np.sort(rng.integers(0, free + 1, count - 1)) + SHORTEST_SCENE * np.arange(1, count)
    edges = [0, *cuts.tolist(), time]
    return list(pairwise(edges))


def way(time: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Top and left of a digit in each frame, (time, 2): straight on at an even speed, turned back at the edges."""
    free = SIDE - DIGIT_SIDE
    start, speed = rng.integers(0, free + 1, 2), rng.choice(SPEEDS, 2)
    # as on a way there and back again that is run through over and over
    there_and_back = (start + speed * np.arange(time)[:, None]) % (2 * free)
    return np.minimum(there_and_back, 2 * free - there_and_back)


def unseen(is_hidden: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many frames ago the digit was seen: 0 in a frame that shows it."""
    time = np.arange(is_hidden.shape[1])
    result: NDArray[np.int64] = time - np.maximum.accumulate(np.where(is_hidden, 0, time), axis=1)
    return result


def visible_frames(videos: Videos, at_most: int) -> tuple[Images, NDArray[np.int64]]:
    """Frames that show the digit, and their labels, at even distances if they are too many."""
    places = np.flatnonzero(~videos.is_hidden.ravel())
    places = places[:: -(-len(places) // at_most)]
    return videos.frames.reshape(-1, SIDE, SIDE)[places], videos.labels.ravel()[places]


def centred(frames: Images) -> Images:
    """Each frame, (frames, SIDE, SIDE), moved by whole pixels until its centre of mass stands in the middle.

    Blank frames stay blank; what leaves at one edge comes in at the other, paper for a digit that is whole.
    """
    index = np.arange(SIDE)
    mass = np.maximum(frames.sum(axis=(1, 2)), 1)
    down, right = (np.rint(frames.sum(axis=axis) @ index / mass).astype(np.int64) - SIDE // 2 for axis in (2, 1))
    rows = (index + down[:, None]) % SIDE
    columns = (index + right[:, None]) % SIDE
    result: Images = frames[np.arange(len(frames))[:, None, None], rows[:, :, None], columns[:, None, :]]
    return result


def _pixels(frames: Images) -> Array:
    return frames.reshape(-1, SIDE * SIDE) / 255.0


def accuracy_by(column: str, predictions: pd.DataFrame) -> "pd.Series[float]":
    right = (predictions["label"] == predictions["predicted"]).astype(np.float64)
    return right.groupby(predictions[column].clip(upper=LONGEST_HIDDEN)).mean()


def draw_memory(predictions: pd.DataFrame, name: str) -> Figure:
    """How long an answer is kept, and whether it gets better with each look."""
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, rows, label in (
        (left, accuracy_by("unseen", predictions), "frames since the digit was seen"),
        (right, accuracy_by("views", predictions[predictions["unseen"] == 0]), "frames that have shown the digit"),
    ):
        names = [f"{number}+" if number == LONGEST_HIDDEN else str(number) for number in rows.index]
        bars = axes.bar(rows.index, rows.to_numpy(), color="C1", width=0.7)
        axes.set_xticks(rows.index, names)
        axes.bar_label(bars, fmt="%.2f", fontsize=8)
        axes.axhline(0.1, color="black", linewidth=0.8, linestyle="--")
        axes.set_xlabel(label)
    left.set_ylabel("accuracy")
    left.set_ylim(0, 1.05)
    figure.suptitle(f"{name}: memory, and what several looks add; dashed: guessing", fontsize=10)
    return figure


def draw_videos(frames: Images, predictions: pd.DataFrame, name: str) -> Figure:
    """Some videos, frame by frame, with the answer above each, a wrong one in red."""
    count, time = frames.shape[:2]
    rows = np.unique(np.linspace(0, count - 1, SHOWN).astype(np.int64))
    shown = min(time, 16)
    figure = Figure(figsize=(0.3 + 0.62 * shown, 0.5 + 0.85 * len(rows)), layout="constrained")
    all_axes = figure.subplots(len(rows), shown, squeeze=False)
    labels, answers = (predictions[column].to_numpy().reshape(count, time) for column in ("label", "predicted"))
    for video, line in zip(rows, all_axes, strict=True):
        for frame, axes in enumerate(line):
            axes.imshow(frames[video, frame], cmap="gray_r", vmin=0, vmax=255)
            axes.set(xticks=[], yticks=[])
            answer = answers[video, frame]
            axes.set_title(str(answer), fontsize=9, color="black" if answer == labels[video, frame] else "C3")
    figure.suptitle(f"{name}: the answer to each frame, wrong ones in red", fontsize=10)
    return figure
