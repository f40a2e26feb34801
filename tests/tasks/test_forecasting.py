"""Forecasts of weather and of any series: nothing of the future is seen, and errors are what they are said to be."""

import warnings
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlab.data.batches import Batch
from rnnlab.datasets.series import Series, SeriesTable, whole
from rnnlab.datasets.weather import KINDS, Weather
from rnnlab.errors import UserError
from rnnlab.tasks.forecasting import baselines
from rnnlab.tasks.forecasting.baselines import ForecastingBaselines
from rnnlab.tasks.forecasting.classical import CannotFitError
from rnnlab.tasks.forecasting.data import DIFFERENCES
from rnnlab.tasks.forecasting.series.data import SeriesData
from rnnlab.tasks.forecasting.series.figures import SeriesFigures
from rnnlab.tasks.forecasting.series.judging import SeriesJudging
from rnnlab.tasks.forecasting.weather.data import WeatherData
from rnnlab.tasks.forecasting.weather.judging import WeatherJudging
from rnnlab.tasks.task import Split

ROWS = 500
KIND = {"series": SeriesData, "weather": WeatherData}


class Ready:
    """A data set whose table is there already."""

    def __init__(self, table: SeriesTable) -> None:
        self.table = table

    def read(self, _: Path) -> SeriesTable:
        return self.table


def frame(seed: int = 0, rows: int = ROWS) -> pd.DataFrame:
    """A yearly wave and noise that lasts for days, with another column beside it."""
    rng = np.random.default_rng(seed)
    noise = np.zeros(rows)
    for t in range(1, rows):
        noise[t] = 0.7 * noise[t - 1] + rng.normal()
    days = np.arange(rows)
    level = 15 + 10 * np.sin(2 * np.pi * days / 365.2425) + noise
    index = pd.date_range("2012-01-01", periods=rows)
    return pd.DataFrame({"level": level, "wind": rng.exponential(3, rows)}, index=index)


def prepared(
    folder: Path, table: pd.DataFrame, kind: str = "series", missing: str = "previous", **options: Any
) -> SeriesData:
    folder.mkdir(parents=True, exist_ok=True)
    task = KIND[kind](kind, **{"window": 8, "horizon": 3, "batch_size": 16, "calendar": ["year"], **options})
    task.check()
    meta = task.prepare(Ready(whole(table, missing, None, (), "my.csv")), folder, folder)
    task.open(folder, {**meta, "digest": ""}, seed=0)
    return task


def judging_of(task: SeriesData) -> SeriesJudging:
    return WeatherJudging(task) if isinstance(task, WeatherData) else SeriesJudging(task)


def judged(*args: Any, **options: Any) -> tuple[SeriesJudging, dict[str, pd.DataFrame]]:
    """The judging of a prepared task, with the predictions of its baselines."""
    judging = judging_of(prepared(*args, **options))
    return judging, tables_of(judging, "test")


def tables_of(judging: SeriesJudging, split: Split) -> dict[str, pd.DataFrame]:
    return {name: predict(split) for name, predict in ForecastingBaselines(judging).fitted().items()}


def best(judging: SeriesJudging) -> str:
    """The baseline that errs least on the validation part."""
    errors = {name: judging.losses(table).mean() for name, table in tables_of(judging, "validation").items()}
    return min(errors, key=lambda name: errors[name])


