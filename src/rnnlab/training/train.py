"""Training one cell on one task: each seed in its own folder, whole or not at all, resumed where it was stopped."""

import logging
import math
import pickle
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import mean
from typing import Any

import pandas as pd
import pytorch_lightning as pl
import torch
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint
from pytorch_lightning.plugins.environments import LightningEnvironment  # type: ignore[attr-defined]
from safetensors.torch import save_file

from rnnlab.config.fingerprint import fingerprint, plain, save_config, train_setting
from rnnlab.config.stages import grid
from rnnlab.errors import UserError
from rnnlab.modules.build import build_module, module_class, schedule_of
from rnnlab.modules.module import Diverged, SequenceModule, check_training
from rnnlab.results.files import atomic_folder, locked, read_json, write_json
from rnnlab.results.paths import CONF, Results
from rnnlab.tasks.judging import Judging
from rnnlab.tasks.task import Task
from rnnlab.tracking.callback import RunCallback
from rnnlab.tracking.describe import describe_run
from rnnlab.tracking.live import Row
from rnnlab.tracking.recorder import KeepHistory, Recorder
from rnnlab.tracking.tracker import Tracked, Tracker
from rnnlab.training.budget import Budget, check_budget, make_budget
from rnnlab.training.callbacks import bound_callbacks, make_callbacks
from rnnlab.training.prepare import open_task
from rnnlab.training.progress import Progress
from rnnlab.training.sizing import check_sizing, match_parameters

log = logging.getLogger("rnnlab")

# what Lightning says of its own accord at every start: hardware, tips, a resumed folder
for noisy in ("pytorch_lightning", "lightning_fabric"):
    logging.getLogger(noisy).setLevel(logging.WARNING)

HINTS = (
    "Checkpoint directory .* exists",
    ".*LeafSpec",
    "The number of training batches",
    "The `srun` command",  # wherever Slurm is installed
    "GPU available but not used",  # trainer.accelerator=cpu asked for it
)
"""How those begin that Lightning gives as warnings."""

ACCELERATORS = ("auto", "cpu", "gpu")
PRECISIONS = ("32-true", "64-true", "16-mixed", "bf16-mixed")

UNREADABLE = (RuntimeError, EOFError, ValueError, OSError, pickle.UnpicklingError)
"""What `torch.load` raises for a file that is cut off or no checkpoint."""


def check(cfg: DictConfig) -> None:
    """Raises: `UserError` for settings that cannot work, their types being right, before any data is touched."""
    for key, choices in (("accelerator", ACCELERATORS), ("precision", PRECISIONS)):
        if cfg.trainer[key] not in choices:
            raise UserError(f"trainer.{key}={cfg.trainer[key]} is none of {', '.join(choices)}.")
    if cfg.trainer.accelerator == "gpu" and not torch.cuda.is_available():
        raise UserError("trainer.accelerator=gpu, but torch sees no CUDA device: use cpu or auto.")
    whole = ("max_epochs", "threads", "patience", "limit_batches", "log_every_n_steps")
    for key in (*(f"trainer.{name}" for name in whole), "cell.hidden_size", "cell.num_layers"):
        value = OmegaConf.select(cfg, key)
        if value is not None and value < 1:
            raise UserError(f"{key}={value}: a whole number of at least 1 is needed.")
    for key, low, high in (("cell.dropout", 0, 1), ("trainer.gradient_clip_val", 0, math.inf)):
        value = OmegaConf.select(cfg, key)
        if value is not None and not low <= value < high:
            raise UserError(f"{key}={value}: a number of at least {low} and below {high} is needed.")
    if not 0 <= cfg.seed < 2**32:
        raise UserError(f"seed={cfg.seed}: a whole number from 0 to 4294967295 is needed.")
    if not cfg.optimizer.lr > 0:
        raise UserError(f"optimizer.lr={cfg.optimizer.lr}: a rate above 0 is needed.")
    check_budget(cfg)
    check_training(plain(cfg.optimizer), schedule_of(cfg))
    check_sizing(cfg)
    if cfg.tuning.name != "none":
        overlay = CONF / "tuned" / cfg.tuning.name / f"{cfg.task.name}_{cfg.cell.name}.yaml"
        if not overlay.exists():
            raise UserError(
                f"tuning={cfg.tuning.name}: nothing is tuned for this pair: there is no "
                f"{overlay.relative_to(CONF.parent)}."
            )
    module_class(get_object(cfg.cell._target_)).check_options(cfg.cell)
    make_callbacks(cfg)


def seeds_of(cfg: DictConfig) -> list[int]:
    return list(grid().seeds) if cfg.dvc else [cfg.seed]


