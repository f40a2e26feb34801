"""What stands beside the cells on sequences."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rnnlab.data.sequences.sequences import Sequences
from rnnlab.datasets import ucr
from rnnlab.datasets.sequences import SequencesDataset
from rnnlab.tasks.baselines.dtw import BUDGET, Thinning
from rnnlab.tasks.baselines.rocket import LENGTH, PLACES, MiniRocket, ridge_on_kernels
from rnnlab.tasks.baselines.summaries import summaries
from rnnlab.tasks.sequences.classification.baselines import SequencesBaselines as OfClasses
from rnnlab.tasks.sequences.classification.judging import SequencesJudging as JudgesClasses
from rnnlab.tasks.sequences.data import SequencesData
from rnnlab.tasks.sequences.regression.baselines import SequencesBaselines as OfNumbers
from rnnlab.tasks.sequences.regression.judging import SequencesJudging as JudgesNumbers
from rnnlab.tasks.sequences.tagging.baselines import SequencesBaselines as OfTags
from rnnlab.tasks.sequences.tagging.judging import SequencesJudging as JudgesTags
from tests.conftest import CHECKOUT
from tests.data.sequences.writing import walks
from tests.tasks.test_sequences import opened


def some(count: int = 6, channels: int = 2, longest: int = 40, shortest: int = 5) -> list[NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    lengths = rng.integers(shortest, longest, count)
    return [rng.normal(size=(length, channels)).astype(np.float32) for length in lengths]


def test_features_are_those_of_the_definition() -> None:
    """Each is a share of timesteps whose convolution, written out, is above the threshold."""
    sequences = some()
    rocket = MiniRocket(84 * 6).fit(sequences)
    expected = []
    for dilation, kernels in rocket._plan.items():
        for kernel in kernels:
            weights = np.full(LENGTH, -1.0)
            weights[kernel.places] = 2
            for bias in kernel.biases:
                shares = (_share(x, weights, dilation, kernel.channels, bias, kernel.padded) for x in sequences)
                expected.append(np.fromiter(shares, float))
    # a threshold that is itself a value of the convolution may be met or not, by how sums are rounded
    same = np.isclose(rocket.features(sequences), np.array(expected).T, atol=1e-6)
    assert same.mean() > 0.995
    assert len(PLACES) == 84


def _share(
    x: NDArray[np.float32], weights: NDArray[np.float64], dilation: int, channels: Any, bias: float, padded: bool
) -> float:
    above, counted = 0, 0
    for t in range(len(x)):
        places = [t + (j - LENGTH // 2) * dilation for j in range(LENGTH)]
        if not padded and not (places[0] >= 0 and places[-1] < len(x)):
            continue
        met = [x[place] if 0 <= place < len(x) else np.zeros(x.shape[1]) for place in places]
        value = sum(weight * each[channels].sum() for weight, each in zip(weights, met, strict=True))
        counted += 1
        above += value > bias
    return above / max(counted, 1)


def test_the_accuracy_is_that_which_is_published() -> None:
    """0.993 on the official test part of GunPoint (Dempster et al. 2021)."""
    with tempfile.TemporaryDirectory() as folder:
        ucr.fetch("GunPoint", Path(folder), None)
        found = ucr.read(Path(folder), "GunPoint", "classification")
    assert found.parts is not None
    x, y, parts = [each.astype(np.float32) for each in found.values], np.array(found.labels), np.array(found.parts)
    training, test = np.flatnonzero(parts == "train"), np.flatnonzero(parts == "test")
    answer = ridge_on_kernels([x[index] for index in training], y[training])
    assert (answer([x[index] for index in test]) == y[test]).mean() >= 0.98


def test_a_summary_is_of_numbers_whatever_the_length() -> None:
    found = summaries([np.ones((length, 2), np.float32) for length in (1, 2, 30)])
    assert found.shape == (3, 19)
    assert np.isfinite(found).all()


def test_what_is_too_long_to_compare_is_thinned_out() -> None:
    few = [np.zeros((20, 1), np.float32)] * 30
    assert Thinning.of(few, few, np.zeros(30)).factor == 1
    many = [np.arange(800, dtype=np.float32)[:, None]] * 400
    thinning = Thinning.of(many, many, np.zeros(400))
    assert thinning.factor > 1
    (thin,) = thinning.thin(many[:1])
    np.testing.assert_allclose(thin[0], np.arange(thinning.factor).mean())
    assert BUDGET > 1


def found_of(frame: Any, labels: list[Any]) -> Sequences:
    values = [own[["x", "y"]].to_numpy() for _, own in frame.groupby("id", sort=False)]
    return Sequences(values, ["x", "y"], labels, [f"line {number}" for number in range(len(values))])


def test_each_is_better_than_the_trivial_one(tmp_path: Path) -> None:
    frame = walks(60)
    groups = [own for _, own in frame.groupby("id", sort=False)]
    tasks = {
        "classification": (OfClasses, JudgesClasses, [own["label"].iloc[0] for own in groups]),
        "regression": (OfNumbers, JudgesNumbers, [float(own["x"].std()) for own in groups]),
        "tagging": (OfTags, JudgesTags, [np.where(own["x"] > 0, "up", "down").tolist() for own in groups]),
    }
    for kind, (made, judge, labels) in tasks.items():
        task = opened(found_of(frame, labels), tmp_path, kind=kind)
        judging = judge(task)
        fitted = made(judging).fitted()
        for split in ("validation", "test"):
            losses = {name: judging.losses(predict(split)).mean() for name, predict in fitted.items()}
            trivial = losses.pop(made.trivial)
            assert losses, kind
            assert max(losses.values()) < trivial, (kind, split, losses, trivial)


@pytest.mark.parametrize("kind", ["classification", "tagging"])
def test_the_mean_loss_is_the_metric_that_ranks_by_group_too(kind: str, tmp_path: Path) -> None:
    frame = walks(48)
    own = [each for _, each in frame.groupby("id", sort=False)]
    labels = [each["label"].iloc[0] if kind == "classification" else each["label"].tolist() for each in own]
    found = found_of(frame, labels)
    found = Sequences(**{**vars(found), "groups": [each["patient"].iloc[0] for each in own]})
    task = opened(found, tmp_path, kind=kind)
    assert task.spec.unit == "group"
    judging = (JudgesClasses if kind == "classification" else JudgesTags)(task)
    table = (OfClasses if kind == "classification" else OfTags)(judging).fitted()["frequency"]("test")
    losses = judging.losses(table)
    assert len(losses) == len(set(table["group"]))
    assert 1 - losses.mean() == pytest.approx(judging.judge(table)["accuracy"])


def test_what_is_published_of_a_set_is_said_and_of_nothing_else(tmp_path: Path) -> None:
    """Of the set as it is published alone: not of a part of its training part, nor of its files as one's own."""
    raw = tmp_path / "raw"
    raw.mkdir()
    published = SequencesDataset(source="gunpoint")
    published.fetch(raw)
    own = SequencesDataset(path=str(raw / "GunPoint_TRAIN.ts"))
    copy = tmp_path / "copy"
    copy.mkdir()
    own.fetch(copy)

    def said(dataset: SequencesDataset, raw: Path, train: int | None = None) -> str:
        task = SequencesData("sequences", train=train)
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        facts = task.prepare(dataset, raw, folder)
        task.open(folder, {**facts, "digest": ""}, seed=0)
        return JudgesClasses(task).published()

    assert "fcn 1.000, resnet 0.991, twiesn (recurrent) 0.989" in said(published, raw)
    assert said(published, raw, train=20) == ""
    assert said(own, copy) == ""


def test_wheels_are_kept_where_git_ignores_them() -> None:
    for ignored in (CHECKOUT / ".gitignore", CHECKOUT / "src/rnnlab/commands/workspace/gitignore"):
        folders = [line.strip("/") for line in ignored.read_text().splitlines() if line.endswith("/")]
        assert any(ucr.PACKAGES.is_relative_to(folder) for folder in folders), ignored
