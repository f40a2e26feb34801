"""Pictures of digits and their captions: one right caption each, splits that share no digit, baselines, pictures."""

import gzip
import io
import os
import re
import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.image import imread

from rnnlab.data.splits import split_by_class
from rnnlab.data.vocabulary import END, SPECIAL
from rnnlab.datasets.mnist import MEMBER, SAMPLE, Mnist
from rnnlab.results.files import write_json
from rnnlab.tasks.task import Split
from rnnlab.tasks.transduction.caption import baselines as module
from rnnlab.tasks.transduction.caption.baselines import CaptionBaselines, pieces, things_of
from rnnlab.tasks.transduction.caption.data import (
    HEIGHT,
    LONGEST,
    MOST,
    NAMES,
    PLURALS,
    SIDES,
    WIDTH,
    CaptionData,
    Thing,
    caption,
    choose,
    compose,
    places,
    tokens_of,
)
from rnnlab.tasks.transduction.caption.drawing import SHOWN_LETTERS
from rnnlab.tasks.transduction.caption.judging import CaptionJudging
from tests.conftest import Run

MIRROR = os.environ.get("RNNLAB_MIRROR")

LABELS = np.repeat(np.arange(10), 10)
INK = {"train": 60, "validation": 130, "test": 250}
"""The digits of each split are squares of their own grey."""


def wheel(folder: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """What a fetch of the sample would leave, with these digits in it."""
    table = np.column_stack([images.reshape(len(images), -1), labels])
    content = io.StringIO()
    np.savetxt(content, table, fmt="%d", delimiter=",")
    with zipfile.ZipFile(folder / SAMPLE.name, "w") as packed:
        packed.writestr(MEMBER, gzip.compress(content.getvalue().encode()))
    write_json(folder / "source.json", {"source": "sample", "files": {}})


def grey_digits(folder: Path) -> None:
    images = np.zeros((len(LABELS), 28, 28))
    for split, indices in split_by_class(LABELS, 0.2, 0.2).items():
        images[indices, 4:24, 4:24] = INK[split]
    wheel(folder, images, LABELS)


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., CaptionData]:
    def opened(**options: int) -> CaptionData:
        raw, folder = tmp_path / "raw", tmp_path / "processed"
        raw.mkdir(exist_ok=True)
        folder.mkdir(exist_ok=True)
        grey_digits(raw)
        task = CaptionData("caption", **{"images": 120, "validation": 0.2, "test": 0.2, **options})
        task.open(folder, {**task.prepare(Mnist("mnist", "sample"), raw, folder), "digest": ""}, seed=0)
        return task

    return opened


def baselines_of(task: CaptionData, split: Split = "test") -> dict[str, pd.DataFrame]:
    return {name: predict(split) for name, predict in CaptionBaselines(CaptionJudging(task)).fitted().items()}


things = st.lists(st.builds(Thing, st.sampled_from(list(SIDES)), st.integers(0, 9)), min_size=1, max_size=MOST)


def read(text: str) -> list[Thing]:
    """What a caption says, by another way than it was made."""
    found = []
    for phrase in re.split(r", | and ", text):
        count, size, name = phrase.split()
        if count == "a":
            found.append(Thing(size, NAMES.index(name)))
        else:
            found += [Thing(size, PLURALS.index(name))] * NAMES.index(count)
    return found


def test_the_example_of_the_docstring() -> None:
    assert CaptionData.__doc__ is not None
    target = re.search(r"target +(.*) END\n", CaptionData.__doc__)
    assert target is not None
    stands = [Thing("large", 3), Thing("large", 3), Thing("small", 7), Thing("large", 0)]
    assert tokens_of(caption(stands)) == target[1].split()


@given(things)
def test_a_caption_says_what_is_there_and_nothing_else_does(stands: list[Thing]) -> None:
    text = caption(stands)
    assert read(text) == things_of(text) == stands
    assert text.count(" and ") == (len(set(re.split(", | and ", text))) > 1 or ", " in text)
    assert len(tokens_of(text)) + 1 <= LONGEST


def test_the_longest_caption_is_as_long_as_may_be_written() -> None:
    longest = caption([Thing("large", digit) for digit in range(MOST)])
    assert len(tokens_of(longest)) + 1 == LONGEST
    widest = caption([Thing("large", digit) for digit in (3, 7, 8, 3)])
    assert len(widest) <= SHOWN_LETTERS


