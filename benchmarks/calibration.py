"""How often verdicts err: tables in which no method differs from another, judged by the function that the report calls.

`rnnlab.statistics.verdicts` gets the losses of drawn cells and of a baseline with the same expected loss: whatever
difference it sees is an error. Beside it other ways to compare, and how often each sees a difference that is there.
Each setting is drawn from a seed of its own; one that is on disk is passed over, so that the whole resumes.
"""

import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import brentq
from scipy.signal import lfilter

from benchmarks import store
from rnnlab.statistics import SIGNIFICANCE, Verdicts, holm, verdicts

Array = NDArray[np.float64]

TABLES, FEW_TABLES, POWER_TABLES = 2000, 600, 400
AT_A_TIME = 8_000_000
"""Losses that are drawn at a time."""

ALIKE, UNLIKE, AVERAGE = 0.07, 0.10, 0.055
"""At most so many tables hold a false verdict: where cells spread alike, where they do not, and on the average."""
LEAST_COVERAGE, MEAN_COVERAGE = 0.93, 0.98

ACCURACY = 0.9
MARGIN = float(stats.norm.ppf(ACCURACY))
ITEM, METHOD, APART = 0.5, 0.15, 0.7
"""Of the variance of a margin: what all methods share, and what the seeds of one do. APART: of ln σ of unlike cells."""

POINTS = (1, 2, 5)
"""By which a cell is better, where power is measured."""

BOOTSTRAPPED, RESAMPLED = 100, 500
"""Tables of a setting that are resampled, and how often."""


@dataclass(frozen=True)
class Setting:
    """losses: accuracy: right or wrong at an accuracy of 0.9; nll: skewed, from the same margins; forecast: in time,
    their differences depending on each other as `dependence` says. rows: cells of a table. spread: the standard
    deviation of a cell's seeds, in standard errors of the items. cells: whether they spread alike; unlike: by a factor
    that is lognormal, σ = 0.7; one apart: the first three times as far; failing: one seed in seven fails, at 0.6.
    """

    losses: Literal["accuracy", "nll", "forecast"]
    seeds: int
    rows: int
    items: int
    spread: float
    cells: Literal["alike", "unlike", "one apart", "failing"] = "alike"
    horizon: int = 0
    dependence: str = ""

    @property
    def name(self) -> str:
        of_time = f", {self.horizon} steps ahead, {self.dependence}" if self.horizon else ""
        size = f"{self.rows} cells of {self.seeds} seeds, {self.items} items"
        return f"{self.losses}, {size}, spread {self.spread:g}, {self.cells}{of_time}"

    @property
    def beyond(self) -> bool:
        """Whether the losses do not show what would have to be known: no goal is set for these."""
        return self.cells == "failing" or "0.99" in self.dependence

    @property
    def overlap(self) -> int | None:
        return self.horizon or None

    @property
    def best(self) -> float | None:
        return 1.0 if self.losses == "accuracy" else None


def settings() -> list[Setting]:
    found = [
        Setting("accuracy", seeds, rows, 1000, spread)
        for seeds in (3, 5, 10)
        for rows in (3, 6, 12)
        for spread in (0, 1, 3)
    ]
    found += [Setting("accuracy", seeds, 6, 1000, 10) for seeds in (3, 5, 10)]
    found += [Setting("accuracy", seeds, 38, 1000, spread) for seeds in (3, 5) for spread in (1, 3)]
    found += [Setting("accuracy", 3, 6, 100, spread) for spread in (0, 1, 3)]
    found += [Setting("accuracy", 3, 6, 10_000, spread) for spread in (0, 1, 3, 10)]
    found += [
        Setting("accuracy", seeds, rows, 1000, 3, cells)
        for cells in ("unlike", "one apart")
        for seeds in (3, 5)
        for rows in (3, 6, 12, 38)
        if seeds == 3 or rows in (6, 38)
    ]
    found += [Setting("nll", 3, 6, items, spread) for items in (100, 300, 1000) for spread in (0, 3)]
    found += [
        Setting("forecast", 3, 6, items, 1, "alike", horizon, dependence)
        for horizon, items, dependence in (
            (1, 12, "AR 0.5"),
            (5, 60, "MA"),
            (1, 200, "AR 0.5"),
            (1, 1000, "AR 0.9"),
            (5, 487, "MA"),
            (5, 1000, "MA + AR 0.95"),
            (7, 359, "MA"),
            (7, 359, "MA + AR 0.95"),
            (12, 359, "MA + AR 0.95"),
            (12, 2877, "MA + AR 0.95"),
            (24, 359, "MA"),
            (24, 1000, "MA + AR 0.95"),
        )
    ]
    found += [Setting("forecast", 3, 12, 359, 3, "alike", 7, "MA + AR 0.95")]
    found.append(Setting("forecast", 3, 6, 359, 1, "alike", 7, "MA + AR 0.99"))
    return [*found, Setting("accuracy", 3, 6, 1000, 0, "failing")]