@contextmanager
def results_folder(cfg: DictConfig) -> Iterator[Results]:
    """results/ for DVC, a folder of this very setting under runs/ by hand, one that is thrown away for debug.

    Under `parameters=matched` this settles `cfg.cell.hidden_size`, of which the setting is made.
    """
    if cfg.parameters.name != "free":
        match_parameters(cfg, open_task(cfg, cfg.seed), build_module)
    if cfg.discard:
        with tempfile.TemporaryDirectory(prefix="rnnlab-") as folder:
            yield Results(Path(folder))
    elif cfg.dvc:
        yield Results.of_pipeline(cfg.task.name, cfg.cell.name)
    else:
        yield Results.of_run(cfg.task.name, cfg.cell.name, setting_of(cfg, open_task(cfg, cfg.seed)))


def setting_of(cfg: DictConfig, task: Task) -> str:
    """The fingerprint of everything that decides the trained net but its seed: config, code and data."""
    return fingerprint({**train_setting(cfg), "data": task.meta["digest"]})


def settle_threads(cfg: DictConfig) -> None:
    """Pin the processor threads: two processes with all threads each on the same cores crawl."""
    torch.set_num_threads(cfg.trainer.threads)
    # a debugging aid of deterministic mode that writes every new tensor twice
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def train_seed(cfg: DictConfig, results: Results, seed: int, store: Tracker) -> Tracked | None:
    """Train a seed that is not there yet, under its own lock, written whole or not at all.

    Returns: the seed as the store has it.
    """
    label = f"{cfg.task.name}/{cfg.cell.name} seed {seed}"
    task = open_task(cfg, seed)
    setting = setting_of(cfg, task)
    with locked(results.lock(seed), wait_seconds=2):
        if not cfg.force and _is_done(results, seed, setting):
            log.info("%s: already trained under this setting; force=true trains it again", label)
            return store.put(results, seed)
        settle_threads(cfg)
        # before the module is made: its initial weights are the first numbers drawn
        pl.seed_everything(seed, verbose=False)
        module = build_module(cfg, task)
        resume = None if cfg.force else _checkpoint_to_resume(results, seed, setting)
        if resume is None:
            _clear(results, seed)
        run = describe_run(cfg, task, module, results, seed, setting)
        write_json(results.checkpoints(seed) / "run.json", run)
        judging: Judging = instantiate(cfg.task.judging, task)
        for remark in judging.remarks():
            log.info("%s: %s", label, remark)
        log.info("%s: %d parameters%s", label, module.parameter_count, ", going on where it stopped" if resume else "")
        with store.live(run) as live:
            recorder = Recorder(live.send)
            callbacks = bound_callbacks(cfg, task, results.checkpoints(seed))
            facts = fit(cfg, module, task, recorder, results.checkpoints(seed), resume, label, *callbacks)
            _write(results, cfg, run, facts, recorder.rows, module, task, callbacks)
        tracked = store.put(results, seed, live)
        log.info(
            "%s: validation loss %.4f in epoch %d, %.1f s, %.0f steps/s",
            label,
            facts["validation_loss"],
            facts["best_epoch"],
            facts["train_seconds"],
            facts["steps_per_second"],
        )
        return tracked


def validation_loss(results: Results, seeds: list[int]) -> float:
    """The mean over seeds that are trained."""
    return mean(float(read_json(results.train(seed) / "metrics.json")["validation_loss"]) for seed in seeds)


def forget_other_seeds(results: Results, seeds: list[int]) -> None:
    """What DVC keeps of a pair is what the grid names, no seed of an earlier grid."""
    for folder in results.train(0).parent.iterdir():
        if folder not in {results.train(seed) for seed in seeds}:
            shutil.rmtree(folder)


def _clear(results: Results, seed: int) -> None:
    """What an earlier training and its callbacks have left beside the checkpoints; the lock is held."""
    for path in results.checkpoints(seed).iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path != results.lock(seed):
            path.unlink()


def _is_done(results: Results, seed: int, setting: str) -> bool:
    path = results.train(seed) / "metrics.json"
    return path.exists() and read_json(path)["setting"] == setting


def _checkpoint_to_resume(results: Results, seed: int, setting: str) -> Path | None:
    """The last epoch's checkpoint of an unfinished run of this very setting, if it can be read."""
    last, run = results.checkpoints(seed) / "last.ckpt", results.checkpoints(seed) / "run.json"
    if not last.exists() or not run.exists():
        return None
    before = read_json(run)
    # a checkpoint holds the absolute path of the best one so far: in a moved folder it would not be found
    if before["setting"] != setting or before["folder"] != str(results.folder):
        return None
    try:
        torch.load(last, map_location="cpu", weights_only=True)
    except UNREADABLE:
        log.info("%s cannot be read: training starts anew", last)
        return None
    return last


