"""What puts pictures into words without recurrence."""

from typing import ClassVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnlab.output import progress
from rnnlab.tasks.baselines.baselines import Baselines, Predict
from rnnlab.tasks.images import Images
from rnnlab.tasks.task import Split
from rnnlab.tasks.transduction.caption.data import HEIGHT, NAMES, PLURALS, CaptionData, Thing, caption
from rnnlab.tasks.transduction.caption.judging import CaptionJudging

DISTANCES = 200
"""Images that are compared with all training images at a time."""

SQUARE = HEIGHT
"""Pixels on each side that a piece has room in."""

LEARNT = 15_000
"""Pieces that the classifier is fitted to, at most."""

COST, GAMMAS = 5, (0.04, 0.08, 0.16)
"""Of the support vector machine: of an error, and of its kernel exp(-γ ‖x - x'‖²)."""


class CaptionBaselines(Baselines):
    """pieces: the picture cut at its empty columns, each piece named by a support vector machine, and the names put
    together as a caption is. It knows that digits stand apart, and how captions are made; it learns what a digit looks
    like, from the training pictures that have as many pieces as their captions have digits. nearest: the caption of the
    training picture whose pixels differ least (Euclid). frequent: the caption that most training pictures have.
    """

    task: CaptionData
    judging: CaptionJudging
    trivial: ClassVar[str] = "frequent"

    def fitted(self) -> dict[str, Predict]:
        captions = self.task.captions["train"]
        commonest = pd.Series(captions).mode()[0]
        train = self._pixels("train")

        def nearest(split: Split) -> pd.DataFrame:
            found: list[int] = []
            for some in progress(torch.split(self._pixels(split), DISTANCES), f"{self.task.spec.task}: nearest"):
                found += torch.cdist(some, train).argmin(dim=1).tolist()
            return self.judging.table([captions[index] for index in found], split)

        def frequent(split: Split) -> pd.DataFrame:
            return self.judging.table([commonest] * len(self.task.pictures[split]), split)

        return {**self._pieces(), "nearest": nearest, "frequent": frequent}

    def _pixels(self, split: Split) -> Tensor:
        return torch.from_numpy(np.array(self.task.pictures[split], np.float32)).flatten(1)

    def _pieces(self) -> dict[str, Predict]:
        """The γ is the one with the most right captions on validation; nothing where training shows one thing alone."""
        from sklearn.svm import SVC

        x, y = [], []
        for picture, text in zip(self.task.pictures["train"], self.task.captions["train"], strict=True):
            found, things = pieces(picture), things_of(text)
            if len(found) == len(things):
                x += found
                y += things
        kinds = sorted(set(y))
        if len(kinds) < 2:
            return {}

        def written(machine: SVC, split: Split) -> list[str]:
            found = [pieces(picture) for picture in self.task.pictures[split]]
            numbers = iter(machine.predict(np.array([piece for each in found for piece in each])).tolist())
            return [caption([kinds[next(numbers)] for _ in each]) for each in found]

        best, most = None, -1
        for gamma in progress(GAMMAS, f"{self.task.spec.task}: pieces"):
            machine = SVC(C=COST, gamma=gamma).fit(np.array(x[:LEARNT]), [kinds.index(thing) for thing in y[:LEARNT]])
            references = self.task.captions["validation"]
            right = sum(map(str.__eq__, written(machine, "validation"), references))
            if right > most:
                best, most = machine, right
        return {"pieces": lambda split: self.judging.table(written(best, split), split)}


def pieces(picture: Images) -> list[NDArray[np.float32]]:
    """What stands between empty columns, from left to right, each in the middle of a square, as one row of its pixels.

    Of a piece that is wider than the square, its middle.
    """
    ink = picture.any(axis=0)
    edges = np.flatnonzero(np.diff(ink, prepend=False, append=False))
    found = []
    for left, right in edges.reshape(-1, 2):
        surplus = max(0, right - left - SQUARE)
        piece = picture[:, left + surplus // 2 : right - (surplus - surplus // 2)]
        rows = np.flatnonzero(piece.any(axis=1))
        piece = piece[rows[0] : rows[-1] + 1] if len(rows) else piece[:1]
        square = np.zeros((SQUARE, SQUARE), np.float32)
        top, side = ((SQUARE - size) // 2 for size in piece.shape)
        square[top : top + piece.shape[0], side : side + piece.shape[1]] = piece / np.float32(255)
        found.append(square.ravel())
    return found


def things_of(text: str) -> list[Thing]:
    """What a caption says that there is, each by itself: the inverse of `caption`."""
    found = []
    for phrase in text.replace(" and ", ", ").split(", "):
        count, size, name = phrase.split()
        if count == "a":
            found.append(Thing(size, NAMES.index(name)))
        else:
            found += [Thing(size, PLURALS.index(name))] * NAMES.index(count)
    return found