# --- nothing of the future --------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    changed=st.integers(20, ROWS - 1),
    seed=st.integers(0, 3),
    factor=st.floats(0.2, 5.0),
    kind=st.sampled_from(sorted(KIND)),
    difference=st.sampled_from(DIFFERENCES),
    holes=st.lists(st.integers(10, ROWS - 1), max_size=8),
)
def test_a_changed_future_changes_nothing_before_it(
    tmp_path_factory: pytest.TempPathFactory,
    changed: int,
    seed: int,
    factor: float,
    kind: str,
    difference: str,
    holes: list[int],
) -> None:
    """Rows from `changed` on are multiplied: no input before them, no forecast made before them may move."""
    folder = tmp_path_factory.mktemp("series")
    ours = frame(seed)
    ours.iloc[holes, 0] = np.nan
    theirs = ours.copy()
    theirs.iloc[changed:] *= factor
    one, other = (
        prepared(folder / name, table, kind, difference=difference, season=7)
        for name, table in (("a", ours), ("b", theirs))
    )

    # array row i is table row i + 1: the first row has no change
    known = changed - 1
    raw = [np.load(folder / name / "targets.npy") for name in "ab"]
    assert np.array_equal(raw[0][: known - 3], raw[1][: known - 3])
    if known <= one.meta["splits"]["validation"][0]:
        return
    # the scalers and baselines saw no changed row, and what is made of the rows before can be compared
    for key in ("input_scaler", "target_scaler", "persistence_mae", "naive_mae", "mean_change", "splits"):
        assert one.meta[key] == other.meta[key]
    scaled = [np.load(folder / name / "inputs.npy") for name in "ab"]
    assert np.array_equal(scaled[0][:known], scaled[1][:known])
    for split in ("validation", "test"):
        before = one.origins[split] < known
        assert np.array_equal(one.origins[split][: before.sum()], other.origins[split][: before.sum()])
        for name, forecast in judging_of(one).simple().items():
            values = [(f(split) + task.level[task.origins[split]][:, None])[: before.sum()]
                      for f, task in ((forecast, one), (judging_of(other).simple()[name], other))]  # fmt: skip
            assert np.array_equal(values[0], values[1]), name


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_windows_and_targets_are_what_the_docstring_draws(tmp_path: Path, difference: str) -> None:
    table = frame()
    task = prepared(tmp_path, table, difference=difference)
    batch = task.loader("test").take(torch.tensor([4]))
    origin = task.meta["splits"]["test"][0] + 4 + 1  # in rows of the table
    level, wind = table["level"].to_numpy(), table["wind"].to_numpy()

    columns = [np.diff(level), np.diff(wind)] if difference == "both" else [level[1:], wind[1:]]
    days = (table.index.to_numpy()[1:] - np.datetime64("1970-01-01")) / np.timedelta64(1, "D")
    phase = 2 * np.pi * days / 365.2425
    inputs = np.stack([*columns, np.sin(phase), np.cos(phase)], axis=1)
    mean, std = (np.array(task.meta["input_scaler"][key]) for key in ("mean", "std"))
    expected = (inputs[origin - 8 : origin] - mean) / std
    assert np.allclose(batch.inputs[0], expected, atol=1e-5)

    future = level[origin + 1 : origin + 4] - (0 if difference == "none" else level[origin])
    mean, std = (np.array(task.meta["target_scaler"][key]) for key in ("mean", "std"))
    assert np.allclose(batch.targets[0].numpy() * std + mean, future, atol=1e-5)


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_a_net_that_says_the_scaled_target_is_right(tmp_path: Path, difference: str) -> None:
    judging = judging_of(prepared(tmp_path, frame(), difference=difference))

    class Oracle(torch.nn.Module):
        device = torch.device("cpu")

        def net(self, batch: Batch, state: None) -> tuple[torch.Tensor, None]:
            return batch.targets, None

    table = judging.predict(Oracle())
    assert np.allclose(table["predicted"], table["actual"], atol=1e-4)
    metrics = judging.judge(table)
    assert metrics["skill"] == pytest.approx(1, abs=1e-4)
    assert metrics["mae"] < 1e-4


