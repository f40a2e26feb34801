"""Classical forecasts are those of statsmodels, with the parameters of the training part, from every timestep."""

import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from statsmodels.tsa.forecasting.theta import ThetaModel
from statsmodels.tsa.statespace.exponential_smoothing import ExponentialSmoothing
from statsmodels.tsa.statespace.sarimax import SARIMAX

from rnnlab.tasks.forecasting import classical

SEEN, HORIZON, SEASON = 90, 4, 6


@pytest.fixture(autouse=True)
def silent() -> Any:
    """What the optimizer has to say is for nobody."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def series(missing: bool = True) -> NDArray[np.float64]:
    rng = np.random.default_rng(1)
    times = np.arange(130)
    values = 0.05 * times + np.sin(2 * np.pi * times / SEASON) + 0.3 * np.cumsum(rng.normal(size=130))
    values[[20, 21, 100]] = np.nan if missing else 0.0
    return values


def expected(model: type, origin: int, **options: Any) -> NDArray[np.float64]:
    """statsmodels' own forecast from what is known at one origin, with the parameters of the training part."""
    values = series()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parameters = model(values[:SEEN], **options).fit(disp=0, maxiter=classical.ITERATIONS).params
        return np.asarray(model(values[: origin + 1], **options).filter(parameters).forecast(HORIZON))


ORIGINS = (SEEN - 1, SEEN, 100, 129)
"""At the third the value is missing."""


@pytest.mark.parametrize("trend", [False, True])
@pytest.mark.parametrize("season", [None, SEASON])
def test_exponential_smoothing_forecasts_as_statsmodels_does(trend: bool, season: int | None) -> None:
    values = series()
    forecasts, alpha = classical.exponential_smoothing(values, SEEN, HORIZON, trend, season)
    options: dict[str, Any] = {"trend": trend, "damped_trend": trend, "initial_level": values[0]}
    if trend:
        options["initial_trend"] = 0.0
    if season is not None:
        shape = classical.seasonal_component(classical.filled(values[:SEEN]), season)
        options |= {"seasonal": season, "initial_seasonal": shape[::-1], "initial_level": values[0] - shape[0]}
    options["initialization_method"] = "known"
    for origin in ORIGINS:
        assert np.allclose(forecasts[origin], expected(ExponentialSmoothing, origin, **options), atol=1e-8)
    assert 0 < alpha < 1


@pytest.mark.parametrize(
    ("order", "constant", "season"),
    [((0, 1, 1), True, None), ((2, 1, 2), False, None), ((1, 0, 1), True, None), ((0, 1, 1), False, SEASON)],
)
def test_arima_forecasts_as_statsmodels_does(order: tuple[int, int, int], constant: bool, season: int | None) -> None:
    values = series()
    forecasts = classical.arima(values, SEEN, HORIZON, order, constant, season)
    options: dict[str, Any] = {"order": order, "trend": "c" if constant else "n"}
    if season is not None:
        options["seasonal_order"] = (0, 1, 1, season)
    for origin in ORIGINS:
        assert np.allclose(forecasts[origin], expected(SARIMAX, origin, **options), atol=1e-8)


def test_theta_forecasts_as_statsmodels_does() -> None:
    values = series(missing=False)
    fitted = ThetaModel(values[:SEEN], deseasonalize=False).fit()
    simple, alpha = classical.exponential_smoothing(values, SEEN, HORIZON)
    forecasts = classical.theta(simple, alpha, classical.slope_of(values[:SEEN]))
    assert np.allclose(forecasts[SEEN - 1], fitted.forecast(HORIZON), atol=1e-3)
    # and it is not the slope alone that is right
    assert not np.allclose(simple[SEEN - 1], fitted.forecast(HORIZON), atol=0.02)


def test_a_long_training_part_is_seen_from_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classical, "ROWS", 50)
    values = series()
    forecasts = classical.arima(values, SEEN, HORIZON, (1, 1, 0))
    assert np.isnan(forecasts[: SEEN - 50]).all()
    assert np.isfinite(forecasts[SEEN - 50 :]).all()
    assert np.allclose(forecasts[SEEN - 50 :], classical.arima(values[SEEN - 50 :], 50, HORIZON, (1, 1, 0)))


def test_theta_counts_from_the_first_row_that_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classical, "ROWS", 50)
    values = series(missing=False)

    def forecasts(of: NDArray[np.float64], seen: int) -> NDArray[np.float64]:
        # of a small α its weight of the first rows, (1 - α)ᵗ, lasts
        simple, _ = classical.exponential_smoothing(of, seen, HORIZON)
        return classical.theta(simple, 0.01, 1.0)

    assert np.allclose(forecasts(values, SEEN)[SEEN - 50 :], forecasts(values[SEEN - 50 :], 50))


def test_what_is_too_short_cannot_be_fitted() -> None:
    with pytest.raises(classical.CannotFitError, match="2 complete cycles"):
        classical.exponential_smoothing(series()[:9], 9, HORIZON, season=SEASON)


def test_a_seasonal_component_is_that_of_each_phase() -> None:
    wave = np.tile([3.0, -1.0, -2.0], 10)
    assert np.allclose(classical.seasonal_component(wave + 0.1 * np.arange(30), 3), [3, -1, -2])


def test_a_gap_is_filled_with_the_last_value() -> None:
    values = np.array([np.nan, 1.0, np.nan, np.nan, 2.0])
    assert classical.filled(values).tolist() == [1, 1, 1, 1, 2]
