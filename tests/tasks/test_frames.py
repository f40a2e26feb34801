"""Videos of digits: how they are made, what may be known of each frame, and how the answers are judged."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from rnnlab.datasets.mnist import Mnist
from rnnlab.modules.gru import GRU
from rnnlab.tasks.classification.frames.baselines import FramesBaselines, centred, visible_frames
from rnnlab.tasks.classification.frames.data import (
    DIGIT_SIDE,
    SHORTEST_SCENE,
    SIDE,
    SPEEDS,
    FramesData,
    film,
    scenes,
    way,
)
from rnnlab.tasks.classification.frames.judging import FramesJudging, unseen
from rnnlab.tasks.images import put, shrunk
from rnnlab.tasks.task import Split
from tests.tasks.test_caption import INK, grey_digits

MIRROR = os.environ.get("RNNLAB_MIRROR")

NET = {"_target_": "rnnlab.layouts.per_timestep.ManyToMany"}

seeds = st.integers(0, 2**32 - 1)


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., FramesData]:
    def opened(**options: float) -> FramesData:
        raw, folder = tmp_path / "raw", tmp_path / "processed"
        raw.mkdir(exist_ok=True)
        folder.mkdir(exist_ok=True)
        grey_digits(raw)
        task = FramesData("frames", **{"videos": 60, "frames": 8, "validation": 0.2, "test": 0.2, **options})
        task.open(folder, {**task.prepare(Mnist("mnist", "sample"), raw, folder), "digest": ""}, seed=0)
        return task

    return opened


@given(st.integers(SHORTEST_SCENE, 40), seeds)
def test_scenes_follow_each_other_and_none_is_too_short(time: int, seed: int) -> None:
    found = scenes(time, np.random.default_rng(seed))
    assert [begin for begin, _ in found] == [0, *(end for _, end in found[:-1])]
    assert found[-1][1] == time
    assert all(end - begin >= SHORTEST_SCENE for begin, end in found)
    assert len(found) <= max(1, time // 4)


@given(st.integers(1, 40), seeds)
def test_a_digit_moves_on_and_turns_at_the_edges_alone(time: int, seed: int) -> None:
    places = way(time, np.random.default_rng(seed))
    free = SIDE - DIGIT_SIDE
    assert places.min() >= 0
    assert places.max() <= free
    for axis in places.T:
        steps = np.diff(axis)
        # a step across an edge is a shorter one, there and back
        whole = np.isin(steps, SPEEDS)
        assert len(np.unique(np.abs(steps[whole]))) <= 1
        speed = np.abs(steps[whole]).max() if whole.any() else 0
        for number in np.flatnonzero(np.diff(np.sign(steps))):
            assert min(axis[number + 1], free - axis[number + 1]) < max(speed, 2)


@settings(max_examples=20, deadline=None)
@given(st.integers(SHORTEST_SCENE, 16), st.floats(0.05, 0.95), seeds)
def test_a_video_is_what_it_says(time: int, hidden: float, seed: int) -> None:
    """Digits of a grey of their own: what is seen is what the labels say, and hidden frames are blank."""
    labels = np.arange(10)
    images = np.zeros((10, 28, 28), np.uint8)
    images[:, 4:24, 4:24] = (25 * labels + 20)[:, None, None]
    videos = film(images, labels, (6, time), hidden, np.random.default_rng(seed))
    assert videos.frames.shape == (6, time, SIDE, SIDE)
    shown = videos.frames.max(axis=(2, 3))
    assert np.array_equal(shown == 0, videos.is_hidden)
    assert np.array_equal(shown[~videos.is_hidden], (25 * videos.labels + 20)[~videos.is_hidden])
    assert np.array_equal(labels[videos.images], videos.labels)
    for video in range(6):
        views, since = 0, 0
        for frame in range(time):
            if frame == 0 or videos.labels[video, frame] != videos.labels[video, frame - 1]:
                assert not videos.is_hidden[video, frame], "a digit is seen when it comes"
                views = 0
            elif videos.views[video, frame] == 1 and not videos.is_hidden[video, frame]:
                views = 0  # the next scene has the same digit
            views += not videos.is_hidden[video, frame]
            since = 0 if not videos.is_hidden[video, frame] else since + 1
            assert videos.views[video, frame] == views
            assert unseen(videos.is_hidden)[video, frame] == since


def test_a_smaller_image_keeps_its_ink_and_is_put_over_what_is_there() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28)).astype(np.uint8)
    small = shrunk(images, 14)
    assert small.shape == (3, 14, 14)
    assert np.abs(small.mean((1, 2)) - images.mean((1, 2))).max() < 3
    canvas = np.full((20, 20), 100, np.uint8)
    put(small[0], canvas, 2, 5)
    assert np.array_equal(canvas[2:16, 5:19], np.maximum(small[0], 100))
    canvas[2:16, 5:19] = 100
    assert (canvas == 100).all()


def test_splits_share_no_digit(opened: Callable[..., FramesData]) -> None:
    task = opened()
    for split, ink in INK.items():
        assert set(np.unique(task.filmed[split].frames.max(axis=(2, 3)))) == {0, ink}


def test_the_example_of_the_docstring_is_a_video_that_can_be(opened: Callable[..., FramesData]) -> None:
    assert FramesData.__doc__ is not None
    lines = FramesData.__doc__.splitlines()
    shown = lines[2].split("[", 1)[1].split("...")[0].rstrip().rstrip("]").split("]  [")
    targets = [int(label) for label in lines[3].split()[1:-1]]
    known = None
    for frame, target in zip(shown, targets, strict=True):
        known = int(frame) if frame.strip() else known
        assert known == target


@pytest.mark.parametrize("split", ["validation", "test"])
def test_answers_are_judged_by_frame_and_compared_by_image(opened: Callable[..., FramesData], split: Split) -> None:
    task = opened()
    rng = np.random.default_rng(0)
    judging = FramesJudging(task)
    table = judging.table(rng.dirichlet(np.ones(10), len(task.labels[split])), split)
    videos = task.filmed[split]
    rows = table.assign(hidden=videos.is_hidden.ravel(), right=table["label"] == table["predicted"])
    metrics = judging.judge(table)
    assert metrics["accuracy"] == pytest.approx(rows["right"].mean())
    assert metrics["accuracy_hidden"] == pytest.approx(rows.loc[rows["hidden"], "right"].mean())
    assert metrics["accuracy_visible"] == pytest.approx(rows.loc[~rows["hidden"], "right"].mean())
    losses = judging.losses(table)
    assert task.spec.unit == "digit"
    assert losses.shape == (len(np.unique(videos.images)),)
    assert 1 - losses.mean() == pytest.approx(metrics["accuracy"])
    size = rows.groupby("image").size()
    beyond = (~rows["right"]).groupby(rows["image"]).sum() - (1 - metrics["accuracy"]) * size
    assert losses - losses.mean() == pytest.approx(beyond.to_numpy() / size.mean())
    parts = judging.plot_rows([table])
    assert parts["part"].tolist()[:2] == ["0", "1"]
    assert parts["score"][0] == pytest.approx(metrics["accuracy_visible"])


def test_an_interval_knows_that_an_image_moves_in_several_videos(opened: Callable[..., FramesData]) -> None:
    """Twelve images, each in all frames of two videos, and known in both or in none."""
    task = opened(videos=120)
    images = np.repeat(np.arange(24) // 2, 8).reshape(24, 8)
    task.filmed["test"] = task.filmed["test"]._replace(images=images)
    judging = FramesJudging(task)
    certain = np.full((24 * 8, 10), 1e-3)
    certain[np.arange(24 * 8), (task.labels["test"] + images.ravel() % 2) % 10] = 1
    metrics = judging.judge(judging.table(certain))
    assert metrics["accuracy"] == 0.5
    expected = proportion_confint(6, 12, method="wilson")
    assert (metrics["accuracy_low"], metrics["accuracy_high"]) == pytest.approx(expected)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_carried_is_linear_where_the_digit_is_seen_and_stays_so(
    opened: Callable[..., FramesData], split: Split
) -> None:
    fitted = FramesBaselines(FramesJudging(opened(videos=100))).fitted()
    carried, linear = (fitted[name](split) for name in ("carried", "linear"))
    columns = ["predicted", "confidence", "p_true"]
    seen = carried["unseen"] == 0
    pd.testing.assert_frame_equal(carried.loc[seen, columns], linear.loc[seen, columns])
    last: dict[str, float] = {}
    for row in carried.to_dict("records"):
        if row["unseen"] == 0:
            last = row
        assert (row["video"], row["predicted"], row["confidence"]) == (
            last["video"], last["predicted"], last["confidence"],
        )  # fmt: skip
    assert linear.loc[~seen, "predicted"].nunique() == 1, "blank frames are all alike"


@given(seeds)
def test_a_digit_is_centred_wherever_it_stands(seed: int) -> None:
    rng = np.random.default_rng(seed)
    digit = rng.integers(1, 256, (DIGIT_SIDE, DIGIT_SIDE)).astype(np.uint8)
    frames = np.zeros((3, SIDE, SIDE), np.uint8)
    for frame in frames[:2]:
        top, left = rng.integers(0, SIDE - DIGIT_SIDE + 1, 2)
        put(digit, frame, top, left)
    one, other, blank = centred(frames)
    assert np.array_equal(one, other)
    assert not blank.any()
    assert one.sum() == digit.sum()
    for axis in (0, 1):
        assert abs(one.sum(axis=axis) @ np.arange(SIDE) / one.sum() - SIDE // 2) <= 0.5


def test_centred_undoes_the_motion_and_remembers(opened: Callable[..., FramesData]) -> None:
    """Noise in the place of digits: each pixel of the canvas is now light, now dark, wherever it moves."""
    task = opened(videos=200)
    noise = np.random.default_rng(0).integers(0, 256, (10, 28, 28)).astype(np.uint8)
    for number, (split, videos) in enumerate(task.filmed.items()):
        task.filmed[split] = film(noise, np.arange(10), videos.labels.shape, 0.4, np.random.default_rng(number))
    task.labels = {split: videos.labels.ravel() for split, videos in task.filmed.items()}
    baselines = FramesBaselines(FramesJudging(task))
    accuracy = {
        name: baselines.judging.judge(predict("test"))["accuracy"] for name, predict in baselines.fitted().items()
    }
    assert accuracy["frequency"] < accuracy["linear"] < accuracy["carried"] < 0.9
    assert accuracy["centred"] == accuracy["svm"] == 1


def test_baselines_learn_from_visible_frames_no_more_than_they_may(
    opened: Callable[..., FramesData],
) -> None:
    videos = opened().filmed["train"]
    x, y = visible_frames(videos, 50)
    assert 25 < len(x) <= 50
    assert len(x) == len(y)
    assert (x.max(axis=(1, 2)) > 0).all()
    assert len(visible_frames(videos, 10**6)[0]) == (~videos.is_hidden).sum()


def test_a_net_may_read_from_the_end_too(opened: Callable[..., FramesData]) -> None:
    task = opened()
    net = GRU("gru", task.spec.as_dict(), {}, net=NET, hidden_size=4, bidirectional=True)
    batch = next(iter(task.loader("test")))
    assert net(batch).shape == (12, 8, 10)
    later = batch._replace(inputs=batch.inputs.clone())
    later.inputs[:, -1] = torch.rand(12, SIDE * SIDE)
    assert not torch.equal(net(batch)[:, 0], net(later)[:, 0])


def test_outputs_lie_frame_after_frame(opened: Callable[..., FramesData]) -> None:
    task = opened()
    net = GRU("gru", task.spec.as_dict(), {}, net=NET, hidden_size=4).eval()
    first = net(next(iter(task.loader("test"))))
    assert np.allclose(FramesJudging(task).outputs(net).reshape(12, 8, 10), first.detach().numpy(), atol=1e-6)


@pytest.mark.mirror
@pytest.mark.skipif(not MIRROR, reason="RNNLAB_MIRROR names no mirror of the full data sets")
def test_the_full_set_keeps_its_test_digits_for_test_videos(tmp_path: Path) -> None:
    dataset = Mnist("mnist", "full")
    dataset.fetch(tmp_path, mirror=MIRROR)
    task = FramesData("frames", videos=700)
    report = task.prepare(dataset, tmp_path, tmp_path)["report"]
    assert report["train"].startswith("540 videos of 54001 digits")
    assert report["test"].startswith("100 videos of 10000 digits")
