"""docs/benchmarks.md from the figures on disk: which target is met, computed from them, and tables by shape."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from tabulate import tabulate

from benchmarks import cells, costs, store
from benchmarks.nets import TORCH, gates
from rnnlab.results.paths import CHECKOUT

PAGE = CHECKOUT / "docs" / "benchmarks.md"
REASONS = store.FOLDER / "reasons.json"
"""Why a target is missed, found by `profile`: {a target's key: a sentence}."""

LINEAR = 1.2
"""Time per timestep at the longest over that at the shortest length that still counts as linear."""

SCAN_TARGETS = ("mingru", "minlstm", "lru")
KERNELS = {f"nn.{name}" for name in TORCH.values()}
DEVICES = {"cpu": "a CPU", "cuda": "a GPU"}

Row = dict[str, Any]


class Target(NamedTuple):
    """Met where every value, a figure by the name of what was measured, is at most the bound."""

    key: str
    sentence: str
    bound: float
    values: dict[str, float]

    def line(self) -> str:
        if not self.values:
            return f"- {self.sentence}: **not measured**."
        missed = {name: value for name, value in self.values.items() if value > self.bound}
        if not missed:
            name, value = max(self.values.items(), key=lambda item: item[1])
            return f"- {self.sentence}: **met** in all {len(self.values)}; the highest is {value:.2f}, {name}."
        most = sorted(missed.items(), key=lambda item: -item[1])
        listed = "; ".join(f"{value:.2f} {name}" for name, value in most)
        reason = json.loads(REASONS.read_text(encoding="utf-8")).get(self.key, "") if REASONS.exists() else ""
        return f"- {self.sentence}: **missed** in {len(missed)} of {len(self.values)}: {listed}. {reason}".rstrip()


def write() -> None:
    content = "\n\n".join(page())
    PAGE.write_text(content + "\n", encoding="utf-8")
    print(f"wrote {PAGE.relative_to(CHECKOUT)}")


def page() -> Iterator[str]:
    yield "<!-- Written by `make bench` (benchmarks/table.py) from benchmarks/*.json: edits here are lost. -->"
    yield "# Benchmarks"
    yield (
        "Forward and backward of one layer in float32, with the gradients of all weights and of the input. Both sides "
        "alternate, call by call, in one process with its threads pinned; times are medians in milliseconds, a ratio "
        "is ours over theirs between neighbours: its median, and in brackets its lowest and highest. A ratio below 1 "
        "means that ours is faster; one in bold misses its target. The load is the machine's one-minute average before "
        "the pair began: a benchmark of one thread alone shows as 1."
    )
    yield machines()
    measured = {row["device"] for part in store.FILES for row in store.read(part) if "device" in row}
    for device in ("cpu", "cuda"):
        if device in measured:
            yield from sections(device)
    if "cuda" not in measured:
        yield "## On a GPU"
        yield "No figures of a GPU have been measured yet. On a machine with one, `make bench` measures the same pairs."
    yield from overhead()
    yield from feeding()
    yield from texts()
    yield from workspaces()
    yield from grid_costs()


def machines() -> str:
    names = ("date", "processor", "cores", "python", "torch", "compiler")
    rows = [(f"`{part}`", *(machine[name] for name in names)) for part, machine in store.machines().items()]
    return table(("part", *names), rows)


def sections(device: str) -> Iterator[str]:
    results = [row for row in store.read("cells") if row["device"] == device]
    scaled = [row for row in store.read("scaling") if row["device"] == device]
    memory = [row for row in store.read("memory") if row["device"] == device]
    compiled = [row for row in store.read("compile") if row["device"] == device]
    yield f"## On {DEVICES[device]}"
    yield "\n".join(target.line() for target in targets(device, results, scaled, memory, compiled))
    yield from against_torch(results)
    yield from per_gate(results)
    yield from against_package(results)
    yield from scans(results)
    yield from lengths(scaled)
    yield from peaks(memory)
    yield from first_uses(compiled)


def targets(
    device: str, results: list[Row], scaled: list[Row], memory: list[Row], compiled: list[Row]
) -> Iterator[Target]:
    def ratios(rows: Iterable[Row]) -> dict[str, float]:
        return {name(row): row["ratio_median"] for row in rows}

    kernels = [
        row for row in results if row["peer"] in KERNELS and row["unroll"] == "compiled" and row["cell"] in TORCH
    ]
    scanned = [row for row in results if row["unroll"] == "scan" and row["cell"] in SCAN_TARGETS]
    looped = [row for row in scanned if row["peer"] == f"{row['cell']} loop"]
    if device == "cpu":
        others = [row for row in kernels if row["cell"] != "lstm"]
        yield Target("rnn_gru", "Compiled RNN and GRU take at most 1.0 of torch.nn's time", 1.0, ratios(others))
        lstm = [row for row in kernels if row["cell"] == "lstm"]
        yield Target("lstm", "The compiled LSTM takes at most 1.1 of torch.nn's time (oneDNN)", 1.1, ratios(lstm))
        gated = {name(row): gate_ratio(row) for row in results if is_gate(row) and row["cell"] in cells.GATED}
        yield Target("gated", "A gated cell takes at most 1.25 of our compiled LSTM's time per gate", 1.25, gated)
        package = [row for row in results if row["peer"].startswith("torchrecurrent.")]
        yield Target("package", "A cell takes at most 0.2 of torchrecurrent's time for it", 0.2, ratios(package))
        linear = [row for row in results if row["cell"] in SCAN_TARGETS and row["peer"] == "nn.GRU"]
        chosen = [row for row in linear if row["unroll"] == "compiled"]
        yield Target(
            "linear_cells",
            "minGRU, minLSTM and LRU, as `auto` runs them on a CPU (`compiled`), take at most 0.25 of nn.GRU's time",
            0.25,
            ratios(chosen),
        )
        parallel = [row for row in linear if row["unroll"] == "scan"]
        yield Target(
            "scan", "Their scans, which `auto` takes on a GPU, take at most 0.25 here too", 0.25, ratios(parallel)
        )
        yield Target("scan_loop", "Scans are never slower than the cell's own loop", 1.0, ratios(looped))
    else:
        yield Target("scan_loop_gpu", "Scans take at most 0.1 of their own loop's time", 0.1, ratios(looped))
    linear = {f"{cell} {unroll}": growth(rows, "ours_ms") for (cell, unroll, _), rows in by_pair(scaled).items()}
    yield Target(
        "linear", f"Time is linear in the timesteps: per timestep at most {LINEAR} times as long", LINEAR, linear
    )
    peak = {name(row): row["ratio"] for row in memory}
    yield Target("memory", "Peak memory is at most 1.3 of torch.nn's", 1.3, peak)
    for key, sentence, bound in (
        ("first", "The first use of a cell takes at most 20 s", 20.0),
        ("cached", "From the cache it takes under 2 s", 2.0),
    ):
        yield Target(key, sentence, bound, {row["cell"]: row[f"{key}_seconds"] for row in compiled})


def against_torch(results: list[Row]) -> Iterator[str]:
    yield "### RNN, LSTM and GRU, compiled"
    yield (
        "Against torch.nn's layer, a loop over torch.nn's cell, and a loop with a `Linear` of `[h, x]` for each gate, "
        "as tutorials have it. `(B, T, input, hidden)` is the shape."
    )
    for shape in cells.SHAPES:
        rows = [r for r in results if shape_of(r) == shape and r["cell"] in TORCH and r["unroll"] == "compiled"]
        rows.sort(key=lambda row: (list(TORCH).index(row["cell"]), row["peer"] not in KERNELS, row["peer"]))
        if rows:
            yield f"#### {shape}"
            yield pair_table(rows)


def per_gate(results: list[Row]) -> Iterator[str]:
    yield "### Every other cell, compiled, against our compiled LSTM"
    yield (
        f"At {cells.LONG}. A gate is a block of `hidden` columns that a step works on: of the projected input, or of "
        "the recurrent products, whichever is more; the LSTM has four. Per gate is the ratio of times, each divided by "
        "its gates. The target is for gated cells; the others are shown for comparison: what they take beside products "
        "(an ODE solver's steps, complex states of 16 numbers for each hidden unit) is not counted in gates."
    )
    rows = [
        (
            row["cell"],
            "yes" if row["cell"] in cells.GATED else "no",
            row["threads"],
            f"{gates_of(row):.3g}",
            *times(row),
            spread(row),
            marked(gate_ratio(row), 1.25 if row["cell"] in cells.GATED else None),
            row["load"],
        )
        for row in sorted(filter(is_gate, results), key=lambda row: row["cell"])
    ]
    yield table(("cell", "gated", "threads", "gates", "ours, ms", "LSTM, ms", "ratio", "per gate", "load"), rows)


def against_package(results: list[Row]) -> Iterator[str]:
    yield "### Against torchrecurrent"
    yield (
        f"The same cell in torchrecurrent, at {cells.LONG}, without the gradient of the input: asked for it, the "
        "package's loop takes time quadratic in the timesteps, since it slices the input."
    )
    rows = [row for row in results if row["peer"].startswith("torchrecurrent.")]
    yield pair_table(rows)


def scans(results: list[Row]) -> Iterator[str]:
    yield "### Cells with a scan"
    yield (
        "All timesteps at once (`scan`) or one after the other in a kernel (`compiled`), against nn.GRU and against "
        "the cell's own loop. The targets are for minGRU, minLSTM and LRU."
    )
    for shape in cells.SCANNED:
        rows = [row for row in results if row["cell"] in cells.SCANS and shape_of(row) == shape]
        rows.sort(key=lambda row: (cells.SCANS.index(row["cell"]), row["peer"], row["unroll"]))
        if rows:
            yield f"#### {shape}"
            yield pair_table(rows)


def lengths(scaled: list[Row]) -> Iterator[str]:
    yield "### Time over length"
    yield "Growth is the time per timestep at the longest length over that at the shortest: 1 is linear."
    rows = []
    for (cell, unroll, peer), group in by_pair(scaled).items():
        group.sort(key=lambda row: row["timesteps"])
        for title, side in ((f"{cell} {unroll}", "ours_ms"), (peer, "peer_ms")):
            rows.append((title, *(f"{row[side]:.1f}" for row in group), f"{growth(group, side):.2f}"))
    found = sorted({row["timesteps"] for row in scaled})
    yield table(("net", *(f"T = {time}, ms" for time in found), "growth"), rows)


def peaks(memory: list[Row]) -> Iterator[str]:
    yield "### Peak memory"
    yield (
        "What a training step adds at its peak to a process that holds the net, the input and the gradient of the "
        "output; each side in a process of its own."
    )
    rows = [
        (
            shape_of(row), f"{row['cell']} {row['unroll']}", row["peer"], f"{row['ours_mib']:.0f}",
            f"{row['peer_mib']:.0f}", marked(row["ratio"], 1.3),
        )
        for row in memory
    ]  # fmt: skip
    yield table(("shape", "ours", "against", "ours, MiB", "theirs, MiB", "ratio"), rows)


def first_uses(compiled: list[Row]) -> Iterator[str]:
    yield "### First use of a compiled cell"
    yield "Seconds of the first call, forward and backward, in a fresh process: with an empty cache, and from it."
    rows = [
        (row["cell"], marked(row["first_seconds"], 20.0), marked(row["cached_seconds"], 2.0), row["load"])
        for row in sorted(compiled, key=lambda row: row["cell"])
    ]
    yield table(("cell", "first, s", "cached, s", "load"), rows)


def overhead() -> Iterator[str]:
    yield "## The pipeline around a training step"
    yield (
        "Lightning, its callbacks, the history and a live MLflow run on SQLite against the same net in a bare loop of "
        "the same batches, on one thread; docs/measurements.md says where the time goes."
    )
    rows = [
        (row["cell"], shape_of(row), row["pipeline_ms"], row["bare_ms"], spread(row), f"{row['load']:.1f}")
        for row in store.read("overhead")
    ]
    yield table(("cell", "shape", "pipeline, ms", "bare, ms", "ratio", "load"), rows)


def feeding() -> Iterator[str]:
    yield "## Making batches"
    yield (
        "Processor time of one thread to make a batch of a task's default data, beside that of a training step with it "
        "(forward, backward, clipping, Adam) with the task's own sizes."
    )
    rows = store.read("feeding")
    share = {f"{row['stage']} with {row['cell']}": row["share"] for row in rows}
    yield Target("feeding", "Making batches takes at most 0.05 of making them and training on them", 0.05, share).line()
    yield table(
        ("task", "cell", "batch, ms", "step, ms", "share"),
        [(row["stage"], row["cell"], row["feed_ms"], row["step_ms"], marked(row["share"], 0.05)) for row in rows],
    )


def texts() -> Iterator[str]:
    yield "## A text of gigabytes"
    yield (
        "A generated text of characters of one and two bytes, in UTF-8: fetched (its checksum), preprocessed (checked, "
        "its vocabulary, its tokens), trained on for a few steps with a validation, and evaluated, n-grams included. "
        "Each stage is a process of its own; its peak is its largest resident set, with libraries and mapped files."
    )
    names = ("stage", "gigabytes", "seconds", "peak_mib", "load")
    rows = [[row[name] for name in names] for row in store.read("text")]
    yield table(("stage", "text, GB", "seconds", "peak, MiB", "load"), rows)


def bound_of(row: Row) -> float | None:
    """The target for the ratio of a pair, where there is one."""
    if row["unroll"] == "scan" and row["cell"] in SCAN_TARGETS:
        looped = row["peer"] != "nn.GRU"
        return {("cpu", False): 0.25, ("cpu", True): 1.0, ("cuda", True): 0.1}.get((row["device"], looped))
    if row["device"] == "cpu" and row["cell"] in TORCH and row["peer"] in KERNELS:
        return 1.1 if row["cell"] == "lstm" else 1.0
    return 0.2 if row["device"] == "cpu" and row["peer"].startswith("torchrecurrent.") else None


def pair_table(rows: list[Row]) -> str:
    return table(
        ("ours", "against", "threads", "ours, ms", "theirs, ms", "ratio", "load"),
        [
            (
                f"{row['cell']} {row['unroll']}",
                row["peer"],
                row["threads"],
                *times(row),
                spread(row, bound_of(row)),
                row["load"],
            )
            for row in rows
        ],
    )


def workspaces() -> Iterator[str]:
    yield "## A workspace of many runs"
    yield (
        "Whole commands in a workspace of copies of a few real runs, as of a grid of cells, tasks, settings and five "
        "seeds, each judged: a report of all, a `tracking=sync` into a store that is not there and one with nothing to "
        "do, a training of a run that is there, and a sweep of eight of them. CPU: seconds of the processor, of all "
        "threads; seconds of the clock are with others at work on the machine, see the load. "
        '`make bench ARGS="workspace --runs 100,1000"`'
    )
    names = ("stage", "runs", "cpu_seconds", "seconds", "peak_mib", "load")
    rows = [[*(row[name] for name in names), row.get("remark", "")] for row in store.read("workspace")]
    yield table(("command", "runs", "CPU, s", "seconds", "peak, MiB", "load", ""), rows)


def grid_costs() -> Iterator[str]:
    yield "## What a grid costs"
    rows = store.read("costs")
    model = costs.Model(rows)
    if not model.tasks:
        yield "Not measured yet."
        return
    beside = model.beside
    yield (
        "Processor seconds of a gru as configured, one seed: what its training takes beyond the start of a process, a "
        "whole `rnnlab evaluate` of a net whose data set's baselines are judged, and what those take, once for a data "
        f"set. A process takes {beside['start']:.1f} s to start, and {beside['run']:.2f} s for each run and "
        f"{1000 * beside['epoch']:.0f} ms for each epoch beside its steps. For the rest, another cell takes the ratio "
        "of its step to a gru's, from the first tables. `make bench ARGS=costs`"
    )
    names = ("task", "epochs", "steps", "train", "evaluate", "baselines", "load")
    yield table(
        ("task", "epochs", "steps", "train, s", "evaluate, s", "baselines, s", "load"),
        [[row[name] for name in names] for row in model.tasks.values()],
    )
    yield from (
        f"A sweep of {row['runs']} runs ({', '.join(costs.CHECKED[0])}; {', '.join(costs.CHECKED[1])}; "
        f"{costs.CHECKED[2]} seeds), a job for each task and cell: {row['measured']:.0f} s of the processor, "
        f"{row['predicted']:.0f} s by the model ({row['predicted'] / row['measured'] - 1:+.0%})."
        for row in rows
        if row.get("stage") == "check"
    )
    yield (
        f"The {len(model.tasks)} tasks above with all {len(costs.cells())} cells and five seeds, trained and judged, "
        "by the model, the longest job first; then the same without ltc and mlstm, whose steps take 141 and 61 times "
        "a gru's:"
    )
    every, quick = costs.cells(), [cell for cell in costs.cells() if cell not in costs.SLOW]
    of = [model.grid(model.tasks, cells, 5, evaluate=True) for cells in (every, quick)]
    yield table(
        ("workers", "hours", "CPU hours", "hours without", "CPU hours without"),
        [
            [workers, *(f"{value:.1f}" for jobs in of for value in (costs.hours(jobs, workers), sum(jobs) / 3600))]
            for workers in costs.WORKERS
        ],
    )


def table(headers: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    body = [list(map(str, row)) for row in rows]
    return tabulate(body, list(headers), tablefmt="github", disable_numparse=True) if body else "Not measured yet."


def times(row: Row) -> tuple[str, str]:
    return f"{row['ours_ms']:.1f}", f"{row['peer_ms']:.1f}"


def spread(row: Row, bound: float | None = None) -> str:
    return f"{marked(row['ratio_median'], bound)} ({row['ratio_min']:.2f} to {row['ratio_max']:.2f})"


def marked(value: float, bound: float | None) -> str:
    return f"**{value:.2f}**" if bound is not None and value > bound else f"{value:.2f}"


def shape_of(row: Row) -> tuple[int, ...]:
    return tuple(row[key] for key in ("batch", "timesteps", "input_size", "hidden_size"))


def name(row: Row) -> str:
    threads = f", {row['threads']} thread{'s' * (row['threads'] > 1)}" if "threads" in row else ""
    return f"{row['cell']} at {shape_of(row)}{threads}"


def is_gate(row: Row) -> bool:
    return row["peer"] == "lstm compiled"


def gates_of(row: Row) -> float:
    return gates(row["cell"], row["input_size"], row["hidden_size"])


def gate_ratio(row: Row) -> float:
    return row["ratio_median"] * gates("lstm", row["input_size"], row["hidden_size"]) / gates_of(row)


def by_pair(rows: list[Row]) -> dict[tuple[str, str, str], list[Row]]:
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["cell"], row["unroll"], row["peer"]), []).append(row)
    return groups


def growth(rows: list[Row], side: str) -> float:
    shortest, longest = (end(rows, key=lambda row: row["timesteps"]) for end in (min, max))
    return (longest[side] / longest["timesteps"]) / (shortest[side] / shortest["timesteps"])
