"""What forecasts a series without a recurrent net."""

import logging
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from rnnlab.output import progress
from rnnlab.tasks.baselines.baselines import Baselines, Predict
from rnnlab.tasks.forecasting.classical import (
    CannotFitError,
    arima,
    exponential_smoothing,
    filled,
    seasonal_component,
    slope_of,
    theta,
)
from rnnlab.tasks.forecasting.judging import Forecast, ForecastingJudging
from rnnlab.tasks.forecasting.series.data import CYCLES, SeriesData, phase_of
from rnnlab.tasks.task import Array, Split

log = logging.getLogger("rnnlab")

PENALTIES = 10.0 ** np.arange(8)
"""Of ridge regression."""

HARMONICS = (1, 2, 3)
"""Waves of a cycle of the calendar."""

ORDERS = (
    # p, d, q, and whether there is a constant
    ((0, 1, 1), False),
    ((0, 1, 1), True),
    ((3, 1, 0), False),
    ((1, 1, 2), False),
    ((1, 1, 2), True),
    ((2, 1, 2), False),
    ((2, 1, 2), True),
    ((1, 0, 0), True),
    ((1, 0, 1), True),
    ((2, 0, 1), True),
)

SEASONAL_ORDERS = ((0, 1, 1), (2, 1, 2))

LONGEST_SEASON = 24
"""Timesteps, of models with a state for each of its phases: the time that they take grows with the cube."""


JUDGED: tuple[Split, ...] = ("validation", "test")

Line = Callable[[float], Callable[[Array], Array]]
"""Of a penalty, what the ridge regression under it says of features (examples, ...)."""


@dataclass(frozen=True)
class Form:
    """A series yₜ as z = (x - u) / s, x being y or ln y, and u what is usual for the phase of a season or calendar.

    usual: u, (T,), 0 where there is no cycle. adjusted: whether there is one. scale: s, the deviation of the changes in
    training. filled: z, (T,), with the last value known where one is missing. series: the same, there NaN.
    """

    log: bool
    adjusted: bool
    usual: Array
    scale: float
    filled: Array
    series: Array

    def changes(self, forecasts: Array, level: Array, origins: NDArray[np.int64]) -> Array:
        """Of y since each origin, of forecasts of z from there, both (origins, H). level: y, (T,)."""
        x = forecasts * self.scale + self.usual[origins[:, None] + np.arange(1, forecasts.shape[1] + 1)]
        with np.errstate(over="ignore"):  # what is infinite is no forecast, see `_finite`
            changes: Array = (np.exp(x) if self.log else x) - level[origins, None]
        return changes