@given(st.integers(0, 2**32 - 1))
def test_digits_stand_side_by_side_within_the_picture(seed: int) -> None:
    rng = np.random.default_rng(seed)
    stands = choose(rng)
    assert 1 <= len(stands) <= MOST
    lefts = places(stands, rng)
    ink = []  # the columns of each digit's own 20 of 28 pixels
    for (size, _), left in zip(stands, lefts, strict=True):
        side = SIDES[size]
        assert 0 <= left <= WIDTH - side
        ink.append((left + side * 4 / 28, left + side * 24 / 28))
    for (_, end), (begin, _) in pairwise(ink):
        assert begin >= end - 1


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_a_picture_shows_what_its_caption_says(seed: int) -> None:
    """Digits whose ink is their number: read from left to right, they are those of the caption."""
    labels = np.arange(10)
    images = np.zeros((10, 28, 28), np.uint8)
    images[:, 4:24, 4:24] = (25 * labels + 20)[:, None, None]
    found = compose(images, labels, 5, np.random.default_rng(seed))
    assert found.images.shape == (5, HEIGHT, WIDTH)
    for picture, text, count in zip(*found, strict=True):
        inside = np.isin(picture, 25 * labels + 20).any(axis=0)
        levels = [int(column[np.isin(column, 25 * labels + 20)].max()) for column in picture.T[inside]]
        shown = [level for level, before in zip(levels, [None, *levels], strict=False) if level != before]
        said = [thing.digit for thing in read(text)]
        assert count == len(said)
        assert [(level - 20) // 25 for level in shown] == [
            d for d, b in zip(said, [None, *said], strict=False) if d != b
        ]


def test_splits_share_no_digit(opened: Callable[..., CaptionData]) -> None:
    task = opened()
    for split, ink in INK.items():
        for picture in task.pictures[split]:
            assert picture.max() == ink


def test_splits_have_their_share_of_the_pictures(opened: Callable[..., CaptionData]) -> None:
    task = opened(images=100)
    assert [len(task.pictures[split]) for split in INK] == [60, 20, 20]
    assert not np.array_equal(task.pictures["validation"], task.pictures["test"])


def test_the_vocabulary_is_that_of_the_training_captions(opened: Callable[..., CaptionData]) -> None:
    task = opened(images=5)
    said = {token for text in task.captions["train"] for token in tokens_of(text)}
    assert set(task.vocabulary.tokens) == said | set(SPECIAL)
    more = {token for text in task.captions["test"] for token in tokens_of(text)}
    assert more - said, "otherwise this test would say nothing"


def test_the_same_pictures_are_composed_each_time(opened: Callable[..., CaptionData]) -> None:
    first = {split: np.array(images) for split, images in opened().pictures.items()}
    again = opened().pictures
    assert all(np.array_equal(first[split], again[split]) for split in first)


def test_targets_are_the_captions_with_an_end(opened: Callable[..., CaptionData]) -> None:
    task = opened()
    batch = next(iter(task.loader("test")))
    for row, reference in zip(batch.targets.tolist(), task.texts("test")[1], strict=False):
        assert row[len(tokens_of(reference))] == END
        assert CaptionJudging(task).text(row) == reference