def measure() -> Iterator[dict[str, Any]]:
    done = {row["stage"] for row in store.read("calibration")}
    for setting in settings():
        if setting.name not in done:
            row = measured(setting)
            print(
                f"{setting.name}: {row['false']:.3f} ({row['false_se']:.3f}), earlier {row['others']['earlier']:.3f}, "
                f"order {row['false_order']:.3f}, coverage {row['coverage']:.3f}, baselines "
                f"{row['coverage_baseline']:.3f}, {row['seconds']:.0f} s",
                flush=True,
            )
            yield row


def measured(setting: Setting, tables: int | None = None) -> dict[str, Any]:
    """One setting: shares of its tables with a false verdict, of intervals that hold the truth, and power."""
    start = time.process_time()
    rng = np.random.default_rng(zlib.crc32(setting.name.encode()))
    most = tables or (FEW_TABLES if setting.items > 5000 or setting.rows > 12 else TABLES)
    seen: dict[str, list[Array]] = {}
    count = 0
    while count < most:
        part = min(most - count, max(1, AT_A_TIME // (setting.rows * setting.seeds * setting.items)))
        cells, baseline, truth = draw(setting, rng, part)
        found = verdicts(cells, [baseline], overlap=setting.overlap, best=setting.best)
        for name, values in judged(found, truth).items():
            seen.setdefault(name, []).append(values)
        for name, p_values in others(cells, baseline, setting, rng, count < BOOTSTRAPPED).items():
            seen.setdefault(f"other {name}", []).append(holm(p_values).min(axis=-1))
            seen.setdefault(f"row {name}", []).append(p_values[:, 0])
        count += part
    joined = {name: np.concatenate(values) for name, values in seen.items()}
    joined = {name: values[~np.isnan(values)] for name, values in joined.items()}
    false = float((joined["p"] < SIGNIFICANCE).mean())
    return {
        "stage": setting.name,
        **asdict(setting),
        "tables": count,
        "false": false,
        "false_se": float(np.sqrt(max(false, 1 / count) * (1 - false) / count)),
        "false_better": float(joined["better"].mean()),
        "false_order": float((joined["order"] < SIGNIFICANCE).mean()),
        "uneven": float(joined["uneven"].mean()),
        "coverage": float(joined["coverage"].mean()),
        "coverage_baseline": float(joined["coverage_baseline"].mean()),
        # of the others how many tables, and how many single rows
        "others": _rates(joined, "other "),
        "others_row": _rates(joined, "row "),
        "power": power(setting, joined, rng, min(count, power_tables(setting)))
        if setting.losses == "accuracy" and setting.rows == 6
        else {},
        "seconds": time.process_time() - start,
    }


def _rates(seen: dict[str, Array], prefix: str) -> dict[str, float]:
    return {
        name.removeprefix(prefix): float((p_values < SIGNIFICANCE).mean())
        for name, p_values in seen.items()
        if name.startswith(prefix)
    }


def judged(found: Verdicts, truth: float) -> dict[str, Array]:
    """Of each table: the least p-value of a verdict and of an order among the cells, and what its intervals hold."""
    rows = found.uneven.shape[-1]
    p_value = np.where(found.uneven, 1.0, found.reference.p_value[..., :rows])
    better = (p_value < SIGNIFICANCE) & (found.reference.statistic[..., :rows] < 0)
    either = found.uneven[..., None] | found.uneven[..., None, :]
    held = (found.low <= truth) & (truth <= found.high)
    return {
        "p": p_value.min(axis=-1),
        "first": np.where(found.reference.statistic[..., 0] < 0, p_value[..., 0], 1.0),
        "better": better.any(axis=-1),
        "order": np.where(either, 1.0, found.among.p_value).min(axis=(-2, -1)),
        "uneven": found.uneven.mean(axis=-1),
        "coverage": held[..., :rows].mean(axis=-1),
        "coverage_baseline": held[..., rows],
    }


def power_tables(setting: Setting) -> int:
    """As many as fit into memory at once."""
    return min(POWER_TABLES, 4 * AT_A_TIME // (setting.rows * setting.seeds * setting.items))


def power(
    setting: Setting, null: dict[str, Array], rng: np.random.Generator, tables: int
) -> dict[str, dict[str, float]]:
    """How often a cell that is better by so many points is found so, its p-value below what one table in twenty without
    any difference has; and of the verdicts as they stand, under `stated`."""
    names = ["ours", *(name for name in null if name.startswith("other "))]
    bounds = {name: float(np.quantile(null["p" if name == "ours" else name], SIGNIFICANCE)) for name in names}
    found: dict[str, dict[str, float]] = {name.removeprefix("other "): {} for name in ["stated", *names]}
    for points in POINTS:
        cells, baseline, truth = draw(setting, rng, tables, points / 100)
        ours = judged(verdicts(cells, [baseline], best=setting.best), truth)["first"]
        found["stated"][str(points)] = float((ours < SIGNIFICANCE).mean())
        found["ours"][str(points)] = float((ours <= min(bounds["ours"], 0.999)).mean())
        better = cells[0].mean(axis=(-2, -1)) < baseline.mean(axis=(-2, -1))
        for name, p_values in others(cells, baseline, setting, rng, "other nested bootstrap" in null).items():
            known = ~np.isnan(p_values[:, 0])
            first = holm(p_values[known])[:, 0]
            found[name][str(points)] = float((better[known] & (first <= min(bounds[f"other {name}"], 0.999))).mean())
    return found


def draw(
    setting: Setting, rng: np.random.Generator, tables: int, gain: float = 0.0
) -> tuple[list[Array], Array, float]:
    """Losses of the cells, each (tables, seeds, items), and of a baseline of one row; the loss to be expected of each.

    gain: by how much the accuracy of the first cell is better.
    """
    if setting.losses == "forecast":
        return _forecasts(setting, rng, tables)
    items = setting.items
    shared = rng.standard_normal((tables, 1, items))

    def margins(share: float, size: int = 1) -> Array:
        return np.sqrt(share) * rng.standard_normal((tables, size, items))

    cells = []
    for index in range(setting.rows):
        if setting.cells == "failing":
            fails = rng.random((tables, setting.seeds, 1)) < 1 / 7
            level = np.where(fails, stats.norm.ppf(0.6), MARGIN)
            spread = np.zeros((tables, 1, 1))
        else:
            level = float(stats.norm.ppf(ACCURACY + gain)) if index == 0 else MARGIN
            factor = _factor(setting, rng, tables, index)
            spread = np.minimum(_deviation(setting) * factor, np.sqrt(1 - ITEM - METHOD))
        seed = spread * rng.standard_normal((tables, setting.seeds, 1))
        rest = np.sqrt(1 - ITEM - METHOD - spread**2)
        luck = rest * rng.standard_normal((tables, setting.seeds, items))
        cells.append(_loss(setting, level + np.sqrt(ITEM) * shared + margins(METHOD) + seed + luck))
    expected = ACCURACY - (ACCURACY - 0.6) / 7 if setting.cells == "failing" else ACCURACY
    level = float(stats.norm.ppf(expected))
    baseline = _loss(setting, level + np.sqrt(ITEM) * shared + margins(1 - ITEM))
    truth = 1 - expected if setting.losses == "accuracy" else _mean_loss(setting, 0.0, 0.0)
    return cells, baseline, truth


def _factor(setting: Setting, rng: np.random.Generator, tables: int, index: int) -> Array:
    if setting.cells == "unlike":
        return np.exp(APART * rng.standard_normal((tables, 1, 1)))
    return np.full((tables, 1, 1), 3.0 if setting.cells == "one apart" and index == 0 else 1.0)


def _loss(setting: Setting, margin: Array) -> Array:
    return (margin < 0).astype(np.float64) if setting.losses == "accuracy" else np.logaddexp(0, -4 * margin)


NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(60)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def _mean_loss(setting: Setting, deviation: float, seed: float) -> float:
    """Of a seed that is `seed` standard deviations from the mean of the margin, those being `deviation`."""
    level, rest = MARGIN + deviation * seed, np.sqrt(1 - deviation**2)
    if setting.losses == "accuracy":
        return float(stats.norm.sf(level / rest))
    return float(WEIGHTS @ _loss(setting, level + rest * NODES))


@cache
def _deviation(setting: Setting) -> float:
    """Of the seeds' margin, with which their mean loss has the spread that is asked for."""
    if setting.spread == 0:
        return 0.0
    rng = np.random.default_rng(0)
    cells, baseline, _ = draw(replace(setting, spread=0.0, rows=1, items=2000, cells="alike"), rng, 50)
    error = float((cells[0].mean(axis=1) - baseline[:, 0]).std() / np.sqrt(setting.items))

    def too_wide(deviation: float) -> float:
        means = np.array([_mean_loss(setting, deviation, seed) for seed in NODES])
        return float(np.sqrt(WEIGHTS @ (means - WEIGHTS @ means) ** 2)) - setting.spread * error

    return float(brentq(too_wide, 0.0, np.sqrt(1 - ITEM - METHOD)))


def _forecasts(setting: Setting, rng: np.random.Generator, tables: int) -> tuple[list[Array], Array, float]:
    """Scaled errors: a level that all share, what is a method's own, and luck of its seeds, all with the dependence."""

    def series(size: int) -> Array:
        return _dependent(setting, rng, (tables, size))

    shared = 0.3 * series(1)
    draws = [0.15 * series(1) for _ in range(setting.rows + 1)]
    # of the difference of two methods, of which each has a series of its own
    error = float(np.std([(one - other).mean(axis=-1) for one in draws for other in draws if one is not other]))
    cells = [
        1
        + shared
        + own
        + 0.05 * series(setting.seeds)
        + setting.spread * error * rng.standard_normal((tables, setting.seeds, 1))
        for own in draws[1:]
    ]
    return cells, 1 + shared + draws[0], 1.0


def _dependent(setting: Setting, rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """(tables, rows, items) of variance 1: a moving sum over the horizon (MA), an autoregression (AR φ), or both."""
    kinds = setting.dependence.split(" + ")
    total = np.zeros((*shape, setting.items))
    for kind in kinds:
        share = 1.0 if len(kinds) == 1 else 0.6 if kind == "MA" else 0.4
        if kind == "MA":
            drawn = rng.standard_normal((*shape, setting.items + setting.horizon)).cumsum(axis=-1)
            part = (drawn[..., setting.horizon :] - drawn[..., : -setting.horizon]) / np.sqrt(setting.horizon)
        else:
            factor = float(kind.removeprefix("AR "))
            drawn = rng.standard_normal((*shape, setting.items + 200)) * np.sqrt(1 - factor**2)
            part = lfilter([1.0], [1.0, -factor], drawn, axis=-1)[..., 200:]
        total += np.sqrt(share) * part
    return total


def others(
    cells: Sequence[Array], baseline: Array, setting: Setting, rng: np.random.Generator, bootstrap: bool
) -> dict[str, Array]:
    """p-values, (tables, cells), of other ways to compare each cell with the baseline.

    earlier: this project's before: the variances of items and of the cell's own seeds added, Satterthwaite's freedom;
    in time Diebold and Mariano's test. seeds alone: Student's t over the seeds' means. items alone: over items, the
    mean of the seeds being one method. nested bootstrap: of seeds and of items within. Nadeau and Bengio (2003): t over
    seeds, its variance larger by ρ = 1/4. Newey and West (1987): items alone, with their weights and the usual number
    of lags, 4 (n/100)^(2/9), but no fewer than the horizon; normal.
    """
    means = [cell.mean(axis=1) - baseline[:, 0] for cell in cells]
    difference = np.stack(means, axis=1)
    mean = difference.mean(axis=-1)
    by_seed = np.stack([cell.mean(axis=-1).var(axis=-1, ddof=1) for cell in cells], axis=1)
    seeds, items = setting.seeds, setting.items
    horizon = max(setting.horizon, 1)

    def t(variance: Array, freedom: Any) -> Array:
        return 2 * stats.t.sf(np.abs(mean) / np.sqrt(np.maximum(variance, 1e-12)), freedom)

    lags = horizon - 1
    correction = (items + 1 - 2 * horizon + horizon * lags / items) / items
    diebold = _long_run(difference, lags, flat=True) / items / correction
    own = by_seed / seeds
    free = items / horizon - 1
    satterthwaite = (diebold + own) ** 2 / (diebold**2 / free + own**2 / (seeds - 1))
    found = {
        "earlier": t(diebold + own, satterthwaite),
        "seeds alone": t(own, seeds - 1),
        "items alone": t(difference.var(axis=-1, ddof=1) / items, items - 1),
        "Nadeau and Bengio": t(by_seed * (1 / seeds + 0.25), seeds - 1),
    }
    if setting.horizon:
        most = max(horizon, int(4 * (items / 100) ** (2 / 9)))
        found["Newey and West"] = t(_long_run(difference, most, flat=False) / items, 1e6)
    elif bootstrap and setting.rows == 6 and items <= 1000:
        found["nested bootstrap"] = _bootstrap(cells, baseline, rng)
    return found


def _long_run(series: Array, lags: int, flat: bool) -> Array:
    centred = series - series.mean(axis=-1, keepdims=True)
    size = series.shape[-1]
    found = [(centred[..., lag:] * centred[..., : size - lag]).sum(axis=-1) / size for lag in range(lags + 1)]
    falling = 1 - np.arange(lags + 1) / (lags + 1)
    weighted = found[0] + 2 * sum((falling[lag] * found[lag] for lag in range(1, lags + 1)), np.zeros_like(found[0]))
    if not flat:
        return weighted
    whole = found[0] + 2 * sum(found[1:], np.zeros_like(found[0]))
    return np.where(whole > 0, whole, weighted)


def _bootstrap(cells: Sequence[Array], baseline: Array, rng: np.random.Generator) -> Array:
    """Of the first tables alone, NaN of the others: it takes long."""
    tables, seeds, items = cells[0].shape
    found = np.full((tables, len(cells)), np.nan)
    for table in range(min(tables, BOOTSTRAPPED)):
        drawn = rng.multinomial(items, np.full(items, 1 / items), size=RESAMPLED) / items
        of_seeds = np.stack([drawn @ cell[table].T for cell in cells], axis=1)
        chosen = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=of_seeds.shape[:2]) / seeds
        below = ((of_seeds * chosen).sum(axis=-1) < (drawn @ baseline[table, 0])[:, None]).mean(axis=0)
        found[table] = 2 * np.clip(np.minimum(below, 1 - below), 1 / RESAMPLED, 1)
    return found
