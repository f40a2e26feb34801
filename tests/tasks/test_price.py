"""The price task: nothing of the future is seen, nothing is counted as skill that is none."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rnnlab.data.batches import Batch
from rnnlab.errors import UserError
from rnnlab.losses import CrossEntropy
from rnnlab.tasks.forecasting.baselines import ForecastingBaselines
from rnnlab.tasks.forecasting.price.data import PriceData
from rnnlab.tasks.forecasting.price.figures import PriceFigures
from rnnlab.tasks.forecasting.price.judging import PriceJudging

ROWS = 300


@dataclass
class Table:
    """What a data set's `read` gives."""

    frame: pd.DataFrame
    target: str = "close"
    notes: tuple[str, ...] = ()
    report: dict[str, Any] = field(default_factory=dict)

    def read(self, _: Path) -> "Table":
        return self


def series(seed: int = 0, rows: int = ROWS, volume: bool = True) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "date": pd.date_range("2001-01-01", periods=rows),
            "close": 50 * np.exp(np.cumsum(rng.normal(0, 0.02, rows))),
        }
    )
    return frame.assign(volume=rng.integers(1, 10_000, rows).astype(float)) if volume else frame


def prepared(folder: Path, frame: pd.DataFrame, **options: Any) -> PriceData:
    folder.mkdir(parents=True, exist_ok=True)
    task = PriceData(name="price", **{"window": 8, "horizon": 3, "batch_size": 16, **options})
    task.check()
    meta = task.prepare(Table(frame), folder, folder)
    task.open(folder, {**meta, "digest": ""}, seed=0)
    return task


def judged(folder: Path, frame: pd.DataFrame, **options: Any) -> tuple[PriceJudging, dict[str, pd.DataFrame]]:
    """The judging of a prepared task, with the predictions of its baselines."""
    judging = PriceJudging(prepared(folder, frame, **options))
    return judging, {name: predict("test") for name, predict in ForecastingBaselines(judging).fitted().items()}


@settings(max_examples=25, deadline=None)
@given(changed=st.integers(20, ROWS - 1), seed=st.integers(0, 3), factor=st.floats(0.2, 5.0))
def test_a_changed_future_changes_nothing_before_it(
    tmp_path_factory: pytest.TempPathFactory, changed: int, seed: int, factor: float
) -> None:
    """Rows from `changed` on are multiplied: no input before them, no target that ends before them may move."""
    folder = tmp_path_factory.mktemp("price")
    frame = series(seed)
    other = frame.copy()
    other.loc[changed:, ["close", "volume"]] *= factor
    ours, theirs = prepared(folder / "a", frame), prepared(folder / "b", other)

    # array row i is table row i + 1: the first row has no return
    raw = [np.load(folder / name / "targets.npy") for name in "ab"]
    known = changed - 1
    assert np.array_equal(raw[0][: known - 3], raw[1][: known - 3])
    validation_first = ours.meta["splits"]["validation"][0]
    if known > validation_first:  # then the scalers saw no changed row, and scaled inputs can be compared
        assert ours.meta["input_scaler"] == theirs.meta["input_scaler"]
        assert ours.meta["target_scaler"] == theirs.meta["target_scaler"]
        scaled = [np.load(folder / name / "inputs.npy") for name in "ab"]
        assert np.array_equal(scaled[0][:known], scaled[1][:known])


def test_windows_and_targets_are_what_the_docstring_draws(tmp_path: Path) -> None:
    frame = series()
    task = prepared(tmp_path, frame)
    returns = np.diff(np.log(frame["close"]))
    inputs, targets, *_ = task.loader("test").take(torch.tensor([0]))
    origin = task.meta["splits"]["test"][0]
    mean, std = (np.array(task.meta["input_scaler"][key]) for key in ("mean", "std"))
    assert np.allclose(inputs[0, :, 0], (returns[origin - 7 : origin + 1] - mean[0]) / std[0], atol=1e-5)
    expected = [np.log(frame["close"][origin + 1 + h] / frame["close"][origin + 1]) for h in (1, 2, 3)]
    mean, std = (np.array(task.meta["target_scaler"][key]) for key in ("mean", "std"))
    assert np.allclose(targets[0].numpy() * std + mean, expected, atol=1e-6)


