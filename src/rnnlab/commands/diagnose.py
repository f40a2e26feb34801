"""Looking into trained nets: how far back each remembers, and why not further."""

import logging
from typing import Any

from omegaconf import DictConfig

from rnnlab.commands.open_run import open_run
from rnnlab.diagnosis.memory_length import measure, sample, scalars, write_memory
from rnnlab.results.files import atomic_folder, read_json, write_json
from rnnlab.results.locks import locked
from rnnlab.results.origin import origin
from rnnlab.results.paths import from_root
from rnnlab.serving.champions import crown

log = logging.getLogger("rnnlab")


def diagnose(cfg: DictConfig) -> None:
    """Measure the weights that each seed's training kept, on validation sequences; write tables and figures.

    Raises: `UserError` when a seed is not trained under this config, and for a net that is run token by token.
    """
    run, store = open_run(cfg)
    module, results = run.module(), run.results
    for seed in run.seeds:
        with locked(results.lock(seed), wait_seconds=2):
            run.load_trained(module, seed)
            name = read_json(results.train(seed) / "run.json")["name"]
            epoch = read_json(results.train(seed) / "metrics.json")["best_epoch"]
            measured = {"epoch": epoch, **measure(module, sample(run.task))}
            with atomic_folder(results.diagnosis(seed)) as part:
                write_memory([measured], epoch, name, part)
                facts = {**origin(results, seed), "metrics": scalars(measured)}
                write_json(part / "diagnosed.json", facts)
        log.info("%s/%s seed %d: %s", cfg.task.name, cfg.cell.name, seed, in_words(measured))
        log.info("  figures in %s", from_root(results.diagnosis(seed)))
        crown(store, store.put(results, seed))


def in_words(measured: dict[str, Any]) -> str:
    """What is found of each cell, in a line."""
    told = []
    for number, cell in enumerate(measured["cells"]):
        length, growth = cell["memory_length"], cell["growth_rate"]
        if length is None:
            memory = "no gradient comes back"
        else:
            memory = f"memory {'beyond ' if cell['beyond'] else ''}{length:.1f} of {measured['timesteps']} timesteps"
        growth = "none" if growth is None else f"{growth:+.3f} per timestep"
        name = f"cell {number}: " if len(measured["cells"]) > 1 else ""
        told.append(f"{name}{memory}, largest singular value {cell['largest_singular_value']:.3g}, growth {growth}")
    return "; ".join(told)
