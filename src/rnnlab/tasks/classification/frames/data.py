"""Videos of moving digits: which digit is it, in each frame, also in those that do not show it?"""

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnlab.arguments import Part, Positive, Range
from rnnlab.data.batches import Batch, Batches, Order
from rnnlab.data.splits import split_by_class
from rnnlab.datasets.mnist import Mnist
from rnnlab.errors import UserError
from rnnlab.losses import CrossEntropy
from rnnlab.output import progress
from rnnlab.spec import TaskSpec
from rnnlab.tasks.classification.data import METRICS, ClassificationData
from rnnlab.tasks.images import Images, put, shrunk
from rnnlab.tasks.raw_input import Column, arrays, sequences
from rnnlab.tasks.task import SPLITS, Split, check_parts

SIDE = 20
"""Of a frame, in pixels."""

DIGIT_SIDE = 14

SPEEDS = (-2, -1, 1, 2)
"""Pixels for each frame, to the right and down."""

SHORTEST_SCENE, FRAMES_PER_SCENE = 3, 4
"""Frames; a video has a scene for every four of its frames, at most."""

COMPOSED_SEED = 0


class Videos(NamedTuple):
    """frames: (videos, time, SIDE, SIDE); labels, is_hidden, views, images: (videos, time).

    views: how many frames have shown the digit since it came, this one included. images: which of the split's images
    of digits moves there.
    """

    frames: Images
    labels: NDArray[np.int64]
    is_hidden: NDArray[np.bool_]
    views: NDArray[np.int64]
    images: NDArray[np.int64]


class FramesData(ClassificationData):
    """A handwritten digit moves, bounces off the edges, is hidden now and then, and at a cut gives way to another:

        input    [3]  [ 3]  [  ]  [ 3]  [  ]  [7 ]  [7 ]  [  ]  ...     frames of 20 x 20 pixels
        target    3    3     3     3     3     7     7     7    ...

    A hidden frame is blank. The first frame of a scene never is, so that each frame has one right answer; but in a
    hidden one, no method knows it without a memory. As the target is in no input, a net may also read from the end.

    Videos are made when the data is prepared, the same ones each time. Those of the three splits are made of digits
    that no other split has; the full set's official test digits make the test videos. An image of a digit moves in as
    many videos as chance will have it, two on the average of the sample, and a net errs alike in all of them: the unit
    that is judged is the image. Standard errors over videos would be a third too small; two digits of one video, on the
    other hand, have no errors in common.

    videos: in all, shared out to the splits as the digits are. frames: of each video; it has a scene for every 4 of
    them at most. hidden: share of the frames, but for the first of each scene.
    """

    def __init__(
        self,
        name: str,
        videos: Positive = 5000,
        frames: Annotated[int, Range(at_least=SHORTEST_SCENE)] = 12,
        hidden: Part = 0.4,
        validation: Part = 0.1,
        test: Part = 0.2,
        batch_size: Positive = 32,
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
        super().check()
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
        self.filmed = {
            split: Videos(*(np.load(folder / f"{split}_{name}.npy", mmap_mode="r") for name in Videos._fields))
            for split in SPLITS
        }
        self.labels = {split: videos.labels.ravel() for split, videos in self.filmed.items()}

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
            unit="digit",
        )

    def raw_columns(self) -> dict[str, Column]:
        held = f"a video: its frames, each {SIDE * SIDE} pixels row by row, 0 paper to 255 ink"
        return {"frames": Column("integer", held, 2)}

    def raw_timestep(self) -> Column:
        return Column("integer", f"a frame, {SIDE * SIDE} pixels row by row, 0 paper to 255 ink", 1)

    def raw_example(self) -> pd.DataFrame:
        video = np.zeros((4, SIDE, SIDE), np.int64)
        video[:, 3:17, 9:11] = 255
        return pd.DataFrame({"frames": [video.reshape(4, -1).tolist()]})

    def encode(self, table: pd.DataFrame) -> Batch:
        videos = arrays(table, "frames", (None, SIDE * SIDE))
        return sequences([video.astype(np.float32) / np.float32(255) for video in videos])

    def _take(self, split: Split, indices: Tensor) -> Batch:
        videos = self.filmed[split]
        frames = videos.frames[indices.numpy()].reshape(len(indices), -1, SIDE * SIDE)
        return Batch(torch.from_numpy(frames).float().div_(255), torch.from_numpy(videos.labels[indices.numpy()]))

    def loader(self, split: Split) -> Batches:
        order = Order(len(self.filmed[split].frames), self.seed if split == "train" else None)
        return Batches(lambda indices: self._take(split, indices), order, self.batch_size)


def film(
    images: Images, labels: NDArray[np.integer], shape: tuple[int, int], hidden: float, rng: np.random.Generator
) -> Videos:
    """Videos of these digits. shape: how many, and the frames of each."""
    small = shrunk(images, DIGIT_SIDE)
    count, time = shape
    frames = np.zeros((count, time, SIDE, SIDE), np.uint8)
    moving = np.zeros(shape, np.int64)
    is_first = np.zeros(shape, np.bool_)
    for video in progress(range(count), "filming"):
        for begin, end in scenes(time, rng):
            digit = int(rng.integers(len(small)))
            moving[video, begin:end] = digit
            is_first[video, begin] = True
            for frame, (top, left) in zip(frames[video, begin:end], way(end - begin, rng), strict=True):
                put(small[digit], frame, top, left)
    is_hidden = (rng.random(shape) < hidden) & ~is_first
    frames[is_hidden] = 0
    seen = np.cumsum(~is_hidden, axis=1)
    before = np.maximum.accumulate(np.where(is_first, seen - 1, 0), axis=1)
    return Videos(frames, labels[moving].astype(np.int64), is_hidden, seen - before, moving)


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