def test_the_weather_docstring_is_true(weather: Path, tmp_path: Path) -> None:
    task = WeatherData("weather", window=14, horizon=7, difference="target", calendar=["year"])
    meta = task.prepare(Weather("weather", inputs=["precipitation", "temp_min", "wind"]), weather, tmp_path)
    task.open(tmp_path, {**meta, "digest": ""}, seed=0)
    batch = task.loader("train").take(torch.tensor([0]))
    mean, std = (np.array(meta["input_scaler"][key]) for key in ("mean", "std"))
    inputs = batch.inputs[0].numpy() * std + mean
    assert np.allclose(inputs[0], [10.6, 10.9, 2.8, 4.5, 0.01, 1.0], atol=0.005)
    assert np.allclose(inputs[1], [11.7, 0.8, 7.2, 2.3, 0.03, 1.0], atol=0.005)
    assert np.allclose(inputs[-1, :4], [1.1, 5.3, -3.3, 3.2], atol=0.005)
    mean, std = (np.array(meta["target_scaler"][key]) for key in ("mean", "std"))
    assert np.allclose(batch.targets[0].numpy() * std + mean, [0.6, 2.2, -1.1, -2.2, 6.1, 7.2, 5.6], atol=0.005)


# --- baselines and metrics --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("season", [2, 3, 7, 50])
def test_seasonal_naive_is_the_last_value_of_the_same_phase(tmp_path: Path, season: int) -> None:
    series = frame()
    _, tables = judged(tmp_path, series, season=season, horizon=5)
    table = tables["seasonal_naive"]
    level = series["level"]
    for _, row in table.iterrows():
        now = series.index.get_loc(row["origin"])
        back = next(at for at in range(now, -1, -1) if (now + row["horizon"] - at) % season == 0)
        assert row["predicted"] == pytest.approx(level.iloc[back])
        assert row["actual"] == pytest.approx(level.iloc[now + row["horizon"]])


def test_without_a_season_there_is_no_seasonal_naive(tmp_path: Path) -> None:
    """Nor are there anomalies: the training part has no whole year either."""
    assert set(judged(tmp_path, frame())[1]) == {"persistence", "drift", "ridge", "ets", "theta", "arima"}


@pytest.mark.parametrize("missing", [False, True])
def test_what_is_fitted_knows_nothing_of_the_future(tmp_path: Path, missing: bool) -> None:
    """A test part that goes another way from some row on: all that is forecast before it stays as it is."""
    ours = frame()
    if missing:
        ours.iloc[[200, 201, 450], 0] = np.nan
    theirs = ours.copy()
    theirs.iloc[460:] = 50 - 2 * theirs.iloc[460:]
    one, other = (
        judging_of(prepared(tmp_path / name, table, season=7, calendar=[]))
        for name, table in (("a", ours), ("b", theirs))
    )
    fitted, refitted = (ForecastingBaselines(judging).fitted() for judging in (one, other))
    before = one.task.dates[one.task.origins["test"]] < ours.index.to_numpy("datetime64[us]")[460]
    assert before.sum() > 20
    for name, predict in fitted.items():
        assert predict("validation").equals(refitted[name]("validation")), name
        forecasts = [each[name]("test")["predicted"].to_numpy().reshape(-1, 3)[before] for each in (fitted, refitted)]
        assert np.array_equal(*forecasts), name


def test_what_lasts_of_an_anomaly_is_found(tmp_path: Path) -> None:
    """Of noise that loses 0.3 of itself a day on a yearly wave, nothing can forecast better than that wave and 0.7ʰ of
    the noise: what knows the wave comes close, and neither the line in the window nor climatology does."""
    series = frame(rows=1461)
    days = np.arange(1, 1461)
    judging, tables = judged(tmp_path, series, "weather", horizon=4, season=None)
    steps = np.arange(1, 5)
    wave = 15 + 10 * np.sin(2 * np.pi * np.append(days, days[-1] + steps) / 365.2425)
    origins = judging.task.origins["test"]
    noise = judging.task.level[origins] - wave[origins]
    best_of_all = wave[origins[:, None] + steps] + noise[:, None] * 0.7**steps
    table = tables["persistence"]
    least = judging.losses(table.assign(predicted=best_of_all.ravel())).mean()
    errors = {name: judging.losses(table).mean() / least for name, table in tables.items()}
    for name in ("damped_persistence", "anomaly_ridge", "arima"):
        assert errors[name] < 1.06, name
    assert min(errors["climatology"], errors["persistence"]) > 1.2
    assert best(judging) in ("damped_persistence", "anomaly_ridge", "arima")


