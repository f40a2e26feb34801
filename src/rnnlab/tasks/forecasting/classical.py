"""Classical forecasts of one series: exponential smoothing, Theta and ARIMA, by statsmodels.

A series z is (T,), NaN where a value is missing. Parameters and first states are estimated from its first `seen` values
and then held fixed: a forecast from t knows z₁ ... zₜ and these parameters. Forecasts are (T, H), 1 to H timesteps
ahead of each t, NaN of each t before the rows that a model sees (`ROWS`).
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from rnnlab.tasks.task import Array

ROWS, SEASONS = 5_000, 20
"""Of the end of the training part, at most: more rows hardly change the few parameters. The second is of models with a
state for each phase of a season, which take long."""

ITERATIONS = 50
"""Of the optimizer, at most."""


class CannotFitError(Exception):
    """A series is too short or too odd for a model."""


def exponential_smoothing(
    series: Array, seen: int, horizon: int, trend: bool = False, season: int | None = None
) -> tuple[Array, float]:
    """Exponential smoothing with additive errors (Hyndman et al. 2008; Hyndman and Athanasopoulos 2021, chapter 8):

        zₜ = lₜ₋₁ + φ bₜ₋₁ + sₜ₋ₘ + eₜ,    lₜ = lₜ₋₁ + φ bₜ₋₁ + α eₜ,    bₜ = φ bₜ₋₁ + β eₜ,    sₜ = sₜ₋ₘ + γ eₜ

    and its smoothing parameter α. trend: damped by φ; without it b = 0. season: m; without it s = 0.

    Raises: `CannotFitError`.
    """
    from statsmodels.tsa.statespace.exponential_smoothing import ExponentialSmoothing

    first = _first_row(seen, season)
    known = filled(series[first:seen])
    options: dict[str, Any] = {
        "trend": trend,
        "damped_trend": trend,
        "initialization_method": "known",  # any other would look at the whole series again when it is filtered
        "initial_level": known[0],
    }
    if trend:
        options["initial_trend"] = 0.0
    with _by_statsmodels():
        if season is not None:
            shape = seasonal_component(known, season)
            # the state holds the last season, the latest phase first
            options |= {"seasonal": season, "initial_level": known[0] - shape[0], "initial_seasonal": shape[::-1]}
        fitted = ExponentialSmoothing(series[first:seen], **options).fit(disp=0, maxiter=ITERATIONS, cov_type="none")
        whole = ExponentialSmoothing(series[first:], **options)
        return _with_past(_from_each_state(whole, fitted.params, horizon), first), float(fitted.params[0])


def theta(simple: Array, alpha: float, slope: float) -> Array:
    """The Theta method with θ = 2 (Assimakopoulos and Nikolopoulos 2000), which is simple exponential smoothing with
    half the slope b of a straight line for a drift (Hyndman and Billah 2003):

        ẑₜ₊ₕ = lₜ + b/2 (h - 1 + (1 - (1 - α)ᵗ) / α)

    t being counted from the first row that the model sees. simple, alpha: the forecasts and the parameter of
    `exponential_smoothing`. slope: of the training part (`slope_of`).
    """
    count = np.isfinite(simple[:, :1]).cumsum(axis=0)
    ahead = np.arange(simple.shape[1])
    forecasts: Array = simple + slope / 2 * (ahead + (1 - (1 - alpha) ** count) / alpha)
    return forecasts


def arima(
    series: Array,
    seen: int,
    horizon: int,
    order: tuple[int, int, int],
    constant: bool = False,
    season: int | None = None,
) -> Array:
    """ARIMA (p, d, q), with Gaussian errors (Box and Jenkins 1970; Hyndman and Athanasopoulos 2021, chapter 9):

        (1 - φ₁B - ... - φₚBᵖ) (1 - B)ᵈ zₜ = c + (1 + θ₁B + ... + θ_q B^q) eₜ,    B zₜ = zₜ₋₁

    constant: whether c is fitted, a drift where d = 1. season: m, for (p, d, q) (0, 1, 1)ₘ, the seasonal factors of
    the airline model: a further (1 - Bᵐ) on the left and (1 + ΘBᵐ) on the right.

    Raises: `CannotFitError`.
    """
    from statsmodels.tsa.statespace.sarimax import SARIMAX

    first = _first_row(seen, season)
    options: dict[str, Any] = {"order": order, "trend": "c" if constant else "n"}
    if season is not None:
        options["seasonal_order"] = (0, 1, 1, season)
    with _by_statsmodels():
        fitted = SARIMAX(series[first:seen], **options).fit(disp=0, maxiter=ITERATIONS, cov_type="none")
        return _with_past(_from_each_state(SARIMAX(series[first:], **options), fitted.params, horizon), first)


def seasonal_component(values: Array, season: int) -> Array:
    """What each phase adds, beginning with that of the first value, (season,): classical additive decomposition, the
    mean of what a moving average over one season leaves. values: without a gap, of two seasons at least."""
    from statsmodels.tsa.seasonal import seasonal_decompose

    component: Array = seasonal_decompose(values, model="additive", period=season).seasonal[:season]
    return component


def slope_of(values: Array) -> float:
    """Of the least-squares line in time through the values that are there."""
    times = np.flatnonzero(np.isfinite(values))
    return float(np.polyfit(times, values[times], 1)[0])


def filled(values: Array) -> Array:
    """With the last value that is there in place of each that is not, before the first of them with that one."""
    there = np.isfinite(values)
    last = np.maximum.accumulate(np.where(there, np.arange(len(values)), np.argmax(there)))
    result: Array = values[last]
    return result


def _first_row(seen: int, season: int | None) -> int:
    return max(0, seen - (ROWS if season is None else SEASONS * season))


@contextmanager
def _by_statsmodels() -> Iterator[None]:
    """Without its warnings, and with one kind of error for all that it and NumPy raise of a series."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (ValueError, IndexError, ArithmeticError) as error:
        raise CannotFitError(f"{type(error).__name__}: {error}") from error


def _from_each_state(model: Any, parameters: Array, horizon: int) -> Array:
    """Z Tʰ⁻¹ aₜ₊₁|ₜ of a linear state space model, a being its state, which one pass of the Kalman filter predicts."""
    from statsmodels.tsa.statespace import kalman_filter as keep

    # of the covariances, the square of the states for each timestep, nothing is needed
    model.ssm.set_conserve_memory(
        keep.MEMORY_NO_FORECAST_COV
        | keep.MEMORY_NO_PREDICTED_COV
        | keep.MEMORY_NO_FILTERED
        | keep.MEMORY_NO_GAIN
        | keep.MEMORY_NO_SMOOTHING
        | keep.MEMORY_NO_STD_FORECAST
    )
    model.update(parameters)
    state = model.ssm.filter().predicted_state[:, 1:]
    design, transition = model.ssm["design"], model.ssm["transition"]
    constant = np.reshape(model.ssm["state_intercept"], (len(state), -1))[:, -1:]  # the same at all timesteps
    forecasts = np.empty((state.shape[1], horizon))
    for step in range(horizon):
        forecasts[:, step] = design[0] @ state
        state = transition @ state + constant
    return forecasts


def _with_past(forecasts: Array, rows: int) -> Array:
    return np.vstack([np.full((rows, forecasts.shape[1]), np.nan), forecasts])
