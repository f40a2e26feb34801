"""Recurrent nets with scikit-learn's habits."""

import doctest
import logging
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import estimator_checks_generator
from torch import Tensor

from rnnlab.cells.cell import Shared
from rnnlab.cells.rnn import RNNCell
from rnnlab.errors import UserError
from rnnlab.estimators import RecurrentClassifier, RecurrentRegressor, recurrent
from rnnlab.serving.answers import answers_to
from rnnlab.serving.load import find_predictor
from rnnlab.serving.predictor import CONFIG
from rnnlab.serving.reading import read_input

SMALL: dict[str, Any] = {"hidden_size": 6, "max_epochs": 8, "lr": 0.02, "random_state": 0}


def slopes(count: int = 48, time: int = 10, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two channels, (n, channels, time), of which the first falls or rises."""
    rng = np.random.default_rng(seed)
    y = np.array(["falling", "rising"] * (count // 2))
    x = rng.normal(0, 0.3, (count, 2, time))
    x[:, 0] += np.where(y == "rising", 1, -1)[:, None] * np.linspace(-1, 1, time)
    return x, y


@pytest.fixture(scope="module")
def fitted() -> RecurrentClassifier:
    return RecurrentClassifier(**SMALL).fit(*slopes())


CHANNELS = "columns of a table without a third dimension are timesteps, of which a net takes any number"
NOT_FOR_SEQUENCES = {
    "check_n_features_in": CHANNELS,
    "check_n_features_in_after_fitting": CHANNELS,
    "check_classifiers_train": CHANNELS,  # all but its last part passes
    "check_methods_subset_invariance": "wants 1e-7, and weights are float32; see the test of batches",
    "check_array_api_input": "skipped without SCIPY_ARRAY_API",
}
SLOW = ["check_estimators_dtypes", "check_classifier_data_not_an_array", "check_regressor_data_not_an_array"]


def checks(make: Callable[..., Any], **options: Any) -> list[Any]:
    found = []
    for estimator, check in estimator_checks_generator(make(hidden_size=8, output_dropout=0.0, lr=0.02, **options)):
        name = check.func.__name__
        if name not in NOT_FOR_SEQUENCES:
            found.append(pytest.param(estimator, check, marks=pytest.mark.slow, id=f"{make.__name__}-{name}"))
    return found


@pytest.mark.parametrize(
    ("estimator", "check"),
    [*checks(RecurrentClassifier, max_epochs=20), *checks(RecurrentRegressor, max_epochs=60, readout="last")],
)
def test_the_checks_of_scikit_learn_pass(estimator: Any, check: Callable[[Any], None]) -> None:
    """Those of two dimensions, a row being a sequence of one channel."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as `check_estimator` does not, of columns that are a target
        check(estimator)


def test_answers_do_not_depend_on_what_else_is_asked(fitted: RecurrentClassifier) -> None:
    x, _ = slopes()
    one_by_one = np.concatenate([fitted.predict_proba(x[number : number + 1]) for number in range(len(x))])
    assert np.allclose(one_by_one, fitted.predict_proba(x), rtol=0, atol=1e-6)


def test_it_works_in_cross_validation_grids_and_pipelines() -> None:
    x, y = slopes()
    half = FunctionTransformer(lambda x: x[..., ::2])
    steps = Pipeline([("half", half), ("net", RecurrentClassifier(**SMALL))])
    assert cross_val_score(steps, x, y, cv=2).min() > 0.9
    grid = GridSearchCV(steps, {"net__cell": ["lstm", "gru"], "net__lr": np.array([0.02])}, cv=2).fit(x, y)
    assert grid.best_score_ > 0.9
    assert grid.predict(x).tolist() == y.tolist()


def test_a_clone_gives_the_same_numbers_and_a_pickle_the_very_same(fitted: RecurrentClassifier) -> None:
    x, y = slopes()
    again = clone(fitted)
    with pytest.raises(NotFittedError):
        again.predict(x)
    assert np.allclose(again.fit(x, y).predict_proba(x), fitted.predict_proba(x), rtol=0, atol=1e-6)
    assert np.array_equal(pickle.loads(pickle.dumps(fitted)).predict_proba(x), fitted.predict_proba(x))


def test_lists_and_frames_are_the_same_sequences_as_arrays(fitted: RecurrentClassifier) -> None:
    x, _ = slopes(count=6)
    expected = fitted.predict_proba(x)
    assert np.array_equal(fitted.predict_proba(list(x)), expected)
    parts = [
        pd.DataFrame({"time": np.arange(x.shape[2]), "id": f"s{number}", "channel 2": each[1], "channel 1": each[0]})
        for number, each in enumerate(x)
    ]
    long = pd.concat(parts).sample(frac=1, random_state=0)
    order = long["id"].drop_duplicates().str[1:].astype(int)
    assert np.allclose(fitted.predict_proba(long), expected[order], rtol=0, atol=1e-7)
    as_text = long.assign(time=(long["time"] + 5).astype(str))  # whose order by the alphabet is another one
    assert np.allclose(fitted.predict_proba(as_text), expected[order], rtol=0, atol=1e-7)
    indexed = long.set_index(["id", "time"])
    assert np.allclose(fitted.predict_proba(indexed), expected[order], rtol=0, atol=1e-7)


def test_a_wide_frame_has_a_sequence_of_one_channel_in_each_row() -> None:
    x, y = slopes()
    net = RecurrentClassifier(**SMALL).fit(pd.DataFrame(x[:, 0]), y)
    assert net.n_features_in_ == 1
    assert np.array_equal(net.predict_proba(x[:, :1]), net.predict_proba(x[:, 0]))


def test_unequal_lengths_and_missing_values_are_learnt_from() -> None:
    x, y = slopes()
    x[:, 1, ::3] = np.nan
    some = [each[:, : 6 + number % 5] for number, each in enumerate(x)]
    assert RecurrentClassifier(**SMALL | {"max_epochs": 20}).fit(some, y).score(some, y) > 0.9


@pytest.mark.parametrize("labels", [[2, 10], [True, False], ["10", "9"], [-1.0, 2.0]])
def test_labels_of_any_kind_come_back_in_order(labels: list[Any]) -> None:
    x, y = slopes()
    given = np.array(labels)[(y == "rising").astype(int)]
    net = RecurrentClassifier(**SMALL).fit(x, given)
    assert net.classes_.tolist() == sorted(labels)
    assert net.predict(x).dtype == given.dtype
    assert net.score(x, given) > 0.9
    assert net.classes_[net.predict_proba(x).argmax(axis=1)].tolist() == net.predict(x).tolist()


def test_groups_are_not_shared_between_training_and_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = slopes()
    groups = np.arange(len(y)) // 8
    held = []
    original = recurrent.SequencesData.hold

    def hold(self: Any, found: Any, seed: int) -> None:
        original(self, found, seed)
        held.append((found, self.series))

    monkeypatch.setattr(recurrent.SequencesData, "hold", hold)
    RecurrentClassifier(**SMALL).fit(x, y, groups=groups)
    ((found, series),) = held
    assert found.groups == [str(group) for group in groups]
    assert len(series["validation"]) % 8 == 0


class Leaky(RNNCell):
    """hₜ = (tanh(W xₜ + U hₜ₋₁ + b) + hₜ₋₁) / 2"""

    def step(self, projected: Tensor, state: Any, matmul: Any, shared: Shared) -> tuple[Tensor, Any]:
        output, after = super().step(projected, state, matmul, shared)
        mixed = (output + state.hidden) / 2
        return mixed, type(after)(mixed)


def test_a_cell_of_ones_own_is_trained_saved_and_loaded_where_its_class_is_given(tmp_path: Path) -> None:
    x, y = slopes()
    net = RecurrentClassifier(Leaky, **SMALL).fit(x, y)
    assert net.score(x, y) > 0.9
    net.save(tmp_path / "net")
    with pytest.raises(UserError, match="none of rnnlab's: not loaded"):
        RecurrentClassifier.load(tmp_path / "net")
    assert np.array_equal(RecurrentClassifier.load(tmp_path / "net", Leaky).predict_proba(x), net.predict_proba(x))


def test_what_is_saved_is_loaded_without_a_pickle_and_answers_the_same(
    fitted: RecurrentClassifier, tmp_path: Path
) -> None:
    x, y = slopes()
    fitted.save(tmp_path / "net")
    assert {path.suffix for path in (tmp_path / "net").iterdir()} == {".json", ".safetensors"}
    loaded = RecurrentClassifier.load(tmp_path / "net")
    assert loaded.get_params() == fitted.get_params()
    assert loaded.classes_.dtype == fitted.classes_.dtype
    assert np.array_equal(loaded.predict_proba(x), fitted.predict_proba(x))
    assert loaded.score(x, y) == fitted.score(x, y)


def test_what_is_saved_answers_files_too(fitted: RecurrentClassifier, tmp_path: Path) -> None:
    x, _ = slopes(count=4)
    fitted.save(tmp_path / "net")
    np.savez(tmp_path / "new.npz", x=x)
    model = find_predictor(str(tmp_path / "net"))
    (answers,) = answers_to(read_input(str(tmp_path / "new.npz"), model.task), model, {})
    assert np.allclose(answers["p_rising"], fitted.predict_proba(x)[:, 1], rtol=0, atol=1e-6)
    assert answers["sequence"].tolist() == [f"x[{number}]" for number in range(4)]


def test_a_regressor_is_saved_and_loaded(tmp_path: Path) -> None:
    x, _ = slopes()
    y = 1000 + 50 * x[:, 0, -1]
    net = RecurrentRegressor("lstm", **SMALL | {"max_epochs": 30}, loss="squared_error").fit(x, y)
    assert net.score(x, y) > 0.5
    net.save(tmp_path / "net")
    assert np.array_equal(RecurrentRegressor.load(tmp_path / "net").predict(x), net.predict(x))
    with pytest.raises(UserError, match="holds RecurrentRegressor, and no RecurrentClassifier"):
        RecurrentClassifier.load(tmp_path / "net")


def test_a_folder_that_names_other_code_or_is_cut_is_refused(fitted: RecurrentClassifier, tmp_path: Path) -> None:
    fitted.save(tmp_path / "net")
    config = tmp_path / "net" / CONFIG
    text = config.read_text()
    config.write_text(text.replace("rnnlab.modules.gru.GRU", "subprocess.Popen"))
    with pytest.raises(ValueError, match=r"names subprocess.Popen, which is none of rnnlab's"):
        RecurrentClassifier.load(tmp_path / "net")
    config.unlink()
    with pytest.raises(ValueError, match=r"has no config\.json"):
        RecurrentClassifier.load(tmp_path / "net")


def test_nothing_of_the_process_is_changed_and_nothing_is_said_or_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    before = (torch.get_rng_state(), torch.get_num_threads(), torch.are_deterministic_algorithms_enabled())
    filters, numbers = list(warnings.filters), np.random.get_state()[1].tolist()  # noqa: NPY002
    x, y = slopes()
    with caplog.at_level(logging.INFO, "rnnlab"):
        RecurrentClassifier(**SMALL | {"threads": 1}).fit(x, y).predict(x)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before[1:]
    assert np.random.get_state()[1].tolist() == numbers  # noqa: NPY002
    assert list(warnings.filters) == filters
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_size": 0}, "hidden_size must be an integer >= 1, got 0"),
        ({"cell": "gruu"}, "cell must be a class made from Cell, or one of antisymmetric, .*, got gruu"),
        ({"accelerator": "abacus"}, "accelerator must be one of auto, cpu, gpu, got abacus"),
        ({"cell": "irnn", "lr": 1e20}, r"loss became .* at step .*\. Try a lower lr"),
        ({"cell": dict}, "cell._target_ must be a class made from Cell"),
        ({"readout": "first"}, "readout must be one of last, mean, max, got first"),
        ({"cell_options": {"zone": 1}}, "zone"),
        ({"cell_options": {"dropout": 0.1}}, "cell_options has dropout: the estimator has an option of this name"),
        ({"validation": 1.0}, "validation must be a number > 0 and < 1, got 1.0"),
    ],
)
def test_an_option_that_cannot_work_is_named(options: dict[str, Any], message: str) -> None:
    x, y = slopes(count=8)
    with pytest.raises(ValueError, match=message):
        RecurrentClassifier(**SMALL | options).fit(x, y)