def test_a_season_that_grows_with_the_series_is_found(tmp_path: Path) -> None:
    """As sales do that rise by a hundredth a month: of the logarithm the season is always the same."""
    rows = np.arange(240)
    noise = np.random.default_rng(0).normal(0, 0.01, 240)
    level = np.exp(3 + 0.01 * rows + 0.3 * np.sin(2 * np.pi * rows / 12) + noise)
    series = pd.DataFrame({"level": level}, index=pd.date_range("2000-01-01", periods=240, freq="MS"))
    judging, tables = judged(tmp_path, series, window=12, horizon=6, season=12, calendar=[])
    errors = {name: judging.losses(table).mean() for name, table in tables.items()}
    old = min(errors[name] for name in ("persistence", "drift", "seasonal_naive"))
    for name in ("ets", "theta", "arima"):
        assert errors[name] < old / 3, name


def test_values_around_a_gap_are_taken_for_filled_only_where_they_repeat_the_last(tmp_path: Path) -> None:
    series = frame()
    series.iloc[[100, 101, 450], 0] = np.nan  # array row i is table row i + 1
    series.iloc[301, 0] = series.iloc[300, 0]
    task = prepared(tmp_path, series)
    assert list(np.flatnonzero(~ForecastingBaselines(judging_of(task))._measured())) == [99, 100, 449]


@pytest.mark.parametrize("rows", [34, 40, 60])
def test_a_short_series_has_baselines_that_are_numbers(tmp_path: Path, rows: int) -> None:
    series = frame(rows=rows)
    series["level"] = np.where(np.arange(rows) < rows // 2, 3.0, series["level"])  # that long it does not move
    _, tables = judged(tmp_path, series, season=7)
    assert {"persistence", "ridge"} < set(tables)
    for name, table in tables.items():
        assert np.isfinite(table[["predicted", "low", "high"]]).all(axis=None), name


def test_a_straight_line_is_fitted_without_a_warning(tmp_path: Path) -> None:
    """All its changes are the same, so that no ridge regression on them has a well-conditioned matrix."""
    line = frame(rows=300)[["level"]].assign(level=1e15 * np.arange(300))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert best(judging_of(prepared(tmp_path, line, calendar=[], season=7))) in ("drift", "ridge", "arima")


@pytest.mark.parametrize(
    ("failure", "why"), [(CannotFitError("singular"), "singular"), (np.nan, "its forecasts are not finite")]
)
def test_what_cannot_be_fitted_is_left_out_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, failure: Any, why: str
) -> None:
    def fails(series: Any, seen: int, horizon: int, *_: Any) -> Any:
        if isinstance(failure, Exception):
            raise failure
        return np.full((len(series), horizon), failure)

    monkeypatch.setattr(baselines, "arima", fails)
    with caplog.at_level("INFO", "rnnlab"):
        assert "arima" not in judged(tmp_path, frame())[1]
    (line,) = [record.message for record in caplog.records]
    assert line == f"series: the baseline arima, which cannot be fitted, is left out: {why}"


def test_a_fault_of_our_own_is_no_series_that_cannot_be_fitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(*_: Any) -> Any:
        raise IndexError

    monkeypatch.setattr(baselines, "theta", faulty)
    with pytest.raises(IndexError):
        judged(tmp_path, frame())