def test_parts_are_in_order_and_share_no_target(tmp_path: Path) -> None:
    task = prepared(tmp_path, series())
    splits = task.meta["splits"]
    for before, after in (("train", "validation"), ("validation", "test")):
        last_target = splits[before][1] - 1 + task.horizon
        first_target = splits[after][0] + 1
        assert last_target < first_target
    # and not a row is wasted at the end
    assert splits["test"][1] - 1 + task.horizon == ROWS - 2


def test_scalers_are_fitted_on_the_training_part_alone(tmp_path: Path) -> None:
    frame = series()
    task = prepared(tmp_path, frame)
    returns = np.diff(np.log(frame["close"]))
    seen = task.meta["splits"]["validation"][0] + 1
    assert task.meta["input_scaler"]["mean"][0] == pytest.approx(returns[:seen].mean())
    assert task.meta["input_scaler"]["mean"][0] != pytest.approx(returns.mean(), rel=1e-3)


def test_every_test_example_is_predicted_and_in_order(tmp_path: Path) -> None:
    task = prepared(tmp_path, series())
    examples = len(range(*task.meta["splits"]["test"]))
    assert examples % task.batch_size, "choose sizes with a short last batch"
    assert sum(len(batch.inputs) for batch in task.loader("test")) == examples

    class Echo(torch.nn.Module):
        """Says the last scaled return at each horizon."""

        device = torch.device("cpu")

        def net(self, batch: Batch, state: None) -> tuple[torch.Tensor, None]:
            return batch.inputs[:, -1, :1].expand(-1, 3), None

    table = PriceJudging(task).predict(Echo())
    assert len(table) == 3 * examples
    assert table["origin"].is_monotonic_increasing
    origins = range(*task.meta["splits"]["test"])
    last = np.load(tmp_path / "inputs.npy")[origins, 0]
    mean, std = (np.array(task.meta["target_scaler"][key]) for key in ("mean", "std"))
    assert np.allclose(table["predicted_return"].to_numpy().reshape(-1, 3), last[:, None] * std + mean, atol=1e-6)


def test_training_order_is_a_function_of_seed_and_epoch(tmp_path: Path) -> None:
    task = prepared(tmp_path, series())

    def order(seed: int, epoch: int) -> NDArray[np.float32]:
        task.seed = seed
        loader = task.loader("train")
        loader.sampler.set_epoch(epoch)
        return torch.cat([batch.targets for batch in loader]).numpy()

    assert np.array_equal(order(0, 0), order(0, 0))
    assert not np.array_equal(order(0, 0), order(0, 1))
    assert not np.array_equal(order(0, 0), order(1, 0))
    assert np.array_equal(np.sort(order(0, 0), axis=0), np.sort(order(1, 5), axis=0))


def test_persistence_has_no_skill_and_the_truth_has_all(tmp_path: Path) -> None:
    judging, tables = judged(tmp_path, series())
    persistence = tables["persistence"]
    metrics = judging.metrics([persistence])
    assert metrics["skill"] == pytest.approx(0)
    assert metrics["p_value"] == 1
    assert "directional_accuracy" not in metrics
    truth = persistence.assign(predicted_return=persistence["actual_return"])
    metrics = judging.metrics([truth])
    assert metrics["skill"] == pytest.approx(1)
    assert metrics["p_value"] < 0.01
    assert metrics["relative_mae"] == metrics["mase"] == metrics["price_rmse"] == 0
    assert metrics["directional_accuracy"] == 1


def test_yesterdays_price_is_not_taken_for_skill(tmp_path: Path) -> None:
    """The notebook's mistake: the forecast that repeats the last return follows the chart, and is worth nothing."""
    judging, tables = judged(tmp_path, series(rows=2000))
    table = tables["persistence"]
    shape = (-1, judging.task.horizon)
    last_return = np.concatenate([[0.0], np.diff(np.log(table["close"].to_numpy().reshape(shape)[:, 0]))])
    copied = table.assign(predicted_return=np.repeat(last_return, judging.task.horizon))
    metrics = judging.metrics([copied])
    assert np.corrcoef(table["close"] * np.exp(copied["predicted_return"]), table["close"])[0, 1] > 0.98
    assert metrics["skill"] < 0


def test_a_farther_step_is_not_fed_a_nearer_true_price(tmp_path: Path) -> None:
    """Perfect at one step, persistence beyond: only the first horizon has skill."""
    judging, tables = judged(tmp_path, series())
    table = tables["persistence"]
    first = table["horizon"] == 1
    metrics = judging.metrics([table.assign(predicted_return=table["actual_return"].where(first, 0.0))])
    assert metrics["skill_1"] == pytest.approx(1)
    assert metrics["skill_2"] == metrics["skill_3"] == pytest.approx(0)