X8, Y8 = slopes(count=8)
LONG = pd.DataFrame({"id": [1, 1, 2, 2], "time": [0, 1, 0, 1], "x": [1.0, 2, 3, 4]})


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([], [], r"0 sample\(s\)"),
        ([np.zeros((2, 5)), np.zeros((3, 5))], [0, 1], r"X\[1\] has 3 channels, and X\[0\] has 2"),
        ([np.zeros((2, 5)), np.zeros((2, 0))], [0, 1], r"X\[1\] has the shape \(2, 0\)"),
        ([np.full((2, 5), np.inf)], [0], r"X\[0\] contains infinity"),
        (np.zeros((3, 2, 5, 1)), [0, 1, 0], r"\(n, channels, time\) is needed"),
        (X8, Y8[:-1], "inconsistent numbers of samples"),
        (X8, ["one"] * 8, "y has one class alone, 'one'"),
        (LONG, pd.Series(["a", "b"], index=[1, 3]), "y has no label for the id 2"),
        (LONG.drop(columns="x"), ["a", "b"], "no channels"),
        (LONG.drop(columns="id"), ["a", "b"], "none 'id' that says which rows are of one sequence"),
        (LONG.assign(time=0), ["a", "b"], "the same 'time' twice for the id 1"),
        (LONG.assign(time=[0, None, 0, 1]), ["a", "b"], "rows without 'time'"),
        (LONG.assign(time="step"), ["a", "b"], "neither a number nor a date in 'time'"),
        (X8 * np.nan, Y8, "all values are missing"),
        (LONG.assign(x=pd.Timestamp("2020")), ["a", "b"], "X holds dates in 'x': call that column 'time'"),
    ],
)
def test_data_that_cannot_work_is_said_to_be_so(x: Any, y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RecurrentClassifier(**SMALL).fit(x, y)


def test_a_file_of_a_workspace_names_no_code_but_what_the_environment_allows(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "conf/cell").mkdir(parents=True)
    (root / "conf/cell/mine.yaml").write_text(f"defaults: [/recurrent@_here_, _self_]\n_target_: {__name__}.Leaky\n"
                                              "name: mine\n")  # fmt: skip
    x, y = slopes(count=8)
    net = RecurrentClassifier("mine", **SMALL)
    with pytest.raises(ValueError, match=r"cell\._target_=tests.estimators.* RNNLAB_PACKAGES=its name"):
        net.fit(x, y)
    monkeypatch.setenv("RNNLAB_PACKAGES", "tests")
    assert net.fit(x, y).predict(x).shape == (8,)


def test_channels_are_told_by_number_and_by_name(fitted: RecurrentClassifier) -> None:
    with pytest.raises(ValueError, match="X has 1 features, but RecurrentClassifier is expecting 2 features as input"):
        fitted.predict(np.zeros((3, 1, 5)))
    with pytest.raises(ValueError, match="X has no channel 'channel 2'; the net reads channel 1, channel 2"):
        fitted.predict(pd.DataFrame({"id": [1, 1], "channel 1": [1.0, 2], "other": [1.0, 2]}))


def test_the_examples_of_the_docstrings_are_so() -> None:
    found = doctest.testmod(recurrent)
    assert found.attempted > 5
    assert not found.failed