def test_relative_mae_mase_skill_and_interval_score_by_another_way(tmp_path: Path) -> None:
    series = frame()
    judging, tables = judged(tmp_path, series, horizon=2, season=7)
    level = series["level"].to_numpy()
    rows = ROWS - 1  # the first row has no change
    validation, test = int(rows * 0.7) + 1, int(rows * 0.85) + 1
    table = tables["seasonal_naive"]
    relative, absolute, naive, scores = [], [], [], []
    for step in (1, 2):
        unit = np.mean([abs(level[t + step] - level[t]) for t in range(8, validation - 2)])
        errors = {}
        for name, begin, end in (("validation", validation, test), ("test", test, ROWS)):
            origins = np.arange(begin - 1, end - 2)
            errors[name] = level[origins + step] - level[origins + step - 7]
        low, high = np.quantile(errors["validation"], [0.1, 0.9])
        outside = np.maximum(low - errors["test"], 0) + np.maximum(errors["test"] - high, 0)
        scores.append(np.mean(high - low + 10 * outside))
        absolute.append(np.mean(np.abs(errors["test"])))
        relative.append(absolute[-1] / unit)
        moves = level[origins + step] - level[origins]
        naive.append(np.mean(np.abs(moves)) / unit)
    metrics = judging.judge(table)
    assert [metrics["relative_mae_1"], metrics["relative_mae_2"]] == pytest.approx(relative)
    assert metrics["relative_mae"] == pytest.approx(np.mean(relative))
    assert metrics["skill"] == pytest.approx(1 - np.mean(relative) / np.mean(naive))
    assert metrics["interval_score"] == pytest.approx(np.mean(scores))
    assert judging.losses(table).mean() == pytest.approx(np.mean(relative))
    weekly = np.mean([abs(level[t] - level[t - 7]) for t in range(8, validation)])
    assert [metrics["mase_1"], metrics["mase_2"]] == pytest.approx(np.array(absolute) / weekly)
    assert metrics["mase"] == pytest.approx(np.mean(absolute) / weekly)


@pytest.mark.parametrize(
    ("values", "season", "expected"),
    [
        ([0, 1, 0, 2], None, 4 / 3),  # |1|, |-1|, |2|
        ([0, 1, 0, 2], 2, 1 / 2),  # |0 - 0|, |2 - 1|
        ([0, 1, 0, 1], 2, 1),  # of a season that repeats itself, as without one
        ([0, 1, 0, 2], 4, 4 / 3),  # of one season alone, likewise
    ],
)
def test_the_unit_of_mase_is_the_naive_error_in_training(
    tmp_path: Path, values: list[float], season: int | None, expected: float
) -> None:
    """Four values of training, and a series that goes on in steps of one. The first of the table has no change."""
    level = [7.0, *values, *(2.0 + np.arange(20) % 2)]
    table = pd.DataFrame({"level": level}, index=pd.date_range("2024-01-01", periods=25))
    task = prepared(tmp_path, table, window=1, horizon=1, season=season, calendar=[], validation=0.5, test=1 / 3)
    assert task.meta["splits"]["validation"][0] + 1 == 4
    assert task.meta["naive_mae"] == pytest.approx(expected)
    metrics = judging_of(task).judge(ForecastingBaselines(judging_of(task)).fitted()["persistence"]("test"))
    assert metrics["mase"] == pytest.approx(1 / expected)


def test_a_filled_value_is_no_naive_error(tmp_path: Path) -> None:
    series = frame()
    series.iloc[[100, 101], 0] = np.nan
    task = prepared(tmp_path, series)
    seen = task.meta["splits"]["validation"][0] + 1
    # array row i is table row i + 1
    moves = [abs(task.level[t] - task.level[t - 1]) for t in range(1, seen) if t not in (99, 100)]
    assert task.meta["naive_mae"] == pytest.approx(np.mean(moves))


@pytest.mark.parametrize("kind", sorted(KIND))
def test_a_table_of_the_validation_part_is_one_of_the_test_part_had_it_been_there(tmp_path: Path, kind: str) -> None:
    judging = judging_of(prepared(tmp_path, frame(), kind, season=7))
    for name, table in tables_of(judging, "validation").items():
        origins = judging.task.origins["validation"]
        assert len(table) == 3 * len(origins)
        assert table["origin"].iloc[0] == judging.task.dates[origins[0]]
        metrics = judging.judge(table)
        assert metrics["relative_mae"] == pytest.approx(judging.losses(table).mean())
        # the interval is made of these very errors
        assert metrics["coverage"] == pytest.approx(0.8, abs=0.02), name


