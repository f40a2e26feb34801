"""Classifiers without recurrence: what they solve, how one is chosen, and how answers without probabilities count."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import sparse

from rnnlab.tasks.baselines.classifiers import best_answer, best_classifier
from rnnlab.tasks.baselines.images import DIRECTIONS, deskewed, edge_features
from rnnlab.tasks.baselines.linear import discriminant_analysis, linear_svm, logistic_regression
from rnnlab.tasks.baselines.neighbours import nearest_neighbours
from rnnlab.tasks.baselines.ngrams import complement_naive_bayes
from rnnlab.tasks.baselines.svm import rbf_svm
from rnnlab.tasks.classification.figures import ClassificationFigures
from rnnlab.tasks.classification.judging import ClassificationJudging
from rnnlab.tasks.task import Array
from rnnlab.training.predictions import write_predictions

Labels = NDArray[np.int64]


def share(labels: Labels) -> Any:
    return lambda answers: float((answers == labels).mean())


def rings(seed: int) -> tuple[Array, Labels]:
    """Classes 0 and 3: within a circle, and around it."""
    rng = np.random.default_rng(seed)
    y = np.arange(80) % 2
    turn, radius = rng.uniform(0, 2 * np.pi, 80), rng.uniform(0, 0.8, 80) + 1.2 * y
    return radius[:, None] * np.column_stack([np.cos(turn), np.sin(turn)]), 3 * y


def test_a_kernel_tells_rings_apart_and_a_line_does_not() -> None:
    (x, y), (x_validation, y_validation), (x_test, y_test) = rings(0), rings(1), rings(2)
    answer = rbf_svm(x, y, x_validation, share(y_validation))
    assert (answer(x_test) == y_test).all()
    line = logistic_regression(x, y, x_validation, y_validation, 4)(x_test)
    assert (line.argmax(axis=1) == y_test).mean() < 0.8


def test_a_kernel_stands_features_that_are_all_alike() -> None:
    answer = rbf_svm(np.zeros((4, 2)), np.array([0, 0, 0, 1]), np.zeros((1, 2)), share(np.array([0])))
    assert answer(np.zeros((2, 2))).tolist() == [0, 0]


def test_classes_that_training_lacks_keep_their_place() -> None:
    """Of five classes training has 1 and 4, each with a feature of its own."""
    x, y = np.repeat(np.eye(2), 3, axis=0), np.repeat([1, 4], 3)
    validation, truth = np.eye(2), np.array([1, 4])
    fitted = [
        fit(x, y, validation, truth, 5) for fit in (logistic_regression, nearest_neighbours, complement_naive_bayes)
    ]
    noisy = x + np.random.default_rng(0).normal(scale=0.01, size=x.shape)
    for classify in (*fitted, discriminant_analysis(noisy, y, 5)):
        found = classify(validation)
        assert found.shape == (2, 5)
        assert found.argmax(axis=1).tolist() == [1, 4]
        assert found.sum(axis=1) == pytest.approx(1)
        assert not found[:, [0, 2, 3]].any()
    for features in (x, sparse.csr_matrix(x)):
        assert linear_svm(features, y, validation, share(truth))(validation).tolist() == [1, 4]


def test_near_neighbours_count_more() -> None:
    """One neighbour gives the validation part no probability at all, so that all three vote."""
    x, y = np.array([[0.0], [1.0], [1.2]]), np.array([0, 1, 1])
    classify = nearest_neighbours(x, y, np.array([[2.0]]), np.array([0]), 2)
    votes = [1 / 0.1, 1 / 0.9 + 1 / 1.1]
    assert classify(np.array([[0.1]]))[0] == pytest.approx(np.array(votes) / sum(votes))


def test_the_metric_that_ranks_chooses_and_then_how_likely_the_truth_is() -> None:
    labels = np.array([0, 0, 0, 1])
    likely_zero, sure, unsure = ([[0.9, 0.1]] * 4, [[0.9, 0.1]] * 3 + [[0.1, 0.9]], [[0.6, 0.4]] * 3 + [[0.4, 0.6]])
    said = {name: np.array(table) for name, table in (("zero", likely_zero), ("unsure", unsure), ("sure", sure))}

    def chosen(*names: str, score: Any = None) -> Array:
        return best_classifier([lambda _, name=name: said[name] for name in names], None, labels, score)(None)

    assert chosen("zero", "unsure", "sure") is said["sure"]
    assert chosen("unsure", "zero", score=lambda answers: -answers.sum()) is said["zero"]
    answers = [lambda _, value=value: np.full(4, value) for value in (1, 0, 0)]
    assert best_answer(answers, None, share(labels)) is answers[1]


def test_a_slanted_stroke_is_put_upright_in_the_middle() -> None:
    images = np.zeros((3, 28, 28), np.uint8)
    for row in range(4, 24):
        images[0, row, 20 - row // 2] = images[1, row, 6 + row // 2] = 255  # / and \
    found = deskewed(images)
    assert found.shape == images.shape
    assert found.sum(axis=(1, 2)) == pytest.approx([20, 20, 0], rel=0.01)
    assert (found[:2, 4:24, 12:16].sum(axis=(1, 2)) > 19.9).all()
    # whatever was upright and in the middle stays as it is
    still = np.zeros((1, 28, 28), np.uint8)
    still[0, 5:20, 13:15] = 255
    assert deskewed(still)[0] == pytest.approx(still[0] / 255, abs=1e-5)


def test_edges_are_counted_by_part_and_direction() -> None:
    """Ink that grows to the right in the first part, and downwards in the last."""
    ink = np.zeros((1, 12, 12), np.float32)
    ramp = np.arange(4, dtype=np.float32) / 10
    ink[0, :4, :4], ink[0, 8:, 8:] = ramp, ramp[:, None]
    found = edge_features(ink, 4).reshape(DIRECTIONS, 3, 3) ** 2
    # of the pixels within the ramp all gradients are 0.1; at its border it falls to the paper beside it
    assert found[0, 0, 0] > 0.6
    assert found[0, 0, 0] > 3 * found[1:4, 0, 0].sum()
    assert found[DIRECTIONS // 4, 2, 2] > 0.6
    assert not found[:, 0, 2].any()
    assert edge_features(np.zeros((2, 8, 8), np.float32), 4).tolist() == np.zeros((2, 4 * DIRECTIONS)).tolist()


@pytest.fixture
def judging() -> ClassificationJudging:
    labels = {"test": np.array([0, 1, 1, 2])}
    return ClassificationJudging(SimpleNamespace(labels=labels, classes=["a", "b", "c"]))  # type: ignore[arg-type]


def test_answers_without_probabilities_are_judged_by_what_they_are(judging: ClassificationJudging) -> None:
    answers = np.array([0, 1, 2, 2])
    bare, certain = judging.table_of_answers(answers), judging.table(np.eye(3)[answers])
    assert bare[["confidence", "p_true"]].isna().all(axis=None)
    expected = judging.judge(certain)
    assert judging.judge(bare) == {key: expected[key] for key in expected if key not in ("nll", "calibration_error")}
    assert expected["accuracy"] == 0.75
    assert judging.losses(bare).tolist() == [0, 0, 1, 0]
    assert judging.plot_rows([bare]).equals(judging.plot_rows([certain]))


def test_no_file_or_figure_speaks_of_probabilities_that_are_not_there(
    judging: ClassificationJudging, tmp_path: Path
) -> None:
    bare, uniform = judging.table_of_answers(np.array([0, 1, 2, 2])), judging.table(np.full((4, 3), 1 / 3))
    write_predictions(judging, bare, tmp_path)
    kept = json.loads((tmp_path / "metrics.json").read_text())
    assert set(kept) == {"accuracy", "accuracy_low", "accuracy_high", "macro_f1"}

    def drawn(*tables: Any) -> dict[str, Figure]:
        return ClassificationFigures(judging).figures(list(tables), "svm")

    assert set(drawn(bare)) == {"confusion"}
    assert set(drawn(uniform)) == {"confusion", "reliability"}