class ForecastingBaselines(Baselines):
    """`ForecastingJudging.simple` and what is fitted to the training part, its kind chosen on the validation part:

        ridge               a line in the window that nets see: its penalty
        ets                 `exponential_smoothing`: with a damped trend or not, with a season or not
        theta               `theta`
        arima               `arima`: its order, see `ORDERS` and `SEASONAL_ORDERS`

    the last three of the `Form` that simple exponential smoothing forecasts best. Where a season or calendar is known,
    aₜ being how far zₜ of such a form is from its mean in training, also:

        damped_persistence  âₜ₊ₕ = ρₕ aₜ, ρₕ fitted by least squares (Murphy 1992): the form
        anomaly_ridge       a line in aₜ, its changes over the window, and all that nets see: the form and the penalty

    What cannot be fitted is left out, and said.
    """

    trivial: ClassVar[str] = "persistence"

    judging: ForecastingJudging

    def __init__(self, judging: ForecastingJudging) -> None:
        super().__init__(judging)
        self._level: Array = np.asarray(self.task.level)
        self._seen = self.task.meta["splits"]["validation"][0] + 1
        self._season: int | None = self.task.meta.get("season")

    def fitted(self) -> dict[str, Predict]:
        forms = list(self._forms())
        adjusted = [form for form in forms if form.adjusted]
        methods = {
            "ridge": self._ridge(),
            **self._classical(forms),
            "damped_persistence": (partial(self._damped, form) for form in adjusted),
            "anomaly_ridge": self._anomaly_ridge(adjusted),
        }
        forecasts = self.judging.simple()
        for name, candidates in methods.items():
            found = self._best(name, candidates)
            if found is not None:
                forecasts[name] = found
        return {name: partial(self.judging.table, forecast) for name, forecast in forecasts.items()}

    def _best(self, name: str, candidates: Iterable[Callable[[], Forecast]]) -> Forecast | None:
        """The one that errs least on the validation part, of those that can be fitted."""
        best, least, why = None, np.inf, ""
        for candidate in candidates:
            try:
                forecast = self._finite(candidate)
            except CannotFitError as failure:
                why = str(failure)
                continue
            if (error := self._error(forecast)) < least:
                best, least = forecast, error
        if best is None and why:
            log.info("%s: the baseline %s, which cannot be fitted, is left out: %s", self.task.task_name, name, why)
        return best

    def _finite(self, candidate: Callable[[], Forecast]) -> Forecast:
        """Raises: `CannotFitError`, also where a forecast is no number."""
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what fits badly the validation part says more
            forecast = candidate()
        if not all(np.isfinite(forecast(split)).all() for split in JUDGED):
            raise CannotFitError("its forecasts are not finite")
        return forecast

    def _error(self, forecast: Forecast) -> float:
        """The relative MAE on the validation part."""
        errors = np.abs(forecast("validation") - self.judging.actual("validation"))
        return float((errors / self.task.meta["persistence_mae"]).mean())

    # --- lines in a window ---

    def _ridge(self) -> Iterator[Callable[[], Forecast]]:
        line = _lines(*self._windows("train"))
        x = {split: self._windows(split)[0] for split in JUDGED}

        def candidate(penalty: float) -> Forecast:
            predict = line(penalty)
            return lambda split: self.judging.changes_from(predict(x[split]), split)

        return (partial(candidate, penalty) for penalty in progress(PENALTIES, "ridge"))

    def _anomaly_ridge(self, forms: list[Form]) -> Iterator[Callable[[], Forecast]]:
        steps = np.arange(1, self.task.horizon + 1)

        def features(form: Form, split: Split) -> Array:
            origins = self.task.origins[split][:, None]
            now = form.filled[origins]
            past = form.filled[origins - np.arange(1, self.task.window)]
            return np.hstack([now - form.filled[: self._seen].mean(), past - now, self._windows(split)[0]])

        def candidate(form: Form, x: dict[Split, Array], line: Line, penalty: float) -> Forecast:
            predict = line(penalty)

            def forecast(split: Split) -> Array:
                origins = self.task.origins[split]
                forecasts = form.filled[origins, None] + predict(x[split])
                return form.changes(forecasts, self._level, origins)

            return forecast

        for form in progress(forms, "anomaly ridge"):
            origins = self.task.origins["train"][:, None]
            line = _lines(features(form, "train"), form.filled[origins + steps] - form.filled[origins])
            x = {split: features(form, split) for split in JUDGED}
            for penalty in PENALTIES:
                yield partial(candidate, form, x, line, penalty)

    def _windows(self, split: Split) -> tuple[Array, Array]:
        """What nets see, a row for each origin, and what they are trained to say."""
        batches = self.task.loader(split)
        whole = batches.take(torch.arange(batches.sampler.size))
        return whole.inputs.flatten(1).double().numpy(), whole.targets.double().numpy()

    # --- what only knows the series itself ---

    def _classical(self, forms: list[Form]) -> dict[str, Iterator[Callable[[], Forecast]]]:
        form = min(forms, key=self._error_of_smoothing)
        plain = next(each for each in forms if each.log == form.log and not each.adjusted)
        season = self._season if self._season is not None and self._season <= LONGEST_SEASON else None

        def ets(form: Form, trend: bool, season: int | None = None) -> Forecast:
            return self._of(form, exponential_smoothing(form.series, self._seen, self.task.horizon, trend, season)[0])

        def ets_kinds() -> Iterator[Callable[[], Forecast]]:
            for trend in (False, True):
                yield partial(ets, form, trend)
                if season is not None:
                    yield partial(ets, plain, trend, season)

        def half_slope() -> Forecast:
            simple, alpha = exponential_smoothing(form.series, self._seen, self.task.horizon)
            return self._of(form, theta(simple, alpha, slope_of(form.series[: self._seen])))

        def of_order(
            form: Form, order: tuple[int, int, int], constant: bool = False, season: int | None = None
        ) -> Forecast:
            return self._of(form, arima(form.series, self._seen, self.task.horizon, order, constant, season))

        def orders() -> Iterator[Callable[[], Forecast]]:
            for order, constant in progress(ORDERS, "arima"):
                yield partial(of_order, form, order, constant)
            if season is not None:
                for order in SEASONAL_ORDERS:
                    yield partial(of_order, plain, order, season=season)

        return {"ets": ets_kinds(), "theta": iter([half_slope]), "arima": orders()}

    def _error_of_smoothing(self, form: Form) -> float:
        def simple() -> Forecast:
            return self._of(form, exponential_smoothing(form.series, self._seen, self.task.horizon)[0])

        try:
            return self._error(self._finite(simple))
        except CannotFitError:
            return np.inf

    def _damped(self, form: Form) -> Forecast:
        usual = form.filled[: self._seen].mean()
        anomaly = form.filled - usual
        origins = self.task.origins["train"][:, None]
        now, ahead = anomaly[origins], anomaly[origins + np.arange(1, self.task.horizon + 1)]
        share = (now * ahead).sum(axis=0) / (now**2).sum()
        return self._of(form, usual + anomaly[:, None] * share)

    def _of(self, form: Form, forecasts: Array) -> Forecast:
        """forecasts: of z, from every timestep."""

        def forecast(split: Split) -> Array:
            origins = self.task.origins[split]
            return form.changes(forecasts[origins], self._level, origins)

        return forecast

    # --- forms of a series ---

    def _forms(self) -> Iterator[Form]:
        measured = self._measured()
        # a price comes as its logarithm, and what is not above zero has none
        has_log = isinstance(self.task, SeriesData) and self._level[: self._seen].min() > 0
        for is_log in (False, True) if has_log else (False,):
            there = measured & (self._level > 0) if is_log else measured
            values = np.where(there, self._level, np.nan)
            x = np.log(values) if is_log else values
            for number, usual in enumerate((np.zeros(len(x)), *self._usual(filled(x)))):
                z = x - usual
                scale = np.diff(filled(z)[: self._seen]).std() or 1.0
                yield Form(is_log, number > 0, usual, scale, filled(z) / scale, z / scale)

    def _usual(self, x: Array) -> Iterator[Array]:
        """What the training part says of each phase of the season and of the calendar, (T,)."""
        if self._season is not None and self._seen >= 2 * self._season:
            yield np.resize(seasonal_component(x[: self._seen], self._season), len(x))
        dates = self.task.dates
        span = (dates[self._seen - 1] - dates[0]) / np.timedelta64(1, "D")
        cycles = [cycle for cycle in self.task.meta.get("calendar", ()) if span >= CYCLES[cycle]]
        for harmonics in HARMONICS if cycles else ():
            phases = np.hstack([np.outer(phase_of(dates, cycle), np.arange(1, harmonics + 1)) for cycle in cycles])
            features = np.column_stack([np.ones(len(x)), np.sin(phases), np.cos(phases)])
            yield features @ np.linalg.lstsq(features[: self._seen], x[: self._seen])[0]

    def _measured(self) -> NDArray[np.bool_]:
        """Which values are not filled with the one before, (T,).

        The arrays say by which values forecasts are judged. Of the others, which are around a gap or in the first
        window, those are taken for filled that repeat the one before: where one of them was measured, little is lost.
        """
        judges = np.zeros(len(self._level), np.bool_)
        for origins in self.task.origins.values():
            for step in range(1, self.task.horizon + 1):
                judges[origins + step] = True
        if judges[self.task.window :].all():
            return np.ones(len(self._level), np.bool_)
        moved: NDArray[np.bool_] = np.diff(self._level, prepend=np.nan) != 0
        return judges | moved


def _lines(x: Array, y: Array) -> Line:
    """Ridge regression of y on x, (examples, ...) both, with any penalty: the sums over examples are the same for all,
    and of a long series they take nearly all the time."""
    from scipy.linalg import solve

    x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
    away = x - x_mean
    squares, products = away.T @ away, away.T @ (y - y_mean)

    def line(penalty: float) -> Callable[[Array], Array]:
        weights = solve(squares + penalty * np.eye(len(squares)), products, assume_a="pos")
        return lambda x: (x - x_mean) @ weights + y_mean

    return line