def test_price_errors_are_of_the_price_level(tmp_path: Path) -> None:
    judging, tables = judged(tmp_path, series(), horizon=1)
    table = tables["persistence"]
    actual = table["close"] * np.exp(table["actual_return"])
    metrics = judging.metrics([table])
    assert metrics["price_mae"] == pytest.approx(np.abs(actual - table["close"]).mean())
    assert metrics["price_rmse"] == pytest.approx(np.sqrt(((actual - table["close"]) ** 2).mean()))
    moved = np.abs(table["actual_return"]).mean()
    assert metrics["relative_mae"] == pytest.approx(moved / judging.task.meta["persistence_mae"][0])


def test_several_seeds_give_their_mean_error_not_the_error_of_their_mean(tmp_path: Path) -> None:
    judging, tables = judged(tmp_path, series())
    table = tables["persistence"]
    up, down = table.assign(predicted_return=0.05), table.assign(predicted_return=-0.05)
    both = judging.metrics([up, down])
    for key in ("relative_mae", "mase"):
        assert both[key] == pytest.approx((judging.metrics([up])[key] + judging.metrics([down])[key]) / 2)
        assert both[key] > judging.metrics([table])[key]


def test_mase_is_in_units_of_the_return_of_a_day_in_training(tmp_path: Path) -> None:
    """Closes of 8 8 16 16 8 8 ...: from every second day to the next is a log return of ln 2."""
    frame = series(rows=101).assign(close=[8.0 * (1 + day // 2 % 2) for day in range(101)])
    judging, tables = judged(tmp_path, frame, horizon=2)
    # 35 of 69 days of training
    assert judging.task.meta["naive_mae"] == pytest.approx(np.log(2) * 35 / 69)
    metrics = judging.metrics([tables["persistence"]])
    assert metrics["mase_2"] == pytest.approx(69 / 35)
    assert metrics["mase"] == pytest.approx((metrics["mase_1"] + metrics["mase_2"]) / 2)


def test_ridge_finds_what_a_line_can_find(tmp_path: Path) -> None:
    """Returns that swing back: a linear rule has skill, and ridge shows it."""
    rng = np.random.default_rng(5)
    returns = np.zeros(1500)
    for t in range(1, 1500):
        returns[t] = -0.8 * returns[t - 1] + rng.normal(0, 0.01)
    frame = series(rows=1500).assign(close=50 * np.exp(np.cumsum(returns)))
    judging, tables = judged(tmp_path, frame)
    metrics = judging.metrics([tables["ridge"]])
    assert metrics["skill_1"] > 0.3
    assert metrics["p_value_1"] < 0.001


def test_without_volume_the_return_is_the_only_input(tmp_path: Path) -> None:
    assert prepared(tmp_path / "a", series(volume=False)).spec.input_size == 1
    gaps = series()
    gaps.loc[5, "volume"] = np.nan
    task = prepared(tmp_path / "b", gaps)
    assert task.spec.input_size == 1
    assert any("volume" in note for note in task.meta["report"]["notes"])


def test_volumes_of_zero_are_numbers(tmp_path: Path) -> None:
    frame = series()
    frame.loc[10:20, "volume"] = 0.0
    task = prepared(tmp_path, frame)
    assert task.spec.input_size == 2
    assert all(torch.isfinite(batch.inputs).all() for batch in task.loader("train"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 0}, "task.window must be an integer >= 1, got 0"),
        ({"horizon": -1}, "task.horizon must be an integer >= 1, got -1"),
        ({"test": 1.5}, "task.test must be a number > 0 and < 1, got 1.5"),
        ({"validation": 0.5, "test": 0.5}, "together"),
        ({"loss": CrossEntropy()}, "one of AbsoluteError, SquaredError, got CrossEntropy"),
        ({"window": 400}, "300 rows are too few"),
        ({"horizon": 60}, "the validation part has 0 examples"),
    ],
)
def test_options_that_cannot_work_are_named(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        prepared(tmp_path, series(), **options)


def test_the_figure_shows_forecasts_and_errors(tmp_path: Path) -> None:
    judging, tables = judged(tmp_path, series(rows=1500))
    (figure,) = PriceFigures(judging).figures([tables["drift"]], "drift").values()
    forecast, errors = figure.axes
    assert len(forecast.lines) > 10
    assert list(errors.lines[0].get_xdata()) == [1, 2, 3]
