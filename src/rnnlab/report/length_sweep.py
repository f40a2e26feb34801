"""Where each cell stops learning as sequences grow, and how far back its gradient reaches: of runs by hand, on disk."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator
from omegaconf import OmegaConf

from rnnlab.report.results_table import by_data, files_of_baselines
from rnnlab.results.figures import save
from rnnlab.results.files import atomic_folder, read_json
from rnnlab.results.origin import is_current, is_judged, is_of
from rnnlab.results.paths import Results, trained_by_hand
from rnnlab.results.wording import with_direction

LENGTH = "task.length"

NO_SETTING = frozenset({LENGTH, "task.test_lengths", "seed", "parameters", "schedule.T_max"})
"""Parameters of a run in which runs of one line may differ."""

NUMBERS = ("memory_length", "memory_length_at_start", "growth_rate", "largest_singular_value")
"""Of a measurement, None where there is none."""

SHOWN_LENGTHS = 3
FADED = 1e-9
"""Of the gradient one step back: what lies below is not drawn."""


def write_lengths(folders: Sequence[Path], into: Path) -> list[Path]:
    """Of every task that was trained on several lengths and looked into (`callbacks=memory`, or diagnose.py): the
    table <task>.csv, <task>_lengths.png and <task>_gradients.png. Returns the figures; none, and no folder, where
    there is no such task. folders: of runs by hand."""
    found = read_runs(folders)
    figures: list[str] = []
    if found.empty:
        return []
    with atomic_folder(into) as part:
        for task, runs in found.groupby("task"):
            drawn = {f"{task}_lengths": draw_lengths(runs), f"{task}_gradients": draw_gradients(runs)}
            for stem, figure in drawn.items():
                save(figure, part / f"{stem}.png")
                figures.append(f"{stem}.png")
            runs.drop(columns=["gradient", "gradient_at_start"]).to_csv(part / f"{task}.csv", index=False)
            learnt_up_to(runs).to_csv(part / f"{task}_learnt.csv", index=False)
    return [into / name for name in figures]


def read_runs(folders: Sequence[Path]) -> pd.DataFrame:
    """A row for each evaluated seed whose memory was measured, of tasks with two lengths or more.

    Of one seed of one setting under several states of the code: the run that was started last; of the same run in
    several folders: the first.

    task, unit (what the length counts), name (the cell, and the settings in which its runs differ), length, seed;
    metric, direction, score, reference (the trivial baseline's name), reference_score; timesteps (of the sequences);
    for the largest state-carrying cell of the net and the weights that were kept: memory_length, beyond, growth_rate,
    largest_singular_value, gradient (g_k, a list); memory_length_at_start, beyond_at_start, gradient_at_start: before
    training, where it was measured.
    """
    current = [
        path for runs in folders for folder in trained_by_hand(runs=runs) if is_current(path := folder / "run.json")
    ]
    baselines = by_data(filter(is_current, files_of_baselines(folders)))
    rows = [row for path in current if (row := _row(path, baselines))]
    if not rows:
        return pd.DataFrame()
    table = pd.DataFrame(rows).astype(dict.fromkeys(NUMBERS, "float64"))
    table = table.drop_duplicates("key")
    table = table.sort_values("started", ignore_index=True).drop_duplicates("run", keep="last")
    kept = table.groupby("task")["length"].transform("nunique") > 1
    table = table.assign(name=table["cell"])[kept]
    for _, runs in table.groupby(["task", "cell"]):
        table.loc[runs.index, "name"] = _names(runs)
    return table.drop(columns=["cell", "params", "key", "run", "started"]).sort_values(
        ["task", "name", "length", "seed"], ignore_index=True
    )


def _row(path: Path, baselines: Mapping[tuple[str, str], list[Path]]) -> dict[str, Any] | None:
    run, seed = read_json(path), int(path.parent.name.removeprefix("seed="))
    results = Results(path.parents[2])
    evaluated = results.evaluate(seed)
    measured = _measured(results, seed)
    on_its_data = baselines.get((run["task"], run["dataset"]["digest"]))
    if LENGTH not in run["params"] or measured is None or not is_judged(results, seed) or on_its_data is None:
        return None
    facts = on_its_data[0] / "task.json"
    # of all baselines the trivial one: another may look up what a cell has to remember, and be perfect
    spec, reference = (read_json(facts)[key] for key in ("spec", "trivial"))
    metric = spec["rank_by"]
    number, cell = max(enumerate(measured["cells"]), key=lambda pair: pair[1]["memory_length"] or 0)
    return {
        "task": run["task"],
        "unit": spec["parts"],
        "cell": run["cell"],
        "params": run["params"],
        "key": run["key"],
        "run": _identity(path, run),
        "started": run["started"],
        "length": int(run["params"][LENGTH]),
        "seed": seed,
        "metric": metric,
        "direction": spec["metrics"][metric],
        "score": read_json(evaluated / "metrics.json")[metric],
        "reference": reference,
        "reference_score": read_json(facts.parent / reference / "metrics.json")[metric],
        "timesteps": measured["timesteps"],
        **{key: cell[key] for key in ("memory_length", "beyond", "growth_rate", "largest_singular_value")},
        "gradient": cell["gradient"]["state"],
        **_at_start(measured["before_training"], number),
    }


def _identity(path: Path, run: dict[str, Any]) -> str:
    """What a run is of, whatever the code was then: task, cell, parameters and seed.

    A cell's options that are no plain values, such as chrono initialization, are no parameters: its config has them.
    """
    params = {key: value for key, value in run["params"].items() if key != "parameters"}  # a number that code decides
    options = OmegaConf.to_container(OmegaConf.load(path.with_name("config.yaml")))
    assert isinstance(options, dict)
    return json.dumps([run["task"], run["cell"], run["seed"], params, options["cell"]], sort_keys=True)


def _measured(results: Results, seed: int) -> dict[str, Any] | None:
    """From its training, else from `rnnlab diagnose`."""
    training, later = results.train(seed) / "memory", results.diagnosis(seed)
    if (training / "memory.json").exists():
        found: dict[str, Any] = read_json(training / "memory.json")
        return found
    if is_of(later / "diagnosed.json", results, seed):
        return {**read_json(later / "memory.json"), "before_training": None}
    return None


def _at_start(start: dict[str, Any] | None, number: int) -> dict[str, Any]:
    cell = start["cells"][number] if start else {"memory_length": None, "beyond": False, "gradient": {"state": []}}
    return {
        "memory_length_at_start": cell["memory_length"],
        "beyond_at_start": cell["beyond"],
        "gradient_at_start": cell["gradient"]["state"],
    }


def _names(runs: pd.DataFrame) -> list[str]:
    """The cell, with the settings in which its runs differ beside the length."""
    keys = sorted(set[str]().union(*runs["params"]) - NO_SETTING)
    differing = [key for key in keys if len({str(params.get(key)) for params in runs["params"]}) > 1]
    return [
        " ".join(
            [cell, *(f"{key.rpartition('.')[2]}={_shown(params.get(key))}" for key in differing)],
        )
        for cell, params in zip(runs["cell"], runs["params"], strict=True)
    ]


def _shown(value: Any) -> str:
    return "null" if value is None else str(value)


def learnt_up_to(runs: pd.DataFrame) -> pd.DataFrame:
    """For each name the longest length it has learnt, with all shorter ones; 0 where it has learnt none.

    Learnt: the mean score over seeds is nearer to perfect, 0 of an error or 1 of a share, than to the trivial
    baseline.
    """
    rows = []
    for name, of_name in runs.groupby("name", sort=False):
        longest = 0
        for length, at in of_name.groupby("length"):
            perfect = 0.0 if at["direction"].iloc[0] == "min" else 1.0
            score, reference = at["score"].mean(), at["reference_score"].mean()
            if abs(score - perfect) >= abs(score - reference):
                break
            longest = int(str(length))
        rows.append({"name": name, "learnt_up_to": longest, "of": int(of_name["length"].max())})
    return pd.DataFrame(rows)


def draw_lengths(runs: pd.DataFrame) -> Figure:
    """Score by length, and memory by length before and after training; a line for each name, a dot for each seed."""
    figure = Figure(figsize=(14, 4.4), layout="constrained")
    score, start, end = figure.subplots(1, 3)
    first = runs.iloc[0]
    for number, (_, of_name) in enumerate(runs.groupby("name", sort=False)):
        colour = f"C{number}"
        _line(score, of_name, "score", colour)
        for axes, suffix in ((start, "_at_start"), (end, "")):
            _line(axes, of_name, f"memory_length{suffix}", colour)
            ends = of_name[of_name[f"beyond{suffix}"].astype(bool)]
            axes.plot(ends["length"], ends[f"memory_length{suffix}"], "^", color=colour, markersize=8)
    by_length = runs.groupby("length")[["reference_score", "timesteps"]].mean()
    score.plot(by_length.index, by_length["reference_score"], "k--", linewidth=1)
    if first["direction"] == "min":
        score.set_yscale("log")
    score.set_ylabel(with_direction(first["metric"], first["direction"]))
    score.set_title("what is learnt (test)", fontsize=10)
    for axes, title in ((start, "memory before training"), (end, "memory after training")):
        axes.plot(by_length.index, by_length["timesteps"], color="black", linestyle=":", linewidth=1)
        axes.set_yscale("log")
        axes.set_ylabel("timesteps until 1/e of the gradient is left")
        axes.set_title(title, fontsize=10)
    low, high = (np.nanmin, np.nanmax)
    lengths = runs[["memory_length", "memory_length_at_start", "timesteps"]].to_numpy(np.float64)
    for axes in (start, end):
        axes.set_ylim(0.7 * low(lengths), 1.5 * high(lengths))
    for axes in (score, start, end):
        if axes.get_yscale() == "log":
            _tick_each_range(axes)
        axes.set_xscale("log")
        axes.set_xticks(by_length.index, [str(length) for length in by_length.index])
        axes.minorticks_off()
        axes.set_xlabel(first["unit"])
    handles = [
        Line2D([], [], color=f"C{number}", marker="o", markersize=4, label=str(name))
        for number, name in enumerate(runs["name"].unique())
    ]
    handles.append(Line2D([], [], color="black", linestyle="--", linewidth=1, label=f"{first['reference']} (baseline)"))
    handles += [
        Line2D([], [], color="black", linestyle=":", linewidth=1, label="the whole sequence"),
        Line2D([], [], color="0.4", marker="^", linestyle="", label="at least"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(8, len(handles)), frameon=False, fontsize=9)
    figure.suptitle(f"{first['task']}: where each stops learning", fontsize=11)
    return figure


def _tick_each_range(axes: Axes) -> None:
    """Two ticks or more with plain numbers on a logarithmic axis that has less than two powers of ten."""
    low, high = axes.get_ylim()
    if high / low < 100:
        # of 1, 2, 5, 10, ... two lie in every range of this width
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if high / low > 8 else MaxNLocator(5))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _line(axes: Axes, of_name: pd.DataFrame, key: str, colour: str) -> None:
    mean = of_name.groupby("length")[key].mean()
    axes.plot(mean.index, mean, color=colour, linewidth=1.5)
    axes.plot(of_name["length"], of_name[key], "o", color=colour, markersize=4)


def draw_gradients(runs: pd.DataFrame) -> Figure:
    """g_k / g_1 by k, at up to three lengths: a line for each name, of its first seed; dotted: before training."""
    lengths = sorted(runs["length"].unique())
    shown = sorted({lengths[round(i)] for i in np.linspace(0, len(lengths) - 1, min(SHOWN_LENGTHS, len(lengths)))})
    figure = Figure(figsize=(1 + 4.4 * len(shown), 4.2), layout="constrained")
    panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    names = list(runs["name"].unique())
    for axes, length in zip(panels, shown, strict=True):
        at = runs[runs["length"] == length].drop_duplicates("name")
        for _, row in at.iterrows():
            colour = f"C{names.index(row['name'])}"
            for key, style in (("gradient", "-"), ("gradient_at_start", ":")):
                norms = np.array(row[key], np.float64)
                if len(norms) and norms[0] > 0:
                    relative = np.where(norms > FADED * norms[0], norms / norms[0], np.nan)
                    axes.plot(range(1, len(norms) + 1), relative, style, color=colour, linewidth=1.4)
        axes.axhline(1 / np.e, color="black", linewidth=0.8, linestyle="--")
        axes.set_yscale("log")
        axes.set_title(f"{length} {at['unit'].iloc[0]}", fontsize=10)
        axes.set_xlabel("k, timesteps back")
    panels[0].set_ylabel("gradient, of that one step back")
    handles = [Line2D([], [], color=f"C{number}", label=str(name)) for number, name in enumerate(names)]
    handles += [
        Line2D([], [], color="0.4", linestyle=":", label="before training"),
        Line2D([], [], color="black", linestyle="--", linewidth=0.8, label="1/e"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(7, len(handles)), frameon=False, fontsize=9)
    figure.suptitle(f"{runs['task'].iloc[0]}: the loss's gradient on its way back", fontsize=11)
    return figure