def make_trainer(
    options: DictConfig,
    recorder: Recorder,
    folder: Path,
    label: str,
    *further: Callback,
    budget: Budget | None = None,
) -> pl.Trainer:
    """Lightning's trainer as `options` (conf/trainer) says; best.ckpt and last.ckpt go into `folder`.

    A run is one process, whatever started it: Lightning would take a job of Slurm with several tasks, or what MPI,
    torchrun and LSF leave in the environment, for one process of many, and refuses some of them.
    """
    for message in HINTS:
        warnings.filterwarnings("ignore", message)
    return pl.Trainer(
        max_epochs=-1 if options.max_epochs is None else options.max_epochs,
        gradient_clip_val=options.gradient_clip_val,
        accelerator=options.accelerator,
        devices=1,
        plugins=[LightningEnvironment()],
        precision=options.precision,
        deterministic="warn" if options.deterministic else False,
        limit_train_batches=options.limit_batches,
        limit_val_batches=options.limit_batches,
        logger=recorder,
        callbacks=[
            KeepHistory(recorder),
            *_stopping(options, budget),
            Progress(label, (lambda: budget.share) if budget else None),
            _checkpoint(folder, "best", monitor="loss/validation"),
            _checkpoint(folder, "last", monitor=None),
            *further,
        ],
        default_root_dir=folder,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _stopping(options: DictConfig, budget: Budget | None) -> Iterator[Callback]:
    if options.patience is not None:
        yield EarlyStopping("loss/validation", patience=options.patience, verbose=False)
    if budget is not None:
        yield budget


def fit(
    cfg: DictConfig,
    module: SequenceModule,
    task: Task,
    recorder: Recorder,
    checkpoints: Path,
    resume: Path | None,
    label: str,
    *further: Callback,
) -> dict[str, Any]:
    """Train, leave the best epoch's weights in `module`, and tell what it took.

    train_seconds and steps_per_second are of the steps alone, without the first after each start: see `StepClock`.

    Raises: `Diverged` when the loss is no longer a number.
    """
    trainer = make_trainer(cfg.trainer, recorder, checkpoints, label, *further, budget=make_budget(cfg))
    best = trainer.checkpoint_callback
    assert isinstance(best, ModelCheckpoint)
    try:
        trainer.fit(module, datamodule=task, ckpt_path=resume, weights_only=True)
    except Diverged as error:
        kept = f"The best weights so far are kept in {best.best_model_path}." if best.best_model_path else ""
        raise Diverged(f"{label}: {error}. {kept} Try a lower optimizer.lr or trainer.gradient_clip_val.") from None
    checkpoint = torch.load(best.best_model_path, map_location="cpu", weights_only=True)
    module.load_state_dict(checkpoint["state_dict"])
    for callback in further:
        if isinstance(callback, RunCallback):
            callback.conclude(module, int(checkpoint["epoch"]) + 1)
    recorder.flush()
    assert best.best_model_score is not None
    return {
        "epochs": trainer.current_epoch,
        "steps": trainer.global_step,
        "best_epoch": int(checkpoint["epoch"]),
        "validation_loss": float(best.best_model_score),
        "train_seconds": recorder.clock.seconds,
        "steps_per_second": recorder.clock.steps_per_second,
        "parameters": module.parameter_count,
        "state_size": module.state_size,
        "multiply_adds": module.multiply_adds,
        "unroll": module.unrolled,
        "ended": time.time(),
    }


def _checkpoint(folder: Path, name: str, monitor: str | None) -> ModelCheckpoint:
    return ModelCheckpoint(
        dirpath=folder,
        filename=name,
        monitor=monitor,
        auto_insert_metric_name=False,
        enable_version_counter=False,
        # once the epoch is whole: only then does a resumed run equal an uninterrupted one
        save_on_train_epoch_end=True,
    )


def _write(
    results: Results,
    cfg: DictConfig,
    run: dict[str, Any],
    facts: dict[str, Any],
    rows: list[Row],
    module: SequenceModule,
    task: Task,
    callbacks: list[Callback],
) -> None:
    seed = run["seed"]
    with atomic_folder(results.train(seed)) as part:
        write_json(part / "metrics.json", {"seed": seed, "setting": run["setting"], **facts})
        write_json(part / "run.json", run)
        pd.DataFrame(rows, columns=Row._fields).to_parquet(part / "history.parquet", index=False)
        save_config(cfg, part / "config.yaml")
        # all that raw input needs beside the weights: a model can be made of this folder alone
        write_json(part / "learnt.json", {"spec": task.spec.as_dict(), "learnt": task.state_dict()})
        save_file(module.state_dict(), part / "weights.safetensors")
        for callback in callbacks:
            if isinstance(callback, RunCallback):
                callback.write(part, run["name"])