def test_nearest_is_what_comparing_all_pairs_finds(
    opened: Callable[..., CaptionData], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = opened()
    monkeypatch.setattr(module, "DISTANCES", 7)
    expected = []
    for picture in task.pictures["test"].astype(float):
        distances = [np.square(picture - other).sum() for other in task.pictures["train"].astype(float)]
        expected.append(task.captions["train"][int(np.argmin(distances))])
    assert baselines_of(task)["nearest"]["written"].tolist() == expected


def test_pieces_stand_between_empty_columns() -> None:
    picture = np.zeros((HEIGHT, WIDTH), np.uint8)
    picture[3:6, 2:4] = 51
    picture[0, 20:50] = 255  # wider than the square that a piece is put into
    picture[15, 63] = 102
    small, wide, corner = (piece.reshape(HEIGHT, HEIGHT) for piece in pieces(picture))
    assert small[6:9, 7:9] == pytest.approx(np.full((3, 2), 0.2))
    assert wide[7].tolist() == [1] * HEIGHT
    assert corner[7, 7] == pytest.approx(0.4)
    assert [np.count_nonzero(piece) for piece in (small, wide, corner)] == [6, HEIGHT, 1]
    assert pieces(np.zeros((HEIGHT, WIDTH), np.uint8)) == []


def test_pictures_cut_into_pieces_are_read(tmp_path: Path) -> None:
    """Digits that are bars of their own height, in two sizes: never the picture that was seen, always its parts."""
    images = np.zeros((len(LABELS), 28, 28))
    for image, label in zip(images, LABELS, strict=True):
        image[14 - label : 15 + label, 12:16] = 200
    wheel(tmp_path, images, LABELS)
    task = CaptionData("caption", images=300, validation=0.2, test=0.2)
    task.open(tmp_path, {**task.prepare(Mnist("mnist", "sample"), tmp_path, tmp_path), "digest": ""}, seed=0)
    judging = CaptionJudging(task)
    tables = baselines_of(task)
    scores = {name: judging.judge(table)["exact_match"] for name, table in tables.items()}
    assert scores["pieces"] > 0.8 > 0.3 > scores["nearest"], scores


def test_validation_pictures_are_judged_as_test_pictures_are(opened: Callable[..., CaptionData]) -> None:
    task = opened()
    judging = CaptionJudging(task)
    for table in baselines_of(task, "validation").values():
        assert table["reference"].tolist() == task.captions["validation"]
        assert table["digits"].tolist() == [len(read(text)) for text in task.captions["validation"]]
        assert judging.losses(table).mean() == pytest.approx(1 - judging.judge(table)["exact_match"])


def test_frequent_is_the_caption_that_training_has_most_often(opened: Callable[..., CaptionData]) -> None:
    task = opened(images=400)
    (written,) = set(baselines_of(task)["frequent"]["written"])
    known = task.captions["train"]
    assert known.count(written) == max(map(known.count, known))


def test_metrics_of_right_and_wrong_captions(opened: Callable[..., CaptionData]) -> None:
    task = opened()
    judging = CaptionJudging(task)
    references = task.texts("test")[1]
    right = judging.table(references)
    assert judging.judge(right)["exact_match"] == 1
    assert judging.judge(right)["bleu"] == pytest.approx(100)
    half = judging.table([text if index % 2 else "a small one" for index, text in enumerate(references)])
    same = np.mean([text == reference for text, reference in zip(half["written"], references, strict=True)])
    assert judging.judge(half)["exact_match"] == pytest.approx(same)
    assert 1 - judging.losses(half).mean() == pytest.approx(same)
    by_count = judging.plot_rows([half, half])
    assert by_count["part"].tolist() == ["one", "two", "three", "four"]
    assert (by_count["score"] * by_count["examples"]).sum() == pytest.approx(same * len(references))


def test_a_trained_net_leaves_its_pictures(run: Run, root: Path) -> None:
    common = (
        "task=caption",
        "cell=gru",
        "task.images=200",
        "trainer.max_epochs=1",
        "callbacks.samples.every_n_epochs=1",
    )
    assert run("train", *common, "tracking=none").code == 0
    outcome = run("evaluate", *common, "tracking=none")
    assert outcome.code == 0, outcome.err
    (folder,) = root.glob("runs/caption/*/gru/*/evaluate/seeds/seed=0")
    assert {"parts.png", "written.png"} <= {path.name for path in folder.iterdir()}
    assert imread(folder / "look" / "attention.png").size
    assert imread(folder / "samples" / "written.png").size
    assert list(root.glob("runs/caption/*/gru/*/train/seed=0/samples/epoch_0001/written.png"))


@pytest.mark.mirror
@pytest.mark.skipif(not MIRROR, reason="RNNLAB_MIRROR names no mirror of the full data sets")
def test_the_full_set_keeps_its_test_digits_for_test_pictures(tmp_path: Path) -> None:
    dataset = Mnist("mnist", "full")
    dataset.fetch(tmp_path, mirror=MIRROR)
    task = CaptionData("caption", images=700)
    report = task.prepare(dataset, tmp_path, tmp_path)["report"]
    assert report["train"].startswith("540 pictures of 54001 digits")
    assert report["test"].startswith("100 pictures of 10000 digits")
    assert torch.from_numpy(np.load(tmp_path / "test_images.npy")).shape == (100, HEIGHT, WIDTH)