def test_a_test_part_of_few_forecasts_gives_no_p_value_and_says_so(tmp_path: Path) -> None:
    """Thirty-four origins: enough for tests of one and two steps ahead."""
    judging, tables = judged(tmp_path, frame(rows=300), horizon=12, calendar=[])
    for predictions in tables.values():
        metrics = judging.judge(predictions)
        assert np.isfinite(list(metrics.values())).all()
        for key in ("p_value", "skill_low", "skill_high"):
            assert {f"{key}_{step}" for step in (1, 2)} == {each for each in metrics if each.startswith(key)}
    (said,) = judging.remarks()
    assert said.startswith("too few forecasts in the test part to test a difference: 34, overlapping by 11; 144 are")
    enough, tables = judged(tmp_path / "enough", frame(rows=1100), horizon=12, calendar=[])
    assert "p_value" in enough.judge(tables["ridge"])
    assert not enough.remarks()


def test_a_wider_interval_covers_more(tmp_path: Path) -> None:
    judging, tables = judged(tmp_path, frame(rows=2000))
    table = tables["ridge"]
    assert 0.7 < judging.judge(table)["coverage"] < 0.9
    assert judging.judge(table.assign(low=-1e9, high=1e9))["coverage"] == 1


def test_climatology_finds_the_wave_of_the_year(tmp_path: Path) -> None:
    """Of a wave without noise it is exact, and far ahead of persistence; what knows the wave is then the reference."""
    series = frame(rows=1461)
    days = np.arange(1461)
    series["level"] = 15 + 10 * np.sin(2 * np.pi * days / 365.2425)
    judging, tables = judged(tmp_path, series, "weather", horizon=7)
    metrics = judging.judge(tables["climatology"])
    assert metrics["mae"] < 1e-6
    assert metrics["skill"] > 0.999
    assert best(judging) in ("climatology", "damped_persistence", "anomaly_ridge")


def test_the_best_on_validation_is_what_is_hard_to_beat(tmp_path: Path) -> None:
    walk = frame()
    walk["level"] = np.cumsum(np.random.default_rng(3).choice([-1.0, 1.0], ROWS))
    assert best(judging_of(prepared(tmp_path / "a", walk, season=7))) in ("persistence", "drift", "ridge")
    weekly = frame()
    weekly["level"] = np.tile([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 20.0], ROWS)[:ROWS] + 0.01 * frame()["wind"]
    assert best(judging_of(prepared(tmp_path / "b", weekly, season=7))) in ("seasonal_naive", "damped_persistence")


def test_the_figure_shows_fans_and_all_simple_baselines(tmp_path: Path) -> None:
    judging, tables = judged(tmp_path, frame(), season=7)
    (figure,) = SeriesFigures(judging).figures([tables["ridge"]] * 2, "ridge").values()
    fans, errors = figure.axes
    assert len(fans.collections) == 8
    assert [line.get_label() for line in errors.lines] == [*judging.simple(), "ridge"]
    assert list(errors.lines[0].get_xdata()) == [1, 2, 3]


# --- what is missing --------------------------------------------------------------------------------------------------


def test_a_filled_value_is_the_last_one_and_judges_no_forecast(tmp_path: Path) -> None:
    series = frame()
    holes = [100, 101, 450]  # rows of the table
    series.iloc[holes, 0] = np.nan
    task = prepared(tmp_path, series)
    level = np.load(tmp_path / "level.npy")
    assert level[99] == level[100] == series["level"].iloc[99]
    # array row i is table row i + 1, and one filled target is enough
    left_out = [97, 98, 99, 100, 447, 448, 449]
    assert list(np.flatnonzero(~np.load(tmp_path / "judged.npy"))) == [at - 1 for at in left_out]
    assert not {at for origins in task.origins.values() for at in origins} & {at - 1 for at in left_out}
    table = tables_of(judging_of(task), "test")["persistence"]
    assert len(table) == 3 * len(task.origins["test"])
    assert any("3 rows" in note for note in task.meta["report"]["notes"])


