"""Judging on the test split: the trained nets of a pair."""

import logging
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from hydra.utils import instantiate
from matplotlib.figure import Figure
from omegaconf import DictConfig

from rnnlab.config.fingerprint import fingerprint, plain, shown_in
from rnnlab.config.sizing import SIZING, policy
from rnnlab.errors import UserError
from rnnlab.modules.module import SequenceModule
from rnnlab.results.figures import save
from rnnlab.results.files import atomic_file, atomic_folder, read_json, write_json
from rnnlab.results.learning_curves import draw_learning_curves, learning_curves
from rnnlab.results.locks import Lock, locked
from rnnlab.results.origin import JUDGED, JUDGING, digest, is_judged, is_of, origin
from rnnlab.results.paths import Results, from_root, of_seeds
from rnnlab.tasks.figures import Figures, Passage
from rnnlab.tracking.tracker import Tracked, Tracker
from rnnlab.training.checkpoint import read_checkpoint
from rnnlab.training.predictions import write_predictions
from rnnlab.training.run import Run
from rnnlab.training.samples import write_samples

log = logging.getLogger("rnnlab")

LOOK = "look"
"""In a seed's folder: figures of what that one net does."""

DrawPassage = Callable[[SequenceModule, Passage], dict[str, Figure]]
"""Draws the states and gates of a net's cells as they read a passage: `rnnlab.diagnosis.activations.draw_passage`."""


class Judged(NamedTuple):
    """A trained net, and what judges and draws what it does. name: of the net, in figures."""

    module: SequenceModule
    figures: Figures
    draw_passage: DrawPassage
    name: str


def evaluate_seeds(run: Run, store: Tracker, draw_passage: DrawPassage) -> list[Tracked]:
    """Predict the test split with the weights of each seed; write predictions, metrics, figures and their summary.

    Returns: the seeds as the store has them.

    Raises: `UserError` when a seed is not trained under this config.
    """
    cell, results, rank_by = run.cfg.cell.name, run.results, run.task.spec.rank_by
    module, figures, judging = run.module(), _figures(run), _judging(run)
    for seed in run.seeds:
        with locked(results.lock(seed), wait_seconds=2):
            run.load_trained(module, seed)
            curves = draw_learning_curves({cell: learning_curves(results, [seed])})
            facts = {**origin(results, seed), "format": JUDGED, JUDGING: judging, SIZING: _policies(run, seed)}
            net = Judged(module, figures, draw_passage, f"{cell} seed {seed}")
            metrics = _evaluate_one(net, results, seed, facts, curves)
        log.info("%s/%s seed %d: test %s %.4f", run.cfg.task.name, cell, seed, rank_by, metrics[rank_by])
    with _alone(results):
        _summarise(figures, results, cell, judging)
    if not run.cfg.discard:
        log.info("  metrics, predictions and figures in %s", from_root(results.summary))
    return [tracked for seed in run.seeds if (tracked := store.put(results, seed))]


def _judging(run: Run) -> dict[str, Any]:
    """The options of `task.judging`, as a file may show them."""
    options: dict[str, Any] = shown_in(plain(run.cfg.task.judging))
    return options


def _policies(run: Run, seed: int) -> list[str]:
    """This one, and those under which the same weights were judged before."""
    path = run.results.evaluate(seed) / "evaluated.json"
    before = read_json(path).get(SIZING, []) if is_of(path, run.results, seed) else []
    return sorted({*before, policy(run.cfg)})


def _alone(results: Results) -> AbstractContextManager[Lock]:
    """One process at a time puts a seed beside the others, or reads them all."""
    return locked(results.folder / "checkpoints" / ".summary.lock")


def _figures(run: Run) -> Figures:
    """What draws the task, and as its `judging` what judges it."""
    figures: Figures = instantiate(run.cfg.task.figures, instantiate(run.cfg.task.judging, run.task))
    return figures


def _evaluate_one(
    net: Judged, results: Results, seed: int, facts: dict[str, Any], curves: Figure | None = None
) -> dict[str, float]:
    """`facts`: what is judged, for training again leaves this folder as it is."""
    module, figures, name = net.module, net.figures, net.name
    judging = figures.judging
    predictions = judging.predict(module)
    with ExitStack() as exchange, atomic_folder(results.evaluate(seed)) as part:
        metrics = write_predictions(judging, predictions, part)
        write_json(part / "evaluated.json", facts)
        drawn = figures.figures([predictions], name)
        _save(drawn if curves is None else {**drawn, "learning_curves": curves}, part)
        (part / LOOK).mkdir()
        _save(_look(net), part / LOOK)
        write_samples(judging, module, part / "samples")
        exchange.enter_context(_alone(results))
    return metrics


