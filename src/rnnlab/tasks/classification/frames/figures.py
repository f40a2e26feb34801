"""Figures of labelled videos: how long an answer is kept, and some videos with the answers."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rnnlab.tasks.classification.figures import ClassificationFigures
from rnnlab.tasks.classification.frames.data import FramesData
from rnnlab.tasks.classification.frames.judging import LONGEST_HIDDEN, accuracy_by
from rnnlab.tasks.images import Images

SHOWN = 6


class FramesFigures(ClassificationFigures):
    """Beside those of every classification, what is remembered of a hidden digit, and some videos."""

    task: FramesData

    def figures(self, predictions: list[pd.DataFrame], name: str) -> dict[str, Figure]:
        return {
            **super().figures(predictions, name),
            "memory": draw_memory(pd.concat(predictions), name),
            "videos": draw_videos(self.task.filmed["test"].frames, predictions[0], name),
        }


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