SKIP, SHORTER = "task.missing=skip", "a shorter task.horizon"


@pytest.mark.parametrize(
    ("holes", "horizon", "said", "ways"),
    [
        (range(2, ROWS, 3), 7, "no stretch of task.horizon=7 rows in the train part", [SKIP, SHORTER]),
        ([*range(2, 100, 3), *range(106, ROWS, 3)], 7, "only one stretch of task.horizon=7 rows", [SKIP, SHORTER]),
        (range(200, ROWS), 3, "no stretch of task.horizon=3 rows in the validation part", [SKIP]),
        (range(200, ROWS), 1, "no stretch of task.horizon=1 rows in the validation part", [SKIP]),
        (range(20, ROWS), 3, "no stretch of task.horizon=3 rows in the validation part", []),
    ],
)
def test_a_target_too_full_of_holes_is_named(
    tmp_path: Path, holes: list[int], horizon: int, said: str, ways: list[str]
) -> None:
    series = frame()
    series.iloc[list(holes), 0] = np.nan
    with pytest.raises(UserError) as failure:
        prepared(tmp_path, series, horizon=horizon)
    message = str(failure.value)
    assert message.startswith(f"{len(holes)} of the {ROWS} rows of 'level' are filled")
    assert said in message
    assert "too few" not in message
    assert [way for way in (SKIP, SHORTER) if way in message] == ways
    if SKIP in ways:
        prepared(tmp_path, series, horizon=horizon, missing="skip")
    if SHORTER in ways:
        prepared(tmp_path, series, horizon=1)


def test_rows_left_out_come_back(tmp_path: Path) -> None:
    series = frame()
    task = prepared(tmp_path, series.drop(series.index[[200, 201, 300]]))
    dates = np.load(tmp_path / "dates.npy")
    assert np.array_equal(dates, series.index.to_numpy("datetime64[us]")[1:])
    assert list(np.flatnonzero(~np.load(tmp_path / "judged.npy"))) == [196, 197, 198, 199, 296, 297, 298]
    assert task.meta["report"]["gaps"] == 2


def test_skipped_rows_are_left_out(tmp_path: Path) -> None:
    series = frame()
    series.iloc[[3, 70], 1] = np.nan
    task = prepared(tmp_path, series.drop(series.index[200:204]), missing="skip")
    assert len(np.load(tmp_path / "level.npy")) == ROWS - 6 - 1
    assert any("empty cell left out: 2" in note for note in task.meta["report"]["notes"])
    assert any("gaps in the dates: 3" in note for note in task.meta["report"]["notes"])


@pytest.mark.parametrize(
    ("dates", "missing"),
    [
        (pd.date_range("2020-01-01", periods=100, freq="D"), [40, 41]),
        (pd.date_range("2020-01-01", periods=100, freq="h"), [40]),
        (pd.date_range("2020-01-06", periods=100, freq="B"), [40, 41, 42]),
    ],
)
def test_a_gap_is_filled_on_the_dates_that_are_expected(dates: pd.DatetimeIndex, missing: list[int]) -> None:
    table = pd.DataFrame({"x": np.arange(100.0)}, index=dates)
    filled = whole(table.drop(dates[missing]), "previous", None, (), "my.csv")
    assert list(filled.frame.index) == list(dates)
    assert list(np.flatnonzero(~filled.measured)) == missing
    with pytest.raises(UserError, match="gaps in the dates: 1"):
        whole(table.drop(dates[missing]), "refuse", None, (), "my.csv")


@pytest.mark.parametrize("freq", ["MS", "QS", "YS"])
def test_months_of_unlike_lengths_are_no_gaps(freq: str) -> None:
    dates = pd.date_range("1980-01-01", periods=60, freq=freq)
    table = pd.DataFrame({"x": np.arange(60.0)}, index=dates)
    assert whole(table, "refuse", None, (), "my.csv").measured.all()