def _look(net: Judged) -> dict[str, Figure]:
    """What one net does: as its task draws it, and the states and gates of its cells as they read a passage."""
    passage = net.figures.passage()
    return {**net.figures.inspect(net.module), **(net.draw_passage(net.module, passage) if passage else {})}


def _summarise(figures: Figures, results: Results, name: str, judging: dict[str, Any]) -> None:
    """The pair as a whole, over all seeds whose weights of now have been evaluated, and under the options `judging`."""
    evaluated = [(path, int(path.name.removeprefix("seed="))) for path in of_seeds(results.summary, "seeds/seed=*")]
    numbers = sorted(
        seed
        for folder, seed in evaluated
        if is_judged(results, seed) and read_json(folder / "evaluated.json").get(JUDGING) == judging
    )
    seeds = [results.evaluate(seed) for seed in numbers]
    predictions = [pd.read_parquet(folder / "predictions.parquet") for folder in seeds]
    by_seed = pd.DataFrame([read_json(folder / "metrics.json") for folder in seeds])
    task = figures.task
    metrics = figures.judging.metrics(predictions)
    if len(seeds) > 1:
        metrics[f"{task.spec.rank_by}_std"] = float(by_seed[task.spec.rank_by].std())
    write_json(results.summary / "metrics.json", metrics)
    curves = learning_curves(results, numbers)
    _write_table(figures.judging.plot_rows(predictions), results.summary / "parts.csv")
    _write_table(curves.groupby("epoch", as_index=False).mean().drop(columns="seed"), results.summary / "learning.csv")
    with atomic_folder(results.summary / "figures") as folder:
        _save(figures.figures(predictions, name), folder)
        _save({"learning_curves": draw_learning_curves({name: curves})}, folder)
        # and what the callbacks of training have drawn
        for figure in sorted([*seeds[0].glob(f"{LOOK}/*.png"), *results.train(numbers[0]).glob("*/*.png")]):
            shutil.copy(figure, folder)
    # last: until then a report sees that it is not of these seeds
    judged = {str(seed): digest(results.evaluate(seed) / "metrics.json") for seed in numbers}
    write_json(results.summarised, judged)


def evaluate_checkpoint(cfg: DictConfig, path: Path, draw_passage: DrawPassage) -> None:
    """Judge the weights of a Lightning checkpoint, wherever it comes from, in a folder named by its content."""
    content = _read_checkpoint(path)
    run = Run.open(cfg)
    task, cell, module = run.task, run.cfg.cell.name, run.module()
    theirs = content["hyper_parameters"]
    for what, found, wanted in (
        ("task", theirs["spec"]["task"], task.spec.task),
        ("cell", theirs["name"], cell),
    ):
        if found != wanted:
            raise UserError(f"{path} was trained with {what}={found}, not {wanted}: add {what}={found}.")
    data, ours = content.get(type(task).__qualname__, {}).get("digest"), task.meta["digest"]
    if data is None:
        raise UserError(
            f"{path} was written by an earlier version of rnnlab, or with another task.data._target_: it has no digest "
            f"of its data as a {type(task).__qualname__}, and may have seen the test part. Train it again."
        )
    if data != ours:
        raise UserError(
            f"{path} was trained on other data or splits ({data}) than these ({ours}), and may have seen their test "
            "part: give the settings of its own data."
        )
    try:
        module.load_state_dict(content["state_dict"])
    except RuntimeError as error:
        detail = str(error).splitlines()[1].strip()
        raise UserError(f"{path} does not fit the configured {cell}: {detail} Give its sizes.") from None
    setting = fingerprint([digest(path), ours])
    results = Results.of_run(run.cfg.task.name, run.data.folder, cell, f"checkpoint-{setting}")
    net = Judged(module, _figures(run), draw_passage, f"{cell} of {path.name}")
    metrics = _evaluate_one(net, results, run.seed, {"setting": setting, JUDGING: _judging(run)})
    log.info("%s: test %s %.4f; all in %s", path, task.spec.rank_by, metrics[task.spec.rank_by], results.summary)


def _read_checkpoint(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"checkpoint={path} is not a file.")
    content = read_checkpoint(path)
    if content is None:
        raise UserError(f"{path} is not a whole checkpoint: it is cut off, or not one of this project's.")
    theirs = content.get("hyper_parameters", {}) if isinstance(content, dict) else {}
    if not isinstance(content, dict) or "state_dict" not in content or not {"spec", "name"} <= theirs.keys():
        raise UserError(f"{path} holds no trained net of this project.")
    result: dict[str, Any] = content
    return result


def _save(figures: dict[str, Figure], folder: Path) -> None:
    for name, figure in figures.items():
        save(figure, folder / f"{name}.png")


def _write_table(table: pd.DataFrame, path: Path) -> None:
    with atomic_file(path) as part:
        table.to_csv(part, index=False)