# --- where it comes from ----------------------------------------------------------------------------------------------


def own(folder: Path, content: str | bytes, **options: Any) -> SeriesTable:
    path = folder / "my.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    dataset = Series("series", path=str(path), **options)
    dataset.check()
    dataset.fetch(folder / "raw")
    return dataset.read(folder / "raw")


def test_a_table_of_any_make_is_read(tmp_path: Path) -> None:
    content = (
        "Tag;Verkäufe;Wetter;Besucher\n31.01.2024;-1,5;gut;3\n29.01.2024;0,0;gut;\n30.01.2024;n/a;schlecht;1.000\n"
    )
    table = own(tmp_path, content.encode("cp1252"), target="verkäufe", inputs="all", missing="skip")
    assert list(table.frame.columns) == ["Verkäufe", "Besucher"]
    assert table.frame["Verkäufe"].to_list() == [-1.5]
    assert table.frame["Besucher"].to_list() == [3]
    notes = "; ".join(table.notes)
    for part in ("Windows-1252", "semicolons", "unsorted", "columns without numbers left out: Wetter", "empty cell"):
        assert part in notes


def test_before_the_first_number_there_is_no_row(tmp_path: Path) -> None:
    table = own(tmp_path, "day,a,b\n2024-01-01,1,\n2024-01-02,2,5\n2024-01-03,,6\n", target="a", inputs=["b"])
    assert table.frame.to_numpy().tolist() == [[2, 5], [2, 6]]
    assert table.measured.tolist() == [True, False]
    assert any("left out at the beginning" in note for note in table.notes)


def test_the_fingerprint_follows_content_and_options(tmp_path: Path) -> None:
    path = tmp_path / "my.csv"
    path.write_text("date,a\n2020-01-01,1\n")
    first = Series("s", path=str(path)).fingerprint()
    path.write_text("date,a\n2020-01-01,2\n")
    others = [Series("s", path=str(path)), Series("s", path=str(path), missing="skip"), Series("s")]
    assert len({str(one) for one in [first, *(other.fingerprint() for other in others)]}) == 4


def test_a_folder_of_another_series_is_refused(tmp_path: Path) -> None:
    Series("s").fetch(tmp_path)
    path = tmp_path / "my.csv"
    path.write_text("date,a\n2020-01-01,1\n")
    with pytest.raises(UserError, match="does not hold the series"):
        Series("s", path=str(path)).read(tmp_path)


def test_the_sample_is_a_regular_series_but_for_two_gaps(tmp_path: Path) -> None:
    dataset = Series("s")
    dataset.fetch(tmp_path)
    table = dataset.read(tmp_path)
    assert (len(table.frame), table.target, table.season) == (19_249, "temperature", 48)
    assert (~table.measured).sum() == 24
    steps = np.diff(table.frame.index.to_numpy())
    assert (steps == np.timedelta64(30, "m")).all()
    assert table.frame.index[0] == datetime(2016, 2, 15)
    assert table.frame.index[-1] == datetime(2016, 2, 15) + timedelta(minutes=30) * 19_248
    assert table.frame["temperature"].iloc[0] == 4.929


@pytest.fixture(scope="module")
def weather(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weather")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RNNLAB_MIRROR", raising=False)
        Weather("weather").fetch(folder)
    return folder


def test_the_weather_is_whole(weather: Path) -> None:
    table = Weather("weather", inputs=["all"]).read(weather)
    assert list(table.frame.columns) == ["temp_max", "precipitation", "temp_min", "wind", *KINDS]
    assert len(table.frame) == 1461
    assert table.measured.all()
    assert (table.frame[list(KINDS)].sum(axis=1) == 1).all()
    assert table.frame["sun"].sum() == 714
    assert (table.frame["temp_max"] >= table.frame["temp_min"]).all()
    assert table.frame.iloc[0].to_list() == [12.8, 0.0, 5.0, 4.7, 1, 0, 0, 0, 0]
